"""An ONNX file as plain data: nodes, the shape and type of every tensor, and what is known before it runs.

Shapes are inferred node by node with onnx's own rules, for the size of image that is asked for. Where a shape depends
on numbers, such as the target of a `Reshape`, the numbers are computed first; weights are never read.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from lwyolo.cost.onnx_operators import DATA, FLOATING_AS
from lwyolo.errors import CostError

DEFAULT_IMGSZ = 640
LARGEST_NUMBERS = 64
"""Elements up to which a tensor's numbers are read: shapes and axes have few, weights have many."""
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
STANDARD = {  # operators without rules for shapes, by one whose result has the same shape
    "com.microsoft::FusedConv": "Conv",
    "com.microsoft::FusedGemm": "Gemm",
    "com.microsoft::FusedMatMul": "MatMul",
    "com.microsoft::QuickGelu": "Identity",
    "com.microsoft::Gelu": "Identity",
    **{name: "Add" if name.endswith(("Add", "Mul")) else "Identity" for name in FLOATING_AS},
}
SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
REMEDY = "Export with fixed sizes (dynamic=False), without NMS in the graph, and simplified (simplify=True)."


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


def read_graph(path: Path, imgsz: int | tuple[int, int] | None, batch: int) -> Graph:
    """Read a file.

    Raises:
        CostError: onnx is not installed; or the file is missing, broken, of another size, or of unknown shapes.
    """
    model = _load(path)
    reader = _Reader(path, model)
    reader.read_inputs(imgsz, batch)
    for proto in model.graph.node:
        reader.read_node(proto)
    return reader.graph


def _load(path: Path) -> Any:
    try:
        onnx = import_module("onnx")
    except ImportError as error:
        raise CostError(f"{path}: reading an ONNX file needs onnx: pip install 'lwyolo[onnx]'") from error
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise CostError(f"{path} {found}; expected an ONNX file.")
    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except (import_module("google.protobuf.message").DecodeError, OSError) as error:
        raise CostError(f"{path} is no ONNX file, or a damaged one: {error}") from error
    if not model.graph.node:
        raise CostError(f"{path} is no ONNX file, or a damaged one: it has no graph.")
    return import_module("onnx.inliner").inline_local_functions(model) if model.functions else model


class _Reader:
    """Goes through a model once, from its inputs on."""

    def __init__(self, path: Path, model: Any) -> None:
        self.onnx = import_module("onnx")
        self.model, self.proto = model, model.graph
        self.graph = Graph(path, outputs=tuple(value.name for value in model.graph.output))
        self.opsets = {opset.domain.removeprefix("ai.onnx"): opset.version for opset in model.opset_import}
        self.types: dict[str, Any] = {}
        self.declared = {value.name: value.type for value in (*self.proto.value_info, *self.proto.output)}
        for weight in self.proto.initializer:
            self._add_weight(weight.name, weight)

    def read_inputs(self, imgsz: int | tuple[int, int] | None, batch: int) -> None:
        """Give the inputs the sizes that are asked for."""
        size = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
        for value in self.proto.input:
            if value.name in self.graph.weights:
                continue
            fixed = [dim.dim_value if dim.dim_value > 0 else None for dim in value.type.tensor_type.shape.dim]
            shape = _fill(self.graph.path, value.name, fixed, size, batch)
            if None in fixed:
                self.declared.clear()  # what the file says of its tensors is meant for any size
            element = value.type.tensor_type.elem_type
            self._set(value.name, self.onnx.helper.make_tensor_type_proto(element, shape), value.name)
            self.graph.inputs[value.name] = self.graph.tensors[value.name]

    def read_node(self, proto: Any) -> None:
        """Add a node, its outputs' types, and what is known of them already."""
        domain = proto.domain.removeprefix("ai.onnx")
        operator = f"{domain}::{proto.op_type}" if domain else proto.op_type
        get = self.onnx.helper.get_attribute_value
        attributes = {a.name: v.decode() if isinstance(v := get(a), bytes) else v for a in proto.attribute}
        label = f"{proto.name or proto.output[0]} ({operator})"
        inputs, outputs = tuple(proto.input), tuple(name for name in proto.output if name)
        if operator == "Constant":
            self._add_constant(outputs[0], attributes)
            return
        node = Node(operator, label, attributes, inputs, outputs, tuple(_scopes(proto)))
        self.graph.nodes.append(node)
        fixed = operator in {"Shape", "Size"} or all(name in self.graph.static for name in inputs if name)
        if fixed and not _has_graph(attributes):
            self.graph.static.update(outputs)
            self._compute(node, proto)
        for name, kind in self._infer(proto, operator, label).items():
            if _is_complete(kind) and name not in self.types:
                self._set(name, kind, label)
            elif name not in self.types and _is_complete(self.declared.get(name)):
                self._set(name, self.declared[name], label)
        missing = [name for name in outputs if name not in self.types and name not in self.graph.static]
        if missing:
            raise CostError(f"{self.graph.path}: the shape of {missing[0]}, a result of {label}, is unknown. {REMEDY}")

    def _set(self, name: str, kind: Any, label: str) -> None:
        self.types[name] = kind
        element = self.onnx.TensorProto.DataType.Name(kind.tensor_type.elem_type)
        if element not in TYPES:
            raise CostError(f"{self.graph.path}: {label} holds {element} tensors, whose cost is not defined.")
        shape = tuple(dim.dim_value for dim in kind.tensor_type.shape.dim)
        title = {"FLOAT": "float32", "DOUBLE": "float64"}.get(element, element.lower())
        self.graph.tensors[name] = TensorType(shape, title, *TYPES[element])

    def _add_weight(self, name: str, tensor: Any) -> None:
        self._set(name, self.onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims), name)
        self.graph.weights.add(name)
        self.graph.static.add(name)
        if math.prod(tensor.dims) <= LARGEST_NUMBERS and tensor.data_location != self.onnx.TensorProto.EXTERNAL:
            self.graph.numbers[name] = self.onnx.numpy_helper.to_array(tensor)

    def _add_constant(self, name: str, attributes: dict[str, Any]) -> None:
        (kind, value), *_ = attributes.items()
        if kind != "value":
            element = self.onnx.TensorProto.FLOAT if "float" in kind else self.onnx.TensorProto.INT64
            shape = [len(value)] if isinstance(value, Sequence) else []
            value = self.onnx.helper.make_tensor(name, element, shape, value if shape else [value])
        self._add_weight(name, value)

    def _compute(self, node: Node, proto: Any) -> None:
        """Compute a static node whose inputs are small; of a shape, only its input's type has to be known."""
        names = [name for name in node.inputs if name]
        known = self.graph.tensors if node.operator in {"Shape", "Size"} else self.graph.numbers
        if not all(name in known for name in names):
            return
        if node.operator in {"Shape", "Size"}:
            shape = self.graph.tensors[names[0]].shape
            span = shape[node.attributes.get("start", 0) : node.attributes.get("end", len(shape))]
            results = [np.array(span if node.operator == "Shape" else math.prod(shape), dtype=np.int64)]
        else:
            results = self._run(proto, {name: self.graph.numbers[name] for name in names})
        for name, result in zip(node.outputs, map(np.asarray, results), strict=True):
            element = self.onnx.helper.np_dtype_to_tensor_dtype(result.dtype)
            self._set(name, self.onnx.helper.make_tensor_type_proto(element, result.shape), name)
            if result.size <= LARGEST_NUMBERS:
                self.graph.numbers[name] = result

    def _run(self, proto: Any, numbers: dict[str, Any]) -> list[Any]:
        make = self.onnx.helper.make_tensor_value_info
        inputs = [make(name, self.types[name].tensor_type.elem_type, numbers[name].shape) for name in numbers]
        outputs = [make(name, self.onnx.TensorProto.UNDEFINED, None) for name in proto.output if name]
        graph = self.onnx.helper.make_graph([proto], "static", inputs, outputs)
        model = self.onnx.helper.make_model(graph, opset_imports=self.model.opset_import)
        return list(import_module("onnx.reference").ReferenceEvaluator(model).run(None, numbers))

    def _infer(self, proto: Any, operator: str, label: str) -> dict[str, Any]:
        """Return the types of the outputs, as far as onnx can tell them."""
        unknown = dict.fromkeys(filter(None, proto.output))
        if operator in STANDARD and not (proto.op_type == "FusedMatMul" and _is_transposed(proto)):
            proto = self._as_standard(proto, operator)
        domain = proto.domain.removeprefix("ai.onnx")
        names = [name for name in proto.input if name]
        known = all(name in self.types for name in names)
        if not known or not self.onnx.defs.has(proto.op_type, self.opsets.get(domain, 1), domain):
            return unknown
        to_proto = self.onnx.numpy_helper.from_array
        try:
            return unknown | self.onnx.shape_inference.infer_node_outputs(
                self.onnx.defs.get_schema(proto.op_type, self.opsets.get(domain, 1), domain),
                proto,
                {name: self.types[name] for name in names},
                {name: to_proto(self.graph.numbers[name], name) for name in names if name in self.graph.numbers},
                opset_imports=list(self.model.opset_import),
                ir_version=self.model.ir_version,
            )
        except self.onnx.shape_inference.InferenceError as error:
            raise CostError(f"{self.graph.path}: {label} does not fit its inputs: {error}") from error

    def _as_standard(self, proto: Any, operator: str) -> Any:
        names = list(proto.input)
        slots = DATA.get(operator, tuple(range(len(names))))
        standard = STANDARD[operator]
        inputs = [names[i] for i in slots if i < len(names)][: 3 if standard == "Conv" else None]
        node = self.onnx.helper.make_node(standard, inputs, list(proto.output))
        allowed = self.onnx.defs.get_schema(standard, self.opsets.get("", 1), "").attributes
        node.attribute.extend(a for a in proto.attribute if a.name in allowed)
        return node


def _fill(
    path: Path, name: str, fixed: list[int | None], size: tuple[int, int] | None, batch: int
) -> tuple[int, ...]:
    """Return the shape of an input: what the file fixes, and what is asked for where it fixes nothing."""
    is_image = len(fixed) == 4
    asked = {0: batch, **(dict(zip((2, 3), size, strict=True)) if size and is_image else {})}
    wrong = is_image and any(fixed[axis] not in (None, wanted) for axis, wanted in asked.items())
    if wrong:
        has = "×".join(str(n or "any") for n in fixed)
        raise CostError(
            f"{path}: input {name} is fixed to {has} (batch, channels, height, width); "
            f"a batch of {batch}{f' of {size[0]}×{size[1]} pixels' if size else ''} was asked for. "
            f"Ask for what it has, or export it with dynamic=True."
        )
    if is_image:
        asked = {2: DEFAULT_IMGSZ, 3: DEFAULT_IMGSZ} | asked
    shape = [size or asked.get(axis) for axis, size in enumerate(fixed)]
    if None in shape:
        raise CostError(f"{path}: input {name} has no fixed size on axis {shape.index(None)}. {REMEDY}")
    return tuple(n for n in shape if n is not None)


def _scopes(proto: Any) -> Iterator[tuple[str, str]]:
    """Modules that a node was called in: torch's exporters write them to its metadata, or into its name."""
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    if SCOPES in metadata and CLASSES in metadata:
        names, classes = (ast.literal_eval(metadata[key]) for key in (SCOPES, CLASSES))
        yield from ((name, cls.rpartition(".")[2]) for name, cls in list(zip(names, classes, strict=False))[1:-1])
    elif proto.name.startswith("/"):
        path, last = "", ""
        for segment in proto.name[1:].split("/")[:-1]:
            inside = path.removesuffix(last) if last and segment.startswith(f"{last}.") else f"{path}." if path else ""
            path, last = inside + segment, segment
            yield path, ""


def _is_complete(kind: Any) -> bool:
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return False
    return all(dim.HasField("dim_value") for dim in kind.tensor_type.shape.dim)


def _has_graph(attributes: dict[str, Any]) -> bool:
    return any(type(value).__name__ == "GraphProto" for value in attributes.values())


def _is_transposed(proto: Any) -> bool:
    return any(a.name in {"transA", "transB"} and a.i for a in proto.attribute)
