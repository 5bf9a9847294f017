"""The beginning of a run: what was asked for, by which code, on which machine."""

from __future__ import annotations

import os
import sys
from typing import Any

from ultralytics.utils import RANK

from lwyolo import provenance, record
from lwyolo.hook import Hook, register_hook
from lwyolo.record import RECORD_NAME, ModelRecord
from lwyolo.registry import MODULES


@register_hook
class StartHook(Hook):
    """Fills arguments, provenance and the model, and writes the record before the first batch."""

    def on_pretrain_routine_start(self, trainer: Any) -> None:
        """Open the record; a resumed run goes on with the record that it left."""
        if RANK not in {-1, 0}:
            return
        left = trainer.save_dir / RECORD_NAME
        if trainer.args.resume and left.is_file():
            transfer = trainer.record.transfer
            trainer.record = record.read(left)
            trainer.record.transfer = trainer.record.transfer or transfer
            trainer.record.resumed_at += (record.now(),)
        run = trainer.record
        run.state, run.error, run.finished_at = "running", None, None
        run.name = trainer.save_dir.name
        run.process = (os.getpid(), record.process_started(os.getpid()) or 0.0)
        run.started_at = run.started_at or record.now()
        run.arguments = {key: value for key, value in vars(trainer.args).items()}
        run.provenance = provenance.collect(sys.argv)
        trainer.write_record()

    def on_pretrain_routine_end(self, trainer: Any) -> None:
        """Describe the model, once it is built."""
        if RANK not in {-1, 0}:
            return
        model = trainer.ema.ema
        kinds = {type(module) for module in model.modules()}
        yaml = dict(model.yaml)
        trainer.record.model = ModelRecord(
            name=str(yaml.get("yaml_file") or trainer.args.model),
            task=str(trainer.args.task),
            scale=yaml.get("scale") or None,
            yaml=yaml,
            modules={spec.name: str(spec.paper) for spec in MODULES.values() if spec.cls in kinds},
        )
        trainer.write_record()
