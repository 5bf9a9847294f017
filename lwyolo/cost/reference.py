"""Small nets whose multiply-accumulates follow from a closed formula: counters, ours included, are tried on them.

Each has one thing in it that some counter misses. All take a 640 × 640 image, which their first convolution cuts into
patches: 80 × 80 positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

IMGSZ = 640
PATCH, C = 8, 32
N = (IMGSZ // PATCH) ** 2
STEM = N * 3 * PATCH**2 * C
"""Multiply-accumulates of the first convolution."""


class Stem(nn.Module):
    """The convolution that all begin with; it is the whole net of none."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, C, PATCH, PATCH, bias=False)


class Deformable(Stem):
    """A modulated deformable convolution (DCNv2) with the convolution that makes its offsets and mask."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Conv2d(C, 27, 3, padding=1, bias=False)
        self.conv = torchvision.ops.DeformConv2d(C, C, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: x: [B, 3, H, W]; returns: [B, C, H/8, W/8]."""
        x = self.stem(x)
        offset, mask = self.offset(x).split((18, 9), 1)
        result: Tensor = self.conv(x, offset, mask.sigmoid())
        return result


class LinearAttention(Stem):
    """Attention without a softmax: keys and values first, by einsum, then queries, by `@`."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(C, 3 * C, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: x: [B, 3, H, W]; returns: [B, H·W/64, C]."""
        q, k, v = self.qkv(self.stem(x)).flatten(2).transpose(1, 2).split(C, 2)
        result: Tensor = q @ torch.einsum("bnc,bnd->bcd", k, v)
        return result


class Functional(Stem):
    """A convolution and an attention that no module stands for.

    They are looked up in `torch.nn.functional` at each call, where some counters put functions of their own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList([torch.empty(C, C, 3, 3).normal_(std=0.1)])

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: x: [B, 3, H, W]; returns: [B, 1, H·W/256, C]."""
        x = functional.conv2d(self.stem(x), self.weights[0], stride=2, padding=1)
        tokens = x.flatten(2).transpose(1, 2).unsqueeze(1).contiguous()
        return functional.scaled_dot_product_attention(tokens, tokens, tokens)


class Shared(Stem):
    """One convolution with its batch norm and activation, run three times."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(C, C, 3, padding=1, bias=False), nn.BatchNorm2d(C), nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: x: [B, 3, H, W]; returns: [B, C, H/8, W/8]."""
        result: Tensor = self.conv(self.conv(self.conv(self.stem(x))))
        return result


class FixedWindows(nn.Module):
    """A convolution on an image that is padded to whole windows of 128 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, C, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: x: [B, 3, H, W]; returns: [B, C, H', W'], the next multiples of 128."""
        result: Tensor = self.conv(functional.pad(x, (0, -x.shape[3] % 128, 0, -x.shape[2] % 128)))
        return result


class FixedGrid(nn.Module):
    """A convolution on a grid of 20 × 20 positions, whatever the size of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, C, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: x: [B, 3, H, W]; returns: [B, C, 20, 20]."""
        result: Tensor = self.conv(functional.interpolate(x, (20, 20)))
        return result


class Reference(NamedTuple):
    """A net with its multiply-accumulates at 640 × 640."""

    name: str
    build: Callable[[], nn.Module]
    macs: int


REFERENCES = (
    Reference("deformable convolution", Deformable, STEM + N * 9 * C * (27 + C)),
    Reference("linear attention", LinearAttention, STEM + N * C * 3 * C + 2 * N * C * C),
    Reference("functional calls", Functional, STEM + N // 4 * 9 * C * C + 2 * (N // 4) ** 2 * C),
    Reference("shared module", Shared, STEM + 3 * N * 9 * C * C),
    Reference("fixed windows", FixedWindows, IMGSZ**2 * 9 * 3 * C),
    Reference("fixed grid", FixedGrid, 20 * 20 * 9 * 3 * C),
)
