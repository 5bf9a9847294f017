"""All pairs of images whose perceptual hashes are close, and the groups that such pairs join."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lwyolo.data.phash import MIRROR, Hashes

COMPARISONS = 2**20
"""Pairs that are compared at once: few enough to stay in the processor's cache."""

NONE = np.iinfo(np.int64).max
INDEX_BITS = 40
TABLE = np.array([bin(number).count("1") for number in range(2**16)], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of images, of which at least one is the other's nearest in its split.

    Not every pair is here: a thousand frames of one scene have half a million. For each image there is its nearest in
    every split.

    Args:
        first: [P] index of an image.
        second: [P] index of another, above `first`.
        distance: [P] bits in which their hashes differ; 0 for equal files.
        mirrored: [P] whether one is near the mirror image of the other.
        exact: [P] whether the files are equal.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    distance: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    exact: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)

    def take(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Pairs:
        """Return some of the pairs, in the order of `chosen`."""
        return Pairs(
            self.first[chosen], self.second[chosen], self.distance[chosen], self.mirrored[chosen], self.exact[chosen]
        )


def near_pairs(
    hashes: Hashes, split: NDArray[np.int64], content: NDArray[np.int64], distance: int
) -> tuple[Pairs, NDArray[np.int64]]:
    """Compare every hash with every other, and with its mirror image.

    Args:
        hashes: Of all images that have one.
        split: [I] index of the split of each image.
        content: [I] equal for images that are equal files: those are no near-duplicates of each other.
        distance: Bits that may differ.

    Returns:
        For each image its nearest in every split, as pairs; and [I] the lowest index in the group of each image, where
        near images are joined, through any number of others.
    """
    best = np.full((len(split), int(split.max(initial=0)) + 1), NONE, dtype=np.int64)
    label = np.arange(len(split), dtype=np.int64)
    bits, owner = hashes.bits, hashes.image
    step = max(1, COMPARISONS // max(1, len(bits)))
    for start in tqdm(range(0, len(bits), step), desc="Comparing images", unit="block", delay=1, leave=False):
        differing = bits[start : start + step, None] ^ bits[None, start:]
        plain, flipped = count_bits(differing), count_bits(differing ^ MIRROR)
        nearest = np.minimum(plain, flipped)
        row, column = np.nonzero(nearest <= distance)
        first, second = owner[start + row], owner[start + column]
        other = content[first] != content[second]
        row, column, first, second = row[other], column[other], first[other], second[other]
        rank = nearest[row, column].astype(np.int64) * 2 + (flipped < plain)[row, column]
        np.minimum.at(best, (first, split[second]), rank << INDEX_BITS | second)
        np.minimum.at(best, (second, split[first]), rank << INDEX_BITS | first)
        label = join(label, first, second)
    return _pairs(best), label


def join(label: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join the groups of pairs of images.

    Args:
        label: [I] the lowest index in the group of each image.
        first: [P] index of an image.
        second: [P] index of another, which belongs to the same group.

    Returns:
        [I] labels of the joined groups.

    Example:
        >>> join(np.arange(5), np.array([3, 4]), np.array([1, 3])).tolist()
        [0, 1, 2, 1, 1]
    """
    while (label[first] != label[second]).any():
        label, one, two = label.copy(), label[first], label[second]
        low = np.minimum(one, two)
        np.minimum.at(label, one, low)
        np.minimum.at(label, two, low)
        while (label[label] != label).any():
            label = label[label]
    return label


def count_bits(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Count the ones of each value; by a table where NumPy is older than 2.0.

    Example:
        >>> count_bits(np.array([0, 255, 2**63 + 1], dtype=np.uint64)).tolist()
        [0, 8, 2]
    """
    if hasattr(np, "bitwise_count"):
        counted: NDArray[np.uint8] = np.bitwise_count(values)
        return counted
    return count_bits_by_table(values)


def count_bits_by_table(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Count the ones of each value, 16 bits at a time."""
    parts = np.ascontiguousarray(values).view(np.uint16).reshape(*values.shape, 4)
    counted: NDArray[np.uint8] = TABLE[parts].sum(axis=-1, dtype=np.uint8)
    return counted


def _pairs(best: NDArray[np.int64]) -> Pairs:
    """Turn the nearest image in every split into pairs, each once."""
    image, of_split = np.nonzero(best < NONE)
    key = best[image, of_split]
    other, rank = key & ((1 << INDEX_BITS) - 1), key >> INDEX_BITS
    first, second = np.minimum(image, other), np.maximum(image, other)
    _, once = np.unique(first * len(best) + second, return_index=True)
    return Pairs(first[once], second[once], rank[once] >> 1, (rank[once] & 1).astype(bool), np.zeros(len(once), bool))
