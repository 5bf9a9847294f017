"""The tree of module calls behind an ONNX file."""

from __future__ import annotations

import re

from lwyolo.cost.onnx.graph import Graph, Node
from lwyolo.cost.paths import Call

MOST_NAMED = 3
"""Operators up to which a module without a known class is named after them."""


def build_calls(graph: Graph) -> dict[Node, list[Call]]:
    """Return the calls that each node is in, from the model to the innermost module."""
    root = Call("", graph.path.stem, calls=1)
    calls = {node: _path_to(root, node) for node in graph.nodes}
    _describe(graph, calls)
    rows = sorted(root.children.items(), key=lambda item: (item[1].index is None, item[1].index or 0))
    root.children = dict(rows)
    return calls


def _path_to(root: Call, node: Node) -> list[Call]:
    path = [root]
    for name, type_ in node.scopes:
        row = re.fullmatch(r"model\.(\d+)", name) if path == [root] else None
        new = Call(name, type_, index=int(row[1]) if row else None, calls=1)
        path.append(path[-1].children.setdefault(name, new))
    return path


def _describe(graph: Graph, calls: dict[Node, list[Call]]) -> None:
    """Say of each module what it returns, and what it is made of where the file has no class for it."""
    readers: dict[str, list[list[Call]]] = {name: [[]] for name in graph.outputs}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(calls[node])
    operators: dict[Call, dict[str, None]] = {}
    for node in graph.nodes:
        for call in calls[node][1:]:
            operators.setdefault(call, {})[node.operator.rpartition("::")[2]] = None
            leaving = (n for n in node.outputs if any(call not in outer for outer in readers.get(n, ())))
            call.outputs += tuple(graph.tensors[name].shape for name in leaving if name not in graph.static)
    for call, names in operators.items():
        call.type = call.type or ("+".join(names) if len(names) <= MOST_NAMED else "ONNX")
