"""What a check looks at: the table, the rows as written, the headers of the images, the data YAML."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lwyolo.data.checks.decoding import decode_errors
from lwyolo.data.checks.lists import ListLine, read_list
from lwyolo.data.checks.rows import RawRows, read_rows, rows_of_table
from lwyolo.data.checks.rule import Finding, Rule, all_rules
from lwyolo.data.files import as_files
from lwyolo.data.formats.base import format_of
from lwyolo.data.formats.yolo import yolo_config
from lwyolo.data.images import Headers, read_headers
from lwyolo.data.index import DataConfig
from lwyolo.data.instances import InstanceTable
from lwyolo.data.verdict import TOLERANCE


@dataclass(frozen=True, eq=False)
class Context:
    """A data set to be checked.

    Args:
        table: The set as it is trained on.
        rows: Its rows as they are written.
        headers: Of all its images.
        first: [I] the first place of each image in the table: one that is listed twice is looked at once.
        config: Its data YAML, where it has one.
        imgsz: The size that boxes are measured at.
        deep: Whether every image is decoded.
    """

    table: InstanceTable
    rows: RawRows
    headers: Headers
    first: NDArray[np.int64]
    config: DataConfig | None = None
    imgsz: int = 640
    deep: bool = False
    _listings: dict[str, dict[str, str]] = field(default_factory=dict)

    @cached_property
    def distinct(self) -> NDArray[np.int64]:
        """Images, each once."""
        return np.unique(self.first)

    @cached_property
    def damage(self) -> dict[int, str]:
        """What goes wrong in decoding images whose header is sound; all are decoded, once."""
        chosen = [image for image in self.distinct.tolist() if image not in self.headers.reasons]
        errors = decode_errors([self.table.images[image] for image in chosen])
        return {image: error for image, error in zip(chosen, errors, strict=True) if error}

    @cached_property
    def owner(self) -> NDArray[np.int64]:
        """[I] the image under which the rows of each image stand: the first one with its label file."""
        return first_places(self.table.sources) if self.rows.of_text else self.first

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """[I] the first image that is the same file as each: under the same path, by a link, or through one."""
        folders: dict[str, str] = {}
        seen: dict[str, int] = {}
        paths = (_real_place(str(image), folders) for image in self.table.images)
        return np.array([seen.setdefault(path, at) for at, path in enumerate(paths)], dtype=np.int64)

    @cached_property
    def lists(self) -> dict[Path, list[ListLine]]:
        """The lines of the lists among the sources of the set."""
        sources = [source for sources in self.config.sources.values() for source in sources] if self.config else []
        return {source: read_list(source) for source in dict.fromkeys(sources) if source.is_file()}

    @cached_property
    def list_lines(self) -> dict[str, tuple[Path, int]]:
        """The list and line of each image that one names, the last where there are many."""
        return {line.path: (file, line.number) for file, lines in self.lists.items() for line in lines if line.kept}

    def names(self, folder: str) -> dict[str, str]:
        """Return the names in a folder by their lower-case spelling; none where there is no such folder."""
        if folder not in self._listings:
            try:
                self._listings[folder] = {name.lower(): name for name in os.listdir(folder)}  # noqa: PTH208 - names
            except OSError:
                self._listings[folder] = {}
        return self._listings[folder]

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """[I, 2] width and height in pixels as the image is loaded; 0 where its header cannot be read."""
        return np.asarray(self.headers.sizes)

    @cached_property
    def placed(self) -> NDArray[np.bool_]:
        """[R] whether a row holds a box whose numbers Ultralytics accepts, whatever its class."""
        values = self.rows.values
        high, low = np.float32(1 + TOLERANCE), np.array([-TOLERANCE, -TOLERANCE, 0, 0], np.float32)
        inside = (values[:, 1:] <= high) & (values[:, 1:] >= low)
        result: NDArray[np.bool_] = self.rows.numeric & np.all(inside, axis=1) & np.isfinite(values[:, 0])
        return result

    def at_row(self, row: int, what: str) -> Finding:
        """Return a finding on one row."""
        image = int(self.rows.image[row])
        line = int(self.rows.line[row])
        if not self.rows.of_text:
            number = row - int(np.searchsorted(self.rows.image, image)) + 1
            what = f"{self.table.images[image].name}, object {number}: {what}"
        values = self.rows.values[row, 1:]
        x, y, width, height = (float(value) for value in values)
        box = (x, y, width, height) if bool(np.isfinite(values).all()) else None
        return Finding(self.table.sources[image], what, line, image, row, box)

    def at_rows(self, broken: NDArray[np.bool_], what: str) -> Iterator[Finding]:
        """Return the same finding on each row of a mask."""
        return (self.at_row(row, what) for row in np.flatnonzero(broken).tolist())

    def at_image(self, image: int, what: str) -> Finding:
        """Return a finding on an image."""
        return Finding(self.table.images[image], what, image=image)

    def at_label(self, image: int, what: str) -> Finding:
        """Return a finding on the label file of an image."""
        return Finding(self.table.sources[image], what, image=image)

    def at_list(self, image: int, what: str) -> Finding:
        """Return a finding on the line of a list that names an image; on the image where it comes from a folder."""
        path = self.table.images[image]
        file, line = self.list_lines.get(str(path), (path, 0))
        return Finding(file, what, line, image)

    def at_key(self, key: str, what: str) -> Finding:
        """Return a finding on a key of the data YAML, with its line; without one, on what the set is read from."""
        if self.config is None or not self.config.file.is_file():
            sources = set(self.table.sources)
            return Finding(sources.pop() if len(sources) == 1 else Path(os.path.commonpath(sources)), what)
        lines = self.config.file.read_text(encoding="utf-8", errors="ignore").splitlines()
        at = next((number for number, line in enumerate(lines, 1) if line.startswith(f"{key}:")), 0)
        return Finding(self.config.file, what, at)


def config_for(data: Path, source_format: str | None = None) -> DataConfig | None:
    """Return the data YAML of a YOLO set, `None` for another format.

    Raises:
        DataError: It is not usable.
    """
    return yolo_config(data)[0] if format_of(data, source_format).name == "yolo" else None


def make_context(
    table: InstanceTable, config: DataConfig | None = None, *, imgsz: int = 640, deep: bool = False
) -> Context:
    """Read what checks need beside the table: rows as written, and headers.

    Args:
        table: The set.
        config: Its data YAML, or what one of a YOLO folder would say; without it, rules on the YAML and lists rest.
        imgsz: The size that boxes are measured at.
        deep: Whether every image is decoded.
    """
    first = first_places(table.images)
    if table.sources[0].suffix == ".txt":
        poses = config.pose_columns if config else 0
        rows = read_rows(table.sources, np.unique(first_places(table.sources)), poses)
    else:
        rows = rows_of_table(table, first)
    return Context(table, rows, read_headers(table.images), first, config, imgsz, deep)


def run_checks(context: Context, rules: Iterable[Rule] | None = None) -> list[Finding]:
    """Run rules, by default all, and return what they find: the worst first, then by rule."""
    chosen = [item for item in (all_rules() if rules is None else rules) if context.deep or not item.deep]
    return [replace(finding, rule=item.name) for item in chosen for finding in item.check(context)]


def first_places(paths: Sequence[Path]) -> NDArray[np.int64]:
    """Return for each path the first index at which it stands."""
    seen: dict[bytes, int] = {}
    places = (path for chunk in as_files(paths).chunks() for path in chunk)
    return np.array([seen.setdefault(path, at) for at, path in enumerate(places)], dtype=np.int64)


def _real_place(path: str, folders: dict[str, str]) -> str:
    """Return where a file really lies; a folder is resolved once, a file only where it is a link itself."""
    if os.path.islink(path):  # noqa: PTH114 - of a million paths
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return f"{folders[folder]}{os.sep}{name}"
