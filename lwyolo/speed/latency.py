"""Latency of one forward pass in torch, eager: a first figure, on the device where the model is."""

from __future__ import annotations

import copy

import torch
from torch import nn

from lwyolo.record import LatencyRecord
from lwyolo.speed.timer import MIN_PASSES, time_passes


def measure_latency(
    model: nn.Module,
    imgsz: int | tuple[int, int] = 640,
    *,
    batch: int = 1,
    channels: int = 3,
    passes: int = MIN_PASSES,
    budget_s: float = 20.0,
    device: torch.device | str | None = None,
) -> LatencyRecord:
    """Time a copy of a model, fused where it can be; the model and torch's random state stay as they are.

    Args:
        model: Takes an image [B, C, H, W].
        imgsz: Height and width in pixels, or one number for both.
        batch: Images in a pass.
        channels: Channels of the image.
        passes: Timed passes.
        budget_s: Seconds that they may take; a slower model gets no figure, and the reason.
        device: Where to run; by default where the model is.
    """
    height, width = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
    where = torch.device(device) if device is not None else next(model.parameters()).device
    twin = copy.deepcopy(model).float().eval().to(where)
    fused = callable(getattr(twin, "fuse", None))
    if fused:
        twin.fuse(verbose=False)  # type: ignore[operator]
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((batch, channels, height, width), generator=generator).to(where)
    with torch.inference_mode():
        timing = time_passes(
            lambda: twin(image), passes=passes, budget_s=budget_s, synchronise=lambda: _synchronise(where)
        )
    return LatencyRecord(
        median_ms=timing.median_ms,
        p90_ms=timing.p90_ms,
        passes=len(timing.passes_ms),
        imgsz=(height, width),
        batch=batch,
        dtype="float32",
        device=torch.cuda.get_device_name(where) if where.type == "cuda" else str(where),
        threads=torch.get_num_threads(),
        fused=fused,
        reason=timing.reason,
    )


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
