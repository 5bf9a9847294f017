"""COCO JSON: `annotations/instances_<split>.json` and `images/<split>`; boxes in pixels as `left, top, width, height`.

Category ids are the class ids, counted from 0 and listed with their names, so that names may repeat. Image and
annotation ids count from 1 over all splits. See https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from lwyolo.data.instances import InstanceTable
from lwyolo.data.selection import rows_by_image
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

DECIMALS = 3
"""Of a pixel: a thousandth is less than what six decimals of a label file keep in an image of 1,000."""


def check_coco(table: InstanceTable) -> list[str]:
    """Say what COCO JSON cannot hold.

    Raises:
        DataError: Two images of a split have one name, or the size of an image is unknown.
    """
    refuse_same_names(table, lambda image: image.name)
    require_sizes(table)
    return [*sample_notes(table, "COCO JSON"), *area_notes(_edges(table))]


@data_writer("coco", check=check_coco)
def write_coco_set(table: InstanceTable, folder: Path, images: How) -> Path:
    """Write a COCO set."""
    for name in ("annotations", *(f"images/{split}" for split in table.splits)):
        (folder / name).mkdir(parents=True)
    sizes = require_sizes(table)
    for number, split in enumerate(table.splits):
        of_split = np.flatnonzero(table.image_split == number)
        # one item at a time: a million annotations need not be in memory at once
        with (folder / "annotations" / f"instances_{split}.json").open("w", encoding="utf-8") as file:
            file.write('{"info": {"description": "written by lwyolo"}, "licenses": []')
            _write_list(file, "categories", _categories(table))
            _write_list(file, "images", _images(table, of_split, sizes))
            _write_list(file, "annotations", _annotations(table, of_split))
            file.write("}\n")
    for index, image, _ in each_image(table, "Placing images"):
        place(image, folder / "images" / table.splits[table.image_split[index]] / image.name, images)
    write_samples(table, folder)
    return Path()


def _write_list(file: TextIO, key: str, items: Iterable[dict[str, Any]]) -> None:
    file.write(f',\n"{key}": [')
    for number, item in enumerate(items):
        file.write(f"{',' if number else ''}\n{json.dumps(item)}")
    file.write("]")


def _categories(table: InstanceTable) -> Iterator[dict[str, Any]]:
    for cls, name in table.names.items():
        yield {"id": cls, "name": name, "supercategory": "none"}


def _images(table: InstanceTable, of_split: NDArray[np.int64], sizes: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    for index in of_split.tolist():
        width, height = sizes[index].tolist()
        yield {"id": index + 1, "file_name": table.images[index].name, "width": width, "height": height}


def _annotations(table: InstanceTable, of_split: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    order, starts = rows_by_image(table)
    edges = _edges(table)
    kept = has_area(edges)
    for index in of_split.tolist():
        for row in order[starts[index] : starts[index + 1]].tolist():
            if not kept[row]:
                continue
            left, top, right, bottom = edges[row].tolist()
            width, height = right - left, bottom - top
            yield {
                "id": row + 1,
                "image_id": index + 1,
                "category_id": int(table.cls[row]),
                "bbox": [round(value, DECIMALS) for value in (left, top, width, height)],
                "area": round(width * height, DECIMALS),
                "iscrowd": 0,
                "segmentation": [],
            }


def _edges(table: InstanceTable) -> NDArray[np.float64]:
    """Return [N, 4] left, top, right and bottom in pixels, as they are written."""
    edges: NDArray[np.float64] = table.pixel_boxes().round(DECIMALS) + 0.0  # + 0.0: no minus sign before a zero
    return edges
