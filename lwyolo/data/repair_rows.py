"""What a repair does to the rows of one label file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lwyolo.data.checks.context import Context
from lwyolo.data.checks.overlaps import IDENTICAL, iou
from lwyolo.data.checks.rows import POLYGON, decode
from lwyolo.data.checks.rule import Finding, Repair
from lwyolo.data.formats.yolo import format_row
from lwyolo.data.labels import read_file
from lwyolo.data.verdict import TOLERANCE

REMOVED = "row removed"
TWICE = "box-twice"

Entry = tuple[int, str, str, str]
"""A row: its index, its text before, the rule that changes it, its text after."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between a set and its copy.

    Args:
        file: Of the original.
        line: In it, 0 for the whole file.
        rule: Why.
        before: What stands there.
        after: What stands in the copy.
    """

    file: Path
    line: int
    rule: str
    before: str
    after: str


@dataclass(slots=True)
class RowRepairs:
    """What is to be done to rows: those to be removed or clipped, and files whose polygons become boxes, with the rule.

    `noted` holds the images whose changes are in the log.
    """

    removed: dict[int, str] = field(default_factory=dict)
    clipped: dict[int, str] = field(default_factory=dict)
    to_boxes: dict[int, str] = field(default_factory=dict)
    noted: set[int] = field(default_factory=set)

    def add(self, action: Repair, finding: Finding) -> None:
        """Note the repair of a finding on a row."""
        if action == "to boxes" and finding.image is not None:
            self.to_boxes[finding.image] = finding.rule
        elif finding.row is not None:
            rows = self.removed if action == "remove row" else self.clipped
            rows.setdefault(finding.row, finding.rule)

    def touch(self, rows: range, image: int) -> bool:
        """Whether any of some rows of an image is to be changed."""
        return image in self.to_boxes or any(row in self.removed or row in self.clipped for row in rows)


def can_clip(context: Context, finding: Finding) -> bool:
    """Whether a box with a number out of range is surely normalised: its size fits, and a part of it is inside."""
    if finding.row is None or context.placed[finding.row]:
        return finding.row is not None
    box = context.rows.values[finding.row, 1:].astype(np.float64)
    clipped = clip(box)
    return bool((box[2:] <= 1 + TOLERANCE).all() and (clipped[2:] > 0).all())


def clip(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of a box that is inside the image; its size is 0 or less where there is none."""
    low, high = np.maximum(box[:2] - box[2:] / 2, 0), np.minimum(box[:2] + box[2:] / 2, 1)
    return np.concatenate([(low + high) / 2, high - low])


def new_text(context: Context, repairs: RowRepairs, image: int, changes: list[Change]) -> bytes | None:
    """Return what the copy's label file of an image holds, `None` where it has none, and note every change once.

    Args:
        context: The set.
        repairs: What is to be done.
        image: The first of the images that have this label.
        changes: Where changes are noted.
    """
    rows = range(*np.searchsorted(context.rows.image, [image, image + 1]).tolist())
    written = _written(context, image, rows)
    if written is None or (not repairs.touch(rows, image) and image not in context.rows.unreadable):
        return written
    lines = decode(written)[0].splitlines()
    numbers = context.rows.line[rows.start : rows.stop].tolist() if context.rows.of_text else range(1, len(rows) + 1)
    entries: list[Entry] = []
    for row, number in zip(rows, numbers, strict=True):
        before = lines[number - 1].strip()
        entries.append((row, before, *_repaired(context, repairs, row, before)))
    entries = _without_twins(context, entries)
    if image not in repairs.noted:
        repairs.noted.add(image)
        changes += [
            Change(context.table.sources[image], int(context.rows.line[row]), rule, before, after or REMOVED)
            for row, before, rule, after in entries
            if rule
        ]
    return "".join(f"{after}\n" for _, _, _, after in entries if after).encode()


def _without_twins(context: Context, entries: list[Entry]) -> list[Entry]:
    """Remove the rows that were changed and so became equal, or nearly, to another of their class."""
    kept = [context.rows.values[row].astype(np.float64) for row, _, rule, _ in entries if not rule]
    result = []
    for row, before, rule, after in entries:
        if rule and after:
            values = _values(after)
            others = np.array([other for other in kept if other[0] == values[0]]).reshape(-1, 5)
            if (iou(others[:, 1:], np.broadcast_to(values[1:], (len(others), 4))) >= IDENTICAL).any():
                rule, after = TWICE, ""
            else:
                kept.append(values)
        result.append((row, before, rule, after))
    return result


def _values(text: str) -> NDArray[np.float64]:
    """Return class and box of a row of ours."""
    numbers = np.array(text.split(), dtype=np.float32).astype(np.float64)
    if len(numbers) == 5:
        return numbers
    low, high = numbers[1:].reshape(-1, 2).min(axis=0), numbers[1:].reshape(-1, 2).max(axis=0)
    return np.concatenate([numbers[:1], (low + high) / 2, high - low])


def _written(context: Context, image: int, rows: range) -> bytes | None:
    """Return the label file in UTF-8, or, for another format, what it would be."""
    if not context.rows.of_text:
        values = context.rows.values[rows.start : rows.stop].astype(np.float64)
        return "".join(format_row(int(row[0]), row[1:].tolist()) for row in values).encode()
    if image in context.rows.missing:
        return None
    content = read_file(str(context.table.sources[image]))
    return decode(content)[0].encode() if image in context.rows.unreadable else content


def _repaired(context: Context, repairs: RowRepairs, row: int, before: str) -> tuple[str, str]:
    """Return the rule that changes a row, empty where none does, and what the row becomes, empty where it goes."""
    if row in repairs.removed:
        return repairs.removed[row], ""
    image = int(context.rows.image[row])
    boxed = repairs.to_boxes.get(image, "") if context.rows.kind[row] == POLYGON else ""
    if row not in repairs.clipped and not boxed:
        return "", before
    rule = repairs.clipped.get(row, boxed)
    cls, box = int(context.rows.values[row, 0]), context.rows.values[row, 1:].astype(np.float64)
    if context.rows.kind[row] == POLYGON and not boxed:
        points = np.clip(np.array(before.split()[1:], dtype=np.float64), 0, 1)
        flat = np.ptp(points[0::2]) == 0 or np.ptp(points[1::2]) == 0
        return rule, "" if flat else f"{cls} " + " ".join(f"{value:.6f}" for value in points)
    after = format_row(cls, (clip(box) if row in repairs.clipped else box).tolist()).strip()
    return rule, "" if "0.000000" in after.split()[3:] else after
