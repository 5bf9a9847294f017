"""A format to write: its name, what it cannot hold, and the writer that fills an empty folder from the table."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from lwyolo.data.instances import InstanceTable, one_sample_a_class
from lwyolo.data.selection import rows_by_image
from lwyolo.errors import DataError
from lwyolo.registry import Registry, discover

How = Literal["link", "copy", "none"]
"""What becomes of the images: a link to each, a copy of each, or nothing."""

SAMPLES_FILE = "samples.yaml"


class Writer(Protocol):
    """Writes a table that `check` let pass into an empty folder."""

    def __call__(self, table: InstanceTable, folder: Path, images: How) -> Path:
        """Return the path, relative to `folder`, that the set is read from."""
        ...


@dataclass(frozen=True, slots=True)
class DataWriter:
    """A registered format to write.

    Args:
        name: What `--to` takes.
        check: Says in sentences, with counts, what the format cannot hold of a table; raises `DataError` where the set
            must not be written at all.
        write: The writer.
    """

    name: str
    check: Callable[[InstanceTable], list[str]]
    write: Writer


WRITERS: Registry[DataWriter] = Registry("data format to write")


def data_writer(name: str, *, check: Callable[[InstanceTable], list[str]]) -> Callable[[Writer], Writer]:
    """Register the decorated writer as the format `name`."""

    def decorate(write: Writer) -> Writer:
        WRITERS.add(name, DataWriter(name, check, write))
        return write

    return decorate


def find_writer(name: str) -> DataWriter:
    """Return a format to write by its name.

    Raises:
        UnknownNameError: There is no such format; the message names the nearest.
    """
    discover("lwyolo.data.writers")
    return WRITERS[name]


def each_image(table: InstanceTable, what: str) -> Iterator[tuple[int, Path, NDArray[np.int64]]]:
    """Yield every image with its index and its instances, under a progress bar."""
    order, starts = rows_by_image(table)
    for index, image in enumerate(tqdm(table.images, desc=what, unit="img", delay=1, leave=False)):
        yield index, image, order[starts[index] : starts[index + 1]]


def place(image: Path, target: Path, how: How) -> None:
    """Link to an image, copy it, or do neither; where the system refuses links, it is copied."""
    if how == "link":
        try:
            target.symlink_to(image.resolve())
        except OSError:  # Windows without the privilege, or a file system without links
            how = "copy"
    if how == "copy":
        shutil.copyfile(image, target)


def refuse_same_names(table: InstanceTable, name: Callable[[Path], str]) -> None:
    """Refuse two images of a split that would be written under one name.

    Raises:
        DataError: There are such images; the message names one, and counts them.
    """
    taken: set[tuple[int, str]] = set()
    again = []
    for index, image in enumerate(table.images):
        key = (int(table.image_split[index]), name(image))
        if key in taken:
            again.append(index)
        taken.add(key)
    if again:
        first = table.images[again[0]]
        split = table.splits[table.image_split[again[0]]]
        more = f" So have {len(again) - 1} more." if len(again) > 1 else ""
        raise DataError(f"{first}: another image of {split} has this name; rename one of them.{more}")


def require_sizes(table: InstanceTable) -> NDArray[np.int64]:
    """Return the sizes of the images, for formats whose boxes are in pixels.

    Raises:
        DataError: They were not read, or that of an image is unknown.
    """
    if table.sizes is None:
        raise DataError("the sizes of the images were not read; boxes in pixels need them.")
    unknown = np.flatnonzero((table.sizes <= 0).any(axis=1))
    if len(unknown):
        raise DataError(f"{table.images[unknown[0]]}: width and height are unknown; boxes in pixels need them.")
    return table.sizes


def has_area(edges: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return [N] which boxes, given as they are written, have an area; annotation tools and readers refuse others."""
    return np.logical_and(edges[:, 2] > edges[:, 0], edges[:, 3] > edges[:, 1])


def area_notes(edges: NDArray[np.float64]) -> list[str]:
    """Say how many boxes are left out since they have no area."""
    flat = int((~has_area(edges)).sum())
    return [f"Boxes without area, which readers of this format refuse: {flat:,} left out."] if flat else []


def sample_notes(table: InstanceTable, format_name: str) -> list[str]:
    """Say where the samples go in a format that has no place for them."""
    if table.samples == one_sample_a_class(table.names):
        return []
    where = f"they are written to {SAMPLES_FILE}; read them with --samples {SAMPLES_FILE}"
    return [f"{format_name} has no place for samples: {where}."]


def write_samples(table: InstanceTable, folder: Path) -> None:
    """Write `samples.yaml` where a set groups its classes."""
    if table.samples != one_sample_a_class(table.names):
        samples = {name: list(classes) for name, classes in table.samples.items()}
        text = yaml.safe_dump({"samples": samples}, sort_keys=False, allow_unicode=True)
        (folder / SAMPLES_FILE).write_text(text, encoding="utf-8")
