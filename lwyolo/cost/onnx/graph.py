"""An ONNX graph as plain data: nodes, the shape and type of every tensor, and what is known before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lwyolo.cost.onnx.operators import data_of

TYPES = {  # what stands for it on the meta device, and bits of an element in memory
    "FLOAT": (torch.float32, 32),
    "FLOAT16": (torch.float16, 16),
    "BFLOAT16": (torch.bfloat16, 16),
    "DOUBLE": (torch.float64, 64),
    "BOOL": (torch.bool, 8),
    "INT4": (torch.int8, 4),
    "INT8": (torch.int8, 8),
    "INT16": (torch.int16, 16),
    "INT32": (torch.int32, 32),
    "INT64": (torch.int64, 64),
    "UINT4": (torch.uint8, 4),
    "UINT8": (torch.uint8, 8),
    "UINT16": (torch.int16, 16),
    "UINT32": (torch.int32, 32),
    "UINT64": (torch.int64, 64),
}


class TensorType(NamedTuple):
    """Shape and type of a tensor; `bits` of one element as it is stored."""

    shape: tuple[int, ...]
    name: str
    dtype: torch.dtype
    bits: int


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node.

    Args:
        operator: With its domain, where that is not ONNX's own.
        label: What to call it in messages.
        scopes: Modules that it was called in, outermost first, with their class where the file tells it.
    """

    operator: str
    label: str
    attributes: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scopes: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Graph:
    """A graph for one size of input.

    Args:
        tensors: Every tensor whose shape is known.
        weights: Initialisers, and what `Constant` nodes hold.
        static: The weights, and all that depends on them and on shapes alone.
        numbers: Small static tensors, as numpy arrays.
    """

    path: Path
    nodes: list[Node] = field(default_factory=list)
    inputs: dict[str, TensorType] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    tensors: dict[str, TensorType] = field(default_factory=dict)
    weights: set[str] = field(default_factory=set)
    static: set[str] = field(default_factory=set)
    numbers: dict[str, Any] = field(default_factory=dict)
    producers: dict[str, Node] = field(default_factory=dict)

    def sources(self, name: str) -> Iterator[str]:
        """Initialisers that a static tensor is made of; of a quantised one, its numbers and not their scales."""
        if name in self.weights:
            yield name
        elif name in self.static:
            node = self.producers[name]
            for slot in data_of(node.operator, len(node.inputs)):
                yield from self.sources(node.inputs[slot])
