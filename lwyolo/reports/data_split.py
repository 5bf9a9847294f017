"""How well a split meets its ratios, by class and by images, and what groups allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lwyolo.reports.tables import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lwyolo.data.splitting import Plan


def split_table(plan: Plan) -> Table:
    """Return a row a class, and one of images: how many, and the share of each split with its deviation in points."""
    table = plan.table
    counts = np.zeros((len(table.names) + 1, len(table.splits)), dtype=np.int64)
    np.add.at(counts, (table.cls, table.split), 1)
    counts[-1] = np.bincount(table.image_split, minlength=len(table.splits))
    labels = [f"{cls} {name}" for cls, name in table.names.items()]
    rows = tuple(
        (label, str(row.sum()), *_cells(row, plan.ratios))
        for label, row in zip([*labels, "images"], counts, strict=True)
    )
    wanted = " / ".join(f"{100 * ratio:g}" for ratio in plan.ratios)
    header = ("class", "instances", *(cell for split in table.splits for cell in (split, "%", "points")))
    title = f"Instances of each class, and images, in each split; {wanted} % are wanted"
    return Table(header, rows, title=title, notes=tuple(_notes(plan, counts)))


def _cells(row: NDArray[np.int64], ratios: tuple[float, ...]) -> list[str]:
    """Write count, share and deviation for each split; a class without an instance has no share."""
    total = int(row.sum())
    cells = []
    for count, ratio in zip(row.tolist(), ratios, strict=True):
        share = 100 * count / total if total else None
        cells += [str(count), *(("–", "–") if share is None else (f"{share:.1f}", f"{share - 100 * ratio:+.1f}"))]
    return cells


def _notes(plan: Plan, counts: NDArray[np.int64]) -> list[str]:
    table = plan.table
    size = np.bincount(plan.group)
    largest = int(size.argmax())
    example = table.images[int(np.flatnonzero(plan.group == largest)[0])]
    kept = f"kept whole by {plan.rule}" if plan.rule else "each image its own"
    notes = [f"{len(size)} groups, {kept}. The largest has {size[largest]} images, among them {example.name}."]
    if plan.near:
        notes.append(f"{plan.near} images are equal or near to another, and stay with it.")
    for split, ratio in zip(table.splits, plan.ratios, strict=True):
        share = ratio * len(table.images)
        if size[largest] > share:
            notes.append(
                f"{split}: {100 * ratio:g} % are {share:.0f} images, fewer than the largest group has: this ratio can "
                "be missed by as much, and a class that is in few groups by more."
            )
    for cls, name in table.names.items():
        missing = [split for split, count in zip(table.splits, counts[cls], strict=True) if not count]
        if counts[cls].any() and missing:
            notes.append(f"{cls} {name}: no instance in {' and '.join(missing)}.")
    if table.problems:
        notes.append(
            f"{len(table.problems)} images that Ultralytics drops are in the splits; lwyolo data check names them."
        )
    return notes
