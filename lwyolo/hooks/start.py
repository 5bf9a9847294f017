"""The beginning of a run: what was asked for, by which code, on which machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from lwyolo import provenance, record
from lwyolo.errors import RecordError
from lwyolo.hook import Hook, register_hook
from lwyolo.record import RECORD_NAME, ModelRecord, RunRecord
from lwyolo.registry import MODULES


@register_hook
class StartHook(Hook):
    """Fills arguments, provenance and the model, and writes the record before the first batch."""

    def on_pretrain_routine_start(self, trainer: Any) -> None:
        """Open the record; a resumed run goes on with the record that it left."""
        left = _left_record(trainer.save_dir / RECORD_NAME) if trainer.args.resume else None
        if left is not None:
            left.resumed_at += (record.now(),)
            trainer.record = left
        run = trainer.record
        run.state, run.error, run.finished_at = "running", None, None
        run.name = trainer.save_dir.name
        run.process = record.this_process()
        run.started_at = run.started_at or record.now()
        run.arguments = dict(vars(trainer.args))
        run.provenance = provenance.collect(sys.argv)
        trainer.write_record()

    def on_pretrain_routine_end(self, trainer: Any) -> None:
        """Describe the model, once it is built, and the arguments as Ultralytics settled them: the batch, the size."""
        model = trainer.ema.ema
        kinds = {type(module) for module in model.modules()}
        trainer.record.arguments = dict(vars(trainer.args))
        trainer.record.model = ModelRecord(
            name=str(model.yaml.get("yaml_file") or trainer.args.model),
            task=str(trainer.args.task),
            scale=model.yaml.get("scale") or None,
            yaml=dict(model.yaml),
            modules={spec.name: str(spec.paper) for spec in MODULES.values() if spec.cls in kinds},
        )
        trainer.write_record()


def _left_record(file: Path) -> RunRecord | None:
    """Return the record that an earlier process left; one that cannot be read is kept under another name."""
    if not file.is_file():
        return None
    try:
        return record.read(file)
    except RecordError as error:
        aside = file.with_suffix(".unread.json")
        file.replace(aside)
        LOGGER.warning(f"lwyolo: the record starts anew, the old one is kept as {aside.name}: {error}")
        return None
