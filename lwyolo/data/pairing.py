"""Which images of two sets are one and the same: by their path below the folder of the set, else by their stem."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lwyolo.data.files import as_files
from lwyolo.data.instances import InstanceTable
from lwyolo.data.matching import Indices
from lwyolo.errors import DataError


def paths_of(table: InstanceTable) -> list[str]:
    """Return the absolute paths of the images."""
    chunks = as_files(table.images).chunks()
    return [os.path.abspath(os.fsdecode(path)) for chunk in chunks for path in chunk]  # noqa: PTH100 - of a million


def relative_names(paths: Sequence[str]) -> list[str]:
    """Return absolute paths below the folder that holds all of them, with `/` between folders."""
    folders = {os.path.dirname(path) for path in paths}  # noqa: PTH120
    try:
        top = os.path.commonpath(folders) if folders else ""
    except ValueError:  # drives of Windows
        top = ""
    return [path[len(top) :].replace(os.sep, "/").lstrip("/") for path in paths]


def pair_images(tables: tuple[InstanceTable, InstanceTable], names: tuple[list[str], list[str]]) -> tuple[Indices, int]:
    """Return [P, 2] the images that belong together, and how many of them by their stem."""
    splits = [[table.splits[split] for split in table.image_split.tolist()] for table in tables]
    stems = [[_stem(name) for name in of_table] for of_table in names]
    once = set.intersection(*({stem for stem, n in Counter(map(_stem, set(of))).items() if n == 1} for of in names))
    left = [list(range(len(of_table))) for of_table in names]
    pairs: list[tuple[int, int]] = []
    by_path = 0
    for keys, stem in ((names, False), (stems, True)):
        for with_split in (True, False):  # an image that stands in several splits meets itself in the same one first
            of = [
                {at: (keys[side][at], splits[side][at] if with_split else "") for at in left[side]
                 if not stem or keys[side][at] in once}
                for side in (0, 1)
            ]  # fmt: skip
            pairs += _same_keys(of[0], of[1])
            for side in (0, 1):
                done = {pair[side] for pair in pairs}
                left[side] = [at for at in left[side] if at not in done]
        by_path = by_path if stem else len(pairs)
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2), len(pairs) - by_path


def _same_keys(one: dict[int, tuple[str, str]], other: dict[int, tuple[str, str]]) -> list[tuple[int, int]]:
    """Pair equal keys, the first with the first where one repeats."""
    waiting: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, key in reversed(other.items()):
        waiting[key].append(at)
    return [(at, waiting[key].pop()) for at, key in one.items() if waiting.get(key)]


def count_ambiguous(names: tuple[list[str], list[str]], left: list[Indices]) -> int:
    """Count the images without another whose stem the other set does hold: it repeats, so they cannot be matched."""
    stems = [set(map(_stem, of_table)) for of_table in names]
    return sum(_stem(names[side][at]) in stems[1 - side] for side in (0, 1) for at in left[side].tolist())


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def same_file(one: str, other: str) -> bool:
    """Whether two files hold the same: they are one file, or their sizes agree and then their bytes."""
    first, second = _stat(one), _stat(other)
    if first is None or second is None:
        return first is second
    if os.path.samestat(first, second):
        return True
    try:
        return first.st_size == second.st_size and Path(one).read_bytes() == Path(other).read_bytes()
    except OSError as error:
        raise DataError(f"{error.filename}: not readable: {error.strerror}.") from None


def _stat(file: str) -> os.stat_result | None:
    try:
        return os.stat(file)  # noqa: PTH116 - of a million files
    except FileNotFoundError:  # told by the readers as an image that is dropped
        return None
    except OSError as error:
        raise DataError(f"{file}: not readable: {error.strerror}.") from None
