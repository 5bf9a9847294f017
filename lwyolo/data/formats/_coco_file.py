"""A COCO JSON as columns, with every field checked: an error names the file, the list, the place in it and the key."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lwyolo.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class CocoFile:
    """What a COCO JSON says.

    Args:
        file: The JSON.
        names: [I] file names of its images, as written.
        sizes: [I, 2] width and height in pixels.
        categories: Name and super-category by id.
        image: [N] index of the image of each annotation that is kept.
        category: [N] category ids.
        boxes: [N, 4] x, y, width and height in pixels.
        written: Annotations in the file.
        remarks: Which were left out, in words.
    """

    file: Path
    names: Sequence[str]
    sizes: NDArray[np.float64]
    categories: dict[int, tuple[str, str]]
    image: NDArray[np.int64]
    category: NDArray[np.int64]
    boxes: NDArray[np.float64]
    written: int
    remarks: tuple[str, ...]


def load_coco(file: Path) -> CocoFile:
    """Read a COCO JSON.

    Raises:
        DataError: It is no JSON, or a field is missing or of another kind.
    """
    content = _load(file)
    lists = {key: _list(content, key, file) for key in ("images", "annotations", "categories")}
    index, names, sizes = _images(lists["images"], file)
    categories = _categories(lists["categories"], file)
    image, category, boxes, remarks = _annotations(lists["annotations"], index, categories, file)
    return CocoFile(
        file, names, sizes, categories,
        np.array(image, dtype=np.int64), np.array(category, dtype=np.int64), np.array(boxes, float).reshape(-1, 4),
        len(lists["annotations"]), remarks,
    )  # fmt: skip


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(f"{file}: not readable: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # ValueError: bad JSON, bad encoding, a number of too many digits
        raise DataError(f"{file}: not readable as JSON: {error}.") from None
    if not isinstance(content, dict):
        raise DataError(
            f"{file}: found {type(content).__name__}, expected a mapping with images, annotations, categories."
        )
    return content


def _list(content: dict[str, Any], key: str, file: Path) -> list[Any]:
    if key not in content:
        raise DataError(f"{file}: {key}: missing. A COCO JSON has images, annotations and categories.")
    items = content[key]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise DataError(f"{file}: {key}: expected a list of mappings.")
    return items


def _field(item: dict[str, Any], key: str, kind: type, where: str) -> Any:
    value = item.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        found = "missing" if key not in item else f"found {_short(value)}"
        raise DataError(f"{where}.{key}: {found}, expected {'text' if kind is str else 'a whole number'}.")
    return value


def _images(items: list[Any], file: Path) -> tuple[dict[int, int], list[str], NDArray[np.float64]]:
    index: dict[int, int] = {}
    names: list[str] = []
    sizes = np.zeros((len(items), 2))
    for at, item in enumerate(items):
        where = f"{file}: images[{at}]"
        number = _id(item, "id", where)
        if number in index:
            raise DataError(f"{where}.id: {number} stands for two images, {names[index[number]]} too.")
        name = _field(item, "file_name", str, where)
        if not _is_file_name(name):
            raise DataError(f"{where}.file_name: {_short(name)} is no name of a file.")
        index[number] = at
        names.append(name)
        for side, key in enumerate(("width", "height")):
            value = _number(item.get(key))
            if not 0 < value < 1e9:
                raise DataError(f"{where}.{key}: found {_short(item.get(key))}, expected a size in pixels.")
            sizes[at, side] = value
    return index, names, sizes


def _categories(items: list[Any], file: Path) -> dict[int, tuple[str, str]]:
    categories: dict[int, tuple[str, str]] = {}
    for at, item in enumerate(items):
        where = f"{file}: categories[{at}]"
        number = _id(item, "id", where)
        if number in categories:
            raise DataError(f"{where}.id: {number} stands twice; {categories[number][0]!r} has it too.")
        categories[number] = (_field(item, "name", str, where), str(item.get("supercategory", "")))
    return categories


def _annotations(
    items: list[Any], index: dict[int, int], categories: dict[int, tuple[str, str]], file: Path
) -> tuple[list[int], list[int], list[list[float]], tuple[str, ...]]:
    """Return image, category and box of each annotation that is an instance, image by image, and what was left out."""
    kept: list[tuple[int, int, list[float]]] = []
    crowds = 0
    left_out: dict[str, list[int]] = {}
    for at, item in enumerate(items):
        where = f"{file}: annotations[{at}]"
        image, category = _id(item, "image_id", where), _id(item, "category_id", where)
        if category not in categories:
            raise DataError(f"{where}.category_id: {category} is none of the categories.")
        box = _box(item.get("bbox"), where)
        if item.get("iscrowd"):
            crowds += 1
        elif image not in index:
            left_out.setdefault("of images that are not listed", []).append(at)
        elif not (box[2] > 0 and box[3] > 0):
            left_out.setdefault("whose box has no area", []).append(at)
        else:
            kept.append((index[image], category, box))
    kept.sort(key=lambda row: row[0])
    remarks = [f"{file.name}: boxes of crowds that are left out: {crowds}"] if crowds else []
    remarks += [
        f"{file.name}: annotations {what}, left out: {len(numbers)}, the first is annotations[{numbers[0]}]"
        for what, numbers in left_out.items()
    ]
    return [row[0] for row in kept], [row[1] for row in kept], [row[2] for row in kept], tuple(remarks)


def _is_file_name(name: str) -> bool:
    try:
        return bool(name) and b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _id(item: dict[str, Any], key: str, where: str) -> int:
    value: int = _field(item, key, int, where)
    if abs(value) >= 1 << 62:
        raise DataError(f"{where}.{key}: found {_short(value)}, expected a whole number of at most 62 bits.")
    return value


def _box(value: Any, where: str) -> list[float]:
    numbers = [_number(one) for one in value] if isinstance(value, list) else []
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise DataError(f"{where}.bbox: found {_short(value)}, expected [x, y, width, height] in pixels.")
    return numbers


def _number(value: Any) -> float:
    """Return a number, and `nan` for what is none. A whole number may have more digits than a float can hold."""
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
