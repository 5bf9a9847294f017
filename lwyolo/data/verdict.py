"""What Ultralytics will make of one label file: the boxes that it trains on, or the reason why it drops the image.

The rules are restated from the behaviour of the installed version and proven against it by a fuzz test; see
`tests/data/test_verdict.py`. Differences to what is written in the file are what users never see: a single bad row
drops the whole image, equal rows count once, polygons become their bounding boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one label file.

    Args:
        rows: [N, 5] class and box (centre x, y, width, height; normalised) that are trained on.
        lines: [N] line of each row in the file, counted from 1.
        written: Rows in the file.
        reason: Why the image is dropped; `None` when it is kept.
    """

    rows: Rows
    lines: NDArray[np.int64]
    written: int
    reason: str | None = None


def judge(content: bytes, nc: int) -> Verdict:
    """Judge the content of a label file for a detection data set of `nc` classes.

    Example:
        >>> judge(b"0 0.5 0.5 0.2 0.2", 1).rows.tolist()[0][:3]
        [0.0, 0.5, 0.5]
        >>> judge(b"3 0.5 0.5 0.2 0.2", 1).reason
        'line 1: class 3, but the data set has classes 0 to 0'
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _dropped(0, f"not UTF-8: byte {error.start}")
    numbered = [(number, line.split()) for number, line in _lines(text) if line.strip()]
    tokens = [row for _, row in numbered]
    lines = np.array([number for number, _ in numbered], dtype=np.int64)
    if not tokens:
        return Verdict(np.zeros((0, 5), np.float32), lines, 0)
    polygons = any(len(row) > 6 for row in tokens)
    reason = _shape_problem(numbered, polygons)
    if reason:
        return _dropped(len(tokens), reason)
    try:
        values = [np.array(row, dtype=np.float32) for row in tokens]
    except ValueError:
        return _dropped(len(tokens), _not_a_number(numbered))
    rows = np.stack([_box_of_polygon(row) for row in values] if polygons else values)
    reason = _range_problem(rows, lines, nc)
    if reason:
        return _dropped(len(tokens), reason)
    keep = _distinct(rows, values if polygons else None)
    return Verdict(rows[keep], lines[keep], len(tokens))


def _lines(text: str) -> list[tuple[int, str]]:
    """Number the lines as an editor does; leading blank lines count, though upstream strips them."""
    return list(enumerate(text.splitlines(), 1))


def _dropped(written: int, reason: str) -> Verdict:
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
    for number, row in numbered:
        for token in row:
            try:
                np.float32(token)
            except ValueError:
                return f"line {number}: {token!r} is not a number"
    return "a row is not numeric"


def _box_of_polygon(row: Rows) -> Rows:
    x, y = row[1::2], row[2::2]
    box = np.array([x.min(), y.min(), x.max(), y.max()], dtype=np.float32)
    centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    return np.concatenate((row[:1], centre, size))


def _range_problem(rows: Rows, lines: NDArray[np.int64], nc: int) -> str | None:
    """Return the first broken rule; comparisons are written so that NaN breaks them."""
    coordinates = rows[:, 1:]
    checks = (
        (~(coordinates <= 1 + TOLERANCE), "a coordinate over 1; coordinates are divided by the image's size"),
        (~(rows >= -TOLERANCE), "a negative value"),
        (~(rows[:, 3:] >= 0), "a negative width or height"),
        (rows[:, :1] % 1 != 0, "a class that is no whole number"),
    )
    for broken, what in checks:
        if broken.any():
            return f"line {lines[int(np.argmax(broken.any(axis=1)))]}: {what}"
    over = rows[:, 0] >= nc
    if over.any():
        at = int(np.argmax(over))
        return f"line {lines[at]}: class {int(rows[at, 0])}, but the data set has classes 0 to {nc - 1}"
    return None


def _distinct(rows: Rows, polygons: list[Rows] | None) -> NDArray[np.int64]:
    """Return the indices of the rows that upstream keeps: in order where all differ, else sorted by value."""
    _, index = np.unique(rows, axis=0, return_index=True)
    if len(index) < len(rows) and polygons is not None:
        distinct = {row.tobytes(): at for at, row in reversed(list(enumerate(polygons)))}
        index = np.array(sorted(distinct.values()), dtype=np.int64)
    return np.arange(len(rows)) if len(index) == len(rows) else index.astype(np.int64)
