"""The instances of a data set, by sample, class and split."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from lwyolo.record import DataRecord
from lwyolo.reports.data_words import ENGLISH, Words
from lwyolo.reports.tables import Format, Table, number, render

SPLITS = ("train", "test", "val")
"""The user's order."""
CLASS_HEADERS = ("clsId-", "clsName-", "instanceNum")
MEANING = (
    "train, test, val: images of that split with at least one instance of the sample. An image with two samples counts "
    "in both rows."
)
PER_SPLIT = "In brackets: instances in train/test/val."
SHOWN_PROBLEMS = 5


def instances_table(data: DataRecord, *, per_split: bool = False, say: Words = ENGLISH) -> Table:
    """Return one row a sample: its classes as `id-name-count`, then the images of each split that hold the sample.

    A count is over all splits. A sample with fewer classes than another, or than three, has empty cells.

    Args:
        data: The counts.
        per_split: Add the instances of each split to each class: `0-defect-6011 (4208/1202/601)`.
        say: The language of what stands below.
    """
    counts = {(count.cls_id, count.split): count.instances for count in data.classes}
    totals: dict[int, int] = {}
    samples: dict[str, dict[int, str]] = {}
    for count in data.classes:
        totals[count.cls_id] = totals.get(count.cls_id, 0) + count.instances
        samples.setdefault(count.sample, {})[count.cls_id] = count.cls_name
    images = {(count.sample, count.split): count.images for count in data.samples}
    wide = max(len(CLASS_HEADERS), *(len(classes) for classes in samples.values()))
    rows = []
    for sample, names in samples.items():
        cells = [f"{cls}-{name}-{totals[cls]}" for cls, name in names.items()]
        if per_split:
            parts = ["/".join(number(counts.get((cls, split))) for split in SPLITS) for cls in names]
            cells = [f"{cell} ({part})" for cell, part in zip(cells, parts, strict=True)]
        cells += [""] * (wide - len(cells))
        rows.append((sample, *cells, *(number(images.get((sample, split))) for split in SPLITS)))
    header = ("sample", *CLASS_HEADERS, *[""] * (wide - len(CLASS_HEADERS)), *SPLITS)
    return Table(
        header=header,
        rows=tuple(rows),
        align=tuple(repeat("center", len(header))),
        notes=(say(MEANING), *([say(PER_SPLIT)] if per_split else [])),
    )


def splits_table(data: DataRecord, *, remarks: Sequence[str] = (), say: Words = ENGLISH) -> Table:
    """Return the distinct images of each split: all, those without an instance, and those that are dropped.

    Args:
        data: The counts.
        remarks: Further sentences to be read with them.
        say: The language.
    """
    order = sorted(data.splits, key=lambda count: (*SPLITS, count.split).index(count.split))
    instances = {count.split: 0 for count in order}
    for cls in data.classes:
        instances[cls.split] = instances.get(cls.split, 0) + cls.instances
    rows = [(c.split, *map(str, (c.images, c.background, c.dropped, instances[c.split]))) for c in order]
    sums = [sum(getattr(c, what) for c in order) for what in ("images", "background", "dropped")]
    total = (say("all"), *map(str, (*sums, sum(instances.values()))))
    return Table(
        header=tuple(say(word) for word in ("split", "images", "background", "dropped", "instances")),
        rows=(*rows, total),
        notes=(*_remarks(data, say), *remarks),
    )


def instance_report(
    data: DataRecord,
    fmt: Format = "text",
    *,
    per_split: bool = False,
    remarks: Sequence[str] = (),
    say: Words = ENGLISH,
) -> str:
    """Write both tables, with what is to be known about them."""
    tables = (instances_table(data, per_split=per_split, say=say), splits_table(data, remarks=remarks, say=say))
    return "\n\n".join(render(table, fmt) for table in tables)


def tidy_table(data: DataRecord) -> Table:
    """Return a row for each class and split, for programs."""
    order = {split: place for place, split in enumerate(SPLITS)}
    counts = sorted(data.classes, key=lambda c: (c.cls_id, order.get(c.split, len(order)), c.split))
    return Table(
        ("sample", "cls_id", "cls_name", "split", "instances", "images"),
        tuple((c.sample, str(c.cls_id), c.cls_name, c.split, str(c.instances), str(c.images)) for c in counts),
    )


def _remarks(data: DataRecord, say: Words) -> tuple[str, ...]:
    remarks = []
    if data.rows_written is not None or data.instances_trained is not None:
        remarks.append(
            say(
                "Rows written in label files: {rows}; instances that Ultralytics trains on: {instances}.",
                rows=number(data.rows_written),
                instances=number(data.instances_trained),
            )
        )
    if data.problems:
        remarks.append(say("Images that Ultralytics drops: {count}.", count=len(data.problems)))
        remarks += [f"- {problem}" for problem in data.problems[:SHOWN_PROBLEMS]]
        hidden = len(data.problems) - SHOWN_PROBLEMS
        remarks += [f"- {say('… and {count} more.', count=hidden)}"] if hidden > 0 else []
    if data.leaks is not None and data.leaks.images:
        pair = " = ".join(data.leaks.pairs[0])
        remarks.append(
            say("Images in more than one split: {count}, such as {pair}.", count=data.leaks.images, pair=pair)
        )
    if data.fingerprint:
        where = say("Data: {data}, fingerprint {fingerprint}.", data=data.yaml, fingerprint=data.fingerprint)
    else:
        where = say("Data: {data}.", data=data.yaml)
    return (*remarks, where)
