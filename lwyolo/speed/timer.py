"""Timing a function honestly: warm until it is steady, then time each pass, and keep the passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MIN_PASSES = 50
WARM_UP_MIN, WARM_UP_MAX = 3, 20
STEADY = 0.1


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of single passes in ms, after warm-up; empty where `reason` says why they were not taken."""

    passes_ms: tuple[float, ...]
    reason: str | None = None

    @property
    def median_ms(self) -> float | None:
        """The median."""
        return float(np.median(self.passes_ms)) if self.passes_ms else None

    @property
    def p90_ms(self) -> float | None:
        """The 90th percentile."""
        return float(np.percentile(self.passes_ms, 90)) if self.passes_ms else None


def time_passes(
    run: Callable[[], object],
    *,
    passes: int = MIN_PASSES,
    budget_s: float = 20.0,
    synchronise: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Time a function.

    Warm-up runs at least three times and until the last three lie within 10 % of each other, twenty times at most.

    Args:
        run: One pass.
        passes: Timed passes.
        budget_s: Seconds that the timed passes may take, judged by the warm-up; 0 for any.
        synchronise: Waits for the device; called before the clock is read.
        clock: Seconds.
    """

    def once() -> float:
        synchronise()
        start = clock()
        run()
        synchronise()
        return (clock() - start) * 1e3

    warm: list[float] = []
    while len(warm) < WARM_UP_MIN or (len(warm) < WARM_UP_MAX and not _steady(warm)):
        warm.append(once())
        if budget_s and len(warm) >= 2 and min(warm) * passes > budget_s * 1e3:
            return Timing((), f"one pass took {min(warm):.0f} ms; {passes} passes exceed the budget of {budget_s:g} s")
    return Timing(tuple(once() for _ in range(passes)))


def _steady(times: list[float]) -> bool:
    last = times[-3:]
    return max(last) - min(last) <= STEADY * min(last)
