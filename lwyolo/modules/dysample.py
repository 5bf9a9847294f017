"""DySample: upsampling by learned sampling positions.

Liu et al., "Learning to Upsample by Learning to Sample", ICCV 2023, arXiv 2308.15085.

Every output pixel samples the input bilinearly at its own position plus an offset that a 1x1 convolution predicts, in
`groups` groups of channels. Here is the paper's "linear then pixel shuffle" form with the static scope factor of 0.25,
which keeps neighbouring positions from overlapping. With all offsets zero it is bilinear upsampling.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lwyolo.registry import register_module
from lwyolo.spec import Paper

SCOPE = 0.25


@register_module(
    kind="upsample",
    paper=Paper(
        title="Learning to Upsample by Learning to Sample",
        venue="ICCV",
        year=2023,
        url="https://arxiv.org/abs/2308.15085",
    ),
    row="[-1, 1, DySample, []]",
    onnx_opset=16,
)
class DySample(nn.Module):
    """Upsampling by learned sampling positions; keeps the channels.

    Args:
        scale: Factor of height and width.
        groups: Groups of channels that share positions; c1 is a multiple of it.

    Shapes:
        x: [B, c1, H, W]
        returns: [B, c1, scale * H, scale * W]
    """

    initial: Tensor

    def __init__(self, c1: int, scale: int = 2, groups: int = 4) -> None:
        super().__init__()
        if c1 % groups:
            raise ValueError(f"c1 is {c1}, which does not divide into {groups} groups")
        self.scale, self.groups = scale, groups
        self.offset = nn.Conv2d(c1, 2 * groups * scale**2, 1)
        nn.init.normal_(self.offset.weight, std=0.001)
        nn.init.zeros_(self.offset.bias)
        self.register_buffer("initial", self._initial_positions())

    def _initial_positions(self) -> Tensor:
        """Return where the output pixels of one input pixel lie, in input pixels from its centre.

        Shapes:
            returns: [1, 2 * groups * scale^2, 1, 1]: x of all, then y of all
        """
        steps = (torch.arange(self.scale) - (self.scale - 1) / 2) / self.scale
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        return torch.stack((x, y)).reshape(2, 1, -1).repeat(1, self.groups, 1).reshape(1, -1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Predict positions and sample."""
        batch, c, height, width = x.shape
        offset = self.offset(x) * SCOPE + self.initial.to(x.dtype)
        offset = F.pixel_shuffle(offset.reshape(batch * 2 * self.groups, self.scale**2, height, width), self.scale)
        offset = offset.reshape(batch, 2, self.groups, self.scale * height, self.scale * width)
        position = self._pixel_centres(offset, height, width) + offset
        size = torch.tensor([width, height], dtype=x.dtype, device=x.device).reshape(1, 2, 1, 1, 1)
        grid = (2 * position / size - 1).permute(0, 2, 3, 4, 1).flatten(0, 1)
        grouped = x.reshape(batch * self.groups, c // self.groups, height, width)
        y = F.grid_sample(grouped, grid.to(x.dtype), mode="bilinear", align_corners=False, padding_mode="border")
        return y.reshape(batch, c, self.scale * height, self.scale * width)

    def _pixel_centres(self, like: Tensor, height: int, width: int) -> Tensor:
        """Return the centre of the input pixel under every output pixel, x and y, in input pixels from the corner."""
        y = torch.arange(height, dtype=like.dtype, device=like.device).repeat_interleave(self.scale) + 0.5
        x = torch.arange(width, dtype=like.dtype, device=like.device).repeat_interleave(self.scale) + 0.5
        grid = torch.meshgrid(x, y, indexing="xy")
        return torch.stack(grid).unsqueeze(1).unsqueeze(0)
