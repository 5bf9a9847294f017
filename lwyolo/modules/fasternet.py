"""FasterNet: partial convolution, which filters a quarter of the channels and hands on the rest.

Chen et al., "Run, Don't Walk: Chasing Higher FLOPS for Faster Neural Networks", CVPR 2023, arXiv 2303.03667.

A FasterNet block is a partial 3x3 convolution and two 1x1 convolutions (widen, narrow) inside a residual; only the
middle of the two has a norm and an activation. At a ratio of 1/4 the 3x3 costs 1/16 of a full one.

Deviations: `FasterC2f` puts the blocks into the split-and-concatenate frame of YOLOv8's C2f in place of the paper's
stages; the activation is the model's own (`activation:` of the YAML) rather than ReLU or GELU; no stochastic depth.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from ultralytics.nn.modules import Conv

from lwyolo.registry import register_module
from lwyolo.spec import Paper


class PConv(nn.Module):
    """Partial convolution: a 3x3 on the first quarter of the channels, the others are handed on as they are.

    Args:
        c: Channels; below 4, one channel is filtered.

    Shapes:
        x: [B, c, H, W]
        returns: [B, c, H, W]
    """

    def __init__(self, c: int) -> None:
        super().__init__()
        part = max(c // 4, 1)
        self.sizes = [part, c - part]
        self.conv = nn.Conv2d(part, part, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Filter the first channels of a copy; `x` stays as it is, because the residual reads it."""
        filtered, rest = x.split(self.sizes, dim=1)
        return torch.cat((self.conv(filtered), rest), dim=1)


class FasterBlock(nn.Module):
    """FasterNet block: partial convolution, 1x1 to twice the width, 1x1 back.

    Args:
        c: Channels.
        shortcut: Whether the input is added; the paper always does.

    Shapes:
        x: [B, c, H, W]
        returns: [B, c, H, W]
    """

    def __init__(self, c: int, shortcut: bool = True) -> None:
        super().__init__()
        self.spatial = PConv(c)
        self.widen = Conv(c, 2 * c, 1)
        self.narrow = nn.Conv2d(2 * c, c, 1, bias=False)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Mix space, then channels."""
        y: Tensor = self.narrow(self.widen(self.spatial(x)))
        return x + y if self.shortcut else y


@register_module(
    kind="block",
    paper=Paper(
        title="Run, Don't Walk: Chasing Higher FLOPS for Faster Neural Networks",
        venue="CVPR",
        year=2023,
        url="https://arxiv.org/abs/2303.03667",
    ),
    row="[-1, 3, FasterC2f, [128]]",
)
class FasterC2f(nn.Module):
    """C2f with FasterNet blocks in place of its bottlenecks.

    It holds what C2f holds under the same names, but does not derive from it: at export Ultralytics replaces the
    `forward` of every C2f.

    Args:
        n: Number of blocks.
        shortcut: Whether each block adds its input.
        e: Width of a block, as a fraction of `c2`.

    Shapes:
        x: [B, c1, H, W]
        returns: [B, c2, H, W]
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5) -> None:
        super().__init__()
        c = int(c2 * e)
        self.cv1 = Conv(c1, 2 * c, 1)
        self.cv2 = Conv((2 + n) * c, c2, 1)
        self.m = nn.ModuleList(FasterBlock(c, shortcut) for _ in range(n))

    def forward(self, x: Tensor) -> Tensor:
        """Chain the blocks on one half and concatenate every stage."""
        stages = list(self.cv1(x).chunk(2, dim=1))
        for block in self.m:
            stages.append(block(stages[-1]))
        y: Tensor = self.cv2(torch.cat(stages, dim=1))
        return y
