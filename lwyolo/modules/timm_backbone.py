"""Any backbone of timm in one row.

Wightman, "PyTorch Image Models", 2019, https://github.com/huggingface/pytorch-image-models. The paper of the backbone
itself is cited by whoever uses it.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from lwyolo.errors import GraphError
from lwyolo.registry import register_module
from lwyolo.spec import Paper

STRIDES = (8, 16, 32)


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
    """A `features_only` model of timm that emits strides 8, 16 and 32.

    Ultralytics feeds images of 0 to 1; pretrained weights of timm expect the mean and deviation that they were trained
    with, so these are applied when weights are given, and not otherwise.

    Args:
        name: A name that timm knows.
        pretrained: Fetch timm's weights; needs a network.
        weights: A local file with timm's weights for this model.

    Shapes:
        x: [B, c1, H, W]
        returns: list of [B, c_l, H / s, W / s] for s in 8, 16, 32

    Raises:
        GraphError: timm is not installed, or has no such model, or the model emits no such strides.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, c1: int, name: str, pretrained: bool = False, weights: str | None = None) -> None:
        super().__init__()
        self.out_channels(c1, name)
        overlay = {"pretrained_cfg_overlay": {"file": weights}} if weights else {}
        self.backbone = _create(name, c1, pretrained=bool(pretrained or weights), **overlay)
        self.chosen = [self.backbone.feature_info.reduction().index(stride) for stride in STRIDES]
        config = self.backbone.pretrained_cfg if pretrained or weights else {"mean": (0.0,) * c1, "std": (1.0,) * c1}
        for statistic in ("mean", "std"):
            self.register_buffer(statistic, torch.tensor(config[statistic]).reshape(1, -1, 1, 1))

    @classmethod
    def out_channels(cls, c1: int, name: str, pretrained: bool = False, weights: str | None = None) -> list[int]:
        """Return the channels at strides 8, 16 and 32, without building weights."""
        return list(_level_channels(name, c1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalise, run the backbone, and keep the three levels."""
        features = self.backbone((x - self.mean) / self.std)
        return [features[i] for i in self.chosen]


def _timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise GraphError("TimmBackbone needs timm, which is not installed: pip install lwyolo[timm]") from error
    module: ModuleType = timm
    return module


def _create(name: str, c1: int, **options: Any) -> Any:
    return _timm().create_model(name, features_only=True, in_chans=c1, **options)


@lru_cache(maxsize=64)
def _level_channels(name: str, c1: int) -> tuple[int, ...]:
    """Build the model on the meta device and read its channels; refuse one that cannot be a backbone here."""
    timm = _timm()
    if not timm.is_model(name):
        near = get_close_matches(str(name), timm.list_models(), n=1, cutoff=0.5)
        raise GraphError(f"timm has no model {name!r}.{f' Did you mean {near[0]}?' if near else ''}")
    try:
        with torch.device("meta"):
            model = _create(name, c1)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise GraphError(f"timm model {name!r} gives no features: {error}.{_suggest(name)}") from error
    reductions = model.feature_info.reduction()
    if not set(STRIDES) <= set(reductions):
        raise GraphError(f"timm model {name!r} emits strides {reductions}, expected 8, 16 and 32 among them.{_suggest(name)}")
    if getattr(model, "output_fmt", "NCHW") not in ("NCHW", None) and "NHWC" in str(model.output_fmt):
        raise GraphError(f"timm model {name!r} emits channels last (NHWC), expected NCHW.{_suggest(name)}")
    return tuple(model.feature_info.channels()[reductions.index(stride)] for stride in STRIDES)


RECOMMENDED = ("mobilenetv4_conv_small_050", "mobilenetv4_conv_small", "starnet_s050", "efficientvit_b0", "ghostnetv2_100",
               "repvit_m0_9", "fasternet_t0", "fastvit_t8", "convnextv2_atto", "edgenext_xx_small", "mobilenetv3_small_100")


def _suggest(name: str) -> str:
    near = get_close_matches(name, RECOMMENDED, n=1, cutoff=0.3)
    return f" One that does: {near[0] if near else RECOMMENDED[0]}."
