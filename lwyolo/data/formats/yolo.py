"""The YOLO format: a text file an image, a row an instance: `class x y width height`, normalised."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lwyolo.data.index import DataConfig, image_files, label_file, read_data_yaml
from lwyolo.data.instances import InstanceTable, Problem
from lwyolo.data.verdict import Verdict, judge


def read_yolo(data_yaml: Path) -> InstanceTable:
    """Read a YOLO set through its data YAML, with what Ultralytics will train on.

    Raises:
        DataError: The YAML is not usable, or images are missing.
    """
    return read_config(read_data_yaml(data_yaml))


def read_config(config: DataConfig) -> InstanceTable:
    """Read the label files of all splits of a data YAML."""
    images: list[Path] = []
    image_split: list[int] = []
    verdicts: list[Verdict] = []
    for index, split in enumerate(config.sources):
        found = image_files(config, split)
        images += found
        image_split += [index] * len(found)
        verdicts += [_judge_file(label_file(image), len(config.names)) for image in found]
    sizes = [len(verdict.rows) for verdict in verdicts]
    rows = np.concatenate([v.rows for v in verdicts]).astype(np.float64) if verdicts else np.zeros((0, 5))
    return InstanceTable(
        names=config.names,
        samples=config.samples,
        splits=tuple(config.sources),
        images=tuple(images),
        image_split=np.array(image_split, dtype=np.int64),
        image=np.repeat(np.arange(len(images)), sizes),
        cls=rows[:, 0].astype(np.int64),
        boxes=rows[:, 1:],
        lines=np.concatenate([v.lines for v in verdicts]) if verdicts else np.zeros(0, np.int64),
        rows_written=sum(verdict.written for verdict in verdicts),
        problems=tuple(
            Problem(str(label_file(image)), verdict.reason)
            for image, verdict in zip(images, verdicts, strict=True)
            if verdict.reason
        ),
    )


def _judge_file(label: Path, nc: int) -> Verdict:
    try:
        content = label.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        content = b""
    return judge(content, nc)


def format_row(cls: int, box: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    """Write one row, with six decimals: a tenth of a pixel in an image of 100,000."""
    return f"{cls} " + " ".join(f"{value:.6f}" for value in box)
