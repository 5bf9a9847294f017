"""Groups of images that belong together (one tower, one flight, one video), by a rule that a user writes.

Neighbouring shots of one scene are no copies, and no hash finds them; yet a model that has seen one of them in training
is not tested by the other. Only whoever took the pictures knows the groups: from folders, file names, or a list.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lwyolo.data.similar import join
from lwyolo.errors import DataError, UsageError, did_you_mean

RULES = ("folder", "prefix:", "near", "FILE.csv")
IMAGE_COLUMNS = ("image", "name", "stem", "file", "filename")
GROUP_COLUMN = "group"
SPLIT_FOLDERS = {"images", "train", "val", "valid", "validation", "test"}

Key = Callable[[Path], str]


@dataclass(frozen=True, slots=True)
class Grouping:
    """The group of each image.

    Args:
        rule: As the user wrote it.
        group: [I] index into `names`.
        names: Of the groups; empty for an image that the rule puts in none, which is then alone.
        alone: How many images the rule puts in no group.
    """

    rule: str
    group: NDArray[np.int64]
    names: tuple[str, ...]
    alone: int = 0


def check_rule(rule: str) -> None:
    """Refuse a rule that cannot be read, before anything is computed.

    Raises:
        UsageError: It is not one of `RULES`, or its file is missing.
    """
    if rule in ("folder", "near") or (rule.startswith("prefix:") and rule != "prefix:"):
        return
    if ".csv" not in rule.lower():
        raise UsageError(
            f"--group {rule}: unknown rule.{did_you_mean(rule, RULES)} Expected folder, near, prefix:12 (the first 12 "
            "characters of the name), prefix:_ (the name up to its last _), or a CSV file of images and groups."
        )
    if not _csv_file(rule)[0].is_file():
        raise UsageError(f"--group {rule}: there is no file {_csv_file(rule)[0]}.")


def group_images(images: Sequence[Path], rule: str) -> Grouping:
    """Group images by a rule; those of one group name are in one group, whatever their folders.

    Args:
        images: In any order; the same one may be there twice.
        rule: `folder`, `prefix:…`, or a CSV file. `near` is not read here: see `numbered`.

    Raises:
        UsageError: The rule cannot be read, or puts no image in a group.
        DataError: The CSV file lacks a column, or is at odds with itself.
    """
    check_rule(rule)
    key = (
        _folder_key(images) if rule == "folder" else _prefix_key(rule) if rule.startswith("prefix:") else _listed(rule)
    )
    found = [key(image) for image in images]
    alone = found.count("")
    if alone == len(found):
        raise UsageError(f"--group {rule}: finds no group for any of {len(found)} images; {_hint(rule, images[0])}.")
    ids: dict[str, int] = {}
    group = [ids.setdefault(name or f"\0{image}", len(ids)) for name, image in zip(found, images, strict=True)]
    names = tuple("" if name.startswith("\0") else name for name in ids)
    return Grouping(rule, np.array(group, dtype=np.int64), names, alone)


def numbered(rule: str, label: NDArray[np.int64], images: Sequence[Path]) -> Grouping:
    """Return the grouping of labels such as those of near-duplicates; a group bears the name of its first image."""
    _, lowest, group, size = np.unique(label, return_index=True, return_inverse=True, return_counts=True)
    names = tuple(images[index].name if n > 1 else "" for index, n in zip(lowest.tolist(), size, strict=True))
    return Grouping(rule, group, names, int((size == 1).sum()))


def joined(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return [I] labels of groups that keep whole what either of two groupings keeps whole.

    Example:
        >>> joined(np.array([0, 0, 1, 2]), np.array([5, 6, 6, 7])).tolist()
        [0, 0, 0, 3]
    """
    label = np.arange(len(first), dtype=np.int64)
    for group in (first, second):
        _, lowest, inverse = np.unique(group, return_index=True, return_inverse=True)
        label = join(label, np.arange(len(group)), lowest[inverse])
    return label


def _prefix_key(rule: str) -> Key:
    pattern = rule.removeprefix("prefix:")
    if pattern.isdecimal():
        length = int(pattern)
        if not length:
            raise UsageError(f"--group {rule}: a prefix of no characters; expected 1 or more.")
        return lambda image: image.stem[:length]
    return lambda image: image.stem.rpartition(pattern)[0]


def _folder_key(images: Sequence[Path]) -> Key:
    """Name the folder of an image below that of all images, leaving out `images` and folders of splits."""
    top = os.path.commonpath([image.absolute().parent for image in images])

    def key(image: Path) -> str:
        parts = image.absolute().parent.parts[len(Path(top).parts) :]
        return "/".join(part for part in parts if part.lower() not in SPLIT_FOLDERS)

    return key


def _listed(rule: str) -> Key:
    """Look an image up in a CSV file: by its file name, else by its name without suffix."""
    file, column = _csv_file(rule)
    groups = _read_groups(file, column)
    return lambda image: groups.get(image.name, groups.get(image.stem, ""))


def _read_groups(file: Path, column: str) -> dict[str, str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = list(csv.reader(opened))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: not readable as CSV: {error}") from error
    header = [cell.strip() for cell in rows[0]] if rows else []
    image_column = next((name for name in IMAGE_COLUMNS if name in header), None)
    for name, expected in ((image_column, " or ".join(IMAGE_COLUMNS)), (column, column)):
        if name not in header:
            raise DataError(
                f"{file}: line 1: columns {', '.join(header) or 'none'}; expected one named {expected}."
                f"{did_you_mean(expected, header)}"
            )
    at, of = header.index(str(image_column)), header.index(column)
    groups: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        if len(row) <= max(at, of):
            raise DataError(f"{file}: line {number}: {len(row)} cells, expected {len(header)}.")
        name, group = Path(row[at].strip()).name, row[of].strip()
        if groups.setdefault(name, group) != group:
            raise DataError(f"{file}: line {number}: {name} is in group {group!r}, and in {groups[name]!r} above.")
    return groups


def _csv_file(rule: str) -> tuple[Path, str]:
    """Part `groups.csv:tower` into the file and the column, by default `group`."""
    at = rule.lower().rindex(".csv") + len(".csv")
    return Path(rule[:at]), rule[at:].removeprefix(":") or GROUP_COLUMN


def _hint(rule: str, image: Path) -> str:
    if rule == "folder":
        return "all lie directly in the folders of splits"
    if rule.startswith("prefix:"):
        return f"{rule.removeprefix('prefix:')!r} is not in {image.stem!r}"
    return f"{image.name} is not among the images that it lists"
