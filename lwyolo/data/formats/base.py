"""A data format: its name, how a set of it is recognised, and the reader that fills the instance table.

`read` is the door: whatever the format, it returns the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lwyolo.data.classes import read_samples
from lwyolo.data.index import load_yaml
from lwyolo.data.instances import InstanceTable
from lwyolo.errors import DataError, UsageError, did_you_mean
from lwyolo.registry import FORMATS, discover


class Reader(Protocol):
    """Reads a set; `splits` is a folder of split lists, for formats that keep them apart."""

    def __call__(self, path: Path, splits: Path | None = None) -> InstanceTable:
        """Return the table. Raises `DataError` with file and field of what cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class DataFormat:
    """A registered format.

    Args:
        name: What `--from` takes.
        detects: Whether a path looks like a set of this format; cheap, and never raises.
        read: The reader.
    """

    name: str
    detects: Callable[[Path], bool]
    read: Reader


def read(
    path: Path, *, source_format: str | None = None, splits: Path | None = None, samples: Path | None = None
) -> InstanceTable:
    """Read a data set of any format: a data YAML, a YOLO folder, a COCO JSON, a Pascal VOC folder.

    Args:
        path: The set; it is not changed.
        source_format: A registered format; by default the one that the path looks like.
        splits: A folder of split lists, for formats that keep them apart.
        samples: A YAML file with a mapping `samples:` from a sample to its classes, in place of that of the set.

    Raises:
        UnknownNameError: There is no such format.
        UsageError: The path looks like several formats, or like another than `source_format`.
        DataError: The set cannot be read; the message names the file.
    """
    table = format_of(path, source_format).read(path, splits)
    if samples is None:
        return table
    content = load_yaml(samples)
    if "samples" not in content:
        raise DataError(f"{samples}: samples: missing, expected a mapping such as pin: [0, 1, 2].")
    return replace(table, samples=read_samples(content, table.names, samples))


def format_of(path: Path, source_format: str | None = None) -> DataFormat:
    """Return the format of a set: the one that is named, or the only one that it looks like.

    Raises:
        UnknownNameError: There is no such format.
        UsageError: The path looks like several formats, or like another than `source_format`.
        DataError: There is nothing at the path, or it looks like no format.
    """
    if source_format is not None:
        chosen = find_format(source_format)
    if not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file or folder.{did_you_mean(path.name, beside)}")
    looks_like = detect_formats(path)
    if source_format is not None:
        if looks_like and source_format not in looks_like:
            raise UsageError(
                f"{path}: not a {source_format} set. It looks like {' or '.join(looks_like)}; read it as that."
            )
        return chosen
    if not looks_like:
        raise DataError(
            f"{path}: no data set that is known here; expected a data YAML, a COCO JSON, or a folder with images/ and "
            "labels/ (YOLO), annotations/instances_*.json (COCO), or annotations/*.xml and images/ (Pascal VOC)."
        )
    if len(looks_like) > 1:
        raise UsageError(f"{path}: looks like {' and '.join(looks_like)}; say which: --from {' or '.join(looks_like)}.")
    return find_format(looks_like[0])


def data_format(name: str, *, detects: Callable[[Path], bool]) -> Callable[[Reader], Reader]:
    """Register the decorated reader as the format `name`."""

    def decorate(read: Reader) -> Reader:
        FORMATS.add(name, DataFormat(name, detects, read))
        return read

    return decorate


def find_format(name: str) -> DataFormat:
    """Return a format by its name.

    Raises:
        UnknownNameError: There is no such format; the message names the nearest.
    """
    discover("lwyolo.data.formats")
    found: DataFormat = FORMATS[name]
    return found


def detect_formats(path: Path) -> list[str]:
    """Return the names of the formats that a path looks like."""
    discover("lwyolo.data.formats")
    return [name for name in FORMATS if FORMATS[name].detects(path)]
