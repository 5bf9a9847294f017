"""A data set in the numbers that a run's record keeps."""

from __future__ import annotations

from pathlib import Path

from lwyolo.data.fingerprint import fingerprint
from lwyolo.data.formats.yolo import read_config
from lwyolo.data.index import read_data_yaml
from lwyolo.data.instances import class_counts, sample_counts, split_counts
from lwyolo.record import DataRecord


def describe(data_yaml: Path) -> DataRecord:
    """Count what a data YAML holds.

    Raises:
        DataError: The YAML is not usable, or images are missing.
    """
    config = read_data_yaml(data_yaml)
    table = read_config(config)
    return DataRecord(
        yaml=str(data_yaml),
        fingerprint=fingerprint(config),
        names=table.names,
        classes=class_counts(table),
        samples=sample_counts(table),
        splits=split_counts(table),
        rows_written=table.rows_written,
        instances_trained=len(table),
        problems=tuple(str(problem) for problem in table.problems),
    )
