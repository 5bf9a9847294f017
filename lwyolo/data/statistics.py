"""What the boxes of a data set are like: sizes, shapes, places, classes that stand together, imbalance.

Everything is counted on the columns of an instance table; what needs pixels is left out where sizes were not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lwyolo.data.drift import Drift, compare_splits
from lwyolo.data.instances import InstanceTable, class_counts, sample_counts, split_counts
from lwyolo.record import DataRecord

MEDIUM_AREA, LARGE_AREA = 32.0**2, 96.0**2
"""COCO's limits in px². A box on a limit belongs to the larger size alone, so that counts add up."""
TINY_SIDE = 2.0
"""Ultralytics' augmentation drops boxes with a side of no more pixels (`box_candidates`, `wh_thr=2`)."""
CELLS = 16
SIDE_EDGES = 2.0 ** np.arange(0, 13.25, 0.25)
RATIO_EDGES = 2.0 ** np.arange(-4, 4.25, 0.25)
BLOCK = 4_000_000
"""Pairs of classes that are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelStatistics:
    """What needs the sizes of the images.

    Args:
        areas: [C, 3] boxes of each class that are small, medium, large in pixels of the image.
        areas_at: [C, 3] the same at the training size.
        tiny: [C] boxes with a side under 2 pixels at the training size.
        sides: [B] boxes by √area in pixels of the image, between `SIDE_EDGES`; the ends hold what is beyond them.
        sides_at: [B] the same at the training size.
        ratios: [R] boxes by width / height, between `RATIO_EDGES`, likewise.
        flat: Boxes without width or height, which have no ratio.
    """

    areas: NDArray[np.int64]
    areas_at: NDArray[np.int64]
    tiny: NDArray[np.int64]
    sides: NDArray[np.int64]
    sides_at: NDArray[np.int64]
    ratios: NDArray[np.int64]
    flat: int


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Counts of a data set, keyed by split and by class id.

    Args:
        imgsz: Longer side of an image in training.
        names: [C] class names by id.
        splits: [S] in the order of the table.
        instances: [S, C].
        images: [S, C] with at least one instance.
        per_image: [S, M] images with 0, 1, 2, … instances, without those that are dropped.
        centres: [C, 16, 16] boxes by their centre: rows from the top, columns from the left.
        together: [C, C] images that hold both classes; on the diagonal those that hold the one.
        drift: Each pair of splits.
        pixels: `None` where the sizes of the images were not read.
    """

    imgsz: int
    names: dict[int, str]
    splits: tuple[str, ...]
    instances: NDArray[np.int64]
    images: NDArray[np.int64]
    per_image: NDArray[np.int64]
    centres: NDArray[np.int64]
    together: NDArray[np.int64]
    drift: tuple[Drift, ...]
    pixels: PixelStatistics | None = None

    @property
    def weighed(self) -> tuple[str, NDArray[np.int64]]:
        """What is trained on: `train` and its [C] instances, or `all` and those of all splits where it is absent."""
        if "train" in self.splits:
            return "train", self.instances[self.splits.index("train")]
        return "all", self.instances.sum(axis=0)


def statistics(table: InstanceTable, imgsz: int = 640) -> Statistics:
    """Count what a data set holds.

    Args:
        table: Its instances; with `sizes` for what needs pixels.
        imgsz: Longer side of an image in training.
    """
    counts = class_counts(table)
    shape = (len(table.names), len(table.splits))
    instances = np.array([count.instances for count in counts], np.int64).reshape(shape).T
    sides = np.sqrt(_areas(table)) if table.sizes is not None else np.sqrt(table.boxes[:, 2] * table.boxes[:, 3])
    return Statistics(
        imgsz=imgsz,
        names=table.names,
        splits=table.splits,
        instances=instances,
        images=np.array([count.images for count in counts], np.int64).reshape(shape).T,
        per_image=boxes_per_image(table),
        centres=centres(table),
        together=together(table),
        drift=compare_splits(table.splits, instances, table.split, sides),
        pixels=None if table.sizes is None else pixel_statistics(table, imgsz),
    )


def data_record(table: InstanceTable, source: str, fingerprint: str = "") -> DataRecord:
    """Return what a record keeps of a table.

    Args:
        table: Of any format.
        source: What the user calls the set.
        fingerprint: Empty where none was taken.
    """
    return DataRecord(
        yaml=source,
        fingerprint=fingerprint,
        names=table.names,
        classes=class_counts(table),
        samples=sample_counts(table),
        splits=split_counts(table),
        rows_written=table.rows_written,
        instances_trained=len(table),
        problems=tuple(str(problem) for problem in table.problems),
    )


def pixel_statistics(table: InstanceTable, imgsz: int) -> PixelStatistics:
    """Count boxes by size and shape; those of an image without a size are left out.

    Raises:
        TypeError: The sizes of the images were not read.
    """
    if table.sizes is None:
        raise TypeError("the table has no sizes")
    size = table.sizes[table.image].astype(np.float64)
    width, height = np.round(table.boxes[:, 2:] * size, 2).T  # six decimals of a label hold no more of a pixel
    known = (size > 0).all(axis=1)
    gain = imgsz / np.where(known, size.max(axis=1, initial=1.0), 1.0)
    area, classes = width * height, len(table.names)
    flat = known & ((width <= 0) | (height <= 0))
    shaped = known & ~flat
    small = known & (np.minimum(width, height) * gain < TINY_SIDE)
    return PixelStatistics(
        areas=_by_area(area[known], table.cls[known], classes),
        areas_at=_by_area((area * gain**2)[known], table.cls[known], classes),
        tiny=np.bincount(table.cls[small], minlength=classes),
        sides=histogram(np.sqrt(area[known]), SIDE_EDGES),
        sides_at=histogram(np.sqrt(area[known]) * gain[known], SIDE_EDGES),
        ratios=histogram(width[shaped] / height[shaped], RATIO_EDGES),
        flat=int(flat.sum()),
    )


def histogram(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count values between edges; a bin holds its lower edge, the first and the last also what is beyond them.

    Example:
        >>> histogram(np.array([0.5, 1.0, 2.0, 9.0]), np.array([1.0, 2.0, 4.0])).tolist()
        [2, 2]
    """
    bins = len(edges) - 1
    return np.bincount(np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1), minlength=bins)


def boxes_per_image(table: InstanceTable) -> NDArray[np.int64]:
    """Count the images of each split by the boxes in them, without dropped images. Shapes: returns [S, M]."""
    boxes = np.bincount(table.image, minlength=len(table.images))
    kept = np.ones(len(table.images), dtype=bool)
    kept[[problem.image for problem in table.problems]] = False
    wide = int(boxes.max(initial=0)) + 1
    key = table.image_split[kept] * wide + boxes[kept]
    return np.bincount(key, minlength=len(table.splits) * wide).reshape(-1, wide)


def centres(table: InstanceTable) -> NDArray[np.int64]:
    """Count boxes by where their centre lies. Shapes: returns [C, 16, 16], rows from the top."""
    x, y = np.clip((table.boxes[:, :2] * CELLS).astype(np.int64), 0, CELLS - 1).T
    key = (table.cls * CELLS + y) * CELLS + x
    return np.bincount(key, minlength=len(table.names) * CELLS**2).reshape(-1, CELLS, CELLS)


def together(table: InstanceTable) -> NDArray[np.int64]:
    """Count the images that hold each pair of classes. Shapes: returns [C, C].

    Images with equally many classes are counted at once, so that the work grows with the pairs that there are.
    """
    classes = len(table.names)
    pairs = np.sort(table.image * classes + table.cls)  # np.unique takes ten times as long
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    image, cls = pairs // classes, pairs % classes
    held = np.bincount(image, minlength=len(table.images))
    counts = np.zeros(classes**2, dtype=np.int64)
    for number in np.unique(held[held > 0]):
        groups = cls[held[image] == number].reshape(-1, number)
        for block in _blocks(groups, max(1, BLOCK // int(number) ** 2)):
            keys = block[:, :, None] * classes + block[:, None, :]
            counts += np.bincount(keys.ravel(), minlength=classes**2)
    return counts.reshape(classes, classes)


def max_over_min(counts: NDArray[np.int64]) -> float | None:
    """Return how many times the largest class is the smallest of those that have instances; `None` without any."""
    filled = counts[counts > 0]
    return float(filled.max() / filled.min()) if len(filled) else None


def normalised_entropy(counts: NDArray[np.int64]) -> float | None:
    """Return the entropy of the classes over its maximum: 1 where all are alike, 0 where one has all instances.

    Example:
        >>> normalised_entropy(np.array([7, 7])), normalised_entropy(np.array([7]))
        (1.0, None)
    """
    if len(counts) < 2 or not counts.sum():
        return None
    shares = counts[counts > 0] / counts.sum()
    return max(0.0, float(-(shares * np.log(shares)).sum() / np.log(len(counts))))


def class_weights(counts: NDArray[np.int64], power: float) -> NDArray[np.float64] | None:
    """Return the weights of classes that Ultralytics trains with at `cls_pw=power`; `None` without an instance.

    As `DetectionTrainer.set_class_weights` of Ultralytics 8.4: 1 / instances to that power, the mean of these for a
    class without instances, all divided by their mean. At 0, the default, it sets none.

    Example:
        >>> class_weights(np.array([1, 3]), 1.0).tolist()
        [1.5, 0.5]
    """
    present = counts > 0
    if not present.any():
        return None
    weights = (1.0 / np.where(present, counts, 1)) ** power
    weights = np.where(present, weights, weights[present].mean())
    return np.asarray(weights / weights.mean(), np.float64)


def plain(value: Any) -> Any:
    """Return statistics as JSON can hold them: mappings, lists and numbers in full precision."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def _areas(table: InstanceTable) -> NDArray[np.float64]:
    """Return [N] areas in pixels; NaN where the size of the image is unknown."""
    pixels = np.asarray(table.sizes)[table.image].prod(axis=1)
    return table.boxes[:, 2] * table.boxes[:, 3] * np.where(pixels > 0, pixels, np.nan)


def _by_area(area: NDArray[np.float64], cls: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    kind = (area >= MEDIUM_AREA).astype(np.int64) + (area >= LARGE_AREA)
    return np.bincount(cls * 3 + kind, minlength=classes * 3).reshape(classes, 3)


def _blocks(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
