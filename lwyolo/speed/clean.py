"""What disturbed a sample: threads that had to wait for a core, and other processes that used the machine.

Linux counts for each thread how long it was ready to run and did not (`schedstat`, second number). A sample is clean
where all threads together waited less than 3 % of its time and 0.3 ms. Where fewer threads run than there are cores,
work of others on the other cores shares caches and memory with us: it must be below 5 % of all cores. The system counts
that in ticks of 10 ms, so it is judged over the last second of samples, with a tick allowed for each core. Elsewhere
none of this is known, and a sample is neither clean nor disturbed.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DELAY_SHARE, DELAY_MS = 0.03, 0.3
OTHERS_SHARE, WINDOW_MS = 0.05, 1000.0
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What is known of a sample; `None` is unknown here.

    Args:
        delay_ms: That threads of this process waited for a core, together.
        others_busy: Share of all cores that other processes used over the last second of samples, steal included.
        minor_faults: Pages that the sample touched for the first time.
    """

    wall_ms: float
    delay_ms: float | None
    others_busy: float | None
    minor_faults: int | None
    clean: bool | None


@dataclass(frozen=True, slots=True)
class _Reading:
    wall_ms: float
    own_ms: float
    busy_ms: float | None
    delays: dict[str, int]
    faults: int | None


class Watch:
    """Reads the counters around samples of one process.

    Args:
        threads: That the sample runs on.
        proc: Where the counters lie.
        clock: Seconds.
    """

    def __init__(self, threads: int, proc: Path = PROC, clock: Callable[[], float] = time.perf_counter) -> None:
        self.threads, self.proc, self.clock = threads, proc, clock
        self.cores = os.cpu_count() or 1
        self._window: deque[tuple[float, float]] = deque()

    def start(self) -> None:
        """Read before a sample."""
        self._before = self._read()

    def stop(self) -> Disturbance:
        """Read after it, and judge."""
        after, before = self._read(), self._before
        wall = after.wall_ms - before.wall_ms
        delay = None
        if after.delays and before.delays:
            delay = sum(ns - before.delays.get(thread, 0) for thread, ns in after.delays.items()) / 1e6
        others = self._others(wall, before, after)
        faults = None if after.faults is None or before.faults is None else after.faults - before.faults
        return Disturbance(wall, delay, others, faults, self._is_clean(wall, delay, others))

    def _is_clean(self, wall: float, delay: float | None, others: float | None) -> bool | None:
        if delay is None or others is None:
            return None
        waited = delay >= DELAY_SHARE * wall * self.threads + DELAY_MS
        window = sum(part for part, _ in self._window)
        limit = OTHERS_SHARE + 10.0 / window  # a tick of each core
        return not waited and (self.threads >= self.cores or others < limit)

    def _others(self, wall: float, before: _Reading, after: _Reading) -> float | None:
        if after.busy_ms is None or before.busy_ms is None:
            return None
        self._window.append((wall, after.busy_ms - before.busy_ms - (after.own_ms - before.own_ms)))
        while len(self._window) > 1 and sum(part for part, _ in self._window) - self._window[0][0] > WINDOW_MS:
            self._window.popleft()
        capacity = self.cores * sum(part for part, _ in self._window)
        return max(sum(used for _, used in self._window), 0.0) / capacity

    def _read(self) -> _Reading:
        return _Reading(
            wall_ms=self.clock() * 1e3,
            own_ms=time.process_time() * 1e3,
            busy_ms=busy_ms(self.proc),
            delays=delays(self.proc),
            faults=minor_faults(),
        )


def delays(proc: Path = PROC) -> dict[str, int]:
    """Return how long each thread of this process has waited for a core, in ns; empty where that is not told."""
    found = {}
    for task in (proc / "self" / "task").glob("*"):
        try:
            found[task.name] = int((task / "schedstat").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError, ValueError):  # a thread that has just ended, or a system without the counter
            continue
    return found


def busy_ms(proc: Path = PROC) -> float | None:
    """Return how long all cores together have been busy since the start, in ms; `None` where that is not told."""
    try:
        fields = (proc / "stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    except (OSError, IndexError):
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)  # guest time is part of user time
    return (user + nice + system + irq + softirq + steal) * 1e3 / os.sysconf("SC_CLK_TCK")


def minor_faults() -> int | None:
    """Return the pages that this process has touched for the first time, `None` where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
