"""Measure the ceilings of the CPU in this process, as PyTorch reaches them: products of matrices, passes over arrays.

A ceiling is the best sample, not the median; a sample is the mean of calls that take 5 ms together. Bytes are those
that the operation reads and writes (STREAM's rule): what a cache reads before it overwrites it (write allocate) is not
counted, so the bus may move up to 1.5 times as much in a copy and 4/3 in a triad.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from lwyolo.speed.machine.data import KINDS, MEMORY, Bandwidth, Cache, Ceilings, Facts, Kind, Peak
from lwyolo.units import MIB

SAMPLE_S = 0.005
SAMPLES, MIN_SAMPLES = 20, 5
LONGEST_S = 0.5
"""A product that would take longer is left out: a type without instructions of its own may be 100 times slower."""

ABOVE_CACHE = 4
UNKNOWN_CACHE = 64 * MIB
READ_AT_ONCE = 64 * MIB
"""Bytes that one call reads: a small array is read over and over within it, so that the call's own cost vanishes."""

FLOAT_BYTES = 4
ARRAYS = {"read": 1, "copy": 2, "triad": 3}


class Watch(Protocol):
    """Tells of each sample whether something disturbed it."""

    def start(self) -> None:
        """Read before a sample."""

    def stop(self) -> Judged:
        """Read after it, and judge."""


class Judged(Protocol):
    """A judged sample; `None` is unknown."""

    @property
    def clean(self) -> bool | None:
        """Whether nothing disturbed it."""


@dataclass(frozen=True, slots=True)
class Best:
    """The best of some samples: mean time of a call; `clean` of them were undisturbed, `None` where that is unknown."""

    seconds: float
    calls: int
    samples: int
    clean: int | None


@dataclass(slots=True)
class Sampler:
    """Takes samples of one thing after another, and shares the time that is left among those to come.

    Args:
        watch: Judges samples.
        ends: When all should be done, on the clock.
        left: Things to come.
        said: Is told what is measured.
        clock: Seconds.
    """

    watch: Watch
    ends: float
    left: int
    said: Callable[[str], object] = lambda _: None
    clock: Callable[[], float] = time.perf_counter

    def best(self, what: str, run: Callable[[], object]) -> Best:
        """Take samples until enough were clean or the share of time is over, five at least."""
        self.said(what)
        share = max(0.0, self.ends - self.clock()) / max(1, self.left)
        self.left -= 1
        until = self.clock() + share
        run()
        calls = max(1, math.ceil(SAMPLE_S / max(self._seconds(run, 1), 1e-7)))
        taken: list[tuple[float, bool | None]] = []
        while len(taken) < MIN_SAMPLES or (self.clock() < until and sum(c is not False for _, c in taken) < SAMPLES):
            self.watch.start()
            seconds = self._seconds(run, calls)
            taken.append((seconds, self.watch.stop().clean))
        return choose(taken, calls)

    def leave_out(self) -> None:
        """Pass over one thing: those to come have more time."""
        self.left -= 1

    def _seconds(self, run: Callable[[], object], calls: int) -> float:
        start = self.clock()
        for _ in range(calls):
            run()
        return (self.clock() - start) / calls


def choose(taken: Sequence[tuple[float, bool | None]], calls: int) -> Best:
    """Choose the fastest clean sample; where none is, the fastest of all.

    Args:
        taken: Mean seconds of a call in each sample, and whether it was clean; `None`: unknown.
        calls: In each sample.

    Example:
        >>> choose([(1.0, False), (3.0, True), (2.0, True)], 1)
        Best(seconds=2.0, calls=1, samples=3, clean=2)
    """
    clean = [seconds for seconds, judged in taken if judged]
    known = any(judged is not None for _, judged in taken)
    return Best(min(clean or (seconds for seconds, _ in taken)), calls, len(taken), len(clean) if known else None)


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass over arrays: where they fit, what it does, and bytes of each array."""

    level: str
    kind: Kind
    array_bytes: int


def passes(facts: Facts, threads: int, levels: int | None = None) -> list[Pass]:
    """Plan the passes: arrays that fit a cache and not the one before it, and arrays of 4 times the last.

    Copies and triads are shared among the threads, so their arrays fill the caches of all of them; each thread reads
    all of the array that is read over and over, so that one fits the cache of one thread.

    Args:
        facts: Of this machine.
        threads: That will run.
        levels: How many caches, the largest ones; by default all.
    """
    caches: dict[int, Cache] = {}  # of unlike cores, the larger cache of a level
    for cache in sorted(facts.caches, key=lambda cache: (cache.level, cache.size_bytes)):
        if cache.kind != "instruction":
            caches[cache.level] = cache
    found: list[Pass] = []
    one, all_of_them = 0, 0
    for cache in caches.values():
        inner = one, all_of_them
        one, all_of_them = cache.size_bytes, cache.size_bytes * min(cache.instances, threads)
        for kind in KINDS:
            size = within(inner[0], one) if kind == "read" else within(inner[1], all_of_them)
            if size is not None:
                found.append(Pass(f"L{cache.level}", kind, round_down(size / ARRAYS[kind])))
    wanted = list(dict.fromkeys(one.level for one in found))
    wanted = wanted if levels is None else wanted[len(wanted) - levels :]
    largest = ABOVE_CACHE * (all_of_them or UNKNOWN_CACHE)
    array_bytes = round_down(min(largest, room(facts) / max(ARRAYS.values())))
    memory = [Pass(MEMORY, kind, array_bytes) for kind in KINDS if array_bytes >= largest // 2]
    return [one for one in found if one.level in wanted] + memory


def within(inner: int, outer: int) -> float | None:
    """Return bytes that fit a cache and not the one inside it; `None` where it is no larger than that.

    Example:
        >>> within(32768, 1048576), within(2**20, 2**20), within(2**20, 2**21) == 2**20.5
        (524288.0, None, True)
    """
    if outer <= inner:
        return None
    return outer / 2 if outer >= 4 * inner else math.sqrt(inner * outer)


def round_down(n_bytes: float) -> int:
    """Return whole cache lines."""
    return max(64, int(n_bytes) // 64 * 64)


def room(facts: Facts) -> float:
    """Return bytes that the arrays may take: a quarter of the memory that is granted."""
    granted = [mib for mib in (facts.ram_mib, facts.memory_limit_mib) if mib is not None]
    return min(granted, default=4096.0) * MIB / 4


def count(dtypes: Sequence[str], sizes: Sequence[int], planned: Sequence[Pass]) -> int:
    """Return how many things are measured."""
    return 1 + len(dtypes) * len(sizes) + len(planned)


def measure_here(
    threads: int, dtypes: Sequence[str], sizes: Sequence[int], plan: Sequence[Pass], sampler: Sampler
) -> Ceilings:
    """Measure in this process, whose threads were chosen before it began."""
    torch.set_num_threads(threads)
    one, out = torch.ones(1), torch.empty(1)
    call_s = sampler.best("a call", lambda: torch.add(one, one, alpha=3.0, out=out)).seconds
    peaks = [peak for dtype in dtypes for peak in _peaks(dtype, sizes, sampler)]
    bandwidths = [_bandwidth(one, call_s, sampler) for one in plan]
    return Ceilings(threads, call_s * 1e6, tuple(peaks), tuple(bandwidths))


def _peaks(dtype: str, sizes: Sequence[int], sampler: Sampler) -> list[Peak]:
    """Measure the products of one type, from small to large."""
    peaks: list[Peak] = []
    reason, expected = "", 0.0
    for before, n in zip((0, *sizes), sizes, strict=False):
        expected *= (n / before) ** 3 if before else 1.0
        if not reason and expected > LONGEST_S:
            reason = f"one product would take about {expected:.1f} s"
        run = product(dtype, n)
        reason = reason or _refusal(run)
        if reason:
            sampler.leave_out()
            peaks.append(Peak(dtype, n, None, 0, 0, None, reason))
            continue
        best = sampler.best(f"{dtype}, {n} × {n}", run)
        expected = best.seconds
        peaks.append(Peak(dtype, n, 2 * n**3 / best.seconds / 1e9, best.calls, best.samples, best.clean))
    return peaks


def product(dtype: str, n: int) -> Callable[[], object]:
    """Return a product of two n × n matrices into a third that exists; of int8 into int32."""
    if dtype == "int8":
        left, right = (torch.randint(-128, 128, (n, n), dtype=torch.int8) for _ in range(2))
        sums = torch.empty(n, n, dtype=torch.int32)
        return lambda: torch._int_mm(left, right, out=sums)
    a, b = (torch.rand(n, n).to(getattr(torch, dtype)) for _ in range(2))
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out)


def _refusal(run: Callable[[], object]) -> str:
    """Say why torch cannot compute something here, an empty string if it can."""
    try:
        run()
    except (RuntimeError, AttributeError) as error:  # a type without code for it, or a torch without the function
        return str(error).partition("\n")[0]
    return ""


def _bandwidth(one: Pass, call_s: float, sampler: Sampler) -> Bandwidth:
    run, n_bytes = mover(one)
    best = sampler.best(f"{one.kind}, {one.level}", run)
    rate = n_bytes / best.seconds / 1e9
    share = min(1.0, call_s / best.seconds)
    return Bandwidth(one.level, one.kind, one.array_bytes, rate, share, best.calls, best.samples, best.clean)


def mover(one: Pass) -> tuple[Callable[[], object], int]:
    """Return a pass over float32 arrays that exist and were written, and the bytes that it reads and writes."""
    n = one.array_bytes // FLOAT_BYTES
    a, b, c = (torch.ones(n if ARRAYS[one.kind] > i else 0) for i in range(3))
    if one.kind == "copy":
        return lambda: b.copy_(a), 2 * one.array_bytes
    if one.kind == "triad":
        return lambda: torch.add(a, b, alpha=3.0, out=c), 3 * one.array_bytes
    times = 1 if one.level == MEMORY else max(1, READ_AT_ONCE // one.array_bytes)
    repeated = a.expand(times, n)
    return repeated.sum, times * one.array_bytes
