"""Dynamic Head: scale-, spatial- and task-aware attention over the levels of a feature pyramid.

Dai et al., "Dynamic Head: Unifying Object Detection Heads with Attentions", CVPR 2021, arXiv 2106.08322.

With levels F_l and attentions pi, a block computes pi_C(pi_S(pi_L(F) F) F) F. As in the authors' code, the spatial
attention comes first, then the scale gate, the mean over levels, and the task attention; the scale gate has a ReLU
before its hard sigmoid, so it lies in [0.5, 1].

Deviation: the offsets of the spatial attention are predicted on the middle level and shared with its neighbours. The
published code reads them on the coarser level with the wrong row length, so a position gets the offsets of another
one. Here they are resampled to the coarser level: averaged over the pixels that one coarser pixel covers, and scaled
to its pixel size. On the finer level the offsets are used as published, in pixels of that level.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, hardsigmoid, relu
from ultralytics.nn.modules import Conv

from lwyolo.modules._deform import KERNEL_AREA, DeformConv, check_choice, resample_offsets, resize
from lwyolo.registry import register_module
from lwyolo.spec import Paper

DEFORM = ("dense", "depthwise")
NORM = ("gn", "bn")
PAPER = Paper(
    title="Dynamic Head: Unifying Object Detection Heads with Attentions",
    venue="CVPR",
    year=2021,
    url="https://arxiv.org/abs/2106.08322",
)
NO_DEFORM = "no deformable convolution is known there; use DyHeadLite."


class ScaleAttention(nn.Module):
    """Scale-aware attention pi_L: one gate an image and level, from the level's mean.

    Shapes:
        x: [B, c, H, W]
        returns: [B, 1, 1, 1], in [0.5, 1]
    """

    def __init__(self, c: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(c, 1, 1)
        for parameter in self.squeeze.parameters():
            nn.init.normal_(parameter, std=0.01 if parameter.dim() > 1 else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the gate."""
        return hardsigmoid(relu(self.squeeze(adaptive_avg_pool2d(x, 1))))


class TaskAttention(nn.Module):
    """Task-aware attention pi_C: max of two lines a channel, whose slopes and offsets follow from the image's mean.

    At rest (all of theta 0.5) the lines are y = x and y = 0: a ReLU.

    Shapes:
        x: [B, c, H, W]
        returns: [B, c, H, W]
    """

    def __init__(self, c: int, reduction: int = 4) -> None:
        super().__init__()
        self.c = c
        self.reduce = nn.Conv2d(c, c // reduction, 1)
        self.expand = nn.Conv2d(c // reduction, 4 * c, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the lines."""
        theta = hardsigmoid(self.expand(relu(self.reduce(adaptive_avg_pool2d(x, 1))))) - 0.5
        slope1, offset1, slope2, offset2 = theta.split(self.c, dim=1)
        return torch.maximum(x * (2 * slope1 + 1) + offset1, x * (2 * slope2) + offset2)


class DeformBranch(nn.Module):
    """One direction of the spatial attention pi_S: modulated deformable 3x3 convolution (DCNv2) and a norm.

    Args:
        deform: `dense`, as published, or `depthwise` followed by a 1x1 convolution.
        norm: `gn`, a group norm for all levels, as published, or `bn`, a batch norm for each.
        levels: How many levels the branch reads.

    Shapes:
        x: [B, c, H, W]
        offset: [B, 18, H / stride, W / stride], in pixels of x
        mask: [B, 9, H / stride, W / stride]
        returns: [B, c, H / stride, W / stride]

    Raises:
        GraphError: `deform` or `norm` is none of the above.
    """

    def __init__(self, c: int, stride: int = 1, deform: str = "dense", norm: str = "gn", levels: int = 1) -> None:
        super().__init__()
        check_choice("deform", deform, DEFORM)
        check_choice("norm", norm, NORM)
        groups = c if deform == "depthwise" else 1
        self.deform = DeformConv(c, stride, groups)
        self.mix = nn.Conv2d(c, c, 1, bias=False) if deform == "depthwise" else nn.Identity()
        batch_norms = nn.ModuleList(nn.BatchNorm2d(c) for _ in range(levels))
        self.norm = nn.GroupNorm(math.gcd(16, c), c) if norm == "gn" else batch_norms
        self.stride = stride

    def output_size(self, x: Tensor) -> tuple[int, int]:
        """Return height and width of the output for `x`."""
        return (x.shape[-2] - 1) // self.stride + 1, (x.shape[-1] - 1) // self.stride + 1

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor, level: int = 0) -> Tensor:
        """Convolve at the offset positions, in the precision of the weights: float32 under autocast too.

        An offset that is not a number makes torchvision's operator read outside of memory, so it becomes zero; its
        mask, which comes from the same convolution, still carries the NaN to the output. An export has no such values.
        """
        if not torch.jit.is_tracing():  # type: ignore[attr-defined]  # public, but missing from torch.jit.__all__
            offset = offset.nan_to_num(0.0)
        dtype = self.deform.weight.dtype
        y = self.mix(self.deform(x.to(dtype), offset.to(dtype), mask.to(dtype)).to(x.dtype))
        normed: Tensor = self.norm[level](y) if isinstance(self.norm, nn.ModuleList) else self.norm(y)
        return normed


class DyHeadBlock(nn.Module):
    """One block: every level is rebuilt from itself and its neighbours, with the same weights on all levels.

    Args:
        c: Channels of every level.
        deform: `dense`, as published, or `depthwise` followed by a 1x1 convolution.
        norm: `gn`, as published, or `bn`, with a batch norm of its own for each level.
        levels: How many levels there are at most; only `bn` needs to know.

    Shapes:
        x: list of [B, c, H_l, W_l], finest level first
        returns: the same shapes

    Raises:
        GraphError: `deform` or `norm` is none of the above.
    """

    def __init__(self, c: int, deform: str = "dense", norm: str = "gn", levels: int = 3) -> None:
        super().__init__()
        self.offset = nn.Conv2d(c, 3 * KERNEL_AREA, 3, padding=1)
        for parameter in self.offset.parameters():
            nn.init.zeros_(parameter)
        self.middle = DeformBranch(c, 1, deform, norm, levels)
        self.finer = DeformBranch(c, 2, deform, norm, levels - 1)
        self.coarser = DeformBranch(c, 1, deform, norm, levels - 1)
        self.scale = ScaleAttention(c)
        self.task = TaskAttention(c)

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Run the block."""
        return [self.task(self._mean_of_neighbours(x, i)) for i in range(len(x))]

    def _mean_of_neighbours(self, x: list[Tensor], i: int) -> Tensor:
        predicted = self.offset(x[i])
        branches = [(self.middle, x[i], i)]
        branches += [(self.finer, x[i - 1], i - 1)] if i else []
        branches += [(self.coarser, x[i + 1], i)] if i + 1 < len(x) else []
        gated = []
        for branch, source, norm in branches:
            feature = resize(branch(source, *self._share(predicted, branch, source), norm), x[i].shape[-2:])
            gated.append(feature * self.scale(feature))
        return mean_of(gated)

    def _share(self, predicted: Tensor, branch: DeformBranch, source: Tensor) -> tuple[Tensor, Tensor]:
        return resample_offsets(predicted, branch.output_size(source), in_its_pixels=branch is self.coarser)


def mean_of(features: list[Tensor]) -> Tensor:
    """Return the mean of maps of one shape; stacking them would copy each, and ncnn fails on a mean over a stack."""
    return functools.reduce(torch.add, features) / len(features)


class PlainBranch(nn.Module):
    """A direction of the spatial attention without offsets: depthwise 3x3, then 1x1, each with a batch norm that folds.

    Shapes:
        x: [B, c, H, W]
        returns: [B, c, H / stride, W / stride]
    """

    def __init__(self, c: int, stride: int = 1) -> None:
        super().__init__()
        self.spatial = Conv(c, c, 3, stride, g=c, act=False)
        self.mix = Conv(c, c, 1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        y: Tensor = self.mix(self.spatial(x))
        return y


class DyHeadLiteBlock(nn.Module):
    """A block without deformable convolution, each level and direction with its own weights and batch norm.

    Shapes:
        x: list of [B, c, H_l, W_l], finest level first
        returns: the same shapes
    """

    def __init__(self, c: int, levels: int) -> None:
        super().__init__()
        self.middle = nn.ModuleList(PlainBranch(c) for _ in range(levels))
        self.finer = nn.ModuleList(PlainBranch(c, 2) for _ in range(levels - 1))
        self.coarser = nn.ModuleList(PlainBranch(c) for _ in range(levels - 1))
        self.scale = ScaleAttention(c)
        self.task = TaskAttention(c)

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Run the block."""
        result = []
        for i, level in enumerate(x):
            features = [self.middle[i](level)]
            features += [self.finer[i - 1](x[i - 1])] if i else []
            features += [self.coarser[i](x[i + 1])] if i + 1 < len(x) else []
            features = [resize(feature, level.shape[-2:]) for feature in features]
            result.append(self.task(mean_of([feature * self.scale(feature) for feature in features])))
        return result


@register_module(
    kind="neck",
    paper=PAPER,
    row="[[15, 18, 21], 1, DyHead, [256]]",
    onnx_opset=19,
    no_export={
        "coreml": NO_DEFORM,
        "tflite": NO_DEFORM,
        "litert": NO_DEFORM,
        "edgetpu": NO_DEFORM,
        "rknn": NO_DEFORM,
        "ncnn": "its converter knows neither grouped nor functional deformable convolution; use DyHeadLite.",
        "hailo": "it takes ONNX of opset 11, and deformable convolution needs 19; use DyHeadLite.",
        "ascend": "it takes ONNX of opset 17, and deformable convolution needs 19; use DyHeadLite.",
    },
)
class DyHead(nn.Module):
    """Dynamic Head as a row between neck and head: `n` blocks over all levels, each brought to one width first.

    Args:
        c2: Channels of every level after the row.
        n: Number of blocks; the paper stacks 6 of 256 channels.
        deform: `dense`, as published, or `depthwise`, with a 1x1 convolution behind it.
        norm: `gn`, a group norm for all levels, as published, or `bn`, a batch norm for each.

    Shapes:
        x: list of [B, ch_l, H_l, W_l], finest level first
        returns: list of [B, c2, H_l, W_l]

    Raises:
        GraphError: `deform` or `norm` is none of the above.
    """

    def __init__(self, ch: list[int], c2: int, n: int = 1, deform: str = "dense", norm: str = "gn") -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Identity() if c == c2 else Conv(c, c2, 1) for c in ch)
        self.blocks = nn.Sequential(*(DyHeadBlock(c2, deform, norm, len(ch)) for _ in range(n)))

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Project every level and run the blocks."""
        y: list[Tensor] = self.blocks([project(level) for project, level in zip(self.project, x, strict=True)])
        return y


@register_module(
    kind="neck",
    paper=PAPER,
    row="[[15, 18, 21], 1, DyHeadLite, [256]]",
)
class DyHeadLite(nn.Module):
    """An approximation of DyHead for small devices, without deformable convolution.

    The spatial attention is replaced by depthwise and 1x1 convolutions with a batch norm each, which fold at `fuse()`;
    every level has its own. Scale and task attention are the paper's. What the paper gains by deformable convolution
    is given up, so measure it before you rely on it.

    Args:
        c2: Channels of every level after the row.
        n: Number of blocks.

    Shapes:
        x: list of [B, ch_l, H_l, W_l], finest level first
        returns: list of [B, c2, H_l, W_l]
    """

    def __init__(self, ch: list[int], c2: int, n: int = 1) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Identity() if c == c2 else Conv(c, c2, 1) for c in ch)
        self.blocks = nn.Sequential(*(DyHeadLiteBlock(c2, len(ch)) for _ in range(n)))

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Project every level and run the blocks."""
        y: list[Tensor] = self.blocks([project(level) for project, level in zip(self.project, x, strict=True)])
        return y
