"""Rules on boxes that lie on each other: equal rows, near-identical boxes, one box with two classes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lwyolo.data.checks.context import Context
from lwyolo.data.checks.rule import Finding, rule

IDENTICAL = 0.95
"""Intersection over union from which two boxes are one object; two annotations of one object agree to about as much."""

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


@rule(
    "row-repeated", "warning", what="A row that stands twice in a label file, equal in 32-bit numbers.",
    upstream="Removes it; the instance counts once.", repair="remove row",
)  # fmt: skip
def check_repeated(context: Context) -> Iterator[Finding]:
    """Find rows that are equal to an earlier one."""
    for first, later in equal_rows(context):
        yield context.at_row(later, f"equal to {_place(context, first)}")


@rule(
    "box-twice", "warning", what=f"Two boxes of one class with an IoU of {IDENTICAL} or more that are not equal.",
    upstream="Keeps both; the object counts twice.", repair="remove row",
)  # fmt: skip
def check_twice(context: Context) -> Iterator[Finding]:
    """Find objects that were drawn twice."""
    cls = context.rows.values[:, 0]
    kept = np.ones(len(cls), dtype=bool)
    kept[[later for _, later in equal_rows(context)]] = False
    first, later, overlaps = _pairs(context)
    same = (cls[first] == cls[later]) & kept[first] & kept[later]
    for a, b, overlap in zip(first[same].tolist(), later[same].tolist(), overlaps[same].tolist(), strict=True):
        yield context.at_row(b, f"nearly the box of {_place(context, a)}: IoU {overlap:.3f}, class {cls[b]:g}")


@rule(
    "box-two-classes", "warning", what=f"One box with two classes: an IoU of {IDENTICAL} or more.",
    upstream="Keeps both; one object is taught as two classes.",
)  # fmt: skip
def check_two_classes(context: Context) -> Iterator[Finding]:
    """Find objects that were given two classes."""
    cls = context.rows.values[:, 0]
    kept = np.ones(len(cls), dtype=bool)
    kept[[later for _, later in equal_rows(context)]] = False
    first, later, overlaps = _pairs(context)
    other = (cls[first] != cls[later]) & kept[first] & kept[later]
    for a, b, overlap in zip(first[other].tolist(), later[other].tolist(), overlaps[other].tolist(), strict=True):
        yield context.at_row(
            b, f"class {cls[b]:g} on the box of {_place(context, a)}, which is class {cls[a]:g}: IoU {overlap:.3f}"
        )


def equal_rows(context: Context) -> list[tuple[int, int]]:
    """Return pairs of an earlier row and one that is equal to it, as Ultralytics finds them in one label file."""
    rows = context.rows
    chosen = np.flatnonzero(context.placed)
    keys = [rows.image[chosen], rows.points[chosen], *rows.values[chosen].T]
    order = np.lexsort([chosen, *keys[::-1]])
    equal = np.ones(max(len(order) - 1, 0), dtype=bool)
    for key in keys:
        equal &= key[order][1:] == key[order][:-1]
    pairs = []
    first = -1
    for at in np.flatnonzero(equal).tolist():
        first = first if at > 0 and equal[at - 1] else at
        pairs.append((int(chosen[order[first]]), int(chosen[order[at + 1]])))
    return sorted(pairs, key=lambda pair: pair[1])


def _pairs(context: Context) -> Pairs:
    """Return earlier row, later row and IoU of boxes of one image that are nearly the same.

    Boxes are sorted by image and centre x; each is compared with its next neighbours while they are near enough: of two
    boxes with an IoU of t, the centres lie at most (1 - t) / (1 + t) of the wider one's width apart, and it is at most
    1 / t of the other's.
    """
    chosen = np.flatnonzero(context.placed & (context.rows.values[:, 3:] > 0).all(axis=1))
    image = context.rows.image[chosen]
    boxes = context.rows.values[chosen, 1:].astype(np.float64)
    order = np.lexsort((boxes[:, 0], image))
    image, boxes, chosen = image[order], boxes[order], chosen[order]
    reach = (1 - IDENTICAL) / (1 + IDENTICAL) / IDENTICAL * boxes[:, 2] * 1.001
    found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    alive = np.arange(len(chosen))
    step = 0
    while len(alive):
        step += 1
        alive = alive[alive + step < len(chosen)]
        near = (image[alive] == image[alive + step]) & (boxes[alive + step, 0] - boxes[alive, 0] <= reach[alive])
        alive = alive[near]
        found.append((alive, alive + step))
    a = np.concatenate([np.zeros(0, np.int64), *(left for left, _ in found)])
    b = np.concatenate([np.zeros(0, np.int64), *(right for _, right in found)])
    overlap = iou(boxes[a], boxes[b])
    same = overlap >= IDENTICAL
    first, later = np.minimum(chosen[a], chosen[b])[same], np.maximum(chosen[a], chosen[b])[same]
    sorting = np.lexsort((first, later))
    return first[sorting], later[sorting], overlap[same][sorting]


def iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of pairs. Shapes: a, b [P, 4] centre x, y, width, height; returns [P]."""
    low = np.maximum(a[:, :2] - a[:, 2:] / 2, b[:, :2] - b[:, 2:] / 2)
    high = np.minimum(a[:, :2] + a[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2)
    shared = np.clip(high - low, 0, None).prod(axis=1)
    union = a[:, 2:].prod(axis=1) + b[:, 2:].prod(axis=1) - shared
    result: NDArray[np.float64] = shared / np.where(union > 0, union, 1)
    return result


def _place(context: Context, row: int) -> str:
    rows = context.rows
    if rows.of_text:
        return f"line {int(rows.line[row])}"
    return f"object {row - int(np.searchsorted(rows.image, rows.image[row])) + 1}"
