"""ONNX operators that only look at a tensor in another way, where torch would not copy it either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lwyolo.cost.onnx.graph import Graph, Node

View = Callable[[Graph, Node, Tensor], "list[Tensor] | None"]


def views_of(graph: Graph, node: Node, x: Tensor) -> list[Tensor] | None:
    """Return a node's outputs as views of its first input, or `None` where it computes or copies."""
    rule = VIEWS.get(node.operator)
    return rule(graph, node, x) if rule else None


def _same(graph: Graph, node: Node, x: Tensor) -> list[Tensor] | None:
    return [x]


def _reshape(graph: Graph, node: Node, x: Tensor) -> list[Tensor] | None:
    try:
        return [x.view(graph.tensors[node.outputs[0]].shape)]
    except RuntimeError:  # torch's word for a layout that has to be copied
        return None


def _transpose(graph: Graph, node: Node, x: Tensor) -> list[Tensor] | None:
    return [x.permute(node.attributes.get("perm", tuple(reversed(range(x.dim())))))]


def _expand(graph: Graph, node: Node, x: Tensor) -> list[Tensor] | None:
    return [x.expand(graph.tensors[node.outputs[0]].shape)]


def _split(graph: Graph, node: Node, x: Tensor) -> list[Tensor] | None:
    axis = node.attributes.get("axis", 0)
    return list(torch.split(x, [graph.tensors[name].shape[axis] for name in node.outputs], axis))


def _slice(graph: Graph, node: Node, x: Tensor) -> list[Tensor] | None:
    """A slice with known limits; a negative step turns the order round, which torch does by a copy."""
    if "starts" in node.attributes:  # before opset 10
        starts, ends = node.attributes["starts"], node.attributes["ends"]
        axes, steps = node.attributes.get("axes"), None
    else:
        starts, ends, axes, steps = (_numbers(graph, node, slot) for slot in (1, 2, 3, 4))
    if starts is None or ends is None:
        return None
    steps = steps or [1] * len(starts)
    if min(steps) < 0:
        return None
    index = [slice(None)] * x.dim()
    for axis, start, end, step in zip(axes or range(len(starts)), starts, ends, steps, strict=True):
        index[axis] = slice(start, end, step)
    return [x[tuple(index)]]


def _gather(graph: Graph, node: Node, x: Tensor) -> list[Tensor] | None:
    """One known position along an axis, as indexing by a number is exported."""
    index = graph.numbers.get(node.inputs[1])
    return [x.select(node.attributes.get("axis", 0), int(index))] if index is not None and index.ndim == 0 else None


def _cast(graph: Graph, node: Node, x: Tensor) -> list[Tensor] | None:
    return [x] if graph.tensors[node.outputs[0]].dtype == x.dtype else None


def _dequantise(graph: Graph, node: Node, x: Tensor) -> list[Tensor] | None:
    """The same layout as numbers of another type."""
    elements = x.untyped_storage().nbytes() // x.element_size()
    base = torch.empty(elements, dtype=graph.tensors[node.outputs[0]].dtype, device="meta")
    return [base.as_strided(x.shape, x.stride(), x.storage_offset())]


def _numbers(graph: Graph, node: Node, slot: int) -> Sequence[int] | None:
    name = node.inputs[slot] if slot < len(node.inputs) else ""
    numbers: Any = graph.numbers.get(name)
    return None if numbers is None else [int(n) for n in numbers]


VIEWS: dict[str, View] = {
    **dict.fromkeys(("Identity", "Dropout"), _same),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    "Transpose": _transpose,
    "Expand": _expand,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Cast": _cast,
    "CastLike": _cast,
    "DequantizeLinear": _dequantise,
}
