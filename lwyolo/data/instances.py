"""The one instance table: every reader fills it, every report reads it.

Columns instead of objects, so that a million boxes are a few arrays. Everything is keyed by class id: names repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lwyolo.record import ClassCount, SampleCount, SplitCount

SPLITS = ("train", "val", "test")
"""The splits of a data YAML, in the order in which they are read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A label file that is not used as written: where, and why."""

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


@dataclass(frozen=True, slots=True, eq=False)
class InstanceTable:
    """Images and the boxes that are trained on.

    Args:
        names: Class names by id.
        samples: Classes of each sample, a group of classes of one subject.
        splits: Names of the splits.
        images: Image files; one that stands in two splits is listed twice.
        image_split: [I] index into `splits` of each image.
        image: [N] index into `images` of each instance.
        cls: [N] class ids.
        boxes: [N, 4] centre x, y, width, height; normalised by the image's size.
        lines: [N] line of each instance in its label file, 0 where the format has none.
        rows_written: Rows in all label files, before rules are applied.
        problems: Images that are dropped with all their rows.
    """

    names: dict[int, str]
    samples: dict[str, tuple[int, ...]]
    splits: tuple[str, ...]
    images: tuple[Path, ...]
    image_split: NDArray[np.int64]
    image: NDArray[np.int64]
    cls: NDArray[np.int64]
    boxes: NDArray[np.float64]
    lines: NDArray[np.int64]
    rows_written: int = 0
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.cls)


def class_counts(table: InstanceTable) -> tuple[ClassCount, ...]:
    """Count instances, and images with at least one, for every class in every split."""
    split = table.image_split[table.image]
    sample = {cls: name for name, classes in table.samples.items() for cls in classes}
    counts = []
    for cls, name in table.names.items():
        for index, split_name in enumerate(table.splits):
            chosen = (table.cls == cls) & (split == index)
            counts.append(
                ClassCount(
                    sample=sample.get(cls, name),
                    cls_id=cls,
                    cls_name=name,
                    split=split_name,
                    instances=int(chosen.sum()),
                    images=len(np.unique(table.image[chosen])),
                )
            )
    return tuple(counts)


def sample_counts(table: InstanceTable) -> tuple[SampleCount, ...]:
    """Count the images of every split that hold at least one instance of each sample."""
    split = table.image_split[table.image]
    return tuple(
        SampleCount(name, split_name, len(np.unique(table.image[np.isin(table.cls, classes) & (split == index)])))
        for name, classes in table.samples.items()
        for index, split_name in enumerate(table.splits)
    )


def split_counts(table: InstanceTable) -> tuple[SplitCount, ...]:
    """Count all images of every split, and those without an instance."""
    filled = np.zeros(len(table.images), dtype=bool)
    filled[table.image] = True
    return tuple(
        SplitCount(name, int((of := table.image_split == index).sum()), int((of & ~filled).sum()))
        for index, name in enumerate(table.splits)
    )


def one_sample_a_class(names: dict[int, str]) -> dict[str, tuple[int, ...]]:
    """Return the samples of a data set that declares none: one a class, told apart by id where names repeat."""
    repeated = {name for name in names.values() if list(names.values()).count(name) > 1}
    return {(f"{name} ({cls})" if name in repeated else name): (cls,) for cls, name in names.items()}
