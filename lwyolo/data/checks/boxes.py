"""Rules on rows: their shape, their numbers, and boxes that lie on each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lwyolo.data.checks.context import Context
from lwyolo.data.checks.rows import BOX, COMMENT, POLYGON, WRONG_COLUMNS
from lwyolo.data.checks.rule import Finding, rule
from lwyolo.data.verdict import TOLERANCE

DROPS = "Drops the image with all its boxes."
KEEPS_BOTH = "Keeps both; they are two instances."
FILTERED = "Keeps and counts it; augmentation removes it in training, validation does not."
SHRUNK = "Keeps and counts it; augmentation removes it in training unless it enlarges it, validation does not."
SMALLEST = 2
"""Pixels: Ultralytics' augmentation drops boxes with a side of at most this, `wh_thr` of `box_candidates`."""
HALF_PIXEL, UNKNOWN_EDGE = 0.5, 0.001


@rule(
    "row-columns", "error", what="A row that has not five columns, or is no polygon: an odd number of coordinates.",
    upstream=DROPS, repair="leave out",
)  # fmt: skip
def check_columns(context: Context) -> Iterator[Finding]:
    """Find rows of a wrong length."""
    for row in np.flatnonzero(context.rows.kind == WRONG_COLUMNS).tolist():
        columns = int(context.rows.columns[row])
        yield context.at_row(row, f"{columns} columns, expected 5 (class x y width height) or a polygon's points")


@rule("row-comment", "error", what="A comment among the rows: it starts with `#`.", upstream=DROPS, repair="remove row")
def check_comments(context: Context) -> Iterator[Finding]:
    """Find rows that are comments."""
    return context.at_rows(context.rows.kind == COMMENT, "a comment; Ultralytics reads none")


@rule("row-text", "error", what="A word, a comma or a unit in a row.", upstream=DROPS, repair="leave out")
def check_text(context: Context) -> Iterator[Finding]:
    """Find rows that are not numeric."""
    return (context.at_row(row, f"{token!r} is not a number") for row, token in context.rows.tokens.items())


@rule("row-kinds", "error", what="Boxes and polygons in one label file.", upstream=DROPS, repair="to boxes")
def check_kinds(context: Context) -> Iterator[Finding]:
    """Find files of two kinds of rows, at the first row of the other kind."""
    rows = context.rows
    shaped = np.flatnonzero(rows.numeric)
    image, kind = rows.image[shaped], rows.kind[shaped]
    starts = np.flatnonzero(np.diff(image, prepend=-1))
    begin = np.repeat(starts, np.diff([*starts, len(image)]))
    other = np.flatnonzero(kind != kind[begin])
    _, firsts = np.unique(image[other], return_index=True)
    names = {BOX: "a box", POLYGON: "a polygon"}
    for at in other[firsts].tolist():
        start = int(shaped[begin[at]])
        found, expected = names[int(kind[at])], names[int(rows.kind[start])]
        yield context.at_row(int(shaped[at]), f"{found}, but line {int(rows.line[start])} is {expected}")


@rule("row-not-finite", "error", what="NaN or an infinite number in a row.", upstream=DROPS, repair="leave out")
def check_finite(context: Context) -> Iterator[Finding]:
    """Find NaN and infinity."""
    return context.at_rows(context.rows.numeric & ~_finite(context), "a value that is not finite")


@rule(
    "class-range", "error", what="A class id that the data YAML does not name, or a negative one.",
    upstream=DROPS, repair="leave out",
)  # fmt: skip
def check_class_range(context: Context) -> Iterator[Finding]:
    """Find classes that are not there."""
    classes = len(context.table.names)
    cls = context.rows.values[:, 0]
    with np.errstate(invalid="ignore"):
        outside = context.rows.numeric & _finite(context) & ((cls >= classes) | (cls <= -1))
    for row in np.flatnonzero(outside).tolist():
        yield context.at_row(row, f"class {cls[row]:g}, but the data set has classes 0 to {classes - 1}")


@rule("class-fraction", "error", what="A class id that is no whole number.", upstream=DROPS, repair="leave out")
def check_class_fraction(context: Context) -> Iterator[Finding]:
    """Find fractional classes that are in range."""
    cls = np.where(_finite(context), context.rows.values[:, 0], 0)
    broken = context.rows.numeric & (cls % 1 != 0) & (cls > -1) & (cls < len(context.table.names))
    for row in np.flatnonzero(broken).tolist():
        yield context.at_row(row, f"class {cls[row]:g}, expected a whole number")


@rule(
    "box-range", "error", repair="clip", upstream=DROPS,
    what="A centre or size outside 0 to 1, by more than the 1 % that Ultralytics tolerates; pixels, most often.",
)  # fmt: skip
def check_range(context: Context) -> Iterator[Finding]:
    """Find coordinates that are not normalised."""
    values = np.where(_finite(context)[:, None], context.rows.values, 0)
    high = (values[:, 1:] > np.float32(1 + TOLERANCE)).any(axis=1)
    low = (values[:, 1:3] < np.float32(-TOLERANCE)).any(axis=1)
    for row in np.flatnonzero(context.rows.numeric & (high | low)).tolist():
        box = " ".join(f"{value:g}" for value in values[row, 1:])
        pixels = "; are these pixels?" if values[row, 1:].max() > SMALLEST else ""
        yield context.at_row(row, f"box {box}, expected centre and size between 0 and 1{pixels}")


@rule("box-negative", "error", what="A negative width or height.", upstream=DROPS, repair="leave out")
def check_negative(context: Context) -> Iterator[Finding]:
    """Find negative sizes."""
    with np.errstate(invalid="ignore"):
        negative = (context.rows.values[:, 3:] < 0).any(axis=1)
    return context.at_rows(context.rows.numeric & _finite(context) & negative, "a negative width or height")


@rule("box-no-area", "warning", what="A box of no width or no height.", upstream=FILTERED, repair="remove row")
def check_area(context: Context) -> Iterator[Finding]:
    """Find boxes without an area."""
    return context.at_rows(context.placed & ~_has_area(context), "width or height is 0")


@rule(
    "box-outside", "warning", repair="clip", upstream="Keeps it, not clipped; augmentation clips it in training.",
    what="A box whose edge is more than half a pixel outside the image, though centre and size are in range.",
)  # fmt: skip
def check_outside(context: Context) -> Iterator[Finding]:
    """Find boxes that reach over the edge."""
    values = np.where(context.placed[:, None], context.rows.values, 0).astype(np.float64)
    low, high = values[:, 1:3] - values[:, 3:] / 2, values[:, 1:3] + values[:, 3:] / 2
    sizes = context.sizes[context.rows.image]
    slack = np.where(sizes > 0, HALF_PIXEL / np.maximum(sizes, 1), UNKNOWN_EDGE)
    over = np.maximum(-low, high - 1)
    for row in np.flatnonzero(context.placed & (over > slack).any(axis=1)).tolist():
        known = sizes[row].all()
        far = f"{(over[row] * sizes[row]).max():.1f} pixels" if known else f"{100 * over[row].max():.1f} %"
        yield context.at_row(row, f"the box reaches {far} outside the image")


@rule(
    "box-tiny", "warning", upstream=SHRUNK,
    what="A box with a side under 2 pixels at the training size (`--imgsz`).",
)  # fmt: skip
def check_tiny(context: Context) -> Iterator[Finding]:
    """Find boxes too small to be learned."""
    sizes = context.sizes[context.rows.image]
    gain = context.imgsz / np.maximum(sizes.max(axis=1, initial=0), 1)
    pixels = np.where(context.placed[:, None], context.rows.values[:, 3:], 0) * sizes * gain[:, None]
    small = (pixels < SMALLEST).any(axis=1) & (sizes > 0).all(axis=1)
    for row in np.flatnonzero(small & context.placed & _has_area(context)).tolist():
        width, height = pixels[row]
        yield context.at_row(row, f"{width:.1f} x {height:.1f} pixels at {context.imgsz}")


def _finite(context: Context) -> NDArray[np.bool_]:
    finite: NDArray[np.bool_] = np.all(np.isfinite(context.rows.values), axis=1)
    return finite


def _has_area(context: Context) -> NDArray[np.bool_]:
    area: NDArray[np.bool_] = np.all(context.rows.values[:, 3:] > 0, axis=1)
    return area
