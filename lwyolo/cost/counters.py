"""What other counters say of a model, each by its own convention, to stand beside our figure."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lwyolo.cost.copying import real_copy
from lwyolo.cost.counter_adapters import COUNTERS, Counter, installed_version
from lwyolo.errors import CostError


@dataclass(frozen=True, slots=True)
class OtherCount:
    """One counter's figure; one that is missing or fails has a reason in its place.

    Args:
        version: Of its distribution, `None` where it is not installed.
        convention: What it counts, and what it is known to miss.
        unit: The unit that it prints, by its own name for it, in G (1e9).
        printed: Its figure in that unit.
        macs: The same as multiply-accumulates, by its own convention.
        reason: Why there is no figure.
    """

    counter: str
    version: str | None
    convention: str
    unit: str
    printed: float | None
    macs: float | None
    reason: str | None


def other_counts(
    model: nn.Module, imgsz: int | tuple[int, int] = 640, channels: int = 3, counters: tuple[Counter, ...] = COUNTERS
) -> tuple[OtherCount, ...]:
    """Ask every counter that is installed, on the CPU, each on a copy of its own; the model itself stays as it is.

    Args:
        model: With its weights, in its training graph or fused; it is run in evaluation mode.
        imgsz: Height and width, or one number for both, in pixels.
        channels: Of the image.
        counters: Those to ask.

    Raises:
        CostError: The model has no weights (it lies on the meta device), or cannot be copied.
    """
    if any(tensor.is_meta for tensor in model.parameters()):
        raise CostError(
            f"{type(model).__name__} lies on the meta device and has no weights; other counters run the model, so "
            "build it on the CPU, as `YOLO(yaml).model` does."
        )
    height, width = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
    image = torch.zeros(1, channels, height, width)
    return tuple(_ask(counter, model, image) for counter in counters)


def _ask(counter: Counter, model: nn.Module, image: Tensor) -> OtherCount:
    version = installed_version(counter.distribution)
    figure, reason = None, None
    if version is None:
        reason = f"not installed: pip install {counter.distribution}"
    else:
        twin = real_copy(model, torch.float32, "cpu")
        try:
            with _silence(), _patches_undone(), torch.no_grad(), torch.random.fork_rng(devices=[]):
                figure = counter.measure(twin, image)
        except Exception as error:  # whatever a counter raises is the reason why its row has no figure
            reason = _reason(error)
    printed, macs = figure or (None, None)
    return OtherCount(counter.name, version, counter.convention, counter.unit, printed, macs, reason)


def _reason(error: Exception) -> str:
    """Word an error by its first cause, in one line."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, ModuleNotFoundError):
        return f"needs {cause.name}: pip install {cause.name}"
    text = " ".join(str(cause).split())[:200]
    return text if isinstance(cause, CostError) else f"fails: {type(cause).__name__}: {text}"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what counters print, warn of and log to themselves."""
    level = logging.root.manager.disable
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(level)


@contextlib.contextmanager
def _patches_undone() -> Iterator[None]:
    """Put torch's functions back: a counter that replaces them leaves its own there when it fails."""
    before: list[tuple[Any, dict[str, Any]]] = [(o, dict(vars(o))) for o in (torch, torch.Tensor, nn.functional)]
    try:
        yield
    finally:
        for owner, names in before:
            for name, value in [*vars(owner).items()]:
                if name in names and value is not names[name] and callable(value):
                    setattr(owner, name, names[name])
                elif name not in names and owner is torch.Tensor:
                    delattr(owner, name)
