"""What a model computes in its first pass and keeps for the next ones, such as a head's anchors.

It is no part of the cost of a pass. Any model is run once before the pass that is traced; of a detector, only the head
keeps anything, so running that is enough. Whether it was is checked afterwards, by what the modules hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from lwyolo.cost.shapes import ShapeMode

CONTAINERS = (list, dict, set)
OF_EVERY_MODULE = frozenset(vars(nn.Module()))
"""Attributes that torch itself keeps, of which a pass replaces buffers alone."""


def warm_head(model: nn.Module, image: Any) -> bool:
    """Run the head of an Ultralytics detector on maps of the sizes that it will get; say whether that was possible.

    Shapes:
        image: [B, C, H, W]
    """
    rows = getattr(model, "model", None)
    head = rows[-1] if isinstance(rows, nn.Sequential) and len(rows) else None
    strides, branches = getattr(head, "stride", None), getattr(head, "cv2", None)
    if not isinstance(strides, Tensor) or strides.is_meta or not isinstance(branches, nn.ModuleList):
        return False
    first = [next((m for m in branch.modules() if isinstance(m, nn.Conv2d)), None) for branch in branches]
    if not isinstance(image, Tensor) or len(first) != len(strides) or None in first or (strides <= 0).any():
        return False
    sides = [[-(-side // int(stride)) for side in image.shape[2:]] for stride in strides]
    maps = [image.new_zeros((len(image), conv.in_channels, *hw)) for conv, hw in zip(first, sides, strict=True) if conv]
    try:
        with ShapeMode():
            head(maps)  # type: ignore[misc]  # a module of the sequence
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        return False  # a head of another kind; the whole model is run instead
    return True


def state_of(modules: Iterable[nn.Module]) -> list[tuple[int, ...]]:
    """Return which objects the modules hold, and how long lists and the like are: equal if nothing was kept since."""
    return [
        (id(held), len(held) if isinstance(held, CONTAINERS) else 0)
        for module in modules
        for held in (
            *(held for name, held in vars(module).items() if name not in OF_EVERY_MODULE),
            *module._buffers.values(),
        )
    ]
