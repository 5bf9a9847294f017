"""Our scalars on their way to Ultralytics' loggers: TensorBoard, MLflow, Weights & Biases and the others."""

from __future__ import annotations

import math
from typing import Any

from ultralytics.utils import RANK

from lwyolo.hook import Hook, register_hook


@register_hook
class ScalarsHook(Hook):
    """Adds cost, latency and AP of each class to the metrics that every logger sends."""

    def on_train_epoch_end(self, trainer: Any) -> None:
        """Take ours out again: without a validation Ultralytics writes the last metrics into results.csv once more."""
        if RANK in {-1, 0}:
            trainer.metrics = {k: v for k, v in trainer.metrics.items() if k not in trainer.extra_scalars()}

    def on_fit_epoch_end(self, trainer: Any) -> None:
        """Add what is known; a class without ground truth has no AP and is left out."""
        if RANK in {-1, 0}:
            trainer.metrics.update({k: v for k, v in trainer.extra_scalars().items() if math.isfinite(v)})
