"""How far the splits of a data set differ: in their classes, and in the sizes of their boxes.

All three are measures of distance, without a p-value: boxes of one image, and images of one place, are not drawn
independently, which every closed form for one assumes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

TOO_FEW = 30
"""Instances under which a split says too little to be compared."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Two splits beside each other; `None` where there is nothing to compare.

    Args:
        first: A split.
        second: Another.
        instances: Of both.
        jensen_shannon: Divergence of their shares of classes, in bits: 0 alike, 1 nothing in common.
        cramers_v: Of splits against classes: 0 alike, 1 the class tells the split.
        sizes: Two-sample Kolmogorov-Smirnov distance of √area: 0 alike, 1 no overlap.
    """

    first: str
    second: str
    instances: tuple[int, int]
    jensen_shannon: float | None
    cramers_v: float | None
    sizes: float | None

    @property
    def too_few(self) -> bool:
        """Whether one of the splits has fewer than 30 instances."""
        return min(self.instances) < TOO_FEW


def compare_splits(
    names: Sequence[str], counts: NDArray[np.int64], split: NDArray[np.int64], sides: NDArray[np.float64]
) -> tuple[Drift, ...]:
    """Compare each split with each other one.

    Args:
        names: [S] of the splits.
        counts: [S, C] instances of each class.
        split: [N] index of the split of each instance.
        sides: [N] √area of each instance, in any unit; NaN where it is unknown.
    """
    known = [np.sort(sides[(split == index) & np.isfinite(sides)]) for index in range(len(names))]
    return tuple(
        Drift(
            names[a],
            names[b],
            (int(counts[a].sum()), int(counts[b].sum())),
            jensen_shannon(counts[a], counts[b]),
            cramers_v(counts[[a, b]]),
            kolmogorov_smirnov(known[a], known[b]),
        )
        for a, b in combinations(range(len(names)), 2)
    )


def jensen_shannon(first: NDArray[np.int64], second: NDArray[np.int64]) -> float | None:
    """Return the Jensen-Shannon divergence of two sets of counts, in bits (Lin, IEEE Trans. Inf. Theory 37, 1991).

    Example:
        >>> jensen_shannon(np.array([5, 5]), np.array([1, 1])), jensen_shannon(np.array([5, 0]), np.array([0, 9]))
        (0.0, 1.0)
    """
    if not first.sum() or not second.sum():
        return None
    p, q = first / first.sum(), second / second.sum()
    return max(0.0, _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2)


def cramers_v(counts: NDArray[np.int64]) -> float | None:
    """Return Cramér's V of a table of counts: √(χ² / (n · (min(rows, columns) - 1))), without correction for bias.

    Rows and columns without a count are left out; `None` where fewer than two of either are left.

    Example:
        >>> cramers_v(np.array([[10, 0], [0, 10]])), cramers_v(np.array([[6, 3], [4, 2]]))
        (1.0, 0.0)
    """
    filled = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0].astype(np.float64)
    free = min(filled.shape) - 1
    if free < 1:
        return None
    total = filled.sum()
    expected = np.outer(filled.sum(axis=1), filled.sum(axis=0)) / total
    chi_squared = float(((filled - expected) ** 2 / expected).sum())
    return float(np.sqrt(chi_squared / (total * free)))


def kolmogorov_smirnov(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Return the largest distance between the distribution functions of two sorted samples.

    Example:
        >>> kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([1.5, 3.0]))
        0.5
    """
    if not len(first) or not len(second):
        return None
    places = np.concatenate([first, second])
    below = [np.searchsorted(sample, places, side="right") / len(sample) for sample in (first, second)]
    return float(np.abs(below[0] - below[1]).max())


def _entropy(shares: NDArray[np.float64]) -> float:
    filled = shares[shares > 0]
    return float(-(filled * np.log2(filled)).sum())
