"""Images that stand in more than one split: equal files, near-duplicates, and groups that a rule keeps together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lwyolo.data.copies import find_copies
from lwyolo.data.groups import Grouping, check_rule, group_images, numbered
from lwyolo.data.instances import InstanceTable
from lwyolo.data.phash import Hashes, hash_images
from lwyolo.data.similar import Pairs, join, near_pairs
from lwyolo.errors import UsageError

DISTANCE = 8
"""Bits of 64 that may differ by default: unrelated photographs differ in 16 and more, see docs/data.md."""

MOST_DISTANCE = 16
"""Above this, most pairs are unrelated."""

SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


@dataclass(frozen=True, slots=True)
class Leaks:
    """What the splits of a data set share.

    Args:
        images: [I] image files.
        splits: Names of the splits.
        image_split: [I] index into `splits`.
        pairs: Equal files and near-duplicates, those across splits first, the nearest first.
        near: [I] equal for images that are equal, near, or joined by others that are.
        distance: Bits that may differ; `None`: only equal files were looked for.
        grouping: Groups by the user's rule; `None` without one.
        unread: Images that were not compared by what they show, by index, and why.
    """

    images: Sequence[Path]
    splits: tuple[str, ...]
    image_split: NDArray[np.int64]
    pairs: Pairs
    near: NDArray[np.int64]
    distance: int | None
    grouping: Grouping | None
    unread: dict[int, str]

    @property
    def across(self) -> NDArray[np.bool_]:
        """[P] whether the images of a pair are in different splits."""
        across: NDArray[np.bool_] = self.image_split[self.pairs.first] != self.image_split[self.pairs.second]
        return across

    @property
    def leaking(self) -> bool:
        """Whether a pair or a group stands in more than one split."""
        return bool(self.across.any()) or bool(shared_groups(self))


@dataclass(frozen=True, slots=True)
class SharedImages:
    """Images of a split that another one holds too, or that it holds twice itself.

    Args:
        split: Whose images are counted.
        other: Where their copies are.
        images: Of `split`.
        equal: Those with an equal file in `other`.
        near: Those with a near-duplicate in `other`, and no equal file; `None` where it was not looked for.
    """

    split: str
    other: str
    images: int
    equal: int
    near: int | None


@dataclass(frozen=True, slots=True)
class SharedByGroup:
    """Images of a split whose group another split holds a part of, and how many such groups there are.

    `grouped` counts the images of `split` that the rule puts in a group.
    """

    split: str
    other: str
    grouped: int
    sharing: int
    groups: int


@dataclass(frozen=True, slots=True)
class SharedGroup:
    """A group in more than one split, with its images in each."""

    name: str
    images: dict[str, int]


def find_leaks(
    table: InstanceTable, *, distance: int | None = DISTANCE, group: str | None = None, processes: int | None = None
) -> Leaks:
    """Look for what splits share, and for what one split holds twice.

    Args:
        table: Of which only images and splits are read.
        distance: Bits of 64 in which hashes of near-duplicates may differ; `None` looks for equal files only.
        group: A rule of `lwyolo.data.groups`.
        processes: That decode images; by default one a core.

    Raises:
        UsageError: The rule cannot be read, or the distance is out of range.
        DataError: The file of the rule cannot be used.
    """
    _check(distance, group)
    grouping = group_images(table.images, group) if group and group != "near" else None
    content = find_copies(table.images).first
    pairs, near = _equal_pairs(content, table.image_split), content
    unread: dict[int, str] = {}
    if distance is not None:
        hashes = hash_images(table.images, np.unique(content), processes)
        found, label = near_pairs(_for_copies(hashes, content), table.image_split, content, distance)
        pairs = _chain(pairs, found)
        near = join(label, np.arange(len(content)), content)
        unread = hashes.reasons
    if group == "near":
        grouping = numbered("near", near, table.images)
    ours = Leaks(table.images, table.splits, table.image_split, pairs, near, distance, grouping, unread)
    order = np.lexsort((pairs.first, pairs.distance, ~pairs.exact, ~ours.across))
    return Leaks(table.images, table.splits, table.image_split, pairs.take(order), near, distance, grouping, unread)


def shared_images(leaks: Leaks) -> list[SharedImages]:
    """Count for every split and other split, and for every split in itself, the images that have a copy there."""
    n = len(leaks.splits)
    has = np.zeros((2, len(leaks.images), n), dtype=bool)  # near, equal: which split holds a copy of which image
    for one, other in ((leaks.pairs.first, leaks.pairs.second), (leaks.pairs.second, leaks.pairs.first)):
        has[leaks.pairs.exact.astype(np.int64), one, leaks.image_split[other]] = True
    near, equal = has[0] & ~has[1], has[1]
    return [
        SharedImages(
            leaks.splits[a],
            leaks.splits[b],
            int(of.sum()),
            int((equal[:, b] & of).sum()),
            None if leaks.distance is None else int((near[:, b] & of).sum()),
        )
        for a, b in _orders(n)
        for of in [leaks.image_split == a]
    ]


def shared_by_group(leaks: Leaks) -> list[SharedByGroup]:
    """Count for every split and other split the images whose group is in both; empty without a grouping."""
    if leaks.grouping is None:
        return []
    counts = _group_counts(leaks, leaks.grouping)
    return [
        SharedByGroup(
            leaks.splits[a], leaks.splits[b], int(counts[a].sum()), int(counts[a][both].sum()), int(both.sum())
        )
        for a, b in _orders(len(leaks.splits))
        if a != b
        for both in [(counts[a] > 0) & (counts[b] > 0)]
    ]


def shared_groups(leaks: Leaks) -> list[SharedGroup]:
    """Return the groups that are in more than one split, the largest first; empty without a grouping."""
    if leaks.grouping is None:
        return []
    counts = _group_counts(leaks, leaks.grouping)
    shared = np.flatnonzero((counts > 0).sum(axis=0) > 1)
    largest = shared[np.argsort(-counts[:, shared].sum(axis=0), kind="stable")]
    names = leaks.grouping.names
    return [
        SharedGroup(names[g], {split: int(counts[s, g]) for s, split in enumerate(leaks.splits) if counts[s, g]})
        for g in largest.tolist()
    ]


def _check(distance: int | None, group: str | None) -> None:
    if distance is not None and not 0 <= distance <= MOST_DISTANCE:
        raise UsageError(f"--distance {distance}: expected 0 to {MOST_DISTANCE}; beyond, most pairs are unrelated.")
    if group is not None:
        check_rule(group)
    if group == "near" and distance is None:
        raise UsageError("--group near joins near-duplicates, which --exact does not look for; leave one out.")


def _equal_pairs(content: NDArray[np.int64], split: NDArray[np.int64]) -> Pairs:
    """Pair each image that has an equal file with the first other one in every split."""
    members: dict[int, list[int]] = {}
    size = np.bincount(content, minlength=len(content))
    for index in np.flatnonzero(size[content] > 1).tolist():
        members.setdefault(int(content[index]), []).append(index)
    found: set[tuple[int, int]] = set()
    for group in members.values():
        heads: dict[int, list[int]] = {}
        for index in group:
            if len(head := heads.setdefault(int(split[index]), [])) < 2:
                head.append(index)
        for index in group:
            others = (next((o for o in head if o != index), index) for head in heads.values())
            found |= {(min(index, other), max(index, other)) for other in others if other != index}
    both = np.array(sorted(found), dtype=np.int64).reshape(-1, 2)
    n = len(both)
    return Pairs(both[:, 0], both[:, 1], np.zeros(n, np.int64), np.zeros(n, bool), np.ones(n, bool))


def _for_copies(hashes: Hashes, content: NDArray[np.int64]) -> Hashes:
    """Give every image the hashes of the first image of its content: only that one was decoded."""
    start, end = (np.searchsorted(hashes.image, content, side) for side in SIDES)
    each = end - start
    image = np.repeat(np.arange(len(content)), each)
    row = np.arange(len(image)) - np.repeat(np.cumsum(each) - each - start, each)
    return Hashes(image, hashes.bits[row], hashes.reasons)


def _chain(one: Pairs, other: Pairs) -> Pairs:
    return Pairs(
        np.concatenate([one.first, other.first]),
        np.concatenate([one.second, other.second]),
        np.concatenate([one.distance, other.distance]),
        np.concatenate([one.mirrored, other.mirrored]),
        np.concatenate([one.exact, other.exact]),
    )


def _group_counts(leaks: Leaks, grouping: Grouping) -> NDArray[np.int64]:
    """Count images, leaving out those that are in no group. Shapes: returns [splits, groups]."""
    groups = len(grouping.names)
    key = leaks.image_split * groups + grouping.group
    counts = np.bincount(key, minlength=len(leaks.splits) * groups).reshape(-1, groups)
    counts[:, [not name for name in grouping.names]] = 0
    return counts


def _orders(n: int) -> list[tuple[int, int]]:
    """Pair every split with every one, itself last: what is tested on first, what it is held against second."""
    across = [(a, b) for b in range(n) for a in range(n) if a != b]
    return [*across, *((a, a) for a in range(n))]
