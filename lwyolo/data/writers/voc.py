"""Pascal VOC: `Annotations/`, `JPEGImages/`, `ImageSets/Main/<split>.txt`, and `classes.txt` with a name a line.

Edges are pixels from 0, the upper left corner, as labelImg writes them and as our reader takes them; the original VOC
counts from 1. They keep two decimals where they are not whole: labelImg and MMDetection read them, and cut them off.

A class is named, not numbered. Names that repeat are told apart by their id, as `defect (4)`; `classes.txt` holds the
names in the order of the ids, so that reading restores the ids, and `class_names.csv` says which name was which.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from lwyolo.data.instances import InstanceTable
from lwyolo.data.writers.base import (
    How,
    area_notes,
    data_writer,
    each_image,
    has_area,
    place,
    refuse_same_names,
    require_sizes,
    sample_notes,
    write_samples,
)
from lwyolo.errors import DataError

DECIMALS = 2
NAMES_FILE = "class_names.csv"
PAGE = """<annotation>
  <folder>JPEGImages</folder>
  <filename>{file}</filename>
  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>
  <segmented>0</segmented>
{objects}</annotation>
"""
OBJECT = """  <object>
    <name>{name}</name>
    <difficult>0</difficult>
    <bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox>
  </object>
"""


def check_voc(table: InstanceTable) -> list[str]:
    """Say what a VOC folder cannot hold.

    Raises:
        DataError: Two images have one name, a name cannot stand in a list, or the size of an image is unknown.
    """
    require_sizes(table)
    refuse_same_names(table, lambda image: image.stem)
    _refuse_stems(table)
    notes = [*sample_notes(table, "Pascal VOC"), *area_notes(_edges(table))]
    renamed = [f"{cls} {name!r}" for cls, name in written_names(table.names).items() if name != table.names[cls]]
    if renamed:
        notes.append(
            f"Pascal VOC names classes instead of numbering them: {len(renamed)} of {len(table.names)} get another "
            f"name, since theirs repeat or cannot be written: {', '.join(renamed)}. {NAMES_FILE} lists them."
        )
    return notes


@data_writer("voc", check=check_voc)
def write_voc_set(table: InstanceTable, folder: Path, images: How) -> Path:
    """Write a VOC folder. An image that stands in two splits is written once, and named by both lists."""
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    sizes, edges, names = require_sizes(table), _edges(table), written_names(table.names)
    tags = {cls: escape(name) for cls, name in names.items()}
    kept = has_area(edges)
    done: set[str] = set()
    for index, image, rows in each_image(table, "Writing"):
        if image.stem in done:
            continue
        done.add(image.stem)
        boxes = ((tags[int(table.cls[row])], edges[row]) for row in rows if kept[row])
        objects = "".join(OBJECT.format(*map(_decimal, box), name=name) for name, box in boxes)
        width, height = sizes[index].tolist()
        text = PAGE.format(file=escape(image.name), width=width, height=height, objects=objects)
        (folder / "Annotations" / f"{image.stem}.xml").write_text(text, encoding="utf-8")
        place(image, folder / "JPEGImages" / image.name, images)
    for number, split in enumerate(table.splits):
        stems = (table.images[index].stem for index in np.flatnonzero(table.image_split == number).tolist())
        (folder / "ImageSets/Main" / f"{split}.txt").write_text("".join(f"{s}\n" for s in stems), encoding="utf-8")
    _write_names(table, folder, names)
    write_samples(table, folder)
    return Path()


def written_names(names: dict[int, str]) -> dict[int, str]:
    """Return the name under which each class is written: on one line, without what XML forbids, and unique.

    Example:
        >>> written_names({0: "defect", 1: "rust", 2: "defect", 3: "defect (2)"})
        {0: 'defect (0)', 1: 'rust', 2: 'defect (2) (2)', 3: 'defect (2)'}
    """
    plain = {cls: _plain(name) or f"class_{cls}" for cls, name in names.items()}
    count = Counter(plain.values())
    taken = {name for name, times in count.items() if times == 1}
    for cls, name in plain.items():
        if count[name] > 1:
            written = f"{name} ({cls})"
            while written in taken:
                written = f"{written} ({cls})"
            taken.add(written)
            plain[cls] = written
    return plain


def _plain(name: str) -> str:
    """Join the words of a name by single blanks, without the characters that XML cannot hold."""
    return " ".join("".join(c for c in name if c.isprintable() or c.isspace()).split())


def _edges(table: InstanceTable) -> NDArray[np.float64]:
    """Return [N, 4] left, top, right and bottom in pixels, as they are written."""
    edges: NDArray[np.float64] = table.pixel_boxes().round(DECIMALS) + 0.0  # + 0.0: no minus sign before a zero
    return edges


def _decimal(value: float) -> str:
    return f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")


def _refuse_stems(table: InstanceTable) -> None:
    """Refuse names that a list of stems cannot hold, and two images of one stem: all lie in one folder."""
    first: dict[str, Path] = {}
    clashes = []
    for image in table.images:
        listed = image.stem.strip() == image.stem and len(image.stem.splitlines()) == 1
        if not listed or not all(c.isprintable() or c.isspace() for c in image.name):
            raise DataError(f"{image}: this name cannot stand in a list of Pascal VOC; rename it.")
        if first.setdefault(image.stem, image) != image:
            clashes.append(image)
    if clashes:
        other = clashes[0]
        more = f" So have {len(clashes) - 1} more." if len(clashes) > 1 else ""
        raise DataError(
            f"{first[other.stem]} and {other} have one name, and Pascal VOC keeps all images in one folder; rename "
            f"one of them.{more}"
        )


def _write_names(table: InstanceTable, folder: Path, names: dict[int, str]) -> None:
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in names.values()), encoding="utf-8")
    if names != table.names:
        with (folder / NAMES_FILE).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("id", "name", "written"))
            writer.writerows((cls, table.names[cls], name) for cls, name in names.items())
