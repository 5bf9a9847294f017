"""The Pascal VOC format: an XML file an image, boxes in pixels as `xmin ymin xmax ymax`.

Boxes are taken as they are written: edges in pixels from the upper left corner of the image. The original VOC counts
pixels from 1; the tools that write VOC today (labelImg among them) count edges from 0, and so does this reader.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lwyolo.data.index import IMAGE_SUFFIXES
from lwyolo.data.instances import SPLITS, InstanceTable, one_sample_a_class
from lwyolo.errors import DataError, did_you_mean

EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class VocObject:
    """One `<object>`: its class name and its box, normalised as centre x, y, width, height."""

    name: str
    box: tuple[float, float, float, float]


def read_voc(folder: Path, splits: Path | None = None) -> InstanceTable:
    """Read a VOC folder.

    Args:
        folder: Holds `annotations/` (or `Annotations/`) and `images/` (or `JPEGImages/`), and may hold `classes.txt`.
        splits: Folder of lists of stems: `train.txt`, `val.txt`, `test.txt`. By default `splits/` or
            `ImageSets/Main/` below `folder`; without one, everything is `train`.

    Raises:
        DataError: A folder, file or field is missing or wrong; the message names it.
    """
    annotations = _first_folder(folder, ("annotations", "Annotations"))
    images = _first_folder(folder, ("images", "JPEGImages"))
    by_stem = {file.stem: file for file in sorted(images.iterdir()) if file.suffix[1:].lower() in IMAGE_SUFFIXES}
    lists = _split_lists(folder, splits, sorted(by_stem))
    objects = {stem: read_annotation(annotations / f"{stem}.xml") for stems in lists.values() for stem in stems}
    names = _names(folder, objects)
    ids = {name: cls for cls, name in names.items()}
    rows = [
        (index, _class_id(item.name, ids, annotations / f"{stem}.xml"), item.box)
        for index, stem in enumerate(stem for stems in lists.values() for stem in stems)
        for item in objects[stem]
    ]
    return InstanceTable(
        names=names,
        samples=one_sample_a_class(names),
        splits=tuple(lists),
        images=tuple(_image_of(stem, by_stem, images) for stems in lists.values() for stem in stems),
        image_split=np.repeat(np.arange(len(lists)), [len(stems) for stems in lists.values()]),
        image=np.array([row[0] for row in rows], dtype=np.int64),
        cls=np.array([row[1] for row in rows], dtype=np.int64),
        boxes=np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
        lines=np.zeros(len(rows), dtype=np.int64),
        rows_written=len(rows),
    )


def read_annotation(file: Path) -> list[VocObject]:
    """Read one annotation.

    Raises:
        DataError: The file is missing, declares entities, is no XML, or a field is missing or not a number.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{file}: no such annotation.") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError(f"{file}: declares a document type or entities, which annotations do not need; refused.")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - entities were refused above
    except ElementTree.ParseError as error:
        raise DataError(f"{file}: not readable as XML: {error}") from error
    width, height = (_number(root, f"size/{side}", file) for side in ("width", "height"))
    if width <= 0 or height <= 0:
        raise DataError(f"{file}: size: {width:g} x {height:g}, expected the image's size in pixels.")
    return [_read_object(node, number, width, height, file) for number, node in enumerate(root.iter("object"), 1)]


def _read_object(node: ElementTree.Element, number: int, width: float, height: float, file: Path) -> VocObject:
    name = (node.findtext("name") or "").strip()
    where = f"object {number}"
    if not name:
        raise DataError(f"{file}: {where}: name is missing.")
    left, top, right, bottom = (_number(node, f"bndbox/{edge}", file, where) for edge in EDGES)
    if right <= left or bottom <= top:
        raise DataError(f"{file}: {where} ({name}): box {left:g} {top:g} {right:g} {bottom:g} has no area.")
    return VocObject(
        name,
        ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height),
    )


def _number(node: ElementTree.Element, path: str, file: Path, where: str = "") -> float:
    text = node.findtext(path)
    label = f"{where}: {path}" if where else path
    if text is None:
        raise DataError(f"{file}: {label} is missing.")
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{file}: {label}: {text!r} is not a number.") from None


def _first_folder(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_dir():
            return folder / name
    raise DataError(f"{folder}: no folder {' or '.join(names)}; expected a Pascal VOC set.")


def _split_lists(folder: Path, splits: Path | None, stems: list[str]) -> dict[str, list[str]]:
    candidates = [splits] if splits else [folder / "splits", folder / "ImageSets" / "Main"]
    chosen = next((c for c in candidates if c.is_dir()), None)
    if splits and chosen is None:
        raise DataError(f"{splits}: no such folder of split lists.")
    lists = {s: chosen / f"{s}.txt" for s in SPLITS if (chosen / f"{s}.txt").is_file()} if chosen else {}
    if chosen and not lists:
        raise DataError(f"{chosen}: no train.txt, val.txt or test.txt.")
    return {split: file.read_text(encoding="utf-8-sig").split() for split, file in lists.items()} or {"train": stems}


def _names(folder: Path, objects: dict[str, list[VocObject]]) -> dict[int, str]:
    file = folder / "classes.txt"
    if file.is_file():
        listed = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        return dict(enumerate(listed))
    return dict(enumerate(sorted({item.name for items in objects.values() for item in items})))


def _class_id(name: str, ids: dict[str, int], file: Path) -> int:
    if name not in ids:
        raise DataError(f"{file}: unknown class {name!r}.{did_you_mean(name, ids)} classes.txt lists: {', '.join(ids)}.")
    return ids[name]


def _image_of(stem: str, by_stem: dict[str, Path], images: Path) -> Path:
    if stem not in by_stem:
        raise DataError(f"{images}: no image {stem}, which a split list names.{did_you_mean(stem, by_stem)}")
    return by_stem[stem]
