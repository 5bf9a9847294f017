"""Latency of one forward pass in torch, eager: a first figure, on the device where the model is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from lwyolo.cost.copying import fuse, real_copy
from lwyolo.errors import UsageError
from lwyolo.record import LatencyRecord
from lwyolo.speed.timer import MIN_PASSES, time_passes


def measure_latency(
    model: nn.Module,
    imgsz: int | tuple[int, int] = 640,
    *,
    batch: int = 1,
    channels: int | None = None,
    passes: int = MIN_PASSES,
    budget_s: float = 20.0,
    device: torch.device | str | None = None,
) -> LatencyRecord:
    """Time a copy of a model, fused where it can be; the model and torch's random state stay as they are.

    Args:
        model: Takes an image [B, C, H, W].
        imgsz: Height and width in pixels, or one number for both.
        batch: Images in a pass.
        channels: Channels of the image; by default what the model's YAML says, else 3.
        passes: Timed passes, at least 50.
        budget_s: Seconds that they may take; a slower model gets no figure, and the reason.
        device: Where to run; by default where the model is.

    Raises:
        UsageError: Fewer than 50 passes, or a model on the meta device, which has no numbers to compute with.
        CostError: The model cannot be copied or fused.
    """
    where = (
        torch.device(device)
        if device is not None
        else next((p.device for p in model.parameters()), torch.device("cpu"))
    )
    if passes < MIN_PASSES:
        raise UsageError(f"passes={passes}: a latency is the median of at least {MIN_PASSES} timed passes.")
    if where.type == "meta" or any(p.is_meta for p in model.parameters()):
        raise UsageError(
            "a model on the meta device has no numbers, so its latency cannot be measured; build it for real."
        )
    twin = real_copy(model, torch.float32, where)
    fused = callable(getattr(twin, "fuse", None))
    if fused:
        fuse(twin)
    yaml = getattr(model, "yaml", None)
    height, width = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
    shape = (batch, channels or (yaml.get("channels", 3) if isinstance(yaml, dict) else 3), height, width)
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(where)
    forked = [where] if where.type == "cuda" else []
    with torch.inference_mode(), torch.random.fork_rng(devices=forked):
        timing = time_passes(lambda: twin(image), passes=passes, budget_s=budget_s, synchronise=_synchroniser(where))
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


def _synchroniser(device: torch.device) -> Callable[[], object]:
    """Return what waits until a device has done all that it was given; the CPU has when a call returns."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    if device.type == "mps":
        return torch.mps.synchronize
    return lambda: None
