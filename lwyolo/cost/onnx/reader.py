"""Reading an ONNX file, for one size of image.

Shapes are inferred node by node with onnx's own rules. Where a shape depends on numbers, such as the target of a
`Reshape`, the numbers are computed first; weights are never read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from lwyolo.cost.onnx.graph import TYPES, Graph, Node, TensorType
from lwyolo.cost.onnx.operators import DATA, QUANTISED
from lwyolo.cost.onnx.scopes import scopes
from lwyolo.errors import CostError

DEFAULT_IMGSZ = 640
LARGEST_NUMBERS = 64
"""Elements up to which a tensor's numbers are read: shapes and axes have few, weights have many."""
STANDARD = {  # operators without rules for shapes, by one whose result has the same shape
    "com.microsoft::FusedConv": "Conv",
    "com.microsoft::FusedGemm": "Gemm",
    "com.microsoft::FusedMatMul": "MatMul",
    "com.microsoft::QLinearConcat": "Concat",
    "com.microsoft::QLinearAveragePool": "AveragePool",
    **dict.fromkeys(("com.microsoft::QuickGelu", "com.microsoft::Gelu", "com.microsoft::QLinearSoftmax"), "Identity"),
    **{name: "Add" if name.endswith(("Add", "Mul")) else "Identity" for name in QUANTISED},
}
REMEDY = "Export with fixed sizes (dynamic=False), without NMS in the graph, and simplified (simplify=True)."


def read_graph(path: Path, imgsz: int | tuple[int, int] | None, batch: int) -> Graph:
    """Read a file.

    Raises:
        CostError: onnx is not installed; or the file is missing, broken, of another size, or of unknown shapes.
    """
    model = _load(path)
    try:
        reader = _Reader(path, model)
        reader.read_inputs(imgsz, batch)
        for proto in _in_order(path, model.graph.node):
            reader.read_node(proto)
    except (import_module("onnx.checker").ValidationError, TypeError, ValueError) as error:  # from onnx, on bad bytes
        raise CostError(f"{path} is a damaged ONNX file: {type(error).__name__}: {error}") from error
    if not reader.graph.nodes:
        raise CostError(f"{path} is no ONNX file, or a damaged one: it has no graph.")
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
        absent = [name for name in inputs if name and name not in self.types and name not in self.graph.static]
        if absent:
            raise CostError(f"{self.graph.path}: {label} reads {absent[0]}, which nothing in the file makes.")
        node = Node(operator, label, attributes, inputs, outputs, tuple(scopes(proto)))
        self.graph.nodes.append(node)
        self.graph.producers.update(dict.fromkeys(outputs, node))
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
        for name, result in zip(node.outputs, map(np.asarray, results), strict=False):
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
        try:
            return list(import_module("onnx.reference").ReferenceEvaluator(model).run(None, numbers))
        except RuntimeError:  # not implemented there: a shape that needs these numbers will be named as unknown
            return []

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
            found: dict[str, Any] = self.onnx.shape_inference.infer_node_outputs(
                self.onnx.defs.get_schema(proto.op_type, self.opsets.get(domain, 1), domain),
                proto,
                {name: self.types[name] for name in names},
                {name: to_proto(self.graph.numbers[name], name) for name in names if name in self.graph.numbers},
                opset_imports=list(self.model.opset_import),
                ir_version=self.model.ir_version,
            )
            return unknown | found
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


def _fill(path: Path, name: str, fixed: list[int | None], size: tuple[int, int] | None, batch: int) -> tuple[int, ...]:
    """Return the shape of an input: what the file fixes, and what is asked for where it fixes nothing."""
    is_image = len(fixed) == 4
    asked = {0: batch, **(dict(zip((2, 3), size, strict=True)) if size and is_image else {})}
    wrong = is_image and any(fixed[axis] not in (None, wanted) for axis, wanted in asked.items())
    if wrong:
        has = "×".join(str(n or "any") for n in fixed)
        raise CostError(
            f"{path}: input {name} is fixed to {has} (batch, channels, height, width); "
            f"a batch of {batch}{f' of {size[0]}×{size[1]} pixels' if size else ''} was asked for. "
            "Ask for what it has, or export it with dynamic=True."
        )
    if is_image:
        asked = {2: DEFAULT_IMGSZ, 3: DEFAULT_IMGSZ} | asked
    shape = [n or asked.get(axis) for axis, n in enumerate(fixed)]
    if None in shape:
        raise CostError(f"{path}: input {name} has no fixed size on axis {shape.index(None)}. {REMEDY}")
    return tuple(n for n in shape if n is not None)


def _in_order(path: Path, nodes: Sequence[Any]) -> list[Any]:
    """Nodes after those whose results they read: some tools add theirs at the end."""
    producers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    before = {i: {producers[name] for name in node.input if name in producers} for i, node in enumerate(nodes)}
    if all(max(earlier, default=-1) < index for index, earlier in before.items()):
        return list(nodes)
    try:
        return [nodes[index] for index in TopologicalSorter(before).static_order()]
    except CycleError as error:
        raise CostError(f"{path}: its nodes read each other's results in a circle.") from error


def _is_complete(kind: Any) -> bool:
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return False
    return all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in kind.tensor_type.shape.dim)


def _has_graph(attributes: dict[str, Any]) -> bool:
    return any(type(value).__name__ == "GraphProto" for value in attributes.values())


def _is_transposed(proto: Any) -> bool:
    return any(a.name in {"transA", "transB"} and a.i for a in proto.attribute)
