"""The data set of the run: instances per class, sample and split, and its fingerprint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from lwyolo.data.summary import describe
from lwyolo.errors import DataError
from lwyolo.hook import Hook, register_hook
from lwyolo.reports.instances import instance_report


@register_hook
class InstancesHook(Hook):
    """Fills and prints the instance table."""

    def on_pretrain_routine_end(self, trainer: Any) -> None:
        """Read the labels; a data set that cannot be read is recorded without counts, and the reason is printed."""
        try:
            trainer.record.data = describe(Path(str(trainer.args.data)))
        except DataError as error:
            LOGGER.warning(f"lwyolo: no instance table in the record: {error}")
            return
        LOGGER.info(f"\n{instance_report(trainer.record.data)}\n")
        trainer.write_record()
