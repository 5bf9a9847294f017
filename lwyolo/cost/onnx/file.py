"""What an ONNX file costs, by the definitions that a torch model is measured by, without reading its weights.

Memory access aims at the graph that was exported. `Reshape`, `Transpose`, `Split`, `Slice` and `Expand` are views, as
in torch, and are copied where torch would copy. `x · f(x)`, as exporters write SiLU, is one operator. What depends on
weights and shapes alone is computed once and costs nothing; nor do single numbers. A tensor that is stored quantised
is read and written so, scales and zero points apart: a `DequantizeLinear` moves nothing, and its readers read integers.

Parameters are the floating-point initialisers that the graph computes with, and the weights of contractions, of any
type. Not among them are single numbers, statistics of a batch norm, and what the exporter's trace computed
(`/model.22/Constant_output_0`), such as anchors. Tools that simplify files store equal tensors once, so that a model
without training, whose biases are all zero, has fewer here; and may store a shared layer once for each call.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lwyolo.cost.elementwise import FILLS
from lwyolo.cost.layouts import elementwise_strides
from lwyolo.cost.onnx.calls import build_calls
from lwyolo.cost.onnx.graph import Graph, Node
from lwyolo.cost.onnx.groups import find_groups
from lwyolo.cost.onnx.operators import (
    ATEN,
    CONTRACTIONS,
    CONVOLUTIONS,
    MATRIX_PRODUCTS,
    Operation,
    data_of,
    folds_norms,
    gathers,
    is_fusible,
    work_of,
)
from lwyolo.cost.onnx.reader import read_graph
from lwyolo.cost.onnx.views import views_of
from lwyolo.cost.operations import Work
from lwyolo.cost.paths import Call
from lwyolo.cost.trace import Access, Step, Value, distinct_bytes
from lwyolo.cost.tree import Convolution, Cost
from lwyolo.cost.tree_builder import build_cost
from lwyolo.errors import CostError

TRACED = re.compile(r"^/.*_output_\d+$")
"""What torch's exporter calls a tensor that the model computed, rather than held."""
CONSTANT = re.compile(r"^/(.*/)?Constant(_\d+)?_output_\d+$")


@dataclass(frozen=True, slots=True)
class Held:
    """A tensor of the graph as it lies in memory: a view of a value, whose elements are stored in `bits`."""

    tensor: Tensor
    value: int
    bits: int

    @property
    def access(self) -> Access:
        """Reading it, or writing it."""
        t = self.tensor
        n_elements = distinct_bytes(t) // t.element_size()
        return Access(self.value, (t.storage_offset(), tuple(t.shape), t.stride()), -(-n_elements * self.bits // 8))


def onnx_cost(path: Path, imgsz: int | tuple[int, int] | None = None, *, batch: int = 1, strict: bool = False) -> Cost:
    """Return what one forward pass of an ONNX file costs.

    Rows are the modules that torch's exporters name each node after. A module that is called twice is two rows there.

    Args:
        path: The file; its external data may be absent.
        imgsz: Height and width, or one number for both, in pixels; by default the file's own, or 640 where it takes
            any size.
        batch: Images in the pass.
        strict: Refuse a file with operators that have no formula.

    Raises:
        CostError: onnx is not installed; the file is missing, damaged or of another size; a shape in it cannot be
            known; or, if `strict`, an operator has no formula.
    """
    trace = trace_file(path, imgsz, batch)
    root = trace.calls[trace.graph.nodes[0]][0]
    shapes = tuple(kind.shape for kind in trace.graph.inputs.values())
    cost = build_cost(root, trace.params, trace.steps, trace.values, trace.outputs, shapes, trace.dtype, fused=True)
    if strict and cost.uncounted:
        missing = ", ".join(f"{name} ({calls} calls)" for name, calls in cost.uncounted.items())
        raise CostError(f"{path}: operators without a formula: {missing}. Give each one with @op_cost.")
    return cost


def trace_file(path: Path, imgsz: int | tuple[int, int] | None = None, batch: int = 1) -> FileTrace:
    """Go through the graph of a file once; arguments and errors as `onnx_cost` has them."""
    trace = FileTrace(read_graph(path, imgsz, batch))
    for node in trace.graph.nodes:
        trace.visit(node)
    return trace


class FileTrace:
    """The steps of a graph, the node that each is of, and the calls that they belong to."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.calls = build_calls(graph)
        self.params: dict[Call, int] = {}
        self.steps: list[Step] = []
        self.nodes: list[Node] = []
        self.values: list[Value] = []
        self.held: dict[str, Held] = {}
        self.groups = find_groups(graph)
        self._grouped = {node for nodes in self.groups.values() for node in nodes}
        self._counted: set[str] = set()
        self._contracted: Counter[str] = Counter()
        for name in graph.inputs:
            self._hold(name, producer=-1)
        for name in graph.weights:
            self._hold(name, producer=-1, weight=True)

    @property
    def outputs(self) -> set[int]:
        """Values that the graph returns."""
        return {self.held[name].value for name in self.graph.outputs if name in self.held}

    @property
    def dtype(self) -> str:
        """Type of most weights of contractions, else of the input."""
        first = next(iter(self.graph.inputs.values()), None)
        common = self._contracted.most_common(1)
        return common[0][0] if common else first.name if first else "float32"

    def visit(self, node: Node) -> None:
        """Add a node: nothing for a view or for what is static, else a step."""
        source = self.held.get(node.inputs[0]) if node.inputs else None
        views = views_of(self.graph, node, source.tensor) if source else None
        static = node.outputs[0] in self.graph.static
        if source and views:
            self.held.update({n: Held(t, source.value, source.bits) for n, t in zip(node.outputs, views, strict=False)})
            if node.operator == "DequantizeLinear" and not static:
                self._add_step(node, node.operator, self._work(node)[0], (), ())
        elif static:
            for name in filter(self.graph.tensors.get, node.outputs):
                self._hold(name, producer=-1, weight=True)
        else:
            self._compute(node)

    def _compute(self, node: Node) -> None:
        if node in self._grouped:  # part of a later step; nobody else reads it
            kind = self.graph.tensors[node.outputs[0]]
            self.held[node.outputs[0]] = Held(torch.empty(kind.shape, dtype=kind.dtype, device="meta"), -1, kind.bits)
            return
        parts = (*self.groups.get(node, ()), node)
        inside = {name for part in parts[:-1] for name in part.outputs}
        data = [name for part in parts for name in self._data(part) if name and name not in inside]
        lead = next((part for part in parts if part.operator in MATRIX_PRODUCTS), node)
        if lead.operator in MATRIX_PRODUCTS:
            data = [self._as_batch(node, name) for name in data]
        norm = node.operator == "BatchNormalization"
        vectors = node.inputs[1:] if norm else ()
        self._count_params(lead, (*data, *vectors[:2]))
        reads = dict.fromkeys(self.held[name].access for name in data if not self._is_number(name))
        fusible = is_fusible(lead.operator)
        tensors = [self.held[name].tensor for name in data]
        outputs = node.outputs[: 1 if norm else None]
        for name in outputs:
            self._hold(name, len(self.steps), like=tensors if fusible else [])
        works = [self._work(part) for part in (parts if lead is node else [lead])]  # a bias costs nothing more
        work = Work(*(sum(amounts) for amounts in zip(*(work for work, _ in works), strict=True)))
        self._add_step(
            node,
            "+".join(part.operator for part in parts),
            work,
            self._gathered(node, tuple(reads)),
            tuple(self.held[name].access for name in outputs),
        )
        step = self.steps[-1]
        step.counted, step.fusible = all(counted for _, counted in works), fusible
        step.vectors = tuple(self.held[name].access for name in vectors)
        step.folds, step.biased = folds_norms(lead.operator), len(tensors) > 2
        if node.operator in CONVOLUTIONS:
            step.convolution = _convolution(self._operation(node), step)

    def _as_batch(self, node: Node, name: str) -> str:
        """Copy an operand whose axes before the last two cannot be taken as one: a product of batches needs that."""
        x = self.held[name]
        if x.tensor.dim() < 4 or name in self.graph.static:
            return name
        try:
            x.tensor.view(-1, *x.tensor.shape[-2:])
        except RuntimeError:  # torch's word for a layout that has to be copied
            copy = f"{name} of {node.outputs[0]}"
            self.graph.tensors[copy] = self.graph.tensors[name]
            self._hold(copy, len(self.steps))
            self._add_step(node, "Transpose", Work(), (x.access,), (self.held[copy].access,))
            return copy
        return name

    def _add_step(
        self, node: Node, name: str, work: Work, reads: tuple[Access, ...], writes: tuple[Access, ...]
    ) -> None:
        call = self.calls[node][-1]
        self.nodes.append(node)
        self.steps.append(Step(name, call, work, True, False, reads, (), writes, folds=False, biased=False))

    def _hold(self, name: str, producer: int, weight: bool = False, like: Sequence[Tensor] = ()) -> None:
        kind = self.graph.tensors[name]
        tensor = torch.empty(kind.shape, dtype=kind.dtype, device="meta")
        if like:
            tensor = tensor.as_strided(kind.shape, elementwise_strides(like, kind.shape))
        self.values.append(Value(len(self.values), -(-tensor.numel() * kind.bits // 8), producer, True, weight))
        self.held[name] = Held(tensor, len(self.values) - 1, kind.bits)

    def _data(self, node: Node) -> tuple[str, ...]:
        return tuple(node.inputs[slot] for slot in data_of(node.operator, len(node.inputs)))

    def _operation(self, node: Node) -> Operation:
        tensors = tuple(self.held[name].tensor if name else None for name in self._data(node))
        return Operation(node.operator, node.attributes, tensors, self.held[node.outputs[0]].tensor)

    def _work(self, node: Node) -> tuple[Work, bool]:
        try:
            return work_of(self._operation(node))
        except (TypeError, ValueError, IndexError, KeyError, AttributeError, RuntimeError) as error:
            why = f"{type(error).__name__}: {error}"
            raise CostError(f"{self.graph.path}: the formula of {node.label} fails: {why}") from error

    def _gathered(self, node: Node, reads: tuple[Access, ...]) -> tuple[Access, ...]:
        if ATEN.get(node.operator) in FILLS:
            return ()
        if not gathers(node.operator) or not reads:
            return reads
        written = self.held[node.outputs[0]].access.n_bytes
        return (reads[0]._replace(n_bytes=min(written, reads[0].n_bytes)), *reads[1:])

    def _is_number(self, name: str) -> bool:
        return name in self.graph.static and self.held[name].tensor.numel() == 1

    def _count_params(self, node: Node, names: Sequence[str]) -> None:
        """Give each parameter that a node reads, once, to the innermost module that reads it first."""
        contracts = node.operator in CONTRACTIONS
        for name in dict.fromkeys(source for read in names for source in self.graph.sources(read)):
            kind = self.graph.tensors[name]
            size = math.prod(kind.shape)
            named = kind.dtype.is_floating_point and size > 1 and not TRACED.search(name)
            if contracts:
                self._contracted[kind.name] += size
            if name not in self._counted and (named or (contracts and not CONSTANT.search(name))):
                self._counted.add(name)
                call = self.calls[node][-1]
                self.params[call] = self.params.get(call, 0) + size


def _convolution(operation: Operation, step: Step) -> Convolution:
    x, weight = operation.tensors[:2]
    kernel = tuple(weight.shape[2:])
    c1, c2 = x.shape[1], operation.out.shape[1]
    return Convolution(
        c1=c1,
        c2=c2,
        kernel=kernel,
        groups=operation.attributes.get("group", 1),
        stride=tuple(operation.attributes.get("strides", [1] * len(kernel))),
        positions_in=x.numel() // c1,
        positions_out=operation.out.numel() // c2,
        macs=step.work.macs,
        memory_access_bytes=step.n_bytes,
    )
