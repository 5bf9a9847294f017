"""The Pascal VOC format: an XML file an image, boxes in pixels as `xmin ymin xmax ymax`.

Boxes are taken as they are written: edges in pixels from the upper left corner of the image. The original VOC counts
pixels from 1; the tools that write VOC today (labelImg among them) count edges from 0, and so does this reader.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lwyolo.data.files import Files
from lwyolo.data.formats.base import data_format
from lwyolo.data.index import IMAGE_SUFFIXES
from lwyolo.data.instances import SPLITS, Box, InstanceTable, one_sample_a_class
from lwyolo.errors import DataError, did_you_mean

ANNOTATIONS = ("annotations", "Annotations")
IMAGES = ("images", "JPEGImages")
EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class VocObject:
    """One `<object>`: its class name and its box."""

    name: str
    box: Box


def _is_voc(path: Path) -> bool:
    annotations = next((path / name for name in ANNOTATIONS if (path / name).is_dir()), None)
    if annotations is None or not any((path / name).is_dir() for name in IMAGES):
        return False
    return any(file.suffix == ".xml" for file in annotations.iterdir())  # COCO keeps its JSON in such a folder


@data_format("voc", detects=_is_voc)
def read_voc(path: Path, splits: Path | None = None) -> InstanceTable:
    """Read a VOC folder.

    Args:
        path: Holds `annotations/` (or `Annotations/`) and `images/` (or `JPEGImages/`), and may hold `classes.txt`.
        splits: Folder of lists of stems: `train.txt`, `val.txt`, `test.txt`. By default `splits/` or
            `ImageSets/Main/` below `path`; without one, everything is `train`.

    Raises:
        DataError: A folder, file or field is missing or wrong; the message names it.
    """
    annotations, folder = _first_folder(path, ANNOTATIONS), _first_folder(path, IMAGES)
    by_stem = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix[1:].lower() in IMAGE_SUFFIXES}
    if not by_stem:
        raise DataError(f"{folder}: no images; expected files such as .jpg or .png.")
    lists = _split_lists(path, splits, sorted(by_stem))
    images = [_image_of(stem, by_stem, folder) for stems in lists.values() for stem in stems]
    sources = [annotations / f"{image.stem}.xml" for image in images]
    pairs = tqdm(list(zip(sources, images, strict=True)), desc="Reading", unit="file", delay=1, leave=False)
    read = [_read(source, image) for source, image in pairs]
    objects = [items for _, items in read]
    names = _names(path, objects)
    ids = {name: cls for cls, name in names.items()}
    cls = [_class_id(item.name, ids, source) for source, items in zip(sources, objects, strict=True) for item in items]
    return InstanceTable(
        names=names,
        samples=one_sample_a_class(names),
        splits=tuple(lists),
        images=Files.of(images),
        sources=Files.of(sources),
        image_split=np.repeat(np.arange(len(lists)), [len(stems) for stems in lists.values()]),
        image=np.repeat(np.arange(len(images)), [len(items) for items in objects]),
        cls=np.array(cls, dtype=np.int64),
        boxes=np.array([item.box for items in objects for item in items], dtype=np.float64).reshape(-1, 4),
        lines=np.zeros(len(cls), dtype=np.int64),
        rows_written=len(cls),
        sizes=np.array([size for size, _ in read], dtype=np.float64).reshape(-1, 2).astype(np.int64),
    )


def read_annotation(file: Path, image: Path) -> list[VocObject]:
    """Read one annotation.

    Args:
        file: The XML file.
        image: Its image, which is opened where the annotation does not say the size.

    Raises:
        DataError: The file is missing, declares entities, is no XML, or a field is missing or not a number.
    """
    return _read(file, image)[1]


def _read(file: Path, image: Path) -> tuple[tuple[float, float], list[VocObject]]:
    """Return the size in pixels and the objects of an annotation."""
    try:
        root = ET.fromstring(file.read_bytes(), ET.XMLParser(target=_NoDoctype()))  # noqa: S314 - refuses entities
    except FileNotFoundError:
        raise DataError(f"{file}: no such annotation.") from None
    except _DoctypeError:
        raise DataError(
            f"{file}: declares a document type or entities, which annotations do not need; refused."
        ) from None
    except (ET.ParseError, LookupError, ValueError) as error:  # the latter two: an encoding that is not there
        raise DataError(f"{file}: not readable as XML: {error}") from error
    width, height = _size(root, file, image)
    nodes = enumerate(root.findall("object"), 1)
    return (width, height), [_read_object(node, number, width, height, file) for number, node in nodes]


class _DoctypeError(Exception):
    """A document type was met."""


class _NoDoctype(ET.TreeBuilder):
    """Stops at a document type, in whatever encoding: entities cannot be declared without one."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise _DoctypeError


def _size(root: ET.Element, file: Path, image: Path) -> tuple[float, float]:
    """Return width and height in pixels: as annotated, or, where that is missing or 0, of the image as it is loaded.

    Not by PIL: Ultralytics replaces `PIL.Image.open`, and its version may install a package when a file is no image.
    """
    if root.find("size") is not None:
        width, height = (_number(root, f"size/{side}", file) for side in ("width", "height"))
        if width > 0 and height > 0:
            return width, height
    import cv2

    content = np.fromfile(image, dtype=np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if picture is None:
        raise DataError(f"{file}: size: missing or 0, and {image} is no readable image.")
    return float(picture.shape[1]), float(picture.shape[0])


def _read_object(node: ET.Element, number: int, width: float, height: float, file: Path) -> VocObject:
    name = (node.findtext("name") or "").strip()
    where = f"object {number}"
    if not name:
        raise DataError(f"{file}: {where}: name is missing.")
    left, top, right, bottom = (_number(node, f"bndbox/{edge}", file, f"{where}: ") for edge in EDGES)
    if not (right > left and bottom > top):
        raise DataError(f"{file}: {where} ({name}): box {left:g} {top:g} {right:g} {bottom:g} has no area.")
    return VocObject(
        name,
        ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height),
    )


def _number(node: ET.Element, path: str, file: Path, where: str = "") -> float:
    text = node.findtext(path)
    if text is None:
        raise DataError(f"{file}: {where}{path} is missing.")
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{file}: {where}{path}: {text!r} is not a number.") from None


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
    if chosen is None:
        return {"train": stems}
    files = {split: chosen / f"{split}.txt" for split in SPLITS}
    lists = {split: _stems(file) for split, file in files.items() if file.is_file()}
    if not any(lists.values()):
        raise DataError(f"{chosen}: no train.txt, val.txt or test.txt with a stem in it.")
    return {split: listed for split, listed in lists.items() if listed}


def _stems(file: Path) -> list[str]:
    return [line.strip() for line in _text(file).splitlines() if line.strip()]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8: byte {error.start}.") from None


def _names(folder: Path, objects: list[list[VocObject]]) -> dict[int, str]:
    file = folder / "classes.txt"
    listed = _stems(file) if file.is_file() else sorted({item.name for items in objects for item in items})
    if not listed:
        raise DataError(f"{file if file.is_file() else folder}: no class; expected a name a line, or a named object.")
    return dict(enumerate(listed))


def _class_id(name: str, ids: dict[str, int], file: Path) -> int:
    if name not in ids:
        known = ", ".join(ids)
        raise DataError(f"{file}: unknown class {name!r}.{did_you_mean(name, ids)} classes.txt lists: {known}.")
    return ids[name]


def _image_of(stem: str, by_stem: dict[str, Path], images: Path) -> Path:
    if stem not in by_stem:
        raise DataError(f"{images}: no image {stem}, which a split list names.{did_you_mean(stem, by_stem)}")
    return by_stem[stem]
