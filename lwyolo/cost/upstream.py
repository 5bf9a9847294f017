"""What Ultralytics itself prints as GFLOPs, to stand beside our figure and in published tables."""

from __future__ import annotations

import torch
from torch import nn

from lwyolo.cost.copying import meta_copy
from lwyolo.cost.shapes import ShapeMode


def ultralytics_gflops(model: nn.Module, imgsz: int | tuple[int, int] = 640) -> float | None:
    """Return Ultralytics' figure for a model, in G, or `None` where its counter failed.

    It differs from ours for known reasons: `thop` counts modules and a few functions, and misses other functional
    calls; a batch norm is 8 FLOPs an element until it is folded; and small images are extrapolated. Its 0.0 is an error
    that was swallowed, never a cost: the original `thop`, beside `ultralytics-thop`, gives it for every model.
    """
    from ultralytics.utils.torch_utils import get_flops

    twin = meta_copy(model, torch.float32)
    with torch.inference_mode(), ShapeMode():
        gflops = float(get_flops(twin, imgsz if isinstance(imgsz, int) else list(imgsz)))
    return gflops or None
