"""Latency of one forward pass in eager torch, as `lwyolo bench` takes it: in a process of its own, of clean samples."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from pickle import PicklingError

import torch
from torch import nn

from lwyolo.cost.copying import fuse, real_copy
from lwyolo.errors import UsageError
from lwyolo.record import LatencyRecord
from lwyolo.speed.rounds import Candidate, Process, Samples, Stop, run_rounds

ROUNDS, SAMPLES, PATIENCE = 10, 5, 2.0
"""50 passes at least, and more while their interval is wide, up to twice as many."""


def measure_latency(
    model: nn.Module,
    imgsz: int | tuple[int, int] = 640,
    *,
    batch: int = 1,
    channels: int | None = None,
    budget_s: float = 20.0,
    device: torch.device | str | None = None,
) -> LatencyRecord:
    """Time a copy of a model, fused where it can be; the model and torch's random state stay as they are.

    Args:
        model: Takes an image [B, C, H, W].
        imgsz: Height and width in pixels, or one number for both.
        batch: Images in a pass.
        channels: Channels of the image; by default what the model's YAML says, else 3.
        budget_s: Seconds that 50 passes may take; a slower model gets no figure, and the reason.
        device: Where to run; by default where the model is.

    Raises:
        UsageError: A model on the meta device, which has no numbers to compute with.
        CostError: The model cannot be copied or fused.
    """
    where = (
        torch.device(device)
        if device is not None
        else next((p.device for p in model.parameters()), torch.device("cpu"))
    )
    if where.type == "meta" or any(p.is_meta for p in model.parameters()):
        raise UsageError(
            "a model on the meta device has no numbers, so its latency cannot be measured; build it for real."
        )
    with torch.random.fork_rng(devices=[]):
        twin = real_copy(model, torch.float32, "cpu")
        fused = callable(getattr(twin, "fuse", None))
        if fused:
            fuse(twin)
    yaml = getattr(model, "yaml", None)
    candidate = Candidate(
        name=type(model).__name__,
        runtime="torch",
        artifact=Path("model.module"),
        imgsz=(imgsz, imgsz) if isinstance(imgsz, int) else imgsz,
        batch=batch,
        threads=torch.get_num_threads(),
        device=str(where),
        classes=0,
        channels=channels or (yaml.get("channels", 3) if isinstance(yaml, dict) else 3),
    )
    samples, reason = _timed(twin, candidate, budget_s)
    summary = samples.summary("forward")
    if not reason and summary.median_ms is None:
        reason = f"none of {summary.samples} passes was clean, as other processes used this machine"
    return LatencyRecord(
        median_ms=summary.median_ms,
        p90_ms=summary.p90_ms,
        passes=summary.samples,
        imgsz=candidate.imgsz,
        batch=batch,
        dtype="float32",
        device=torch.cuda.get_device_name(where) if where.type == "cuda" else str(where),
        threads=candidate.threads,
        fused=fused,
        reason=reason,
        clean=summary.clean,
        low_ms=summary.low_ms,
        high_ms=summary.high_ms,
    )


def _timed(twin: nn.Module, candidate: Candidate, budget_s: float) -> tuple[Samples, str | None]:
    """Take samples, or say why there are none."""
    with tempfile.TemporaryDirectory(prefix="lwyolo-latency-") as folder:
        candidate = replace(candidate, artifact=Path(folder) / candidate.artifact)
        try:
            torch.save(twin, candidate.artifact)
        except (AttributeError, TypeError, PicklingError) as error:  # as pickle says it of a class within a function
            return Samples(), f"it cannot be handed to a process of its own: {error}"
        with Process(candidate) as process:
            try:
                first_s = process.load()["first_ms"] / 1e3
                first_s = min(first_s, process.ask("round", samples=1)["samples"][0]["forward"] / 1e3)
                needed_s = first_s * ROUNDS * (SAMPLES + 1)
                if needed_s > budget_s:
                    what = f"one pass took {first_s * 1e3:.0f} ms; {ROUNDS * SAMPLES} passes exceed the budget of"
                    return Samples(), f"{what} {budget_s:g} s"
                stop = Stop(budget_s=PATIENCE * needed_s, samples=SAMPLES, rounds=ROUNDS)
                return run_rounds({"it": process}, stop, {})["it"], None
            except UsageError as error:
                return Samples(), str(error)
