"""A data set in the numbers that a run's record keeps."""

from __future__ import annotations

from pathlib import Path

from lwyolo.data.fingerprint import table_fingerprint
from lwyolo.data.formats.base import read
from lwyolo.data.instances import class_counts, sample_counts, split_counts
from lwyolo.record import DataRecord


def describe(data: Path) -> DataRecord:
    """Count what a data set of any format holds; see `formats.base.read`.

    Raises:
        DataError: The set cannot be read, or images are missing.
        UsageError: The path looks like several formats.
    """
    table = read(data)
    return DataRecord(
        yaml=str(data),
        fingerprint=table_fingerprint(table),
        names=table.names,
        classes=class_counts(table),
        samples=sample_counts(table),
        splits=split_counts(table),
        rows_written=table.rows_written,
        instances_trained=len(table),
        problems=tuple(str(problem) for problem in table.problems),
    )
