"""Deformable convolution, and how DyHead's levels share offsets: resizing, and offsets in another level's pixels."""

from __future__ import annotations

import math
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lwyolo.errors import GraphError, did_you_mean

KERNEL_AREA = 9


class DeformConv(nn.Module):
    """Modulated deformable 3x3 convolution without bias: a weight for torchvision's operator.

    torchvision's own module would do, but its import takes as long as that of Ultralytics, and every command that reads
    a YAML would pay it. On the meta device, where shapes are all that is asked for, its library is enough.

    Shapes:
        x: [B, c, H, W]
        offset: [B, 18, H / stride, W / stride]
        mask: [B, 9, H / stride, W / stride]
        returns: [B, c, H / stride, W / stride]
    """

    def __init__(self, c: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(c, c // groups, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.stride, self.groups = stride, groups

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """Convolve at the offset positions."""
        _define_operator(library_alone=x.is_meta)
        no_bias = self.weight.new_zeros(self.weight.shape[0])
        stride, padding, dilation = (self.stride, self.stride), (1, 1), (1, 1)
        y: Tensor = torch.ops.torchvision.deform_conv2d(
            x, self.weight, offset, mask, no_bias, *stride, *padding, *dilation, self.groups, 1, True
        )
        return y


def _define_operator(library_alone: bool) -> None:
    """Have torchvision define `torch.ops.torchvision.deform_conv2d`, or only load the library that holds it."""
    if "torchvision" in sys.modules:
        return
    if not library_alone:
        import_module("torchvision")
    elif not hasattr(torch.ops.torchvision, "deform_conv2d"):
        spec = find_spec("torchvision")
        for file in Path(str(spec.origin)).parent.glob("_C*") if spec else ():
            torch.ops.load_library(file)


def resize(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize to height and width, bilinear: halving averages 2x2 pixels, and a shift of the input stays a shift."""
    if x.shape[-2:] == size:
        return x
    return interpolate(x, size=size, mode="bilinear", align_corners=False)


def resample_offsets(predicted: Tensor, size: tuple[int, int], in_its_pixels: bool) -> tuple[Tensor, Tensor]:
    """Bring predicted offsets and mask logits to the output size of a convolution on another level.

    Args:
        predicted: [B, 27, H, W], offsets (y, x) of the 9 positions, then their mask logits.
        size: Height and width of that convolution's output.
        in_its_pixels: Whether the offsets are converted to pixels of a map of `size`, in which they are shorter.

    Returns:
        Offsets, [B, 18, *size], and mask, [B, 9, *size], in 0 to 1.
    """
    offset, logits = resize(predicted, size).split([2 * KERNEL_AREA, KERNEL_AREA], dim=1)
    if in_its_pixels:
        ratio_y, ratio_x = size[0] / predicted.shape[-2], size[1] / predicted.shape[-1]
        offset = torch.stack((offset[:, 0::2] * ratio_y, offset[:, 1::2] * ratio_x), dim=2).flatten(1, 2)
    return offset, logits.sigmoid()


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `GraphError` unless `value` is one of `choices`."""
    if value not in choices:
        raise GraphError(f"{name} {value!r}, expected {' or '.join(choices)}.{did_you_mean(str(value), choices)}")
