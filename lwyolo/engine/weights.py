"""Transfer of weights from another model, row by row.

Upstream matches tensors by key, and a key holds the layer's number: one inserted row shifts all that follow. Here the
rows of both models are aligned first, by type and parameter shapes, and the source is presented to upstream's own
`load` with its layers where the target has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from torch import nn
from ultralytics.nn.modules import Detect

from lwyolo.record import TransferRecord


def transfer(model: Any, source: Any, name: str = "") -> TransferRecord:
    """Load into `model` what fits of `source`, and report it.

    Args:
        model: An Ultralytics model; changed in place.
        source: An Ultralytics model, for example of a stock checkpoint; left as it is.
        name: What the source is called in the report.

    Returns:
        How many tensors were taken, of how many, and the rows that got none or only a part of theirs.
    """
    source = source.float()
    aligned = _aligned(model, source)
    before = dict(aligned.state_dict())
    if _stock_head(model.model[-1]) and _stock_head(aligned.model[-1]):
        model.load(aligned, verbose=False)
    else:
        fitting = {
            k: v for k, v in before.items() if k in model.state_dict() and model.state_dict()[k].shape == v.shape
        }
        model.load_state_dict(fitting, strict=False)
    target = model.state_dict()
    taken = {key for key, value in target.items() if key in before and before[key].shape == value.shape}
    return TransferRecord(source=name, taken=len(taken), total=len(target), rows_missing=_missing(model, taken))


def align_rows(target: Sequence[nn.Module], source: Sequence[nn.Module]) -> dict[int, int]:
    """Map rows of `target` to rows of `source`: equal ones in order, then same-typed ones between them, heads last."""
    keys: list[list[Any]] = [[_key(row) for row in rows] for rows in (target, source)]
    pairs: dict[int, int] = {}
    for tag, a0, a1, b0, b1 in SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_opcodes():
        if tag == "equal":
            pairs.update(zip(range(a0, a1), range(b0, b1), strict=True))
        elif tag == "replace":
            types = [[type(row).__qualname__ for row in rows] for rows in (target[a0:a1], source[b0:b1])]
            for block in SequenceMatcher(None, types[0], types[1], autojunk=False).get_matching_blocks():
                pairs.update((a0 + block.a + k, b0 + block.b + k) for k in range(block.size))
    if isinstance(target[-1], Detect) and isinstance(source[-1], Detect):
        pairs = {a: b for a, b in pairs.items() if b != len(source) - 1} | {len(target) - 1: len(source) - 1}
    return pairs


def _key(row: nn.Module) -> tuple[Any, ...]:
    return (type(row).__qualname__, *(tuple(p.shape) for p in row.parameters()))


def _aligned(model: Any, source: Any) -> Any:
    """Return a shallow twin of `source` whose layers stand where `model` has their counterparts."""
    pairs = align_rows(list(model.model), list(source.model))
    rows = [source.model[pairs[i]] if i in pairs else nn.Identity() for i in range(len(model.model))]
    twin = object.__new__(type(source))
    twin.__dict__.update(source.__dict__)
    twin.__dict__["_modules"] = {**source._modules, "model": nn.Sequential(*rows)}
    return twin


def _stock_head(head: Any) -> bool:
    """Whether upstream's `load` can read the head: it looks at the first and last layer of `cv2` and `cv3`."""
    try:
        return not isinstance(head, Detect) or bool(head.cv2[0][0].conv and head.cv3[0][-1].in_channels)
    except (AttributeError, TypeError, IndexError):
        return False


def _missing(model: Any, taken: set[str]) -> tuple[str, ...]:
    missing = []
    for index, row in enumerate(model.model):
        keys = [f"model.{index}.{key}" for key in row.state_dict()]
        got = sum(key in taken for key in keys)
        if got < len(keys):
            missing.append(f"layer {index} {type(row).__name__}: {got} of {len(keys)} tensors")
    return tuple(missing)
