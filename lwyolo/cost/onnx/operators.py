"""What each ONNX operator computes: mostly the formula of torch's operator that it was exported from.

Formulas receive what an operator computes with, as tensors on the meta device: without shapes, axes, scales and zero
points, which steer it. Integer contractions count as floating-point ones do, and their rescaling, as a bias, nothing.
Quantising is a division, a rounding, a sum and a clamp, 5 FLOPs an element, 2 more where the range is found first; its
inverse is 2. Logical operators and those that move data have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lwyolo.cost.elementwise import GATHERS
from lwyolo.cost.operations import (
    FORMULAS,
    Elementwise,
    Work,
    attention,
    convolution,
    grid_sample,
    normalisation,
    pooling,
)
from lwyolo.cost.shapes import Operator, ShapeMode, answer, tensors_in

Formula = Callable[["Operation"], "Work | int"]

_SAME_NAME = (
    "Abs Add Sub Mul Div Neg Sign Sqrt Reciprocal Exp Log Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh Erf Pow Floor Ceil "
    "Round Relu Sigmoid Elu Celu Selu Softplus Gelu Mish Softmax"
)
_RENAMED = (
    "HardSigmoid:hardsigmoid HardSwish:hardswish Swish:silu com.microsoft::QuickGelu:silu "
    "com.microsoft::Gelu:gelu LeakyRelu:leaky_relu PRelu:prelu ThresholdedRelu:threshold Shrink:softshrink "
    "Clip:clamp Max:maximum Min:minimum Sum:add Mod:remainder Equal:eq Less:lt LessOrEqual:le Greater:gt "
    "GreaterOrEqual:ge Not:logical_not And:logical_and Or:logical_or Xor:logical_xor IsNaN:isnan IsInf:isinf "
    "Cast:_to_copy CastLike:_to_copy ReduceSum:sum ReduceMean:mean ReduceMax:amax ReduceMin:amin "
    "ReduceProd:prod ReduceL1:norm ReduceL2:norm ReduceSumSquare:norm ReduceLogSumExp:logsumexp ArgMax:argmax "
    "ArgMin:argmin TopK:topk CumSum:cumsum LogSoftmax:log_softmax GlobalAveragePool:adaptive_avg_pool2d "
    "GlobalMaxPool:adaptive_max_pool2d Col2Im:col2im Concat:cat Pad:constant_pad_nd Tile:repeat "
    "DepthToSpace:pixel_shuffle SpaceToDepth:pixel_unshuffle Where:where ScatterND:index_put "
    "ScatterElements:scatter NonZero:nonzero OneHot:one_hot Trilu:tril Compress:masked_select "
    "Gather:index_select GatherElements:gather GatherND:index Reshape:clone Flatten:clone Slice:flip "
    "ConstantOfShape:full Range:arange EyeLike:eye RandomNormalLike:randn_like RandomUniformLike:rand_like"
)
ATEN = {name: f"aten::{name.lower()}" for name in _SAME_NAME.split()}
ATEN |= {name: f"aten::{torch_name}" for name, _, torch_name in (pair.rpartition(":") for pair in _RENAMED.split())}
"""ONNX operators that are one of torch's, with that one's name."""
VARIADIC = frozenset({"Max", "Min", "Sum"})
QUANTISING = {"QuantizeLinear": 5, "DequantizeLinear": 2}

QUANTISED = {  # element-wise, on numbers that stay quantised
    f"com.microsoft::QLinear{name}": weight
    for name, weight in {"Add": 1, "Mul": 1, "Sigmoid": 4, "LeakyRelu": 2}.items()
}
FUSIBLE = QUANTISED.keys() | {"BatchNormalization", "QuantizeLinear", "Cast", "CastLike"}

DATA: dict[str, Sequence[int]] = {  # which inputs are data, where not all are
    **dict.fromkeys(("Resize", "Upsample", "Pad", "Clip", "TopK", "Tile", "CumSum", "OneHot", "Col2Im"), (0,)),
    **{name: (0,) for name in ATEN if name.startswith("Reduce")},
    **dict.fromkeys(("Reshape", "Slice", "Expand", "ConstantOfShape", "QuantizeLinear", "DequantizeLinear"), (0,)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (0, 1)),
    "BatchNormalization": (0,),
    "QLinearConv": (0, 3, 8),
    "QLinearMatMul": (0, 3),
    "com.microsoft::QGemm": (0, 3, 6),
    "com.microsoft::QLinearAdd": (0, 3),
    "com.microsoft::QLinearMul": (0, 3),
    **{f"com.microsoft::QLinear{name}": (0,) for name in ("Sigmoid", "LeakyRelu", "Softmax", "AveragePool")},
    "com.microsoft::QLinearConcat": range(2, 1000, 3),  # two for the result, then three for each part
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One node of a graph.

    Args:
        name: Its operator, with the domain where that is not ONNX's own: `com.microsoft::FusedConv`.
        inputs: What it computes with, `None` for an input that is left out; see `DATA`.
        out: Its first output.
    """

    name: str
    attributes: dict[str, Any]
    inputs: tuple[Tensor | None, ...]
    out: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The inputs that it has."""
        return tuple(t for t in self.inputs if t is not None)


def work_of(operation: Operation) -> tuple[Work, bool]:
    """Return the work of an operation, and whether a formula is known; `@op_cost("domain::op")` gives one."""
    formula = TABLE.get(operation.name)
    if formula is not None:
        work = formula(operation)
    elif operation.name in FORMULAS:
        work = FORMULAS[operation.name](*operation.inputs, **operation.attributes, out=operation.out)
    else:
        return Work(), False
    return work if isinstance(work, Work) else Work(macs=work), True


def is_fusible(name: str) -> bool:
    """Whether an operator works element by element, so that it can join the one that made its input."""
    formula = FORMULAS.get(ATEN.get(name, name))
    return isinstance(formula, Elementwise) or name in FUSIBLE


def data_of(name: str, n_inputs: int) -> tuple[int, ...]:
    """Which of its inputs an operator computes with."""
    return tuple(slot for slot in DATA.get(name, range(n_inputs)) if slot < n_inputs)


def folds_norms(name: str) -> bool:
    """Whether the weights of an operator can take in a batch norm that follows."""
    return name in CONVOLUTIONS | MATRIX_PRODUCTS


def gathers(name: str) -> bool:
    """Whether an operator reads what it gathers of its first input, and not all of it."""
    return ATEN.get(name) in GATHERS


def _as_torch(operation: Operation) -> Work | int:
    work = FORMULAS[ATEN[operation.name]](*operation.tensors, out=operation.out)
    if operation.name in VARIADIC and isinstance(work, Work):
        return Work(work.macs, work.elementwise * max(len(operation.tensors) - 1, 1))
    return work


def _convolution(operation: Operation) -> Work:
    x, weight = operation.tensors[:2]
    transposed = "ConvTranspose" in operation.name
    macs = convolution(x, weight, None, None, None, None, transposed, out=operation.out)
    added = len(operation.tensors) > 3  # com.microsoft::FusedConv adds a fourth input
    return Work(macs, operation.out.numel() * (added + _activation(operation)))


def _activation(operation: Operation) -> int:
    """FLOPs per element of what Microsoft's fused operators do to their result."""
    name = operation.attributes.get("activation", "")
    formula = FORMULAS.get(ATEN.get(name, ""))
    return formula.weight if isinstance(formula, Elementwise) else 0


def _matrix_product(operation: Operation) -> Work:
    a = operation.tensors[0]
    transposed = operation.attributes.get("transA", 0) and a.dim() > 1
    macs = operation.out.numel() * a.shape[-2 if transposed else -1]
    return Work(macs, operation.out.numel() * _activation(operation))


class _Sum(ShapeMode):  # type: ignore[no-untyped-call]  # torch leaves its base class untyped
    """Add up the work of torch's operators inside."""

    def __init__(self) -> None:
        super().__init__()
        self.work = Work()

    def run(self, operator: Operator, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = answer(operator, func, args, kwargs, tensors_in(args, kwargs))
        if not operator.view and operator.name in FORMULAS:
            work = FORMULAS[operator.name](*args, **kwargs, out=result)
            macs, elementwise = work if isinstance(work, Work) else (work, 0)
            self.work = Work(self.work.macs + macs, self.work.elementwise + elementwise)
        return result


def _einsum(operation: Operation) -> Work:
    """What torch makes of it: a product of two operands at a time."""
    total = _Sum()
    with torch.inference_mode(), total:
        torch.einsum(operation.attributes["equation"], *operation.tensors)
    return total.work


def _deformable(operation: Operation) -> Work | int:
    x, weight, offset, bias, mask = (*operation.inputs, None, None)[:5]
    formula = FORMULAS["torchvision::deform_conv2d"]
    return formula(x, weight, offset, mask, bias, mask is not None, out=operation.out)


def _attention(operation: Operation) -> Work:
    query, key, value = operation.tensors[:3]
    if query.dim() == 3:  # heads are packed in the last axis
        query, key, value = (
            t.view(*t.shape[:2], operation.attributes[heads], -1).transpose(1, 2)
            for t, heads in zip((query, key, value), ("q_num_heads", "kv_num_heads", "kv_num_heads"), strict=True)
        )
    return attention(query, key, value, out=operation.out)


def _recurrent(operation: Operation) -> Work:
    """Both matrices at each step; beside them the gates of each hidden unit, as torch's own operators add up to."""
    x, w_input, w_hidden = operation.tensors[:3]
    units = math.prod(x.shape[:2]) * w_hidden.shape[0] * w_hidden.shape[-1]
    gates = {"LSTM": 22, "GRU": 16, "RNN": 2}[operation.name]
    return Work(math.prod(x.shape[:2]) * (w_input.numel() + w_hidden.numel()), gates * units)


def _pooling(operation: Operation) -> Work:
    return pooling(operation.tensors[0], operation.attributes["kernel_shape"], out=operation.out)


def _normalisation(operation: Operation) -> Work:
    return normalisation(*operation.tensors, out=operation.out)


def _resize(operation: Operation) -> Work:
    """2 neighbours an axis when linear, 4 when cubic; the nearest is a copy."""
    x = operation.tensors[0]
    axes = sum(a != b for a, b in zip(x.shape, operation.out.shape, strict=True))
    neighbours = {"linear": 2, "cubic": 4}.get(operation.attributes.get("mode", "nearest"), 0)
    return Work(elementwise=2 * neighbours**axes * operation.out.numel() if neighbours and axes else 0)


def _grid_sample(operation: Operation) -> Work:
    mode = {"bilinear": 0, "linear": 0, "nearest": 1, "bicubic": 2, "cubic": 2}
    number = mode[operation.attributes.get("mode", "linear")]
    return grid_sample(operation.tensors[0], operation.tensors[1], number, out=operation.out)


def _per_element(weight: int) -> Formula:
    return lambda operation: Work(elementwise=weight * operation.out.numel())


CONVOLUTIONS = frozenset(
    {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv", "com.microsoft::FusedConv"}
)
MATRIX_PRODUCTS = frozenset(
    {"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"}
    | {f"com.microsoft::{name}" for name in ("FusedGemm", "FusedMatMul", "QGemm")}
)
CONTRACTIONS = CONVOLUTIONS | MATRIX_PRODUCTS | {"Einsum", "LSTM", "GRU", "RNN"}
TABLE: dict[str, Formula] = {
    **dict.fromkeys(ATEN, _as_torch),
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    **dict.fromkeys(MATRIX_PRODUCTS, _matrix_product),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool", "com.microsoft::QLinearAveragePool"), _pooling),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization", "InstanceNormalization"), _normalisation),
    **{name: _per_element(weight) for name, weight in {**QUANTISED, **QUANTISING}.items()},
    "DynamicQuantizeLinear": _per_element(7),
    "com.microsoft::QLinearSoftmax": _per_element(5),
    "com.microsoft::QLinearConcat": _per_element(0),
    "DeformConv": _deformable,
    "Einsum": _einsum,
    "Attention": _attention,
    "BatchNormalization": _per_element(2),
    "RMSNormalization": _per_element(4),
    "LpNormalization": _per_element(3),
    "Resize": _resize,
    "Upsample": _resize,
    "GridSample": _grid_sample,
}
