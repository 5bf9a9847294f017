"""The report of a finished run, written from its record alone."""

from __future__ import annotations

from typing import Any

from ultralytics.utils import LOGGER

from lwyolo.hook import Hook, register_hook
from lwyolo.reports.run import write_report


@register_hook
class ReportHook(Hook):
    """Writes report.md when the record is closed; it runs after `MetricsHook`, in the order of the names."""

    def on_train_end(self, trainer: Any) -> None:
        """Write the report and say where it lies."""
        LOGGER.info(f"Report: {write_report(trainer.record, trainer.save_dir)}")
