"""A detection head whose box and class towers are shared by all levels.

Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection", ICCV 2019, arXiv 1904.01355: the towers share their
weights over the levels. Lyu et al., "RTMDet: An Empirical Study of Designing Real-Time Object Detectors", 2022, arXiv
2212.07784: shared convolutions with a batch norm for each level, because the levels' statistics differ.

Deviations: a level's own 1x1 convolution first brings it to the width of the towers, since YOLO's levels differ in
width; outputs, losses and decoding are Ultralytics' (no centre-ness). As in RTMDet the last 1x1 convolution belongs to
its level, so that each starts from the class prior of its own stride; it also contains the scale that FCOS, which
shares that convolution too, learns for each level.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

from torch import Tensor, nn
from ultralytics.nn.modules import Conv, Detect

from lwyolo.errors import GraphError
from lwyolo.registry import register_module
from lwyolo.spec import Paper

TOWER_DEPTH = 2


class SharedConv(Conv):
    """A 3x3 `Conv` of one level: the convolution of the first level, a batch norm of its own.

    Only the first level registers the convolution. Registered by each, it would be listed several times in the state
    dict, and Ultralytics' moving average would be applied to it as often in every step.

    `fuse()` writes the folded weights into the module that it reads from `conv`, on some versions in place. It
    therefore reads a copy; what it assigns stays this level's own.

    Args:
        c: Channels in and out.
        first: The same convolution of the first level; `None` on the first level itself.

    Shapes:
        x: [B, c, H, W]
        returns: [B, c, H, W]
    """

    def __init__(self, c: int, first: SharedConv | None = None) -> None:
        super().__init__(c, c, 3)
        self.shared: tuple[nn.Conv2d] = first.shared if first else (self._modules["conv"],)  # a tuple is not registered
        if first:
            del self._modules["conv"]

    @property
    def conv(self) -> nn.Module:
        """The folded convolution after `fuse()`; before, a copy of the shared one."""
        return copy.deepcopy(self.shared[0]) if "bn" in self._modules else self._modules["conv"]

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the shared weights and normalise with this level's statistics."""
        y: Tensor = self.act(self.bn(self.shared[0](x)))
        return y

    def forward_fuse(self, x: Tensor) -> Tensor:
        """Convolve with this level's folded weights."""
        y: Tensor = self.act(self._modules["conv"](x))
        return y


def shared_towers(ch: list[int] | tuple[int, ...], hidden: int, outputs: int) -> nn.ModuleList:
    """Build one tower a level, in the layout of `Detect.cv2` and `Detect.cv3`; their 3x3 convolutions are shared.

    Args:
        ch: Channels of each level.
        hidden: Width of the towers.
        outputs: Channels of each tower's output.
    """
    towers = nn.ModuleList()
    first: list[SharedConv] = []
    for c in ch:
        tower = [SharedConv(hidden, first[i] if first else None) for i in range(TOWER_DEPTH)]
        first = first or tower
        towers.append(nn.Sequential(Conv(c, hidden, 1), *tower, nn.Conv2d(hidden, outputs, 1)))
    return towers


def upstream_arguments(constructor: Any, **given: Any) -> dict[str, Any]:
    """Return those of the arguments that the constructor of `Detect` takes: before Ultralytics 8.4 `(nc, ch)`.

    Raises:
        GraphError: One that it does not take asks for other than the old head does.
    """
    known = inspect.signature(constructor).parameters
    fixed = {"reg_max": 16, "end2end": False}
    for name in sorted(fixed.keys() & given.keys() - known.keys()):
        if given[name] != fixed[name]:
            raise GraphError(
                f"SharedConvDetect: {name}: {given[name]} needs Ultralytics 8.4 or newer; the installed version has "
                f"{name}: {fixed[name]} only."
            )
    return {name: value for name, value in given.items() if name in known}


@register_module(
    kind="head",
    paper=Paper(
        title="FCOS: Fully Convolutional One-Stage Object Detection",
        venue="ICCV",
        year=2019,
        url="https://arxiv.org/abs/1904.01355",
    ),
    row="[[15, 18, 21], 1, SharedConvDetect, [nc, 64]]",
)
class SharedConvDetect(Detect):
    """Detection head with one box tower and one class tower for all levels, and batch norms of each level.

    At `fuse()` every level gets its own copy of the towers with its norms folded in: the fused model is faster and has
    more parameters than the one that was trained.

    Args:
        hidden: Width of the towers; it is not scaled with the model.

    Shapes:
        x: list of [B, ch_l, H_l, W_l], finest level first
        returns: as Ultralytics' Detect of the installed version

    Raises:
        GraphError: `reg_max` or `end2end` asks for what the installed Ultralytics cannot do.
    """

    def __init__(
        self,
        nc: int = 80,
        hidden: int = 64,
        reg_max: int = 16,
        end2end: bool = False,
        ch: list[int] | tuple[int, ...] = (),
    ) -> None:
        # Detect builds towers for these channels; they are replaced below, so they are kept small
        small = [1] * len(ch)
        super().__init__(**upstream_arguments(Detect.__init__, nc=nc, reg_max=reg_max, end2end=bool(end2end), ch=small))
        self.cv2 = shared_towers(ch, hidden, 4 * reg_max)
        self.cv3 = shared_towers(ch, hidden, nc)
        if end2end:
            self.one2one_cv2, self.one2one_cv3 = copy.deepcopy(self.cv2), copy.deepcopy(self.cv3)
