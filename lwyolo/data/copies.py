"""Files of equal content: equal size first, then a block from the middle, then SHA-256 of the whole.

Sizes are nearly free and tell almost all photographs apart; the block tells the rest apart where sizes say nothing, as
in uncompressed formats. Only files that are very likely equal are read whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lwyolo.data.index import image_files, read_data_yaml
from lwyolo.record import LeakRecord

BLOCK = 4096
CHUNK = 2**20

MOST_BYTES = 2**28
"""What a training reads at most to compare files whole: a fifth of a second."""

EXAMPLES = 20

Groups = list[list[int]]


@dataclass(frozen=True, slots=True)
class Copies:
    """Which files are equal.

    Args:
        first: [I] index of the first file with the content of each; its own where no other has it.
        unproven: Files equal to another in size and middle that were not compared whole, to spare time.
    """

    first: NDArray[np.int64]
    unproven: int = 0


def find_copies(files: Sequence[Path], split: NDArray[np.int64] | None = None, most_bytes: int | None = None) -> Copies:
    """Find files of equal content; a file that cannot be read, or is empty, has no copy.

    Args:
        files: One may be listed twice, and be a link to another: then it is equal without being read.
        split: [I] where given, only copies across splits are looked for.
        most_bytes: How much is read at most to compare files whole. `None`: no limit.
    """
    first, by_size = _places(files)

    def matters(group: list[int]) -> bool:
        return len(group) > 1 and (split is None or len({int(split[index]) for index in group}) > 1)

    sizes = tqdm(by_size.values(), desc="Comparing files", unit="size", delay=1, leave=False)
    likely = _refined(sizes, lambda index: _middle(files[index]), matters)
    unproven = 0
    left = most_bytes
    for group in tqdm(likely, desc="Comparing files", unit="group", delay=1, leave=False):
        if left is not None:
            left -= len(group) * _size(files[group[0]])
            if left < 0:
                unproven += len(group)
                continue
        for equal in _refined([group], lambda index: _sha256(files[index]), matters):
            first[equal] = equal[0]
    return Copies(first[first], unproven)


def equal_across(data_yaml: Path) -> LeakRecord:
    """Look for equal files in different splits of a data YAML, and for nothing else: a training waits for it.

    Raises:
        DataError: The YAML is not usable, or images are missing.
    """
    config = read_data_yaml(data_yaml)
    found = [image_files(config, split) for split in config.sources]
    images = [image for of_split in found for image in of_split]
    split = np.repeat(np.arange(len(found)), [len(of_split) for of_split in found])
    copies = find_copies(images, split, MOST_BYTES)
    pairs: dict[int, tuple[str, str]] = {}
    for index in np.flatnonzero(split != split[copies.first]).tolist():
        first = int(copies.first[index])
        pairs.setdefault(first, (str(images[first]), str(images[index])))
    return LeakRecord(len(pairs), tuple(pairs.values())[:EXAMPLES], copies.unproven)


def _places(files: Sequence[Path]) -> tuple[NDArray[np.int64], dict[int, list[int]]]:
    """Return the first index of each place on disk, and by size the first index of every place."""
    first = np.arange(len(files), dtype=np.int64)
    places: dict[tuple[int, int], int] = {}
    by_size: dict[int, list[int]] = {}
    for index, file in enumerate(tqdm(files, desc="Listing files", unit="img", delay=1, leave=False)):
        try:
            status = os.stat(file)  # noqa: PTH116 - half the time of Path.stat, for each of a million images
        except OSError:
            continue
        first[index] = places.setdefault((status.st_dev, status.st_ino), index)
        if first[index] == index and status.st_size:
            by_size.setdefault(status.st_size, []).append(index)
    return first, by_size


def _refined(groups: Iterable[list[int]], key: Callable[[int], object], matters: Callable[[list[int]], bool]) -> Groups:
    """Part each group that matters by a key, and return the parts that still matter; without a key, none is equal."""
    parts: Groups = []
    for group in groups:
        if not matters(group):
            continue
        by_key: dict[object, list[int]] = {}
        for index in group:
            found = key(index)
            if found is not None:
                by_key.setdefault(found, []).append(index)
        parts += [part for part in by_key.values() if matters(part)]
    return parts


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _middle(file: Path) -> bytes | None:
    try:
        with open(file, "rb", buffering=0) as opened:  # noqa: PTH123 - as above
            opened.seek(max(0, _size(file) - BLOCK) // 2)
            return opened.read(BLOCK)
    except OSError:
        return None


def _sha256(file: Path) -> bytes | None:
    digest = hashlib.sha256()
    try:
        with file.open("rb") as opened:
            while chunk := opened.read(CHUNK):
                digest.update(chunk)
    except OSError:
        return None
    return digest.digest()
