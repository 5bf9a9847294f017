"""DySample: upsampling by sampling, where every point of the finer grid is moved by a learned offset.

Liu et al., "Learning to Upsample by Learning to Sample", ICCV 2023, arXiv 2308.15085.

Implemented is the paper's static scope factor (0.25), in both of its styles: `lp`, a 1x1 convolution before the pixel
shuffle, and `pl`, after it (the paper's DySample-S). The dynamic scope (DySample+) is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lwyolo.errors import GraphError, did_you_mean
from lwyolo.registry import register_module
from lwyolo.spec import Paper

SCOPE = 0.25
STYLES = ("lp", "pl")


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
    """Upsampling that reads the input at learned points; with all offsets zero it is bilinear upsampling.

    Args:
        scale: Factor of height and width.
        groups: Groups of channels, each with offsets of its own; divides `c1`.
        style: `lp` or `pl`; `pl` has fewer parameters, and needs `scale`² to divide `c1`.

    Shapes:
        x: [B, c1, H, W]
        returns: [B, c1, scale·H, scale·W]

    Raises:
        GraphError: The channels do not divide, or the style is unknown.
    """

    def __init__(self, c1: int, scale: int = 2, groups: int = 4, style: str = "lp") -> None:
        super().__init__()
        if style not in STYLES:
            raise GraphError(f"DySample: style {style!r}, expected {' or '.join(STYLES)}.{did_you_mean(style, STYLES)}")
        for name, divisor in (("groups", groups), ("scale²", scale**2 if style == "pl" else 1)):
            if c1 % divisor:
                raise GraphError(f"DySample: {c1} channels cannot be divided by {name} = {divisor}.")
        self.scale, self.groups, self.style = scale, groups, style
        c_in, c_out = (c1, 2 * groups * scale**2) if style == "lp" else (c1 // scale**2, 2 * groups)
        self.offset = nn.Conv2d(c_in, c_out, 1)
        nn.init.normal_(self.offset.weight, std=0.001)
        nn.init.zeros_(self.offset.get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:
        """Sample in float32: half precision rounds a point of a map 80 wide to 1/50 pixel. Return the type of `x`."""
        b, c, h, w = x.shape
        height, width = h * self.scale, w * self.scale
        offset = self._offset(x).float().reshape(b * self.groups, 2, height, width) * SCOPE
        grid = torch.stack(
            (  # grid_sample's units: -1 and 1 are the image's edges, one pixel of x is 2 / w
                _centres(width, offset) + offset[:, 0] * (2 / w),
                _centres(height, offset)[:, None] + offset[:, 1] * (2 / h),
            ),
            dim=-1,
        )
        groups = x.float().reshape(b * self.groups, c // self.groups, h, w)
        y = nn.functional.grid_sample(groups, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return y.reshape(b, c, height, width).to(x.dtype)

    def _offset(self, x: Tensor) -> Tensor:
        """Return two channels a group, x before y, at the finer resolution, in units of `SCOPE` pixels of `x`."""
        if self.style == "lp":
            return nn.functional.pixel_shuffle(self.offset(x), self.scale)
        y: Tensor = self.offset(nn.functional.pixel_shuffle(x, self.scale))
        return y


def _centres(n: int, like: Tensor) -> Tensor:
    """Return the centres of `n` equal cells of the interval from -1 to 1."""
    return (torch.arange(n, device=like.device, dtype=like.dtype) * 2 + 1) / n - 1
