"""Operators of a model that exporters write as several nodes.

An activation becomes a product, x · sigmoid(x) for SiLU and x · (1 + erf(x / √2)) for GELU; a linear layer becomes a
matrix product and the sum with its bias. Run one by one, they would read and write what lies in between, which neither
torch nor a runtime does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lwyolo.cost.onnx.graph import Graph, Node
from lwyolo.cost.onnx.operators import MATRIX_PRODUCTS, QUANTISING, is_fusible


def find_groups(graph: Graph) -> dict[Node, list[Node]]:
    """Return the nodes that belong to a later one, in order, by that one; nobody else reads what they make."""
    readers = Counter(name for node in graph.nodes for name in node.inputs)
    readers.update(graph.outputs)
    groups: dict[Node, list[Node]] = {}
    taken: set[Node] = set()
    for node in graph.nodes:
        if node.outputs[0] not in graph.static:
            found = next((nodes for nodes in _candidates(graph, readers, node) if nodes), [])
            if found and taken.isdisjoint(found):
                groups[node] = found
                taken.update(found)
    return groups


def _candidates(graph: Graph, readers: Counter[str], node: Node) -> Iterator[list[Node]]:
    if node.operator not in {"Mul", "Add"}:
        return
    for one, other in (node.inputs, node.inputs[::-1]):
        if node.operator == "Mul":
            yield _gate(graph, readers, one, other)
        elif other in graph.static and len(graph.tensors[other].shape) == 1:
            product = graph.producers.get(one)
            yield [product] if product and product.operator in MATRIX_PRODUCTS and readers[one] == 1 else []


def _gate(graph: Graph, readers: Counter[str], x: str, gate: str) -> list[Node]:
    """Nodes that make `gate` of `x` and of constants alone, element by element; none if others take part."""
    nodes: list[Node] = []
    while gate != x:
        node = graph.producers.get(gate)
        if node is None or readers[gate] > 1 or not is_fusible(node.operator) or node.operator in QUANTISING:
            return []
        nodes.insert(0, node)
        moving = [name for name in node.inputs if name and name not in graph.static]
        if len(moving) != 1 or graph.tensors[gate].shape != graph.tensors[x].shape:
            return []
        gate = moving[0]
    return nodes
