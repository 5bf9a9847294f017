"""A data format: its name, how a set of it is recognised, and the reader that fills the instance table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lwyolo.data.instances import InstanceTable
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
