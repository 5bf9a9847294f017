"""The instances of a data set, by sample, class and split."""

from __future__ import annotations

from itertools import repeat

from lwyolo.record import DataRecord
from lwyolo.reports.tables import Format, Table, number, render

SPLITS = ("train", "test", "val")
CLASS_HEADERS = ("clsId-", "clsName-", "instanceNum")
MEANING = (
    "train, test, val: images of that split with at least one instance of the sample. An image with two samples counts "
    "in both rows."
)
SHOWN_PROBLEMS = 5


def instances_table(data: DataRecord) -> Table:
    """Return one row a sample: its classes as `id-name-count`, then the images of each split that hold the sample.

    A count is over all splits. A sample with fewer classes than another, or than three, has empty cells.
    """
    totals: dict[int, int] = {}
    cells: dict[str, dict[int, str]] = {}
    for count in data.classes:
        totals[count.cls_id] = totals.get(count.cls_id, 0) + count.instances
        cells.setdefault(count.sample, {})[count.cls_id] = count.cls_name
    images = {(count.sample, count.split): count.images for count in data.samples}
    wide = max(len(CLASS_HEADERS), *(len(classes) for classes in cells.values()))
    rows = []
    for sample, names in cells.items():
        classes = [f"{cls}-{name}-{totals[cls]}" for cls, name in names.items()]
        classes += [""] * (wide - len(classes))
        rows.append((sample, *classes, *(number(images.get((sample, split))) for split in SPLITS)))
    header = ("sample", *CLASS_HEADERS, *[""] * (wide - len(CLASS_HEADERS)), *SPLITS)
    return Table(
        header=header,
        rows=tuple(rows),
        align=tuple(repeat("center", len(header))),
        notes=(MEANING,),
    )


def splits_table(data: DataRecord) -> Table:
    """Return the distinct images of each split, and those of them without an instance."""
    order = sorted(data.splits, key=lambda count: (*SPLITS, count.split).index(count.split))
    instances = {count.split: 0 for count in order}
    for cls in data.classes:
        instances[cls.split] = instances.get(cls.split, 0) + cls.instances
    rows = [(c.split, str(c.images), str(c.background), str(instances[c.split])) for c in order]
    sums = (str(sum(c.images for c in order)), str(sum(c.background for c in order)), str(sum(instances.values())))
    return Table(
        header=("split", "images", "background", "instances"), rows=(*rows, ("all", *sums)), notes=_remarks(data)
    )


def instance_report(data: DataRecord, fmt: Format = "text") -> str:
    """Write both tables, with what is to be known about them."""
    gap = "\n\n"
    return gap.join(render(table, fmt) for table in (instances_table(data), splits_table(data)))


def _remarks(data: DataRecord) -> tuple[str, ...]:
    remarks = []
    if data.rows_written is not None or data.instances_trained is not None:
        remarks.append(
            f"Rows written in label files: {number(data.rows_written)}; instances that Ultralytics trains on: "
            f"{number(data.instances_trained)}."
        )
    if data.problems:
        remarks.append(f"Images that Ultralytics drops: {len(data.problems)}.")
        remarks += [f"- {problem}" for problem in data.problems[:SHOWN_PROBLEMS]]
        hidden = len(data.problems) - SHOWN_PROBLEMS
        remarks += [f"- … and {hidden} more."] if hidden > 0 else []
    remarks.append(f"Data: {data.yaml}, fingerprint {data.fingerprint}.")
    return tuple(remarks)
