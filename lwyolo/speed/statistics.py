"""Figures of samples that were taken in rounds, and what may be said of the difference between two candidates.

Samples of one round are correlated: the machine was in one state. So a round is one observation, the median of its
clean samples, and an interval is one of the median over rounds, by order statistics: of n rounds, so many from each end
that the true median lies between with 95 % whatever the distribution is. Of the intervals that were simulated (6 to 40
rounds; drift, outliers, two clock rates, load), resampling rounds covers 92 to 96 %, and the signed-rank interval is a
quarter narrower on a quiet machine but up to four times wider where the clock rate changes between candidates.

Two candidates are compared round by round: both ran within the same seconds, so what the machine did to one it did to
the other. A ratio is therefore taken also where others used the machine, of samples in which no thread waited for a
core; a time is not. Rounds cannot see by how much two processes of one model differ, in where their memory lies for
instance: an interval of a ratio is wider by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np

CONFIDENCE = 0.95
MIN_ROUNDS = 6
"""With fewer, no pair of order statistics reaches 95 %."""
MIN_SAMPLES = 10
BETWEEN_PROCESSES = 0.01
"""By what share the times of two processes of one model differ; `scripts/benchmark.py speed` measures it."""

Verdict = Literal["faster", "slower", "no difference shown", "not enough clean rounds"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed pass.

    Args:
        clean: Whether nothing disturbed it; `None` where that is not known.
        waited: Whether threads waited for a core; `None` where that is not known.
    """

    round: int
    ms: float
    clean: bool | None
    waited: bool | None = None

    @property
    def comparable(self) -> bool:
        """Whether it may stand against one of another candidate in the same round."""
        return self.clean is not False if self.waited is None else not self.waited


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of clean samples, or of all where none is known to be clean or not; `None` where there are none.

    Args:
        median_ms: Of the rounds' medians, so that a round with many clean samples weighs no more than one with few.
        low_ms: Lower end of its 95 % interval.
        high_ms: Its upper end.
    """

    median_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    min_ms: float | None
    samples: int
    clean: int
    rounds: int
    clean_rounds: int
    low_ms: float | None
    high_ms: float | None


@dataclass(frozen=True, slots=True)
class Ratio:
    """Time of a candidate over that of its base; `reason` says what the verdict rests on."""

    ratio: float | None
    low: float | None
    high: float | None
    rounds: int
    verdict: Verdict
    reason: str


def summarise(samples: Sequence[Sample]) -> Summary:
    """Sum up the samples of one candidate; what was disturbed is counted and not used.

    Example:
        >>> summarise([Sample(r, 10.0 + r, True) for r in range(7)] + [Sample(7, 99.0, False)]).median_ms
        13.0
    """
    used = [sample for sample in samples if sample.clean is not False]
    times = [sample.ms for sample in used]
    rounds = _rounds(used)
    low, high = median_interval(list(rounds.values())) or (None, None)
    p90, p99 = (float(np.percentile(times, q)) for q in (90, 99)) if times else (None, None)
    return Summary(
        median_ms=median(rounds.values()) if rounds else None,
        p90_ms=p90,
        p99_ms=p99,
        min_ms=min(times, default=None),
        samples=len(samples),
        clean=sum(sample.clean is True for sample in samples),
        rounds=len({sample.round for sample in samples}),
        clean_rounds=len(rounds),
        low_ms=low,
        high_ms=high,
    )


def compare(candidate: Sequence[Sample], base: Sequence[Sample]) -> Ratio:
    """Compare a candidate with its base, over the rounds in which both have samples that did not wait for a core.

    Example:
        >>> base = [Sample(r, 10.0 + r % 2, True) for r in range(12)]
        >>> slower = [Sample(r, 1.1 * (10.0 + r % 2), True) for r in range(12)]
        >>> compare(slower, base).verdict, round(compare(slower, base).ratio, 3)
        ('slower', 1.1)
    """
    ours, theirs = ([s for s in samples if s.comparable] for samples in (candidate, base))
    a, b = _rounds(ours), _rounds(theirs)
    ratios = [a[r] / b[r] for r in sorted(a.keys() & b.keys())]
    n_samples = min(len(ours), len(theirs))
    interval = median_interval(ratios)
    if interval is None or n_samples < MIN_SAMPLES:
        what = f"{len(ratios)} rounds with clean samples of both, {n_samples} clean samples"
        needed = f"{MIN_ROUNDS} rounds and {MIN_SAMPLES} samples are needed"
        return Ratio(
            median(ratios) if ratios else None, None, None, len(ratios), "not enough clean rounds", f"{what}; {needed}"
        )
    return judged(median(ratios), *interval, len(ratios))


def judged(ratio: float, low: float, high: float, rounds: int) -> Ratio:
    """Widen an interval by what two processes of one model differ, and say what it shows."""
    low, high = low / (1 + BETWEEN_PROCESSES), high * (1 + BETWEEN_PROCESSES)
    verdict: Verdict = "slower" if low > 1 else "faster" if high < 1 else "no difference shown"
    reason = f"{ratio:.3f}, between {low:.3f} and {high:.3f}, over {rounds} rounds"
    return Ratio(ratio, low, high, rounds, verdict, reason)


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of a median by order statistics, `None` for fewer than 6 values.

    Example:
        >>> median_interval(range(1, 7)), median_interval(range(1, 21)), median_interval([1, 2])
        ((1, 6), (6, 15), None)
    """
    n, ordered = len(values), sorted(values)
    if n < MIN_ROUNDS:
        return None
    k = np.arange(1, n // 2 + 1)
    logs = np.concatenate([[0.0], np.log((n - k + 1) / k)]).cumsum() - n * np.log(2)  # binomial; 2**n would overflow
    rank = int(np.searchsorted(np.exp(logs).cumsum(), (1 - CONFIDENCE) / 2, side="right"))
    return ordered[rank - 1], ordered[n - rank]


def _rounds(samples: Sequence[Sample]) -> dict[int, float]:
    """Return the median of each round."""
    times: dict[int, list[float]] = {}
    for sample in samples:
        times.setdefault(sample.round, []).append(sample.ms)
    return {number: median(values) for number, values in times.items()}
