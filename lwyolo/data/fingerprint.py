"""A fingerprint of a data set: equal where the images, labels, classes and splits are equal, wherever the set lies."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from lwyolo.data.index import DataConfig, image_files, label_file


def fingerprint(config: DataConfig) -> str:
    """Return 32 hexadecimal digits over class names, and over path, size and label of every image in every split.

    Paths are relative to the folder that holds all images of the set, so a moved set keeps its fingerprint. An image is
    identified by its size in bytes, not by its content: reading every image would cost minutes on a large set.

    Raises:
        DataError: Images are missing.
    """
    images = {split: image_files(config, split) for split in config.sources}
    top = os.path.commonpath([image.absolute().parent for found in images.values() for image in found])
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr(sorted(config.names.items())).encode("utf-8", "surrogatepass"))
    for split, found in images.items():
        for image in found:
            relative = str(image.absolute())[len(top) :].replace(os.sep, "/").lstrip("/")
            digest.update(f"\n{split}\0{relative}\0".encode("utf-8", "surrogateescape"))
            digest.update(_identity(image))
    return digest.hexdigest()


def _identity(image: Path) -> bytes:
    try:
        size = image.stat().st_size
    except OSError:
        size = -1
    try:
        label = label_file(image).read_bytes()
    except OSError:
        label = b""
    return f"{size}\0{len(label)}\0".encode() + label
