"""Slim neck: GSConv, and the cross-stage block VoVGSCSP that is built of it.

Li et al., "Slim-neck by GSConv: a lightweight-design for real-time detector architectures", Journal of Real-Time Image
Processing 2024, arXiv 2206.02424.

GSConv makes half of its output by a dense convolution and the other half by a depthwise one of the first half, and
shuffles the two, so that dense and cheap channels alternate. The authors use it in the neck, where features are wide
and small, and leave the backbone dense.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from ultralytics.nn.modules import Conv

from lwyolo.registry import register_module
from lwyolo.spec import Paper

DEPTHWISE_KERNEL = 5


def shuffle_halves(x: Tensor) -> Tensor:
    """Interleave the first and the second half of the channels: 0, c/2, 1, c/2 + 1, …

    Shapes:
        x: [B, c, H, W], c even
        returns: [B, c, H, W]
    """
    batch, c, height, width = x.shape
    return x.reshape(batch, 2, c // 2, height, width).transpose(1, 2).reshape(batch, c, height, width)


@register_module(
    kind="conv",
    paper=Paper(
        title="Slim-neck by GSConv: a lightweight-design for real-time detector architectures",
        venue="Journal of Real-Time Image Processing",
        year=2024,
        url="https://arxiv.org/abs/2206.02424",
    ),
    row="[-1, 1, GSConv, [256, 3, 2]]",
)
class GSConv(nn.Module):
    """Half dense, half depthwise convolution, shuffled.

    Args:
        k: Kernel of the dense half.
        s: Stride.
        act: As in Ultralytics' Conv.

    Shapes:
        x: [B, c1, H, W]
        returns: [B, c2, H / s, W / s]; c2 is even
    """

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, act: bool = True) -> None:
        super().__init__()
        if c2 % 2:
            raise ValueError(f"GSConv makes two halves of its output, but c2 is {c2}")
        half = c2 // 2
        self.dense = Conv(c1, half, k, s, act=act)
        self.cheap = Conv(half, half, DEPTHWISE_KERNEL, 1, g=half, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and shuffle."""
        dense = self.dense(x)
        return shuffle_halves(torch.cat((dense, self.cheap(dense)), dim=1))


class GSBottleneck(nn.Module):
    """Two GSConv beside a dense 1x1 convolution.

    Shapes:
        x: [B, c, H, W]
        returns: [B, c, H, W]
    """

    def __init__(self, c: int) -> None:
        super().__init__()
        middle = max(c // 4, 1) * 2
        self.path = nn.Sequential(GSConv(c, middle, 1), GSConv(middle, c, 3, act=False))
        self.beside = Conv(c, c, 1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add both paths."""
        y: Tensor = self.path(x) + self.beside(x)
        return y


@register_module(
    kind="block",
    paper=Paper(
        title="Slim-neck by GSConv: a lightweight-design for real-time detector architectures",
        venue="Journal of Real-Time Image Processing",
        year=2024,
        url="https://arxiv.org/abs/2206.02424",
    ),
    row="[-1, 3, VoVGSCSP, [256]]",
)
class VoVGSCSP(nn.Module):
    """One-shot aggregation over GSConv bottlenecks, beside a 1x1 path.

    Args:
        n: Number of bottlenecks.
        e: Width of the paths, in parts of c2.

    Shapes:
        x: [B, c1, H, W]
        returns: [B, c2, H, W]
    """

    def __init__(self, c1: int, c2: int, n: int = 1, e: float = 0.5) -> None:
        super().__init__()
        width = max(int(c2 * e) // 2, 1) * 2
        self.enter = Conv(c1, width, 1)
        self.blocks = nn.Sequential(*(GSBottleneck(width) for _ in range(n)))
        self.beside = Conv(c1, width, 1)
        self.merge = Conv(2 * width, c2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Run both paths and merge."""
        y: Tensor = self.merge(torch.cat((self.beside(x), self.blocks(self.enter(x))), dim=1))
        return y
