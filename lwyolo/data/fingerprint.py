"""A fingerprint of a data set: equal where the images, labels, classes and splits are equal, wherever the set lies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lwyolo.data.files import Files, as_files
from lwyolo.data.index import DataConfig, image_files, label_files
from lwyolo.data.instances import InstanceTable
from lwyolo.data.labels import read_file

SEPARATOR = os.sep.encode()


def fingerprint(config: DataConfig) -> str:
    """Return 32 hexadecimal digits over class names, and over path, size and label of every image in every split.

    Paths are relative to the folder that holds all images of the set, so a moved set keeps its fingerprint. An image is
    identified by its size in bytes, not by its content: reading every image would cost minutes on a large set.

    Raises:
        DataError: Images are missing.
    """
    splits = {split: image_files(config, split) for split in config.sources}
    return _digest(
        config.names, splits, (label for images in splits.values() for label in _labels(label_files(images)))
    )


def table_fingerprint(table: InstanceTable) -> str:
    """Return the fingerprint of a set of any format, from its table.

    Where every image has a label file of its own, it is that of `fingerprint`. In a format with one file for all images
    the instances of an image take the place of its label: their classes and boxes, as 64-bit numbers.
    """
    images, sources = as_files(table.images), as_files(table.sources)
    one_for_all = len(sources) > 0 and sources[0].suffix.lower() == ".json"
    bounds = np.searchsorted(table.image_split, np.arange(len(table.splits) + 1)).tolist()
    splits = {name: images[first:last] for name, (first, last) in zip(table.splits, pairwise(bounds), strict=True)}
    return _digest(table.names, splits, _instances(table) if one_for_all else _labels(sources))


def _digest(names: dict[int, str], splits: dict[str, Files], labels: Iterable[bytes]) -> str:
    here = os.fsencode(Path.cwd()) + SEPARATOR
    top = len(_common_folder(splits.values(), here))
    label = iter(labels)
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr(sorted(names.items())).encode("utf-8", "surrogatepass"))
    total = sum(map(len, splits.values()))
    with tqdm(total=total, desc="Fingerprint", unit="img", delay=1, leave=False) as bar:
        for split, images in splits.items():
            head = f"\n{split}\0".encode("utf-8", "surrogateescape")
            for chunk in images.chunks():
                for path in chunk:
                    content = next(label)
                    relative = _absolute(path, here)[top:].replace(SEPARATOR, b"/")
                    digest.update(b"%b%b\0%d\0%d\0%b" % (head, relative, _size(path), len(content), content))
                bar.update(len(chunk))
    return digest.hexdigest()


def _common_folder(splits: Iterable[Files], here: bytes) -> bytes:
    """Return the folder that holds all images, with a separator at its end."""
    ends: list[bytes] = []
    for images in splits:
        for chunk in images.chunks():
            paths = [_absolute(path, here) for path in chunk]
            ends = [min([*ends, *paths]), max([*ends, *paths])]  # what these share, all share
    shared = next((at for at, (a, b) in enumerate(zip(*ends, strict=False)) if a != b), len(ends[0]))
    return ends[0][: ends[0].rfind(SEPARATOR, 0, shared) + 1]


def _absolute(path: bytes, here: bytes) -> bytes:
    plain = b"//" not in path and b"/." not in path and not path.startswith(b".")
    if plain and path.startswith(b"/"):
        return path
    return os.fsencode(Path(os.fsdecode(path)).absolute()) if not plain or os.name == "nt" else here + path


def _size(path: bytes) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - the path is bytes
    except OSError:
        return -1


def _labels(files: Files) -> Iterator[bytes]:
    for chunk in files.chunks():
        for path in chunk:
            try:
                yield read_file(path)
            except OSError:
                yield b""


def _instances(table: InstanceTable) -> Iterator[bytes]:
    order = np.argsort(table.image, kind="stable")
    starts = np.searchsorted(table.image[order], np.arange(len(table.images) + 1)).tolist()
    rows = np.column_stack([table.cls, table.boxes]).astype("<f8")[order]
    for start, stop in pairwise(starts):
        yield rows[start:stop].tobytes()
