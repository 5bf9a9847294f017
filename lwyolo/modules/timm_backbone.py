"""Any backbone of timm that gives feature maps at the strides of a detector, as one row.

Wightman, "PyTorch Image Models", GitHub 2019. The structure has the paper of the model that is named; timm's
documentation lists it.

What a model gives is not believed but tried: it is built on the meta device, without memory, and run at two image
sizes. That shows its real strides and channels, and which models are made for a single size.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from lwyolo.errors import GraphError, did_you_mean
from lwyolo.registry import register_module
from lwyolo.spec import Paper

STRIDES = (8, 16, 32)
TRIAL_SIZES = ((256, 256), (288, 352))  # Ultralytics' own trial, and one whose coarsest map has odd sides
SUITABLE = (  # below 8 M parameters, tried; named where another is refused
    "convnextv2_atto",
    "cpubone_nano",
    "edgenext_xx_small",
    "efficientnet_lite0",
    "efficientvit_b0",
    "fasternet_t0",
    "fastvit_t8",
    "fbnetv3_b",
    "ghostnet_100",
    "ghostnetv2_100",
    "hgnetv2_b0",
    "inception_next_atto",
    "lcnet_100",
    "mambaout_femto",
    "mobilenetv2_100",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "mobilenetv4_conv_small_050",
    "mobileone_s0",
    "pvt_v2_b0",
    "regnetx_002",
    "repghostnet_100",
    "repvit_m0_9",
    "rexnet_100",
    "starnet_s050",
    "starnet_s1",
    "swiftformer_xs",
    "tinynet_a",
)


@dataclass(frozen=True, slots=True)
class Features:
    """What a model gives: which of timm's feature maps have the strides asked for, and their channels."""

    indices: tuple[int, ...]
    channels: tuple[int, ...]


class Normalize(nn.Module):
    """The normalisation that pretrained weights expect, of images from 0 to 1.

    Mean and deviation are in the state dict: weights that were trained with them do not load unnoticed into a backbone
    without.

    Shapes:
        x: [B, c1, H, W], 0 to 1
        returns: [B, c1, H, W]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, c1: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            fitting = values if len(values) == c1 else [sum(values) / len(values)] * c1
            self.register_buffer(name, torch.tensor(fitting).view(1, c1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return (x - self.mean) / self.std


@register_module(
    kind="backbone",
    paper=Paper(
        title="PyTorch Image Models",
        venue="GitHub",
        year=2019,
        url="https://github.com/huggingface/pytorch-image-models",
    ),
    row="[-1, 1, TimmBackbone, [mobilenetv4_conv_small_050]]",
)
class TimmBackbone(nn.Module):
    """A backbone of timm by its name, emitting one level a stride.

    Nothing is downloaded unless `pretrained` is true. With `pretrained` or `weights` the image is normalised as they
    expect; without, it stays as Ultralytics gives it. `fuse()` leaves timm's layers as they are; exporters fold their
    norms.

    Args:
        name: The model's name in timm, such as `starnet_s050`; its width is not scaled.
        pretrained: Whether timm downloads its pretrained weights.
        weights: A file with the model's weights, read whenever the model is built from its YAML, also on resume.
        strides: Strides of the levels to emit, finest first.

    Shapes:
        x: [B, c1, H, W]
        returns: list of [B, c_l, H/stride, W/stride], finest level first

    Raises:
        GraphError: timm is not installed, the model is unknown or lacks a stride, or `weights` is no file.
    """

    def __init__(
        self, c1: int, name: str, pretrained: bool = False, weights: str | None = None, strides: Sequence[int] = STRIDES
    ) -> None:
        super().__init__()
        if weights is not None and not Path(weights).is_file():
            raise GraphError(f"TimmBackbone: weights: {weights}: there is no such file.")
        overlay = {"pretrained_cfg_overlay": {"file": weights}} if weights else {}
        learned = pretrained or weights is not None
        indices = list(find_features(name, c1, tuple(strides)).indices)
        body = _create(name, c1, pretrained=learned, out_indices=indices, **overlay)
        cfg = body.pretrained_cfg
        self.body: nn.Module = body
        self.normalize = Normalize(c1, cfg["mean"], cfg["std"]) if learned else nn.Identity()

    @classmethod
    def out_channels(
        cls, c1: int, name: str, pretrained: bool = False, weights: str | None = None, strides: Sequence[int] = STRIDES
    ) -> list[int]:
        """Return the channels of each level, finest first, without building the model.

        Raises:
            GraphError: As the constructor.
        """
        return list(find_features(name, c1, tuple(strides)).channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the levels."""
        return _levels(self.body, self.normalize(x))


@lru_cache(maxsize=64)
def find_features(name: str, c1: int, strides: tuple[int, ...]) -> Features:
    """Try a model, and find its feature maps of these strides.

    Raises:
        GraphError: timm is not installed, or the model is unknown or unsuitable; the message names some that fit.
    """
    timm = _timm()
    if not timm.is_model(name.split(".")[0]):
        raise _refusal(name, f"is no model of timm {timm.__version__}.{did_you_mean(name, timm.list_models())}")
    first, second = _try_model(name, c1)
    found = {(h, w): (index, c) for index, (c, h, w) in enumerate(first) if second[index] == (c, h, w)}
    missing = [stride for stride in strides if (stride, stride) not in found]
    if missing:
        wanted, has = ", ".join(map(str, missing)), ", ".join(f"{h:g}" for h, _ in found) or "none"
        raise _refusal(name, f"has no feature map of stride {wanted} for images of {_sizes()}; it has {has}.")
    chosen = [found[stride, stride] for stride in strides]
    return Features(tuple(index for index, _ in chosen), tuple(c for _, c in chosen))


def _try_model(name: str, c1: int) -> list[list[tuple[int, float, float]]]:
    """Return channels and strides of every feature map, for each of `TRIAL_SIZES`."""
    with suppress(Exception):  # an older timm cannot build every model without memory; the next trial decides
        return _measure(name, c1, "meta")
    try:
        return _measure(name, c1, "cpu")
    except Exception as error:  # third-party code: whatever fails in it says that the model cannot
        raise _refusal(name, f"fails on images of {_sizes()} ({type(error).__name__}: {error}).") from error


def _measure(name: str, c1: int, device: str) -> list[list[tuple[int, float, float]]]:
    with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
        model = _create(name, c1).eval()
        return [
            [(y.shape[1], h / y.shape[2], w / y.shape[3]) for y in _levels(model, torch.empty(1, c1, h, w))]
            for h, w in TRIAL_SIZES
        ]


def _sizes() -> str:
    return " and ".join(f"{height}x{width}" for height, width in TRIAL_SIZES)


def _refusal(name: str, why: str) -> GraphError:
    near = get_close_matches(name, filter(_timm().is_model, SUITABLE), n=3, cutoff=0.0)
    return GraphError(f"TimmBackbone: {name!r} {why} Some that fit a detector: {', '.join(near)}.")


def _create(name: str, c1: int, **options: Any) -> Any:
    return _timm().create_model(name, features_only=True, in_chans=c1, **options)


def _levels(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Run a model, its feature maps as [B, C, H, W] whatever its own layout is."""
    channels_last = str(getattr(model, "output_fmt", "")).endswith("NHWC")
    return [y.permute(0, 3, 1, 2) if channels_last else y for y in model(x)]


def _timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise GraphError(
            f"TimmBackbone needs timm, which cannot be imported ({error}). Install it: pip install 'lwyolo[timm]'."
        ) from error
    module: ModuleType = timm
    return module
