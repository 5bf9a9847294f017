"""The statistics of a data set as tables, and as one text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lwyolo.record import DataRecord
from lwyolo.reports.data_words import ENGLISH, Words
from lwyolo.reports.instances import SPLITS, instance_report
from lwyolo.reports.tables import Format, Table, number, render

if TYPE_CHECKING:
    from lwyolo.data.drift import Drift
    from lwyolo.data.statistics import Statistics

Finding = tuple[str, str, str, int, str]
"""Rule, severity, file, line (0: none), message."""
POWERS = (0.5, 1.0)
"""Of `cls_pw`, that weights are shown for."""
KINDS = ("small", "medium", "large")


def data_report(
    record: DataRecord,
    found: Statistics,
    fmt: Format = "markdown",
    *,
    per_split: bool = False,
    remarks: Sequence[str] = (),
    say: Words = ENGLISH,
) -> str:
    """Write the user's table, what stands under it, and the tables of statistics."""
    instances = instance_report(record, fmt, per_split=per_split, remarks=remarks, say=say)
    tables = (class_table(record, found, say), size_table(found, say), drift_table(found, say))
    return "\n\n".join([instances, *(render(table, fmt) for table in tables if table is not None)])


def shown_splits(found: Statistics) -> list[tuple[str, int]]:
    """Return the splits in the user's order, each with its place in the statistics."""
    return sorted(
        ((split, place) for place, split in enumerate(found.splits)), key=lambda one: (*SPLITS, one[0]).index(one[0])
    )


def class_table(record: DataRecord, found: Statistics, say: Words = ENGLISH) -> Table:
    """Return a row for each class: its instances and images in each split, and the weights it would be trained with."""
    from lwyolo.data.statistics import class_weights

    sample = {count.cls_id: count.sample for count in record.classes}
    splits, total = shown_splits(found), max(1, int(found.instances.sum()))
    of, counts = found.weighed
    weights = [class_weights(counts, power) for power in POWERS]
    rows = []
    for cls, name in found.names.items():
        instances = [int(found.instances[place, cls]) for _, place in splits]
        images = [int(found.images[place, cls]) for _, place in splits]
        rows.append(
            (
                *(str(cls), name, sample[cls], *map(str, instances), str(sum(instances))),
                number(100 * sum(instances) / total, 1),
                *map(str, images),
                *(number(None if w is None else float(w[cls]), 3) for w in weights),
            )
        )
    header = (
        *(say("id"), say("class"), say("sample"), *(split for split, _ in splits), say("all"), "%"),
        *(say("{split}\nimages", split=split) for split, _ in splits),
        *(f"{say('weight')}\ncls_pw={power:g}" for power in POWERS),
    )
    weighed = say(
        "Weights are those that Ultralytics trains with where cls_pw is set (its default, 0, sets none): 1 / "
        "instances in {split}, to that power, scaled to a mean of 1.",
        split=of if of != "all" else say("all"),
    )
    title = say("Classes: instances, then images with at least one")
    return Table(header, tuple(rows), title=title, notes=(*imbalance_lines(found, say), weighed), stub=3)


def imbalance_lines(found: Statistics, say: Words = ENGLISH) -> Iterator[str]:
    """Say how uneven the classes are that are trained on, and which have no instance."""
    from lwyolo.data.statistics import max_over_min, normalised_entropy

    of, counts = found.weighed
    split = of if of != "all" else say("all")
    yield say(
        "Imbalance in {split}: the largest class has {ratio} times the instances of the smallest; normalised entropy "
        "{entropy} (1: all classes alike, 0: one class).",
        split=split,
        ratio=number(max_over_min(counts), 1),
        entropy=number(normalised_entropy(counts), 3),
    )
    absent = [f"{cls} {name}" for cls, name in found.names.items() if not counts[cls]]
    if absent:
        yield say("Classes without an instance in {split}: {classes}.", split=split, classes=", ".join(absent))


def size_table(found: Statistics, say: Words = ENGLISH) -> Table | None:
    """Return the boxes of each class by area, as they are and at the training size; `None` without pixels."""
    if found.pixels is None:
        return None
    pixels, at = found.pixels, say("at {imgsz}", imgsz=found.imgsz)
    columns = [
        ((str(cls), name), (*pixels.areas[cls], *pixels.areas_at[cls], pixels.tiny[cls]))
        for cls, name in found.names.items()
    ]
    sums = (*pixels.areas.sum(axis=0), *pixels.areas_at.sum(axis=0), pixels.tiny.sum())
    kinds = [say(kind) for kind in KINDS]
    notes = [
        say(
            "COCO's limits, for boxes in pixels of the image as it is loaded, and again at the training size, where "
            "the longer side is {imgsz} px. Under 2 px: boxes with such a side at the training size, which "
            "augmentation drops.",
            imgsz=found.imgsz,
        )
    ]
    if pixels.flat:
        notes.append(say("Boxes without width or height: {count}.", count=pixels.flat))
    return Table(
        header=(say("id"), say("class"), *kinds, *(f"{kind}\n{at}" for kind in kinds), f"{say('under 2 px')}\n{at}"),
        rows=tuple((*stub, *map(str, figures)) for stub, figures in [*columns, (("", say("all")), sums)]),
        title=say("Boxes by area: small under 32², medium under 96², large from 96² px"),
        notes=tuple(notes),
        stub=2,
    )


def drift_table(found: Statistics, say: Words = ENGLISH) -> Table | None:
    """Return how far each two splits differ; `None` where there is only one."""
    from lwyolo.data.drift import TOO_FEW

    if not found.drift:
        return None
    unit = say(" as a share of the image" if found.pixels is None else " in pixels of the image")
    note = say(
        "Jensen-Shannon and Cramér's V compare shares of classes, the Kolmogorov-Smirnov distance compares "
        "√area{unit}. 0: alike, 1: nothing in common. No p-values: boxes of one image are not independent. Too "
        "few: under {few} instances.",
        unit=unit,
        few=TOO_FEW,
    )
    return Table(
        header=tuple(
            say(word) for word in ("splits", "instances", "Jensen-Shannon (bits)", "Cramér's V", "KS of √area")
        ),
        rows=tuple(_drift_row(one, say) for one in found.drift),
        title=say("Splits beside each other"),
        notes=(note,),
    )


def _drift_row(one: Drift, say: Words) -> tuple[str, ...]:
    figures = (one.jensen_shannon, one.cramers_v, one.sizes)
    told = [say("too few") if one.too_few else number(figure, 3) for figure in figures]
    return (f"{one.first} – {one.second}", " / ".join(map(str, one.instances)), *told)


def findings_table(findings: Sequence[Finding], most: int, say: Words = ENGLISH) -> Table:
    """Return a row for each finding, up to so many."""
    shown = findings[:most]
    counts = say("Shown are {shown} of {count}; report.json holds all.", shown=len(shown), count=len(findings))
    return Table(
        header=tuple(say(word) for word in ("rule", "severity", "file", "line", "message")),
        rows=tuple((rule, level, file, str(line) if line else "", text) for rule, level, file, line, text in shown),
        align=("left", "left", "left", "right", "left"),
        title=say("What is wrong, and where"),
        notes=(counts,) if len(shown) < len(findings) else (),
    )
