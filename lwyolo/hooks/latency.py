"""A first latency figure, on the device of the training."""

from __future__ import annotations

from typing import Any

from lwyolo.hook import Hook, register_hook
from lwyolo.speed.latency import measure_latency


@register_hook
class LatencyHook(Hook):
    """Times one image through a copy of the deployed model before the training starts."""

    def on_pretrain_routine_end(self, trainer: Any) -> None:
        """Measure, or record why it was not measured."""
        trainer.record.latency = measure_latency(
            trainer.ema.ema, int(trainer.args.imgsz), channels=trainer.data.get("channels", 3)
        )
        trainer.write_record()
