"""Our scalars on their way to Ultralytics' loggers: TensorBoard, MLflow, Weights & Biases and the others."""

from __future__ import annotations

import math
from typing import Any

from lwyolo.hook import Hook, register_hook


@register_hook
class ScalarsHook(Hook):
    """Adds cost, latency and AP of each class to the metrics that every logger sends."""

    def on_train_epoch_end(self, trainer: Any) -> None:
        """Take ours out again: without a validation Ultralytics writes the last metrics into results.csv once more."""
        ours = trainer.extra_scalars()
        trainer.metrics = {name: value for name, value in trainer.metrics.items() if name not in ours}

    def on_fit_epoch_end(self, trainer: Any) -> None:
        """Add what is known; a class without ground truth has no AP and is left out."""
        ours = trainer.extra_scalars()
        trainer.metrics.update({name: value for name, value in ours.items() if math.isfinite(value)})
