"""What changed between two versions of a data set, as tables for people and rows for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from lwyolo.data.diff import SetDiff
from lwyolo.reports.instances import SPLITS
from lwyolo.reports.tables import Table, number, render
from lwyolo.units import MISSING

DiffFormat = Literal["table", "md", "csv", "json"]
SHOWN = 20
TITLES = {
    "image added": "images added",
    "image removed": "images removed",
    "image resplit": "images moved to another split",
    "image altered": "images whose file is another",
    "box added": "boxes added, in images that both hold",
    "box removed": "boxes removed, in images that both hold",
    "box moved": "boxes moved",
    "box reclassified": "boxes of another class",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One change: what, of which image, and where; A is the version before, B the one after."""

    change: str
    image: str
    split_a: str = ""
    split_b: str = ""
    cls_a: int | None = None
    cls_b: int | None = None
    line_a: int | None = None
    line_b: int | None = None
    shift_px: float | None = None


def diff_report(diff: SetDiff, fmt: DiffFormat = "table") -> str:
    """Write what changed.

    Args:
        diff: The two versions.
        fmt: `table` and `md` sum up and show the first changes; `csv` and `json` hold every change, for programs.
    """
    if fmt == "csv":
        rows = [tuple("" if cell is None else str(cell) for cell in asdict(row).values()) for row in changes(diff)]
        return render(Table(tuple(Change.__dataclass_fields__), tuple(rows)), "csv")
    if fmt == "json":
        return json.dumps(_as_json(diff), indent=2, ensure_ascii=False)
    tables = [_summary(diff), *_instances(diff), *_details(diff)]
    return "\n\n".join(render(table, "text" if fmt == "table" else "markdown") for table in tables)


def changes(diff: SetDiff, most: int | None = None) -> Iterator[Change]:
    """Yield the changes of images and boxes, the kinds one after the other, of each at most so many."""
    before, after = diff.before, diff.after
    splits = [[table.splits[split] for split in table.image_split.tolist()] for table in (before, after)]
    names = diff.names
    for image in diff.images_added[:most].tolist():
        yield Change("image added", names[1][image], split_b=splits[1][image])
    for image in diff.images_removed[:most].tolist():
        yield Change("image removed", names[0][image], split_a=splits[0][image])
    for kind, pairs in (("image resplit", diff.resplit), ("image altered", diff.images[diff.altered])):
        for one, other in pairs[:most].tolist():
            yield Change(kind, names[1][other], splits[0][one], splits[1][other])
    for row in diff.boxes_added[:most].tolist():
        image = int(after.image[row])
        yield Change("box added", names[1][image], "", splits[1][image], None, int(after.cls[row]), None,
                     _line(after.lines[row]))  # fmt: skip
    for row in diff.boxes_removed[:most].tolist():
        image = int(before.image[row])
        yield Change("box removed", names[0][image], splits[0][image], "", int(before.cls[row]), None,
                     _line(before.lines[row]))  # fmt: skip
    shifts: list[float | None] = [None if shift != shift else round(shift, 3) for shift in diff.shifts_px.tolist()]
    boxes = [("box moved", pair, shift) for pair, shift in zip(diff.moved.tolist(), shifts, strict=True)][:most]
    boxes += [("box reclassified", pair, None) for pair in diff.reclassified[:most].tolist()]
    for kind, (one, other), shift in boxes:
        images = int(before.image[one]), int(after.image[other])
        yield Change(kind, names[1][images[1]], splits[0][images[0]], splits[1][images[1]], int(before.cls[one]),
                     int(after.cls[other]), _line(before.lines[one]), _line(after.lines[other]), shift)  # fmt: skip


def _line(value: int) -> int | None:
    return int(value) or None


def _counts(diff: SetDiff) -> dict[str, int]:
    return {
        "image added": len(diff.images_added), "image removed": len(diff.images_removed),
        "image resplit": len(diff.resplit), "image altered": int(diff.altered.sum()),
        "box added": len(diff.boxes_added), "box removed": len(diff.boxes_removed),
        "box moved": len(diff.moved), "box reclassified": len(diff.reclassified),
    }  # fmt: skip


def _summary(diff: SetDiff) -> Table:
    rows = [("images in both", str(len(diff.images)))]
    rows += [(TITLES[kind], str(count)) for kind, count in _counts(diff).items()]
    return Table(("what", "count"), tuple(rows), notes=tuple(_remarks(diff)))


def _remarks(diff: SetDiff) -> list[str]:
    remarks = ["A and B are the same." if diff.is_empty else "A is the first version, B the second."]
    remarks.append(
        f"A box has moved when an edge differs by more than {diff.tolerance_px:g} px and the IoU is at least 0.5; "
        "below that it is one removed and one added. At an IoU of 0.9 with another class, it has another class."
    )
    if diff.by_stem:
        remarks.append(f"Images that lie in other folders and were matched by their stem: {diff.by_stem}.")
    if diff.ambiguous:
        remarks.append(
            f"Images that could not be matched: {diff.ambiguous}. Their stem stands in both versions, more than once."
        )
    for cls, (one, other) in diff.renamed.items():
        both = one is not None and other is not None
        remarks.append(
            f"Class {cls} is {one!r} in A and {other!r} in B." if both
            else f"Class {cls}, {one if other is None else other!r}, is only in {'A' if other is None else 'B'}."
        )  # fmt: skip
    dropped = len(diff.before.problems), len(diff.after.problems)
    if any(dropped):
        remarks.append(
            f"Images that Ultralytics drops: A {dropped[0]}, B {dropped[1]}; their boxes count as absent. lwyolo data "
            "check names them."
        )
    return remarks


def _name(diff: SetDiff, cls: int) -> str:
    """Return the name of a class; both where they differ."""
    both = (diff.before.names.get(cls), diff.after.names.get(cls))
    return " / ".join(dict.fromkeys(name for name in both if name is not None))


def _instances(diff: SetDiff) -> list[Table]:
    """Return instances per class and split where they differ."""
    counts = diff.instances
    order = sorted(counts, key=lambda key: (key[0], (*SPLITS, key[1]).index(key[1])))
    rows = [
        (_name(diff, cls), cls, split, *counts[cls, split]) for cls, split in order if len({*counts[cls, split]}) > 1
    ]
    if not rows:
        return []
    same = len(counts) - len(rows)
    cells = [(str(cls), name, split, str(a), str(b), f"{b - a:+d}") for name, cls, split, a, b in rows]
    totals = [sum(both[side] for both in counts.values()) for side in (0, 1)]
    cells.append(("", "all", "", str(totals[0]), str(totals[1]), f"{totals[1] - totals[0]:+d}"))
    notes = (f"{same} more rows are the same in both.",) if same else ()
    header = ("class", "name", "split", "A", "B", "B - A")
    return [Table(header, tuple(cells), title="Instances per class and split", notes=notes, stub=3)]


def _details(diff: SetDiff) -> list[Table]:
    """Return the first changes of every kind that there is."""
    counts = {kind: count for kind, count in _counts(diff).items() if count}
    rows: dict[str, list[Change]] = {kind: [] for kind in counts}
    for change in changes(diff, SHOWN):
        rows[change.change].append(change)
    tables = []
    for kind, shown in rows.items():
        hidden = counts[kind] - len(shown)
        title = TITLES[kind][0].upper() + TITLES[kind][1:]
        notes = (f"… and {hidden} more; --format csv lists all.",) if hidden else ()
        if kind.startswith("image"):
            cells = [(c.image, c.split_a or MISSING, c.split_b or MISSING) for c in shown]
            tables.append(Table(("image", "A", "B"), tuple(cells), ("left",) * 3, title, notes))
        else:
            tables.append(_boxes(diff, shown, title, notes))
    return tables


def _boxes(diff: SetDiff, shown: list[Change], title: str, notes: tuple[str, ...]) -> Table:
    def named(cls: int | None, names: dict[int, str]) -> str:
        return MISSING if cls is None else f"{cls}-{names[cls]}"

    cells = [
        (c.image, named(c.cls_a, diff.before.names), named(c.cls_b, diff.after.names),
         number(c.line_a), number(c.line_b), number(c.shift_px, 1))
        for c in shown
    ]  # fmt: skip
    header = ("image", "class in A", "class in B", "line in A", "line in B", "px")
    return Table(header, tuple(cells), title=title, notes=notes, stub=3)


def _as_json(diff: SetDiff) -> dict[str, object]:
    return {
        "same": diff.is_empty,
        "tolerance_px": diff.tolerance_px,
        "images_in_both": len(diff.images),
        "counts": _counts(diff),
        "matched_by_stem": diff.by_stem,
        "not_matched": diff.ambiguous,
        "dropped": {"a": len(diff.before.problems), "b": len(diff.after.problems)},
        "class_names": [{"cls_id": cls, "a": one, "b": other} for cls, (one, other) in diff.renamed.items()],
        "instances": [
            {"cls_id": cls, "cls_name": _name(diff, cls), "split": split, "a": one, "b": other, "delta": other - one}
            for (cls, split), (one, other) in diff.instances.items()
        ],
        "changes": [asdict(change) for change in changes(diff)],
    }
