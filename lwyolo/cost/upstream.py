"""What Ultralytics itself prints as GFLOPs, for comparison with published tables."""

from __future__ import annotations

from torch import nn


def ultralytics_gflops(model: nn.Module, imgsz: int | tuple[int, int] = 640) -> float | None:
    """Return Ultralytics' figure, `None` where its counter failed.

    It comes from `thop` on small images, extrapolated; batch norms count 8 FLOPs an element until the model is fused,
    functional calls are missed, and an error becomes 0.0, which is not a cost.
    """
    from ultralytics.utils.torch_utils import get_flops

    size = imgsz if isinstance(imgsz, int) else list(imgsz)
    return float(get_flops(model, size)) or None
