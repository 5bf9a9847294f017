"""What Ultralytics will make of one label file: the boxes that it trains on, or the reason why it drops the image.

The rules are restated from the behaviour of Ultralytics 8.4.190 and proven against the installed version by a fuzz
test; see `tests/data/test_verdict.py`. They are what users never see: a single bad row drops the whole image, equal
rows count once, polygons become their bounding boxes. Older versions differ at the edges: 8.3.100 has no tolerance,
reads no byte-order mark, takes fractional classes, and takes a box among polygons for a polygon of two points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Kind = Literal["boxes", "polygons", "poses"]

TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one label file.

    Args:
        rows: [N, 5] class and box (centre x, y, width, height; normalised) that are trained on, in the file's order.
        lines: [N] line of each row in the file, counted from 1.
        written: Rows in the file.
        reason: Why the image is dropped; `None` when it is kept.
        kind: What the rows were, where they were no boxes.
    """

    rows: Rows
    lines: NDArray[np.int64]
    written: int
    reason: str | None = None
    kind: Kind = "boxes"


def judge(content: bytes, nc: int, pose_columns: int = 0) -> Verdict:
    """Judge the content of a label file for a detection data set of `nc` classes.

    Args:
        content: The bytes of the file.
        nc: Number of classes.
        pose_columns: Columns of a row with key points, by `kpt_shape:` of the data YAML; such a row is cut to its box.
            0 where the data YAML has no `kpt_shape:`.

    Example:
        >>> judge(b"0 0.5 0.5 0.2 0.2", 1).rows.tolist()[0][:3]
        [0.0, 0.5, 0.5]
        >>> judge(b"3 0.5 0.5 0.2 0.2", 1).reason
        'line 1: class 3, but the data set has classes 0 to 0'
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return dropped(f"not UTF-8: byte {error.start}")
    numbered = [(number, row) for number, line in enumerate(text.splitlines(), 1) if (row := line.split())]
    if not numbered:
        return Verdict(np.zeros((0, 5), np.float32), np.zeros(0, np.int64), 0)
    poses = pose_columns > 0 and any(len(row) == pose_columns for _, row in numbered)
    if poses:
        numbered = [(number, row[:5] if len(row) == pose_columns else row) for number, row in numbered]
    polygons = any(len(row) > 6 for _, row in numbered)
    reason = _shape_problem(numbered, polygons)
    if reason:
        return dropped(reason, len(numbered))
    try:
        values = [np.array(row, dtype=np.float32) for _, row in numbered]
    except ValueError:
        return dropped(_not_a_number(numbered), len(numbered))
    rows = np.stack([_box_of_polygon(row) for row in values] if polygons else values)
    lines = np.array([number for number, _ in numbered], dtype=np.int64)
    reason = _range_problem(rows, lines, nc)
    if reason:
        return dropped(reason, len(numbered))
    keep = _distinct(rows, values if polygons else None)
    kind: Kind = "polygons" if polygons else "poses" if poses else "boxes"
    return Verdict(rows[keep], lines[keep], len(numbered), kind=kind)


def dropped(reason: str, written: int = 0) -> Verdict:
    """Return the verdict on a file whose image is dropped."""
    return Verdict(np.zeros((0, 5), np.float32), np.zeros(0, np.int64), written, reason)


def _shape_problem(numbered: list[tuple[int, list[str]]], polygons: bool) -> str | None:
    for number, row in numbered:
        if polygons and len(row) == 5:
            return f"line {number}: a box among polygons; all rows of a file must be of one kind"
        if polygons and len(row) % 2 == 0:
            return f"line {number}: a polygon with {len(row) - 1} coordinates, expected an even number"
        if polygons and len(row) == 1:
            return f"line {number}: a polygon without points"
        if not polygons and len(row) != 5:
            return f"line {number}: {len(row)} columns, expected 5: class x y width height"
    return None


def _not_a_number(numbered: list[tuple[int, list[str]]]) -> str:
    return next(
        (
            f"line {number}: {token!r} is not a number"
            for number, row in numbered
            for token in row
            if not _numeric(token)
        ),
        "a row is not numeric",
    )


def _numeric(token: str) -> bool:
    try:
        np.array([token], dtype=np.float32)
    except ValueError:
        return False
    return True


def _box_of_polygon(row: Rows) -> Rows:
    x, y = row[1::2], row[2::2]
    box = np.array([x.min(), y.min(), x.max(), y.max()], dtype=np.float32)
    with np.errstate(invalid="ignore"):  # infinite points are told afterwards
        centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    return np.concatenate((row[:1], centre, size))


def _range_problem(rows: Rows, lines: NDArray[np.int64], nc: int) -> str | None:
    """Return the first broken rule, with the first line that breaks it."""
    cls, coordinates = rows[:, :1], rows[:, 1:]
    checks = (
        (~np.isfinite(rows), "a value that is not finite"),
        (coordinates > 1 + TOLERANCE, "a coordinate over 1; coordinates are divided by the image's size"),
        (rows < -TOLERANCE, "a negative value"),
        (rows[:, 3:] < 0, "a negative width or height"),
        (np.mod(cls, 1, where=np.isfinite(cls), out=np.zeros_like(cls)) != 0, "a class that is no whole number"),
    )
    for broken, what in checks:
        if broken.any():
            return f"line {lines[int(np.argmax(broken.any(axis=1)))]}: {what}"
    over = cls[:, 0] >= nc
    if over.any():
        at = int(np.argmax(over))
        return f"line {lines[at]}: class {int(cls[at, 0])}, but the data set has classes 0 to {nc - 1}"
    return None


def _distinct(rows: Rows, polygons: list[Rows] | None) -> list[int]:
    """Return the rows that are kept of equal ones: the first; polygons are equal when all their points are."""
    first: dict[object, int] = {}
    boxes = [tuple(row) for row in rows.tolist()]
    for at, row in enumerate(boxes):
        first.setdefault(row, at)
    if len(first) < len(boxes) and polygons is not None:
        first = {}
        for at, polygon in enumerate(polygons):
            first.setdefault(polygon.tobytes(), at)
    return list(first.values())
