"""The one instance table: every reader fills it, every report reads it.

Columns instead of objects, so that a million boxes are a few arrays. Everything is keyed by class id: names repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lwyolo.errors import DataError
from lwyolo.record import ClassCount, SampleCount, SplitCount

Box = tuple[float, float, float, float]
"""Centre x, y, width, height; normalised by the image's size."""

SPLITS = ("train", "val", "test")
"""The splits of a data YAML, in the order in which they are read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An image that Ultralytics drops with all its instances: its index, the file to mend, and why."""

    image: int
    file: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


@dataclass(frozen=True, slots=True, eq=False)
class InstanceTable:
    """Images and the instances that are trained on.

    Args:
        names: Class names by id; ids are 0 to n - 1.
        samples: Classes of each sample, a group of classes of one subject; every class is in one.
        splits: Names of the splits.
        images: [I] image files; one that stands in two splits, or twice in one, is there twice.
        sources: [I] the file that the instances of each image are read from; it need not exist.
        image_split: [I] index into `splits` of each image.
        image: [N] index into `images` and `sources` of each instance.
        cls: [N] class ids.
        boxes: [N, 4] centre x, y, width, height; normalised by the image's size.
        lines: [N] line of each instance in its source, 0 where the format has none.
        rows_written: Rows in all sources, before any rule is applied.
        problems: Images that are dropped.
        sizes: [I, 2] width and height in pixels, as the image is loaded; 0 where it cannot be. Some formats state them;
            `with_headers` reads them. `None`: not known.
        remarks: What the reader reduced or left out, in words.
    """

    names: dict[int, str]
    samples: dict[str, tuple[int, ...]]
    splits: tuple[str, ...]
    images: Sequence[Path]
    sources: Sequence[Path]
    image_split: NDArray[np.int64]
    image: NDArray[np.int64]
    cls: NDArray[np.int64]
    boxes: NDArray[np.float64]
    lines: NDArray[np.int64]
    rows_written: int = 0
    problems: tuple[Problem, ...] = ()
    sizes: NDArray[np.int64] | None = None
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.cls)

    @property
    def split(self) -> NDArray[np.int64]:
        """[N] index into `splits` of each instance."""
        return self.image_split[self.image]

    def pixel_boxes(self) -> NDArray[np.float64]:
        """Return [N, 4] left, top, right and bottom in pixels of the image as it is loaded.

        Raises:
            DataError: The sizes of the images were not read.
        """
        if self.sizes is None:
            raise DataError("the sizes of the images were not read; boxes in pixels need them.")
        scale = np.tile(self.sizes[self.image], 2)
        half = self.boxes[:, 2:] / 2
        return np.hstack([self.boxes[:, :2] - half, self.boxes[:, :2] + half]) * scale


def class_counts(table: InstanceTable) -> tuple[ClassCount, ...]:
    """Count instances, and images with at least one, for every class in every split."""
    instances = _tally(table, table.image, table.cls, len(table.names))
    images = _tally_images(table, table.cls, len(table.names))
    sample = {cls: name for name, classes in table.samples.items() for cls in classes}
    return tuple(
        ClassCount(sample[cls], cls, name, split, int(instances[index, cls]), int(images[index, cls]))
        for cls, name in table.names.items()
        for index, split in enumerate(table.splits)
    )


def sample_counts(table: InstanceTable) -> tuple[SampleCount, ...]:
    """Count the images of every split that hold at least one instance of each sample."""
    sample_of = np.zeros(len(table.names), dtype=np.int64)
    for number, classes in enumerate(table.samples.values()):
        sample_of[list(classes)] = number
    images = _tally_images(table, sample_of[table.cls], len(table.samples))
    return tuple(
        SampleCount(name, split, int(images[index, number]))
        for number, name in enumerate(table.samples)
        for index, split in enumerate(table.splits)
    )


def split_counts(table: InstanceTable) -> tuple[SplitCount, ...]:
    """Count all images of every split, those trained on without an instance, and those dropped."""
    dropped = np.zeros(len(table.images), dtype=bool)
    dropped[[problem.image for problem in table.problems]] = True
    background = ~dropped
    background[table.image] = False
    return tuple(
        SplitCount(name, int(of.sum()), int((of & background).sum()), int((of & dropped).sum()))
        for index, name in enumerate(table.splits)
        for of in [table.image_split == index]
    )


def one_sample_a_class(names: dict[int, str]) -> dict[str, tuple[int, ...]]:
    """Return the samples of a data set that declares none: one a class, told apart by id where names repeat.

    Example:
        >>> one_sample_a_class({0: "defect", 1: "rust", 2: "defect"})
        {'defect (0)': (0,), 'rust': (1,), 'defect (2)': (2,)}
    """
    listed = list(names.values())
    return {(name if listed.count(name) == 1 else f"{name} ({cls})"): (cls,) for cls, name in names.items()}


def _tally(table: InstanceTable, image: NDArray[np.int64], group: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """Count pairs of an image and a group. Shapes: returns [splits, groups]."""
    key = table.image_split[image] * groups + group
    return np.bincount(key, minlength=len(table.splits) * groups).reshape(-1, groups)


def _tally_images(table: InstanceTable, group: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """Count the images that hold each group at least once. Shapes: returns [splits, groups]."""
    pairs = np.sort(table.image * groups + group)
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]  # once each; np.unique takes ten times as long
    return _tally(table, pairs // groups, pairs % groups, groups)
