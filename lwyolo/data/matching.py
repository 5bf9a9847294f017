"""Which boxes of two sets are one and the same object: greedily, from the highest intersection over union.

A pair is taken when neither of its boxes is in a pair that stands before it, as a pass over all pairs in descending
order would do. Pairs whose boxes are each other's first are taken together, so that few passes over arrays are enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

Indices = NDArray[np.int64]
Boxes = NDArray[np.float64]

SAME_OBJECT = 0.5
"""IoU from which two boxes of one class are the same object: the usual threshold of a detection."""
SAME_BOX = 0.9
"""IoU from which two boxes of different classes are the same box, with its class changed."""
ROUNDING = 2e-6
"""Edges that differ by less, in shares of the image, are equal: six decimals of centre and size, written twice."""
PAIRS_AT_ONCE = 500_000


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The boxes of one set.

    Args:
        image: [N] a number for the image; the same number on both sides means the same image, -1 one without another.
        cls: [N] class ids.
        edges: [N, 4] left, top, right, bottom; normalised.
    """

    image: Indices
    cls: Indices
    edges: Boxes


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Rows of both sides that belong together.

    Args:
        same: [M, 2] pairs of one class.
        other: [K, 2] pairs of different classes.
    """

    same: Indices
    other: Indices


def edges_of(boxes: Boxes) -> Boxes:
    """Return left, top, right and bottom of boxes given as centre and size. Shapes: [N, 4] -> [N, 4]."""
    half = boxes[:, 2:] / 2
    return np.hstack([boxes[:, :2] - half, boxes[:, :2] + half])


def match(before: Side, after: Side, images: int) -> Matches:
    """Match the boxes of the images 0 to `images` - 1: first within a class, then what is left between classes."""
    found = [
        _candidates(before, after, pairs)
        for pairs in tqdm(_products(before, after, images), desc="Matching boxes", delay=1, leave=False)
    ]
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *(pairs for pairs, _ in found)])
    overlap = np.concatenate([np.zeros(0), *(overlap for _, overlap in found)])
    one_class = before.cls[pairs[:, 0]] == after.cls[pairs[:, 1]]
    same = greedy(pairs[one_class], overlap[one_class])
    free = ~one_class & ~among(pairs[:, 0], same[:, 0]) & ~among(pairs[:, 1], same[:, 1])
    return Matches(same, greedy(pairs[free], overlap[free]))


def greedy(pairs: Indices, overlap: Boxes) -> Indices:
    """Take pairs from the highest overlap on, each row at most once; of equal ones, that of the lowest rows.

    Shapes:
        pairs: [P, 2]
        overlap: [P]
        returns: [M, 2], ascending

    Example:
        >>> greedy(np.array([[0, 0], [0, 1], [1, 0]]), np.array([0.9, 0.8, 0.7])).tolist()
        [[0, 0]]
    """
    left = pairs[np.lexsort((pairs[:, 1], pairs[:, 0], -overlap))]
    taken = [np.zeros((0, 2), np.int64)]
    while len(left):
        leads = np.ones(len(left), bool)
        for side in (0, 1):
            leads &= _is_first(left[:, side])
        taken.append(left[leads])
        left = left[~(among(left[:, 0], taken[-1][:, 0]) | among(left[:, 1], taken[-1][:, 1]))]
    chosen = np.concatenate(taken)
    return chosen[np.lexsort((chosen[:, 1], chosen[:, 0]))]


def among(rows: Indices, chosen: Indices) -> NDArray[np.bool_]:
    """Return which rows are among the chosen ones: `np.isin`, without sorting."""
    mark = np.zeros(max(rows.max(initial=-1), chosen.max(initial=-1)) + 1, bool)
    mark[chosen] = True
    return mark[rows]


def _is_first(rows: Indices) -> NDArray[np.bool_]:
    """Return where each row number stands for the first time."""
    at = np.arange(len(rows))
    first = np.zeros(rows.max(initial=-1) + 1, np.int64)
    first[rows[::-1]] = at[::-1]  # of several values, the last one stays
    return np.equal(first[rows], at)


def overlaps(one: Boxes, other: Boxes) -> Boxes:
    """Return the IoU of boxes side by side; equal ones have 1, also where they have no area.

    Shapes:
        one, other: [P, 4] edges
        returns: [P]
    """
    inside = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    both = np.prod(np.clip(inside, 0, None), axis=1)
    either = _area(one) + _area(other) - both
    result: Boxes = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    result[equal(one, other)] = 1
    return result


def equal(one: Boxes, other: Boxes) -> NDArray[np.bool_]:
    """Return [P] which boxes are the same within the rounding of a label file."""
    return np.asarray((np.abs(one - other) < ROUNDING).all(axis=1))


def _area(edges: Boxes) -> Boxes:
    return np.asarray(np.prod(edges[:, 2:] - edges[:, :2], axis=1))


def _candidates(before: Side, after: Side, pairs: Indices) -> tuple[Indices, Boxes]:
    """Keep the pairs that overlap enough for being one object."""
    overlap = overlaps(before.edges[pairs[:, 0]], after.edges[pairs[:, 1]])
    one_class = before.cls[pairs[:, 0]] == after.cls[pairs[:, 1]]
    keep = overlap >= np.where(one_class, SAME_OBJECT, SAME_BOX)
    return pairs[keep], overlap[keep]


def _products(before: Side, after: Side, images: int) -> Iterator[Indices]:
    """Yield, for some images at a time, every pair of a box of one side with one of the other. Shapes: [P, 2]."""
    orders, counts, starts = [], [], []
    for side in (before, after):
        order = np.argsort(side.image, kind="stable")
        orders.append(order[np.searchsorted(side.image[order], 0) :])
        counts.append(np.bincount(side.image[side.image >= 0], minlength=images))
        starts.append(np.cumsum(counts[-1]) - counts[-1])
    products = counts[0] * counts[1]
    part = (np.cumsum(products) - products) // PAIRS_AT_ONCE
    for number in np.unique(part):
        chosen = np.flatnonzero((part == number) & (products > 0))
        image = np.repeat(chosen, products[chosen])
        ends = np.cumsum(products[chosen])
        at = np.arange(len(image)) - np.repeat(ends - products[chosen], products[chosen])
        one = orders[0][starts[0][image] + at // counts[1][image]]
        other = orders[1][starts[1][image] + at % counts[1][image]]
        yield np.column_stack([one, other])
