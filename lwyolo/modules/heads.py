"""A light detection head whose convolutions are shared over the levels.

Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection", ICCV 2019, arXiv 1904.01355: one pair of towers for
all levels, and a learned scale a level on the box branch. As in RTMDet (Lyu et al., arXiv 2212.07784), each level has
batch norms of its own, since levels differ in their statistics.

Deviation: the towers are two 3x3 convolutions narrow enough for a nano model, behind a 1x1 convolution that brings
every level to their width; losses, box decoding and end-to-end branch are those of Ultralytics' Detect.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.nn.modules import Conv, Detect

from lwyolo.registry import register_module
from lwyolo.spec import Paper


class LevelConv(Conv):  # type: ignore[misc]
    """A 3x3 convolution with the weights of another level's and a batch norm of its own.

    Before `fuse()` the weight is one tensor for all levels. `fuse()` folds a norm into a copy of it, level by level,
    and from then on the levels differ.

    Shapes:
        x: [B, c, H, W]
        returns: [B, c, H, W]
    """

    def __init__(self, c: int, weight: nn.Parameter | None = None) -> None:
        super().__init__(c, c, 3)
        if weight is not None:
            self.conv.weight = weight


class LevelScale(nn.Conv2d):
    """A 1x1 convolution whose weight is shared over levels, times a learned factor of the level.

    Shapes:
        x: [B, c, H, W]
        returns: [B, out, H, W]
    """

    def __init__(self, c: int, out: int, weight: nn.Parameter | None = None) -> None:
        super().__init__(c, out, 1)
        if weight is not None:
            self.weight = weight
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and scale."""
        return super().forward(x) * self.scale


def _towers(ch: tuple[int, ...], hidden: int, out: int, depth: int = 2) -> nn.ModuleList:
    """Build one tower a level, with shared weights; each ends in a plain convolution, as Ultralytics expects."""
    first: list[Any] = []
    towers = nn.ModuleList()
    for channels in ch:
        shared = [layer.conv.weight for layer in first[1:-1]] if first else [None] * depth
        layers = [
            Conv(channels, hidden, 1),
            *(LevelConv(hidden, weight) for weight in shared),
            LevelScale(hidden, out, first[-1].weight if first else None),
        ]
        first = first or layers
        towers.append(nn.Sequential(*layers))
    return towers


@register_module(
    kind="head",
    paper=Paper(
        title="FCOS: Fully Convolutional One-Stage Object Detection",
        venue="ICCV",
        year=2019,
        url="https://arxiv.org/abs/1904.01355",
    ),
    row="[[15, 18, 21], 1, SharedConvDetect, [nc, 64]]",
)
class SharedConvDetect(Detect):  # type: ignore[misc]
    """Detection head with towers shared over the levels; everything else is Ultralytics' Detect.

    Args:
        nc: Number of classes.
        hidden: Width of the towers.
        reg_max: Bins of the box regression.
        end2end: Add the one-to-one branch for detection without NMS.
        ch: Channels of the levels, finest first.

    Shapes:
        x: list of [B, ch_l, H_l, W_l], finest level first
        returns: as Detect
    """

    def __init__(
        self, nc: int = 80, hidden: int = 64, reg_max: int = 16, end2end: bool = False, ch: tuple[int, ...] = ()
    ) -> None:
        super().__init__(**stock_arguments(Detect, nc=nc, reg_max=reg_max, end2end=bool(end2end), ch=ch))
        self.cv2 = _towers(tuple(ch), hidden, 4 * self.reg_max)
        self.cv3 = _towers(tuple(ch), hidden, nc)
        if getattr(self, "one2one_cv2", None) is not None:
            self.one2one_cv2 = _towers(tuple(ch), hidden, 4 * self.reg_max)
            self.one2one_cv3 = _towers(tuple(ch), hidden, nc)


def stock_arguments(cls: type, **arguments: Any) -> dict[str, Any]:
    """Return the arguments that the installed version's constructor takes: before 8.4 that is `nc` and `ch` alone."""
    known = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    return {name: value for name, value in arguments.items() if name in known}
