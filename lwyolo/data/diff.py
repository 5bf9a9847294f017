"""What changed between two versions of a data set: images, instances, boxes, classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lwyolo.data.files import Files
from lwyolo.data.formats.base import read
from lwyolo.data.images import read_headers
from lwyolo.data.instances import InstanceTable, class_counts
from lwyolo.data.matching import Indices, Side, among, edges_of, equal, match
from lwyolo.data.pairing import count_ambiguous, pair_images, paths_of, relative_names, same_file
from lwyolo.errors import UsageError

TOLERANCE_PX = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class SetDiff:
    """Two versions of a set, and which of their images and boxes belong together.

    Args:
        before: The first version.
        after: The second.
        names: Paths of the images of each, relative to the folder that holds all of them.
        images: [P, 2] images that both hold.
        altered: [P] whether the files of such an image differ.
        images_removed: Images of `before` that `after` lacks.
        images_added: Images of `after` that `before` lacks.
        by_stem: How many of `images` lie in other folders and were found by their stem.
        ambiguous: How many of the images without another have a stem that does stand in the other version, but
            cannot be matched since it repeats.
        boxes_removed: Boxes of `before` that `after` lacks, in images that both hold.
        boxes_added: Boxes of `after` that `before` lacks, in images that both hold.
        moved: [K, 2] boxes of one class whose edges differ by more than the tolerance.
        shifts_px: [K] how far the edge went that went farthest, in pixels; `nan` where no image says its size.
        reclassified: [R, 2] the same boxes with another class.
        tolerance_px: The tolerance.
    """

    before: InstanceTable
    after: InstanceTable
    names: tuple[Sequence[str], Sequence[str]]
    images: Indices
    altered: NDArray[np.bool_]
    images_removed: Indices
    images_added: Indices
    by_stem: int
    ambiguous: int
    boxes_removed: Indices
    boxes_added: Indices
    moved: Indices
    shifts_px: NDArray[np.float64]
    reclassified: Indices
    tolerance_px: float

    @property
    def resplit(self) -> Indices:
        """[S, 2] the images that are in another split than before."""
        one, other = (
            np.array([*table.splits, ""])[table.image_split[self.images[:, side]]]
            for side, table in enumerate((self.before, self.after))
        )
        return np.asarray(self.images[one != other])

    @property
    def renamed(self) -> dict[int, tuple[str | None, str | None]]:
        """The classes whose name is another than before, or that only one version has."""
        one, other = self.before.names, self.after.names
        return {cls: (one.get(cls), other.get(cls)) for cls in sorted({*one, *other}) if one.get(cls) != other.get(cls)}

    @property
    def instances(self) -> dict[tuple[int, str], tuple[int, int]]:
        """Instances before and after, by class and split, of all images."""
        counts: dict[tuple[int, str], list[int]] = {}
        for side, table in enumerate((self.before, self.after)):
            for count in class_counts(table):
                counts.setdefault((count.cls_id, count.split), [0, 0])[side] = count.instances
        return {key: (one, other) for key, (one, other) in sorted(counts.items())}

    @property
    def is_empty(self) -> bool:
        """Whether both are the same: images, splits, classes, and boxes within the tolerance."""
        changes = (self.images_removed, self.images_added, self.resplit, np.flatnonzero(self.altered),
                   self.boxes_removed, self.boxes_added, self.moved, self.reclassified)  # fmt: skip
        dropped = len(self.before.problems) - len(self.after.problems)
        return not (any(map(len, changes)) or self.renamed or dropped)


def diff(
    before: Path,
    after: Path,
    *,
    formats: tuple[str | None, str | None] = (None, None),
    tolerance_px: float = TOLERANCE_PX,
) -> SetDiff:
    """Compare two sets of any format.

    Args:
        before: The first version.
        after: The second.
        formats: Of each, where it cannot be told from the files.
        tolerance_px: A box has moved when one of its edges differs by more, in pixels of the larger of both images.

    Raises:
        UnknownNameError: There is no such format.
        UsageError: A path looks like several formats, or like another than is said, or the tolerance is negative.
        DataError: A set, or an image of it, cannot be read.
    """
    tables = [read(path, source_format=name) for path, name in zip((before, after), formats, strict=True)]
    return compare(tables[0], tables[1], tolerance_px=tolerance_px)


def compare(before: InstanceTable, after: InstanceTable, *, tolerance_px: float = TOLERANCE_PX) -> SetDiff:
    """Compare two instance tables; see `diff`.

    Images are the same where their paths below the common folder of a version are, or, failing that, where their stem
    is and stands once in each version. Boxes are the same as `lwyolo.data.matching` says.
    """
    if not tolerance_px >= 0:
        raise UsageError(f"a tolerance of {tolerance_px} pixels: expected 0 or more.")
    tables, paths = (before, after), (paths_of(before), paths_of(after))
    names = relative_names(paths[0]), relative_names(paths[1])
    pairs, by_stem = pair_images(tables, names)
    altered = _altered(paths, pairs)
    left = [np.setdiff1d(np.arange(len(names[side])), pairs[:, side]) for side in (0, 1)]
    sides = [_side(table, pairs[:, side]) for side, table in enumerate(tables)]
    found = match(sides[0], sides[1], len(pairs))
    shifts = _shifts(sides, found.same, _sizes(tables, paths, pairs, altered))
    far = ~(shifts <= tolerance_px)
    lost = [
        np.flatnonzero((side.image >= 0) & ~among(np.arange(len(side.image)), of_both))
        for side, of_both in zip(sides, np.concatenate([found.same, found.other]).T, strict=True)
    ]
    return SetDiff(
        before, after, names, pairs, altered, left[0], left[1], by_stem, count_ambiguous(names, left),
        lost[0], lost[1], found.same[far], shifts[far], found.other, tolerance_px,
    )  # fmt: skip


def _side(table: InstanceTable, images: Indices) -> Side:
    number = np.full(len(table.images), -1)
    number[images] = np.arange(len(images))
    return Side(number[table.image], table.cls, edges_of(table.boxes))


def _shifts(
    sides: Sequence[Side], rows: Indices, sizes: Callable[[Indices], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return [M] how far the edges of each pair of boxes lie apart at most, in pixels; 0 within rounding."""
    one, other = (side.edges[rows[:, at]] for at, side in enumerate(sides))
    shifts = np.zeros(len(rows))
    differ = np.flatnonzero(~equal(one, other))
    pixels = np.tile(sizes(sides[0].image[rows[differ, 0]]), 2)
    shifts[differ] = (np.abs(one[differ] - other[differ]) * pixels).max(axis=1, initial=0)
    return shifts


def _sizes(
    tables: Sequence[InstanceTable], paths: Sequence[list[str]], pairs: Indices, altered: NDArray[np.bool_]
) -> Callable[[Indices], NDArray[np.float64]]:
    """Return a function from numbers of image pairs to the larger size of both, `nan` where it is unknown.

    Headers are read only of the images that it is asked for, and of both files only where they differ.
    """
    stated = any(table.sizes is not None for table in tables)  # by annotations, which may be wrong

    def of_side(side: int, chosen: Indices) -> Indices:
        known = tables[side].sizes
        if known is not None:
            return np.asarray(known[pairs[chosen, side]])
        return read_headers(Files.of(paths[side][image] for image in pairs[chosen, side].tolist())).sizes

    def sizes(numbers: Indices) -> NDArray[np.float64]:
        chosen, at = np.unique(numbers, return_inverse=True)
        found = of_side(0, chosen)
        twice = np.flatnonzero(altered[chosen] | (found <= 0).any(axis=1) | stated)
        found[twice] = np.maximum(found[twice], of_side(1, chosen[twice]))
        return np.where(found > 0, found, np.nan)[at.reshape(-1)]

    return sizes


def _altered(paths: Sequence[list[str]], pairs: Indices) -> NDArray[np.bool_]:
    progress = tqdm(pairs.tolist(), desc="Comparing images", unit="img", delay=1, leave=False)
    return np.array([not same_file(paths[0][one], paths[1][other]) for one, other in progress], dtype=bool)
