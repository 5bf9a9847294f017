"""The YOLO format: a text file an image, a row an instance: `class x y width height`, normalised."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lwyolo.data.files import Files
from lwyolo.data.formats._yolo_folder import config_of, is_yolo_folder
from lwyolo.data.formats.base import data_format
from lwyolo.data.index import DataConfig, label_files, list_images, read_data_yaml
from lwyolo.data.instances import InstanceTable, Problem
from lwyolo.data.labels import Labels, read_labels
from lwyolo.errors import UsageError


def _is_yolo(path: Path) -> bool:
    return (path.suffix.lower() in (".yaml", ".yml") and path.is_file()) or is_yolo_folder(path)


@data_format("yolo", detects=_is_yolo)
def read_yolo(path: Path, splits: Path | None = None) -> InstanceTable:
    """Read a YOLO set through its data YAML, or a folder as it lies, with what Ultralytics will train on.

    Raises:
        DataError: The YAML is not usable, or images are missing.
        UsageError: `splits` is given: a data YAML names its own.
    """
    if splits is not None:
        raise UsageError(f"{splits}: a YOLO set has its splits in its data YAML; split lists are not taken.")
    return read_config(*yolo_config(path))


def yolo_config(path: Path) -> tuple[DataConfig, tuple[str, ...]]:
    """Return a data YAML as it is resolved, or what one of a folder would say, with remarks.

    Raises:
        DataError: The YAML is not usable, or the folder holds no YOLO set.
        UsageError: The folder has several data YAMLs.
    """
    return config_of(path) if path.is_dir() else (read_data_yaml(path), ())


def read_config(config: DataConfig, remarks: tuple[str, ...] = ()) -> InstanceTable:
    """Read the label files of all splits of a data YAML.

    Raises:
        DataError: Images are missing.
    """
    listed = [list_images(config, split) for split in config.sources]
    counts = [len(images) for images, _ in listed]
    starts = np.cumsum([0, *counts])
    images = Files.joined([found for found, _ in listed])
    sources = label_files(images)
    labels = read_labels(sources, len(config.names), config.pose_columns)
    gone = [int(start) + at for start, (_, no_file) in zip(starts, listed, strict=False) for at in no_file]
    problems = {at: Problem(at, sources[at], reason) for at, reason in labels.reasons.items()}
    problems |= {at: Problem(at, images[at], _why_no_image(images[at])) for at in gone}
    keep = ~np.isin(labels.file, gone) if gone else slice(None)
    rows = labels.rows[keep]
    return InstanceTable(
        names=config.names,
        samples=config.samples,
        splits=tuple(config.sources),
        images=images,
        sources=sources,
        image_split=np.repeat(np.arange(len(counts)), counts),
        image=labels.file[keep],
        cls=rows[:, 0].astype(np.int64),
        boxes=rows[:, 1:].astype(np.float64),
        lines=labels.lines[keep],
        rows_written=labels.written,
        problems=tuple(problem for _, problem in sorted(problems.items())),
        remarks=(*remarks, *_reductions(labels)),
    )


def format_row(cls: int, box: Sequence[float]) -> str:
    r"""Write one row, with six decimals: a tenth of a pixel in an image of 100,000.

    Example:
        >>> format_row(2, (0.5, 0.5, 0.25, 1 / 3))
        '2 0.500000 0.500000 0.250000 0.333333\n'
    """
    return f"{cls} " + " ".join(f"{value:.6f}" for value in box) + "\n"


def _why_no_image(path: Path) -> str:
    return "a folder, not an image" if os.path.isdir(path) else "listed, but there is no such image"  # noqa: PTH112


def _reductions(labels: Labels) -> tuple[str, ...]:
    """Say what the detection task makes of rows that are no boxes."""
    remarks = []
    if labels.polygons:
        remarks.append(
            f"polygons (segments or turned boxes) of {labels.polygons} label files are read as boxes around them"
        )
    if labels.poses:
        remarks.append(f"key points of {labels.poses} label files are left out; their boxes are read")
    return tuple(remarks)
