"""FasterNet: partial convolution, and the block around it, in the shape of C2f.

Chen et al., "Run, Don't Walk: Chasing Higher FLOPS for Faster Neural Networks", CVPR 2023, arXiv 2303.03667.

A partial convolution convolves the first quarter of the channels and leaves the others untouched: 1/16 of the FLOPs of
a full convolution, and a quarter of its memory access. A block is a partial convolution, a 1x1 convolution that widens
with norm and activation, a 1x1 convolution back, and a shortcut.

Deviation: the paper stacks the block in a backbone of its own; `FasterC2f` puts it into the split-and-concatenate
structure of YOLOv8's C2f, in the place of its bottlenecks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from ultralytics.nn.modules import Conv

from lwyolo.registry import register_module
from lwyolo.spec import Paper

PARTIAL = 4
"""One channel in so many is convolved (the paper's ratio of 1/4)."""


class PConv(nn.Module):
    """Partial convolution 3x3.

    Shapes:
        x: [B, c, H, W]
        returns: [B, c, H, W], equal to x but for the first c / 4 channels
    """

    def __init__(self, c: int) -> None:
        super().__init__()
        self.touched = max(c // PARTIAL, 1)
        self.untouched = c - self.touched
        self.conv = nn.Conv2d(self.touched, self.touched, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve the first channels."""
        touched, untouched = x.split([self.touched, self.untouched], dim=1)
        return torch.cat((self.conv(touched), untouched), dim=1)


class FasterBlock(nn.Module):
    """A FasterNet block: partial convolution, 1x1 up with norm and activation, 1x1 down.

    Args:
        shortcut: Add the input.
        expand: Width between the 1x1 convolutions, in multiples of c.

    Shapes:
        x: [B, c, H, W]
        returns: [B, c, H, W]
    """

    def __init__(self, c: int, shortcut: bool = True, expand: int = 2) -> None:
        super().__init__()
        self.partial = PConv(c)
        self.up = Conv(c, c * expand, 1)
        self.down = nn.Conv2d(c * expand, c, 1, bias=False)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Mix space, then channels."""
        y: Tensor = self.down(self.up(self.partial(x)))
        return x + y if self.shortcut else y


@register_module(
    kind="block",
    paper=Paper(
        title="Run, Don't Walk: Chasing Higher FLOPS for Faster Neural Networks",
        venue="CVPR",
        year=2023,
        url="https://arxiv.org/abs/2303.03667",
    ),
    row="[-1, 3, FasterC2f, [128, True]]",
)
class FasterC2f(nn.Module):
    """C2f with FasterNet blocks in the place of its bottlenecks.

    Args:
        n: Number of blocks.
        shortcut: Add each block's input to its output.
        e: Width of the split, in parts of c2.

    Shapes:
        x: [B, c1, H, W]
        returns: [B, c2, H, W]
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = False, e: float = 0.5) -> None:
        super().__init__()
        self.width = int(c2 * e)
        self.split = Conv(c1, 2 * self.width, 1)
        self.blocks = nn.ModuleList(FasterBlock(self.width, shortcut) for _ in range(n))
        self.merge = Conv((2 + n) * self.width, c2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Split, run the blocks one after another, and merge all that was seen on the way."""
        parts = list(self.split(x).split([self.width, self.width], dim=1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        y: Tensor = self.merge(torch.cat(parts, dim=1))
        return y
