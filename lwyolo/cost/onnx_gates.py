"""Activations that a file writes out as a product: x · sigmoid(x) for SiLU, x · (1 + erf(x / √2)) for GELU.

Run one by one, their factors would be read and written in between, which neither torch nor a runtime does.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from lwyolo.cost.onnx_graph import Graph, Node
from lwyolo.cost.onnx_operators import QUANTISING, is_fusible


class Gates(NamedTuple):
    """Products x · f(x) whose f(x) nobody else reads: the nodes of f by their product, and all of those nodes."""

    chains: dict[Node, list[Node]]
    members: set[Node]


def find_gates(graph: Graph) -> Gates:
    """Find them all; a node is part of one at most."""
    producers = {name: node for node in graph.nodes for name in node.outputs}
    readers = Counter(name for node in graph.nodes for name in node.inputs)
    readers.update(graph.outputs)
    gates = Gates({}, set())
    for node in graph.nodes:
        if node.operator == "Mul" and node.outputs[0] not in graph.static:
            for x, gate in (node.inputs, node.inputs[::-1]):
                chain = _chain(graph, producers, readers, x, gate)
                if chain and gates.members.isdisjoint(chain):
                    gates.chains[node] = chain
                    gates.members.update(chain)
                    break
    return gates


def _chain(graph: Graph, producers: dict[str, Node], readers: Counter[str], x: str, gate: str) -> list[Node]:
    """Nodes that make `gate` of `x` and of constants alone, element by element, in order; none if others take part."""
    chain: list[Node] = []
    while gate != x:
        node = producers.get(gate)
        if node is None or readers[gate] > 1 or not is_fusible(node.operator) or node.operator in QUANTISING:
            return []
        chain.insert(0, node)
        moving = [name for name in node.inputs if name and name not in graph.static]
        if len(moving) != 1 or graph.tensors[gate].shape != graph.tensors[x].shape:
            return []
        gate = moving[0]
    return chain
