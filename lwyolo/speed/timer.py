"""Time a function honestly: warm up until it is steady, then time each pass, and keep them all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MIN_PASSES = 50
WARM_UP_MIN, WARM_UP_MAX = 3, 20
STEADY = 0.1
OVERRUN = 2.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of single passes in ms, after `warm_up` untimed ones; empty where `reason` says why there are none."""

    passes_ms: tuple[float, ...]
    warm_up: int
    reason: str | None = None

    @property
    def median_ms(self) -> float | None:
        """The median."""
        return float(np.median(self.passes_ms)) if self.passes_ms else None

    @property
    def p90_ms(self) -> float | None:
        """The 90th percentile, interpolated between neighbours."""
        return float(np.percentile(self.passes_ms, 90)) if self.passes_ms else None


def time_passes(
    run: Callable[[], object],
    *,
    passes: int = MIN_PASSES,
    budget_s: float = 20.0,
    synchronise: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Time passes of a function one by one.

    Warm-up runs at least 3 times and until the last 3 lie within 10 % of each other, 20 times at most; from the second
    on, its fastest pass tells whether the timed passes fit into the budget.

    Args:
        run: One pass.
        passes: Timed passes.
        budget_s: Seconds that the timed passes may take; they are given up at twice that.
        synchronise: Waits for the device; called before each reading of the clock.
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
        if len(warm) > 1 and min(warm) * passes > budget_s * 1e3:
            what = f"one pass took {min(warm):.0f} ms; {passes} passes exceed the budget of {budget_s:g} s"
            return Timing((), len(warm), what)
    timed: list[float] = []
    while len(timed) < passes:
        timed.append(once())
        if sum(timed) > OVERRUN * budget_s * 1e3:
            what = f"{len(timed)} of {passes} passes took {sum(timed) / 1e3:.0f} s; the budget is {budget_s:g} s"
            return Timing((), len(warm), what)
    return Timing(tuple(timed), len(warm))


def _steady(times: list[float]) -> bool:
    last = times[-WARM_UP_MIN:]
    return max(last) - min(last) <= STEADY * min(last)
