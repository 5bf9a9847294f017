"""The YOLO format: a text file an image, a row an instance: `class x y width height`, normalised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lwyolo.data.formats.base import data_format
from lwyolo.data.index import DataConfig, image_files, label_file, read_data_yaml
from lwyolo.data.instances import InstanceTable, Problem
from lwyolo.data.verdict import Verdict, dropped, judge
from lwyolo.errors import UsageError


def _is_data_yaml(path: Path) -> bool:
    return path.suffix.lower() in (".yaml", ".yml") and path.is_file()


@data_format("yolo", detects=_is_data_yaml)
def read_yolo(path: Path, splits: Path | None = None) -> InstanceTable:
    """Read a YOLO set through its data YAML, with what Ultralytics will train on.

    Raises:
        DataError: The YAML is not usable, or images are missing.
        UsageError: `splits` is given: a data YAML names its own.
    """
    if splits is not None:
        raise UsageError(f"{splits}: a YOLO set has its splits in its data YAML; split lists are not taken.")
    return read_config(read_data_yaml(path))


def read_config(config: DataConfig) -> InstanceTable:
    """Read the label files of all splits of a data YAML.

    Raises:
        DataError: Images are missing.
    """
    found = [image_files(config, split) for split in config.sources]
    images = [image for of_split in found for image in of_split]
    labels = [label_file(image) for image in images]
    verdicts = [_judge_file(label, len(config.names)) for label in labels]
    problems = {index: Problem(index, labels[index], v.reason) for index, v in enumerate(verdicts) if v.reason}
    for index, image in enumerate(images):
        if not image.is_file():  # a line of a list; a folder's images are there
            problems[index] = Problem(index, image, "listed, but there is no such image")
            verdicts[index] = dropped(problems[index].reason, verdicts[index].written)
    rows = np.concatenate([np.zeros((0, 5)), *(verdict.rows for verdict in verdicts)])
    return InstanceTable(
        names=config.names,
        samples=config.samples,
        splits=tuple(config.sources),
        images=tuple(images),
        sources=tuple(labels),
        image_split=np.repeat(np.arange(len(found)), [len(of_split) for of_split in found]),
        image=np.repeat(np.arange(len(images)), [len(verdict.rows) for verdict in verdicts]),
        cls=rows[:, 0].astype(np.int64),
        boxes=rows[:, 1:],
        lines=np.concatenate([np.zeros(0, np.int64), *(verdict.lines for verdict in verdicts)]),
        rows_written=sum(verdict.written for verdict in verdicts),
        problems=tuple(problem for _, problem in sorted(problems.items())),
    )


def format_row(cls: int, box: Sequence[float]) -> str:
    r"""Write one row, with six decimals: a tenth of a pixel in an image of 100,000.

    Example:
        >>> format_row(2, (0.5, 0.5, 0.25, 1 / 3))
        '2 0.500000 0.500000 0.250000 0.333333\n'
    """
    return f"{cls} " + " ".join(f"{value:.6f}" for value in box) + "\n"


def _judge_file(label: Path, nc: int) -> Verdict:
    try:
        content = label.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        content = b""  # no label file: trained on as background
    except OSError as error:
        return dropped(f"not readable: {error.strerror}")
    return judge(content, nc)
