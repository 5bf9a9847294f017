"""A YOLO set: `images/<split>`, `labels/<split>` with a row a box, and the data YAML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from lwyolo.data.formats.yolo import format_row
from lwyolo.data.instances import InstanceTable
from lwyolo.data.verdict import judge
from lwyolo.data.writers.base import How, data_writer, each_image, place, refuse_same_names
from lwyolo.errors import DataError

DECIMALS = 6


def check_yolo(table: InstanceTable) -> list[str]:
    """Say what a YOLO set cannot hold.

    Raises:
        DataError: A split that Ultralytics needs is not there, or two images of a split share a label file.
    """
    if not {"train", "val"} <= set(table.splits):
        has = " and ".join(table.splits)
        raise DataError(f"Ultralytics needs train and val, the set has {has}; give split lists: --splits DIR.")
    refuse_same_names(table, lambda image: image.stem)
    repeated = count_repeated(table)
    if not repeated:
        return []
    return [f"Boxes that repeat another of their image: {repeated:,}; Ultralytics will train on each once."]


def count_repeated(table: InstanceTable) -> int:
    """Count the boxes that are, in a label file's six decimals, equal to an earlier one of their image and class."""
    rows = np.column_stack([table.image, table.cls, table.boxes.round(DECIMALS)])
    rows = rows[np.lexsort(rows.T)]
    return int((rows[1:] == rows[:-1]).all(axis=1).sum())


@data_writer("yolo", check=check_yolo)
def write_yolo_set(table: InstanceTable, folder: Path, images: How) -> Path:
    """Write a YOLO set.

    Raises:
        DataError: Ultralytics would drop an image for a box; the message names the file that it comes from.
    """
    for kind in ("images", "labels"):
        for split in table.splits:
            (folder / kind / split).mkdir(parents=True)
    for index, image, rows in each_image(table, "Writing"):
        split = table.splits[table.image_split[index]]
        text = "".join(format_row(int(table.cls[row]), table.boxes[row]) for row in rows)
        reason = judge(text.encode(), len(table.names)).reason
        if reason:
            raise DataError(f"{table.sources[index]}: Ultralytics would drop this image: {reason}.")
        (folder / "labels" / split / f"{image.stem}.txt").write_text(text, encoding="utf-8")
        place(image, folder / "images" / split / image.name, images)
    (folder / "data.yaml").write_text(data_yaml(table), encoding="utf-8")
    return Path("data.yaml")


def data_yaml(table: InstanceTable) -> str:
    """Return the text of the data YAML of a written set.

    It has no `path:`: Ultralytics then takes the YAML's own folder, so that the set can be moved.
    """
    content = {
        **{split: f"images/{split}" for split in table.splits},
        "names": table.names,
        "samples": {name: list(classes) for name, classes in table.samples.items()},
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
