"""Small registered modules of every channel contract, for the tests of the seam."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from ultralytics.nn.modules import C2f, Conv, Detect

from lwyolo.registry import register_module
from lwyolo.spec import Paper

PAPER = Paper(title="A toy", venue="Tests", year=2026, url="https://example.org/toy")


@register_module(paper=PAPER)
class ToyConv(nn.Module):
    """Conv under another name."""

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1) -> None:
        super().__init__()
        self.conv = Conv(c1, c2, k, s)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


@register_module(paper=PAPER)
class ToyC2f(nn.Module):
    """C2f under another name."""

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = False, mode: str = "sum") -> None:
        super().__init__()
        self.block = C2f(c1, c2, n, shortcut)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


@register_module(paper=PAPER, kind="attention")
class ToyGate(nn.Module):
    """Halves its input; keeps channels and names none."""

    def __init__(self, factor: float = 0.5, mode: str = "plain") -> None:
        super().__init__()
        self.factor, self.mode = factor, mode

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@register_module(paper=PAPER, kind="neck")
class ToyNeck(nn.Module):
    """Brings all levels to one width."""

    def __init__(self, ch: list[int], c2: int, n: int = 1) -> None:
        super().__init__()
        self.n = n
        self.project = nn.ModuleList(Conv(c, c2, 1) for c in ch)

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        return [project(level) for project, level in zip(self.project, x, strict=True)]


@register_module(paper=PAPER, kind="fusion")
class ToySum(nn.Module):
    """Adds several feature maps of equal shape."""

    def __init__(self, ch: list[int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(len(ch)))

    def forward(self, x: list[Tensor]) -> Tensor:
        return sum(w * level for w, level in zip(self.weight, x, strict=True))


@register_module(paper=PAPER, kind="head")
class ToyDetect(Detect):
    """A head that gates every level before the stock head; it reads `legacy` as upstream does."""

    def __init__(
        self, nc: int = 80, gain: float = 1.0, reg_max: int = 16, end2end: bool = False, ch: tuple = ()
    ) -> None:
        try:
            super().__init__(nc, reg_max, bool(end2end), ch)
        except TypeError:  # Ultralytics before 8.4 takes (nc, ch)
            super().__init__(nc, ch)
        self.gain = gain

    def forward(self, x: list[Tensor]):
        return super().forward([level * self.gain for level in x])


@register_module(paper=PAPER, kind="backbone")
class ToyPyramid(nn.Module):
    """Emits strides 8, 16 and 32 from the image; its channels are asked before it is built."""

    def __init__(self, c1: int, name: str = "small") -> None:
        super().__init__()
        a, b, c = self.out_channels(c1, name)
        self.p3 = nn.Sequential(Conv(c1, 16, 3, 2), Conv(16, 16, 3, 2), Conv(16, a, 3, 2))
        self.p4, self.p5 = Conv(a, b, 3, 2), Conv(b, c, 3, 2)

    @classmethod
    def out_channels(cls, c1: int, name: str = "small") -> list[int]:
        return [16, 24, 32] if name == "small" else [32, 48, 64]

    def forward(self, x: Tensor) -> list[Tensor]:
        p3 = self.p3(x)
        p4 = self.p4(p3)
        return [p3, p4, self.p5(p4)]
