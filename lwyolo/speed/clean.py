"""What disturbed a sample: threads that had to wait for a core, and other processes that used the machine.

Linux counts for each thread how long it was ready to run and did not (`schedstat`, second number). A sample is clean
where all threads together waited less than 3 % of its time and 0.3 ms. Where fewer threads run than there are cores,
work of others on the other cores shares caches and memory with us: it must be below 5 % of all cores. Where we run on
all of them, others make us wait, except for the host of a virtual machine: then what it took must be below 5 %.

The system counts that in ticks of 10 ms, so it is judged over the last second of samples. A run of samples without a
pause counts each of our threads a tick too much or too little, with a standard deviation of half a tick at most; runs
are independent, threads are not. Three standard deviations are allowed: 1.5 ticks · threads · square root of the runs.
Elsewhere none of this is known, and a sample is neither clean nor disturbed.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

DELAY_SHARE, DELAY_MS = 0.03, 0.3
OTHERS_SHARE, WINDOW_MS = 0.05, 1000.0
TICK_MS, PAUSE_MS = 10.0, 5.0
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What is known of a sample; `None` is unknown here.

    Args:
        delay_ms: That threads of this process waited for a core, together; one that ended takes its count with it.
        others_busy: Share of all cores that other processes used over the last second of samples, steal included.
        minor_faults: Pages that the sample touched for the first time.
        waited: Whether threads waited too long for a core; a sample may be disturbed without that, by work of others on
            the other cores.
    """

    wall_ms: float
    delay_ms: float | None
    others_busy: float | None
    minor_faults: int | None
    clean: bool | None
    waited: bool | None = None


@dataclass(frozen=True, slots=True)
class _Reading:
    own_ms: float
    system_ms: tuple[float, float] | None
    delays: dict[str, int]
    faults: int | None


@dataclass(frozen=True, slots=True)
class _Part:
    """Of the window: a sample with the pause before it, where that was short."""

    wall_ms: float
    others_ms: float
    stolen_ms: float
    after_pause: bool


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
        self._window: deque[_Part] = deque()
        self._last: tuple[float, _Reading] | None = None

    def start(self) -> None:
        """Read before a sample."""
        self._before = self._read()
        self._start = self.clock()

    def stop(self) -> Disturbance:
        """Read after it, and judge."""
        end = self.clock()
        before, after = self._before, self._read()
        wall = (end - self._start) * 1e3
        delay = waited_ms(before.delays, after.delays) if before.delays and after.delays else None
        self._extend(end, after)
        faults = None if after.faults is None or before.faults is None else after.faults - before.faults
        waited = None if delay is None else delay >= DELAY_SHARE * wall * self.threads + DELAY_MS
        return Disturbance(wall, delay, self._share(stolen_only=False), faults, self._is_clean(waited), waited)

    def _extend(self, end: float, after: _Reading) -> None:
        since, first = self._start, self._before
        pause = self._last is None or (self._start - self._last[0]) * 1e3 > PAUSE_MS
        if self._last is not None and not pause:
            since, first = self._last
        self._last = (end, after)
        if first.system_ms is None or after.system_ms is None:
            self._window.clear()  # what was known before says nothing of this sample
            return
        busy, stolen = (b - a for a, b in zip(first.system_ms, after.system_ms, strict=True))
        self._window.append(_Part((end - since) * 1e3, busy - (after.own_ms - first.own_ms), stolen, pause))
        held = sum(part.wall_ms for part in self._window)
        while len(self._window) > 1 and held - self._window[0].wall_ms > WINDOW_MS:
            held -= self._window.popleft().wall_ms

    def _share(self, *, stolen_only: bool) -> float | None:
        """Return what others used of all cores; steal apart, since some kernels count it as time of ours too."""
        if not self._window:
            return None
        used = sum(part.stolen_ms for part in self._window)
        if not stolen_only:
            used += max(sum(part.others_ms for part in self._window), 0.0)
        return used / (self.cores * sum(part.wall_ms for part in self._window))

    def _is_clean(self, waited: bool | None) -> bool | None:
        if waited:
            return False
        taken = self._share(stolen_only=self.threads >= self.cores)
        if waited is None or taken is None:
            return None
        runs = 1 + sum(part.after_pause for part in list(self._window)[1:])
        capacity = self.cores * sum(part.wall_ms for part in self._window)
        return taken < OTHERS_SHARE + 1.5 * TICK_MS * min(self.threads, self.cores) * math.sqrt(runs) / capacity

    def _read(self) -> _Reading:
        return _Reading(
            own_ms=time.process_time() * 1e3,
            system_ms=system_ms(self.proc),
            delays=delays(self.proc),
            faults=minor_faults(),
        )


def waited_ms(before: Mapping[str, int], after: Mapping[str, int]) -> float:
    """Return how long threads waited between two readings.

    A count that fell is that of a new thread with the number of one that ended.

    Example:
        >>> waited_ms({"7": 5_000_000, "8": 9_000_000}, {"7": 6_000_000, "8": 500_000, "9": 250_000})
        1.75
    """
    known = ((ns, before.get(thread, 0)) for thread, ns in after.items())
    return sum(ns - prior if ns >= prior else ns for ns, prior in known) / 1e6


def delays(proc: Path = PROC) -> dict[str, int]:
    """Return how long each thread of this process has waited for a core, in ns; empty where that is not told.

    Read without `pathlib` and buffers, which would take three times as long, several times a sample.
    """
    folder, found = f"{proc}/self/task", {}
    try:
        threads = os.listdir(folder)  # noqa: PTH208  pathlib is slower, see above
    except OSError:
        return {}
    for thread in threads:
        try:
            file = os.open(f"{folder}/{thread}/schedstat", os.O_RDONLY)
            try:
                ran, waited, _ = os.read(file, 100).split()
            finally:
                os.close(file)
        except (OSError, ValueError):  # a thread that has just ended, or a system without the counter
            continue
        if ran != b"0":  # else the kernel has the file and does not count
            found[thread] = int(waited)
    return found


def system_ms(proc: Path = PROC) -> tuple[float, float] | None:
    """Return how long all cores together were busy, and how long the host took them; `None` where that is not told."""
    try:
        fields = (proc / "stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    except (OSError, IndexError):
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)  # guest time is part of user time
    tick = 1e3 / os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) * tick, steal * tick


def minor_faults() -> int | None:
    """Return the pages that this process has touched for the first time, `None` where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
