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

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import DeformConv2d
from ultralytics.nn.modules import Conv

from lwyolo.errors import GraphError, did_you_mean
from lwyolo.registry import register_module
from lwyolo.spec import Paper

KERNEL_AREA = 9
DEFORM = ("dense", "depthwise")


class ScaleAttention(nn.Module):
    """Scale-aware attention pi_L: one gate an image and level, from the level's mean.

    Shapes:
        x: [B, c, H, W]
        returns: [B, 1, 1, 1], in [0.5, 1]
    """

    def __init__(self, c: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(c, 1, 1)
        nn.init.normal_(self.squeeze.weight, std=0.01)
        nn.init.zeros_(self.squeeze.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the gate."""
        return F.hardsigmoid(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1))))


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
        theta = F.hardsigmoid(self.expand(F.relu(self.reduce(F.adaptive_avg_pool2d(x, 1))))) - 0.5
        slope1, offset1, slope2, offset2 = theta.split(self.c, dim=1)
        return torch.maximum(x * (2 * slope1 + 1) + offset1, x * (2 * slope2) + offset2)


class DeformBranch(nn.Module):
    """One direction of the spatial attention pi_S: modulated deformable convolution and a norm.

    Shapes:
        x: [B, c, H, W]
        offset: [B, 18, H / stride, W / stride], in pixels of x
        mask: [B, 9, H / stride, W / stride]
        returns: [B, c, H / stride, W / stride]
    """

    def __init__(self, c: int, stride: int = 1, deform: str = "dense") -> None:
        super().__init__()
        groups = c if deform == "depthwise" else 1
        self.deform = DeformConv2d(c, c, 3, stride=stride, padding=1, groups=groups, bias=False)
        self.mix = nn.Conv2d(c, c, 1, bias=False) if deform == "depthwise" else nn.Identity()
        self.norm = nn.GroupNorm(math.gcd(16, c), c)
        self.stride = stride

    def output_size(self, size: torch.Size) -> tuple[int, int]:
        """Return height and width of the output for an input of `size` [B, c, H, W]."""
        return (size[-2] - 1) // self.stride + 1, (size[-1] - 1) // self.stride + 1

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """Convolve at the offset positions; in float32, which the operator needs on a CPU, under autocast too.

        An offset that is not a number makes torchvision's operator read outside of memory, so it becomes zero; its mask,
        which comes from the same convolution, still carries the NaN to the output. An export has no such values.
        """
        if not torch.jit.is_tracing():
            offset = offset.nan_to_num(0.0)
        y: Tensor = self.deform(x.float(), offset.float(), mask.float()).to(x.dtype)
        y = self.norm(self.mix(y))
        return y


class DyHeadBlock(nn.Module):
    """One block: every level is rebuilt from itself and its neighbours.

    Args:
        c: Channels of every level.
        deform: `dense`, as published, or `depthwise` followed by a 1x1 convolution.

    Shapes:
        x: list of [B, c, H_l, W_l], finest level first
        returns: the same shapes
    """

    def __init__(self, c: int, deform: str = "dense") -> None:
        super().__init__()
        if deform not in DEFORM:
            raise GraphError(f"deform {deform!r}, expected {' or '.join(DEFORM)}.{did_you_mean(str(deform), DEFORM)}")
        self.offset = nn.Conv2d(c, 3 * KERNEL_AREA, 3, padding=1)
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)
        self.middle = DeformBranch(c, 1, deform)
        self.finer = DeformBranch(c, 2, deform)
        self.coarser = DeformBranch(c, 1, deform)
        self.scale = ScaleAttention(c)
        self.task = TaskAttention(c)

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Run the block."""
        return [self.task(self._mean_of_neighbours(x, i)) for i in range(len(x))]

    def _mean_of_neighbours(self, x: list[Tensor], i: int) -> Tensor:
        offsets = self.offset(x[i])
        branches = [(self.middle, x[i])]
        branches += [(self.finer, x[i - 1])] if i else []
        branches += [(self.coarser, x[i + 1])] if i + 1 < len(x) else []
        size = x[i].shape[-2:]
        features = [resize(branch(level, *self._shared(offsets, branch, level, size)), size) for branch, level in branches]
        return torch.stack([feature * self.scale(feature) for feature in features]).mean(0)

    def _shared(self, offsets: Tensor, branch: DeformBranch, level: Tensor, size: torch.Size) -> tuple[Tensor, Tensor]:
        """Bring the middle level's offsets and mask to the output size of a branch, and to the pixels of its level."""
        target = branch.output_size(level.shape)
        resampled = resize(offsets, target)
        offset, mask = resampled.split([2 * KERNEL_AREA, KERNEL_AREA], dim=1)
        if branch is self.coarser:
            ratio = offsets.new_tensor([target[0] / size[0], target[1] / size[1]]).repeat(KERNEL_AREA)
            offset = offset * ratio.view(1, -1, 1, 1)
        return offset, mask.sigmoid()


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
            result.append(self.task(torch.stack([feature * self.scale(feature) for feature in features]).mean(0)))
        return result


def resize(x: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """Resize to height and width, bilinear; halving averages 2x2 pixels, and a shift of the input stays a shift."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=[int(size[0]), int(size[1])], mode="bilinear", align_corners=False)




@register_module(
    kind="neck",
    paper=Paper(
        title="Dynamic Head: Unifying Object Detection Heads with Attentions",
        venue="CVPR",
        year=2021,
        url="https://arxiv.org/abs/2106.08322",
    ),
    row="[[15, 18, 21], 1, DyHead, [256]]",
    onnx_opset=19,
    no_export={
        "ncnn": "its converter knows no grouped or functional deformable convolution; use DyHeadLite.",
        "coreml": "it has no deformable convolution; use DyHeadLite.",
        "tflite": "it has no deformable convolution; use DyHeadLite.",
    },
)
class DyHead(nn.Module):
    """Dynamic Head as a row between neck and head: `n` blocks over all levels, each brought to one width first.

    Args:
        c2: Channels of every level after the row.
        n: Number of blocks; the paper stacks 6 of 256 channels.
        deform: `dense`, as published, or `depthwise`, with a 1x1 convolution behind it.

    Shapes:
        x: list of [B, ch_l, H_l, W_l], finest level first
        returns: list of [B, c2, H_l, W_l]
    """

    def __init__(self, ch: list[int], c2: int, n: int = 1, deform: str = "dense") -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Identity() if c == c2 else Conv(c, c2, 1) for c in ch)
        self.blocks = nn.Sequential(*(DyHeadBlock(c2, deform) for _ in range(n)))

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Project every level and run the blocks."""
        y: list[Tensor] = self.blocks([project(level) for project, level in zip(self.project, x, strict=True)])
        return y


@register_module(
    kind="neck",
    paper=Paper(
        title="Dynamic Head: Unifying Object Detection Heads with Attentions",
        venue="CVPR",
        year=2021,
        url="https://arxiv.org/abs/2106.08322",
    ),
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
