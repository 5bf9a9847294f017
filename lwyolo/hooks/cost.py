"""What the model costs on paper, at the image size and the classes that it is trained with."""

from __future__ import annotations

from typing import Any

from ultralytics.utils import LOGGER

from lwyolo.cost import profile
from lwyolo.cost.upstream import ultralytics_gflops
from lwyolo.errors import CostError
from lwyolo.hook import Hook, register_hook


@register_hook
class CostHook(Hook):
    """Fills the cost of the deployed graph: batch norms folded, unused branches removed."""

    def on_pretrain_routine_end(self, trainer: Any) -> None:
        """Profile a copy; a model that cannot be profiled is recorded without a cost, and the reason is printed."""
        model, imgsz = trainer.ema.ema, int(trainer.args.imgsz)
        try:
            cost = profile(model, imgsz, channels=trainer.data.get("channels", 3), fused=True)
        except CostError as error:
            LOGGER.warning(f"lwyolo: no cost in the record: {error}")
            return
        trainer.record.cost = cost.record(ultralytics_gflops=ultralytics_gflops(model, imgsz))
        trainer.write_record()
