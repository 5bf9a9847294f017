"""A model as the artifact of each runtime: normalised where it has no training behind it, fused, and exported.

A checkpoint is read and left as it is. The exporter is Ultralytics' own; see `exporting`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from lwyolo.cost import profile
from lwyolo.cost.copying import fuse, is_fused, real_copy
from lwyolo.engine.exporting import export
from lwyolo.engine.files import first_scale, split_scale, with_scale
from lwyolo.engine.model import YOLO
from lwyolo.errors import UsageError, did_you_mean
from lwyolo.speed import runtime as interface
from lwyolo.speed.machine import read_facts
from lwyolo.speed.parity import agreement, probe
from lwyolo.speed.runtime import Array, Runtime
from lwyolo.speed.runtimes._torch import decoded
from lwyolo.units import MIB

GIB = 1024 * MIB
SEED = 0
STEADY_DRAWS, NUDGE = 16, 1e-5
NORMALISING_PASSES, NORMALISING_IMAGES, NORMALISING_SIDE = 3, 8, 192


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a runtime loads.

    Args:
        path: A file, or a folder of files.
        imgsz: Height and width.
        normalised: Whether the batch norms of a model without training were given statistics.
        end_to_end: Whether its head needs no suppression of boxes.
    """

    runtime: str
    precision: str
    path: Path
    size_bytes: int
    imgsz: tuple[int, int]
    batch: int
    normalised: bool
    end_to_end: bool


def prepare(
    source: str | Path,
    folder: Path,
    *,
    runtimes: Sequence[str],
    scale: str | None = None,
    imgsz: int | tuple[int, int] = 640,
    batch: int = 1,
    precisions: Sequence[str] = ("fp32",),
    data: str | Path | None = None,
    end_to_end: bool | None = None,
) -> tuple[Any, list[Artifact]]:
    """Write what each runtime loads of a model, and return the fused model that they all should agree with.

    All hold the same graph: a head that needs no suppression of boxes is used as such where every one of the runtimes
    can hold it, or where `end_to_end` says so. Weights that a YAML starts from are the same in each call.

    Args:
        source: A model YAML, a checkpoint, or a stock name.
        folder: Where artifacts go; made where it is not there.
        runtimes: Names; an export that two of them load is made once.
        scale: Scale of a YAML.
        imgsz: Height and width in pixels, or one number for both.
        batch: Images in a pass.
        precisions: Of weights and arithmetic.
        data: A data YAML, whose first 300 training images calibrate int8.
        end_to_end: Use a head that needs no suppression of boxes, where the model has one; by default where all can.

    Raises:
        UsageError: A runtime is unknown or missing, or the model cannot be exported for it.
        GraphError: The YAML cannot be built.
    """
    chosen = [_runtime(name) for name in runtimes]
    for runtime, precision in product(chosen, precisions):
        runtime.check(precision, runtime.devices[0])
    if "int8" in precisions and data is None:
        raise UsageError("int8 is calibrated on images: name a data YAML (data=, or --data on the command line).")
    size = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
    model, normalised = load(source, size, scale)
    holds = all(runtime.holds_end_to_end for runtime in chosen)
    end_to_end = choose_head(model.model, holds if end_to_end is None else end_to_end)
    folder.mkdir(parents=True, exist_ok=True)
    fused = fused_copy(model.model, (batch, *size))
    made: dict[tuple[str, str], Path] = {}
    for runtime, precision in product(chosen, precisions):
        key = (runtime.format, precision)
        if runtime.format == "module":
            made[key] = save_module(fused, folder / "model.module")
        elif key not in made:
            made[key] = export(model, runtime, folder / precision, size, batch, precision, end_to_end, data)
    files = [
        (runtime, precision, made[runtime.format, precision]) for runtime, precision in product(chosen, precisions)
    ]
    return fused, [
        Artifact(runtime.name, precision, path, size_of(path), size, batch, normalised, end_to_end)
        for runtime, precision, path in files
    ]


def _runtime(name: str) -> Runtime:
    known = interface.runtimes()
    if name not in known:
        raise UsageError(f"runtime {name!r}: unknown. Known: {', '.join(known)}.{did_you_mean(name, known)}")
    return known[name]


def load(source: str | Path, imgsz: tuple[int, int], scale: str | None = None) -> tuple[YOLO, bool]:
    """Load a detector; one that a YAML describes is given normalised statistics. Say whether it was.

    Raises:
        UsageError: It is no detector, or cannot take images of that size.
    """
    name = with_scale(source, scale)
    from_yaml = Path(name).suffix in {".yaml", ".yml"}
    if from_yaml and split_scale(name)[1] is None:
        name = with_scale(name, first_scale(name))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = YOLO(name)
    if model.task != "detect":
        raise UsageError(f"{source}: a model for the task {model.task}; runtimes are prepared and compared for detect.")
    stride = int(max(model.model.stride))
    if any(side % stride or side < stride for side in imgsz):
        raise UsageError(f"imgsz {imgsz[0]}x{imgsz[1]}: {source} takes multiples of {stride} pixels.")
    if from_yaml:
        normalise(model.model, imgsz)
    return model, from_yaml


def normalise(model: Any, imgsz: tuple[int, int]) -> None:
    """Give each batch norm the statistics of drawn images; parameters, and the mode of all, stay.

    At first they are those of a normal distribution, and activations shrink from layer to layer until half precision
    and int8 hold none of them. With these they stay near 1.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    modes = {module: module.training for module in model.modules()}
    momenta = [norm.momentum for norm in norms]
    size = (min(imgsz[0], NORMALISING_SIDE), min(imgsz[1], NORMALISING_SIDE))
    shape = (NORMALISING_IMAGES, model.yaml.get("channels", 3), *size)
    model.eval()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all passes
            norm.train()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for seed in range(1, NORMALISING_PASSES + 1):
                model(torch.from_numpy(probe(shape, seed)))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes.items():
            module.training = training


def choose_head(model: Any, end_to_end: bool) -> bool:
    """Use the head that needs no suppression of boxes, or the other, where a model has both; say which it uses."""
    head = model.model[-1]
    if getattr(head, "one2one_cv2", None) is not None:
        head.end2end = end_to_end
    return bool(getattr(head, "end2end", False))


def fused_copy(model: Any, shape: tuple[int, int, int]) -> nn.Module:
    """Copy and fuse a model, and run it once: its head then has the anchors of this size, as an export has.

    Anchors that are computed in the pass would also keep `torch.compile` from seeing the model as one.

    Args:
        model: A detector.
        shape: Batch, height and width.

    Raises:
        UsageError: There is not enough memory.
    """
    fused = real_copy(model, torch.float32, "cpu")
    if not is_fused(fused):
        fuse(fused)
    batch, *size = shape
    if batch > 1:
        require_memory(fused, shape)
    with torch.no_grad():
        fused(torch.zeros(batch, model.yaml.get("channels", 3), *size))
    return fused


def require_memory(model: nn.Module, shape: tuple[int, int, int]) -> None:
    """Refuse a batch that cannot fit: a system that runs out of memory ends whatever process it chooses.

    Args:
        model: A detector.
        shape: Batch, height and width.

    Raises:
        UsageError: Its activations alone need more at their peak than is free.
    """
    batch, *size = shape
    of_one = profile(model, (size[0], size[1])).peak_activation_bytes
    limit_mib = read_facts().memory_limit_mib
    free = min(psutil.virtual_memory().available, math.inf if limit_mib is None else limit_mib * MIB)
    if batch * of_one > free:
        raise UsageError(
            f"batch {batch} of {size[0]} × {size[1]} pixels: its activations alone take {batch * of_one / GIB:.1f} "
            f"GiB, and {free / GIB:.1f} GiB are free; {int(free // of_one)} images may fit."
        )


def steady_image(model: nn.Module, shape: tuple[int, int, int, int]) -> Array:
    """Draw an image on which rounding does not show, for comparing a fused model's outputs with a runtime's.

    A deep network without training can magnify a difference of 1e-7 ten thousand times on one image, and hardly on the
    next. The first one is taken on which torch agrees with itself when all pixels are brighter by 1e-5 of their value;
    the last of a few, where there is none.

    Args:
        model: As `prepare` returns it.
        shape: [B, C, H, W]
    """
    image = probe(shape)
    for seed in range(STEADY_DRAWS):
        image = probe(shape, seed)
        pixels = torch.from_numpy(image)
        with torch.no_grad():
            before, after = (decoded(model(x)).numpy() for x in (pixels, pixels * (1 + NUDGE)))
        if agreement([before], [after]).ok:
            break
    return image


def save_module(fused: nn.Module, path: Path) -> Path:
    """Save a module as it is, for our own worker."""
    torch.save(fused, path)
    return path


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
