"""A data set of another format to a YOLO set that Ultralytics trains on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from tqdm import tqdm

from lwyolo.data.formats.voc import read_voc
from lwyolo.data.formats.yolo import format_row, read_yolo
from lwyolo.data.instances import InstanceTable
from lwyolo.errors import DataError, UsageError, did_you_mean

READERS: dict[str, Callable[[Path], InstanceTable]] = {"voc": read_voc, "yolo": read_yolo}
How = Literal["link", "copy"]


def convert(source: Path, out: Path, *, source_format: str = "voc", splits: Path | None = None, images: How = "link") -> Path:
    """Write a data set as a YOLO set: `images/<split>`, `labels/<split>`, `data.yaml`.

    Args:
        source: The set to read; it is not changed.
        out: The folder to write; it must not exist, or be empty.
        source_format: A key of `READERS`.
        splits: For VOC, the folder of split lists.
        images: Link to the images, or copy them. Where the system refuses links, they are copied.

    Returns:
        The data YAML.

    Raises:
        UsageError: The format is unknown, or `out` is not empty.
        DataError: The set cannot be read, or two images of a split have one name.
    """
    if source_format not in READERS:
        raise UsageError(f"unknown format {source_format!r}.{did_you_mean(source_format, READERS)} Formats: {', '.join(READERS)}.")
    table = read_voc(source, splits) if source_format == "voc" else READERS[source_format](source)
    return write_yolo(table, out, images=images)


def write_yolo(table: InstanceTable, out: Path, *, images: How = "link") -> Path:
    """Write an instance table as a YOLO set, whole or not at all: to a temporary folder beside `out`, then renamed."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: exists and is not empty; choose another folder.")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        _write_images_and_labels(table, temporary, images)
        (temporary / "data.yaml").write_text(data_yaml(table), encoding="utf-8")
        temporary.chmod(0o755)
        if out.exists():
            out.rmdir()
        temporary.rename(out)
    except BaseException:
        shutil.rmtree(temporary)
        raise
    return out / "data.yaml"


def data_yaml(table: InstanceTable) -> str:
    """Return the text of the data YAML of a written set, with paths relative to it."""
    content = {
        **{split: f"images/{split}" for split in table.splits},
        **({} if "val" in table.splits else {"val": f"images/{table.splits[0]}"}),
        "names": table.names,
        "samples": {name: list(classes) for name, classes in table.samples.items()},
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _write_images_and_labels(table: InstanceTable, folder: Path, images: How) -> None:
    order = np.argsort(table.image, kind="stable")
    starts = np.searchsorted(table.image[order], np.arange(len(table.images) + 1))
    for split in table.splits:
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
    for index, image in enumerate(tqdm(table.images, desc="Writing", unit="img", delay=1, leave=False)):
        split = table.splits[table.image_split[index]]
        target = folder / "images" / split / image.name
        if target.exists() or target.is_symlink():
            raise DataError(f"{image}: another image of {split} has this name; rename one of them.")
        _place(image, target, images)
        rows = order[starts[index] : starts[index + 1]]
        text = "".join(format_row(int(table.cls[row]), table.boxes[row]) + "\n" for row in rows)
        (folder / "labels" / split / f"{image.stem}.txt").write_text(text, encoding="utf-8")


def _place(image: Path, target: Path, how: How) -> None:
    if how == "link":
        try:
            target.symlink_to(os.path.realpath(image))
        except OSError:
            how = "copy"
    if how == "copy":
        shutil.copyfile(image, target)
