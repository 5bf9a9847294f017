"""GSConv and VoVGSCSP: a neck of half dense, half depthwise convolutions whose channels are shuffled.

Li et al., "Slim-neck by GSConv: a lightweight-design for real-time detector architectures", Journal of Real-Time Image
Processing 2024, arXiv 2206.02424.

Deviations: the channels of the two halves alternate after the shuffle (a0, b0, a1, b1, …), where the published code
takes the even channels of both, then the odd ones; each mixes the halves evenly, and what follows is dense. A 3x3
convolution that the published VoVGSCSP builds and never calls is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from ultralytics.nn.modules import Conv

from lwyolo.errors import GraphError
from lwyolo.registry import register_module
from lwyolo.spec import Paper


def shuffle_halves(x: Tensor) -> Tensor:
    """Let the channels of the first and the second half alternate.

    Example:
        >>> shuffle_halves(torch.arange(6).reshape(1, 6, 1, 1)).flatten().tolist()
        [0, 3, 1, 4, 2, 5]
    """
    b, c, h, w = x.shape
    return x.reshape(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)


@register_module(
    kind="conv",
    paper=Paper(
        title="Slim-neck by GSConv: a lightweight-design for real-time detector architectures",
        venue="Journal of Real-Time Image Processing",
        year=2024,
        url="https://arxiv.org/abs/2206.02424",
    ),
    row="[-1, 1, GSConv, [128, 3, 2]]",
)
class GSConv(nn.Module):
    """Half of the output from a dense convolution, the other half from a depthwise 5x5 of the first, shuffled.

    Args:
        c2: Channels of the output, even.
        k: Kernel size of the dense half.
        s: Stride.
        act: Whether the model's activation follows each half.

    Shapes:
        x: [B, c1, H, W]
        returns: [B, c2, H/s, W/s]

    Raises:
        GraphError: `c2` is odd.
    """

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, act: bool = True) -> None:
        super().__init__()
        if c2 % 2:
            raise GraphError(f"GSConv: c2={c2} channels, expected an even number: one half is dense, one depthwise.")
        self.dense = Conv(c1, c2 // 2, k, s, act=act)
        self.depthwise = Conv(c2 // 2, c2 // 2, 5, 1, g=c2 // 2, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """Compute both halves and shuffle."""
        dense = self.dense(x)
        return shuffle_halves(torch.cat((dense, self.depthwise(dense)), dim=1))


class GSBottleneck(nn.Module):
    """Two GSConvs, the second a 3x3 without activation, beside a 1x1 convolution of the input.

    Shapes:
        x: [B, c, H, W]
        returns: [B, c, H, W]
    """

    def __init__(self, c: int) -> None:
        super().__init__()
        self.main = nn.Sequential(GSConv(c, c, 1), GSConv(c, c, 3, act=False))
        self.side = Conv(c, c, 1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add both."""
        y: Tensor = self.main(x) + self.side(x)
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
    """Cross-stage partial block of GSConv bottlenecks: one branch through them, one past them.

    Args:
        n: Number of bottlenecks.
        e: Width of a branch, as a fraction of `c2`.

    Shapes:
        x: [B, c1, H, W]
        returns: [B, c2, H, W]
    """

    def __init__(self, c1: int, c2: int, n: int = 1, e: float = 0.5) -> None:
        super().__init__()
        c = int(c2 * e)
        self.cv1 = Conv(c1, c, 1)
        self.cv2 = Conv(c1, c, 1)
        self.cv3 = Conv(2 * c, c2, 1)
        self.m = nn.Sequential(*(GSBottleneck(c) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        """Run both branches and merge them."""
        y: Tensor = self.cv3(torch.cat((self.cv2(x), self.m(self.cv1(x))), dim=1))
        return y
