"""A data set of another format to a YOLO set that Ultralytics trains on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from tqdm import tqdm

from lwyolo.data.folder import new_folder
from lwyolo.data.formats.base import detect_formats, find_format
from lwyolo.data.formats.yolo import format_row
from lwyolo.data.instances import InstanceTable
from lwyolo.data.verdict import judge
from lwyolo.errors import DataError, UsageError

How = Literal["link", "copy"]


def convert(
    source: Path, out: Path, *, source_format: str = "voc", splits: Path | None = None, images: How = "link"
) -> Path:
    """Write a data set as a YOLO set: `images/<split>`, `labels/<split>`, `data.yaml`.

    Args:
        source: The set to read; it is not changed.
        out: The folder to write; it must not exist, or be empty.
        source_format: A registered format: `voc` or `yolo`.
        splits: For VOC, the folder of split lists.
        images: Link to the images, or copy them. Where the system refuses links, they are copied.

    Returns:
        The data YAML.

    Raises:
        UnknownNameError: There is no such format.
        UsageError: `source` is of another format, or `out` is not empty.
        DataError: The set cannot be read, or cannot be written so that Ultralytics trains on all of it.
    """
    chosen, looks_like = find_format(source_format), detect_formats(source)
    if looks_like and source_format not in looks_like:
        raise UsageError(
            f"{source}: not a {source_format} set. It looks like {' or '.join(looks_like)}; read it as that."
        )
    return write_yolo(chosen.read(source, splits), out, images=images)


def write_yolo(table: InstanceTable, out: Path, *, images: How = "link") -> Path:
    """Write an instance table as a YOLO set, whole or not at all.

    Raises:
        UsageError: `out` is not empty.
        DataError: Two images of a split have one name, a split that Ultralytics needs is not there, or it would drop
            an image: a set that is written is one that is trained on whole.
    """
    if not {"train", "val"} <= set(table.splits):
        raise DataError(
            f"{out}: Ultralytics needs train and val, the set has {' and '.join(table.splits)}; give split lists."
        )
    if table.problems:
        raise DataError(f"{len(table.problems)} images would be dropped in training; the first: {table.problems[0]}")
    with new_folder(out) as folder:
        _write_images_and_labels(table, folder, images)
        (folder / "data.yaml").write_text(data_yaml(table), encoding="utf-8")
    return out / "data.yaml"


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


def _write_images_and_labels(table: InstanceTable, folder: Path, images: How) -> None:
    order = np.argsort(table.image, kind="stable")
    starts = np.searchsorted(table.image[order], np.arange(len(table.images) + 1))
    for kind in ("images", "labels"):
        for split in table.splits:
            (folder / kind / split).mkdir(parents=True)
    for index, image in enumerate(tqdm(table.images, desc="Writing", unit="img", delay=1, leave=False)):
        split = table.splits[table.image_split[index]]
        label = folder / "labels" / split / f"{image.stem}.txt"
        if label.exists():
            raise DataError(f"{image}: another image of {split} has this name; rename one of them.")
        rows = order[starts[index] : starts[index + 1]]
        text = "".join(format_row(int(table.cls[row]), table.boxes[row]) for row in rows)
        reason = judge(text.encode(), len(table.names)).reason
        if reason:
            raise DataError(f"{table.sources[index]}: Ultralytics would drop this image: {reason}.")
        label.write_text(text, encoding="utf-8")
        _place(image, folder / "images" / split / image.name, images)


def _place(image: Path, target: Path, how: How) -> None:
    if how == "link":
        try:
            target.symlink_to(image.resolve())
        except OSError:  # Windows without the privilege, or a file system without links
            how = "copy"
    if how == "copy":
        shutil.copyfile(image, target)
