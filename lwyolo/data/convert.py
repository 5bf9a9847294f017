"""A data set in another format, written whole or not at all; the source is not changed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lwyolo.data.files import as_files
from lwyolo.data.folder import new_folder, refuse_existing, refuse_inside
from lwyolo.data.formats.base import format_of, read
from lwyolo.data.images import with_headers
from lwyolo.data.instances import InstanceTable
from lwyolo.data.selection import assign_splits
from lwyolo.data.writers.base import How, find_writer
from lwyolo.errors import DataError

SPLIT_LISTS = {"voc"}
"""Formats whose own splits are such lists: their readers take them."""


def convert(
    source: Path,
    out: Path,
    *,
    to: str = "yolo",
    source_format: str | None = None,
    splits: Path | None = None,
    samples: Path | None = None,
    images: How = "link",
) -> Path:
    """Write a data set in another format.

    Args:
        source: The set to read; it is not changed.
        out: The folder to write; it must not exist, or be empty, and lie outside the set.
        to: The format to write: `yolo`, `coco` or `voc`.
        source_format: The format to read, where it cannot be told from the files.
        splits: Folder of split lists; they replace the splits that the set has.
        samples: YAML file with a mapping `samples:`, for formats that have none.
        images: Link to the images, copy them, or do neither. Where the system refuses links, they are copied.

    Returns:
        What the new set is read from: the data YAML, or the folder.

    Raises:
        UnknownNameError: There is no such format.
        UsageError: `source` is of another format, or `out` is not empty or lies in the set.
        DataError: The set cannot be read, or cannot be written so that Ultralytics trains on all of it.
    """
    find_writer(to)
    table = load(source, source_format=source_format, splits=splits, samples=samples)
    refuse_out(source, table, out)
    return write_set(table, out, to=to, images=images)


def load(
    source: Path, *, source_format: str | None = None, splits: Path | None = None, samples: Path | None = None
) -> InstanceTable:
    """Read a set of any format, with the sizes of its images as they are loaded.

    Raises:
        UnknownNameError: There is no such format.
        UsageError: `source` is of another format, or of none that is known.
        DataError: The set cannot be read.
    """
    listed = format_of(source, source_format).name in SPLIT_LISTS
    table = read(source, source_format=source_format, splits=splits if listed else None, samples=samples)
    return with_headers(table if splits is None or listed else assign_splits(table, splits))


def check_set(table: InstanceTable, to: str = "yolo") -> list[str]:
    """Say what a format cannot hold of a table, in sentences with counts.

    Raises:
        UnknownNameError: There is no such format.
        DataError: The set must not be written: Ultralytics would drop an image, or the format's own check says why.
    """
    writer = find_writer(to)
    if table.problems:
        raise DataError(
            f"{len(table.problems)} images would be dropped in training; the first: {table.problems[0]}. "
            "lwyolo data check names them all."
        )
    return writer.check(table)


def write_set(table: InstanceTable, out: Path, *, to: str = "yolo", images: How = "link") -> Path:
    """Write an instance table as a set of a format, whole or not at all.

    Returns:
        What the new set is read from: the data YAML, or the folder.

    Raises:
        UsageError: `out` is not empty.
        DataError: The set must not be written; see `check_set`.
    """
    refuse_existing(out)
    check_set(table, to)
    with new_folder(out) as folder:
        entry = find_writer(to).write(table, folder, images)
    return out / entry


def write_yolo(table: InstanceTable, out: Path, *, images: How = "link") -> Path:
    """Write an instance table as a YOLO set; see `write_set`. Returns the data YAML."""
    return write_set(table, out, to="yolo", images=images)


def refuse_out(source: Path, table: InstanceTable, out: Path) -> None:
    """Refuse to write into the folder of a set, or into one that holds images or labels of it.

    Raises:
        UsageError: `out` lies in such a folder, or is there and not empty.
    """
    refuse_existing(out)
    own = {source} if source.is_dir() else set()
    labels = _folders(table.sources) - {source.parent}  # a COCO JSON that is given may lie anywhere
    refuse_inside(out, sorted(own | labels | _folders(table.images)))


def _folders(files: Sequence[Path]) -> set[Path]:
    names = {os.path.dirname(path) for chunk in as_files(files).chunks() for path in chunk}  # noqa: PTH120 - of a million
    return {Path(os.fsdecode(name)) for name in names}
