"""What each ONNX operator computes: mostly the formula of torch's operator that it was exported from.

Formulas receive what an operator computes with, as tensors on the meta device: without shapes, axes, scales and zero
points, which steer it. Integer contractions count as floating-point ones do, and their rescaling, as a bias, nothing.
Quantising is a division, a rounding, a sum and a clamp, 5 FLOPs an element, and its inverse 2; logical operators and
those that move data have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lwyolo.cost.elementwise import GATHERS, aten
from lwyolo.cost.operations import FORMULAS, Elementwise, Work
from lwyolo.cost.shapes import Operator, ShapeMode, answer

Formula = Callable[["Operation"], "Work | int"]

_SAME_NAME = (
    "Abs Add Sub Mul Div Neg Sign Sqrt Reciprocal Exp Log Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh Erf Pow Floor Ceil "
    "Round Relu Sigmoid Elu Celu Selu Softplus Gelu Mish Softmax"
)
_RENAMED = {
    "HardSigmoid": "hardsigmoid",
    "HardSwish": "hardswish",
    "Swish": "silu",
    "com.microsoft::QuickGelu": "silu",
    "com.microsoft::Gelu": "gelu",
    "LeakyRelu": "leaky_relu",
    "PRelu": "prelu",
    "ThresholdedRelu": "threshold",
    "Shrink": "softshrink",
    "Clip": "clamp",
    "Max": "maximum",
    "Min": "minimum",
    "Sum": "add",
    "Mod": "remainder",
    "Equal": "eq",
    "Less": "lt",
    "LessOrEqual": "le",
    "Greater": "gt",
    "GreaterOrEqual": "ge",
    "Not": "logical_not",
    "And": "logical_and",
    "Or": "logical_or",
    "Xor": "logical_xor",
    "IsNaN": "isnan",
    "IsInf": "isinf",
    "Cast": "_to_copy",
    "CastLike": "_to_copy",
    "ReduceSum": "sum",
    "ReduceMean": "mean",
    "ReduceMax": "amax",
    "ReduceMin": "amin",
    "ReduceProd": "prod",
    "ReduceL1": "norm",
    "ReduceL2": "norm",
    "ReduceSumSquare": "norm",
    "ReduceLogSumExp": "logsumexp",
    "ArgMax": "argmax",
    "ArgMin": "argmin",
    "TopK": "topk",
    "CumSum": "cumsum",
    "LogSoftmax": "log_softmax",
    "GlobalAveragePool": "adaptive_avg_pool2d",
    "GlobalMaxPool": "adaptive_max_pool2d",
    "Col2Im": "col2im",
    "Concat": "cat",
    "Pad": "constant_pad_nd",
    "Tile": "repeat",
    "DepthToSpace": "pixel_shuffle",
    "SpaceToDepth": "pixel_unshuffle",
    "Where": "where",
    "ScatterND": "index_put",
    "ScatterElements": "scatter",
    "NonZero": "nonzero",
    "OneHot": "one_hot",
    "Trilu": "tril",
    "Compress": "masked_select",
    "Gather": "index_select",
    "GatherElements": "gather",
    "GatherND": "index",
    "Reshape": "clone",
    "Flatten": "clone",
    "Slice": "flip",
    "ConstantOfShape": "full",
    "Range": "arange",
    "EyeLike": "eye",
    "RandomNormalLike": "randn_like",
    "RandomUniformLike": "rand_like",
}
ATEN = {name: f"aten::{name.lower()}" for name in _SAME_NAME.split()}
ATEN |= {name: f"aten::{torch_name}" for name, torch_name in _RENAMED.items()}
VARIADIC = frozenset({"Max", "Min", "Sum"})
FUSIBLE_MOVES = frozenset({"Cast", "CastLike"})
QUANTISING = {"QuantizeLinear": 5, "DequantizeLinear": 2}

DATA = {  # which inputs are data, where not all are
    **dict.fromkeys("Resize Upsample Pad Clip TopK Tile CumSum OneHot Col2Im QuantizeLinear".split(), (0,)),
    **{name: (0,) for name in ATEN if name.startswith("Reduce")},
    **dict.fromkeys(("Reshape", "Slice", "Expand", "DequantizeLinear", "ConstantOfShape"), (0,)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (0, 1)),
    "QLinearConv": (0, 3, 8),
    "QLinearMatMul": (0, 3),
    "com.microsoft::QGemm": (0, 3, 6),
    "com.microsoft::QLinearAdd": (0, 3),
    "com.microsoft::QLinearMul": (0, 3),
    "com.microsoft::QLinearSigmoid": (0,),
    "com.microsoft::QLinearLeakyRelu": (0,),
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
    return isinstance(formula, Elementwise) or name in FUSIBLE_MOVES | FLOATING_AS.keys() | {
        "BatchNormalization",
        "QuantizeLinear",
    }


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
    macs = FORMULAS["aten::convolution"](x, weight, None, None, None, None, transposed, out=operation.out)
    added = len(operation.tensors) > 3  # com.microsoft::FusedConv adds a fourth input
    return Work(int(macs), operation.out.numel() * (added + _activation(operation)))


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
        result = answer(operator, func, args, kwargs)
        if not operator.view and operator.name in FORMULAS:
            work = FORMULAS[operator.name](*args, **kwargs, out=result)
            macs, elementwise = work if isinstance(work, Work) else (work, 0)
            self.work = Work(self.work.macs + macs, self.work.elementwise + elementwise)
        return result


def _einsum(operation: Operation) -> Work:
    """What torch makes of it: a product of two operands at a time."""
    with torch.inference_mode(), _Sum() as total:
        torch.einsum(operation.attributes["equation"], *operation.tensors)
    return total.work


def _deformable(operation: Operation) -> Work:
    x, weight, offset, bias, mask = (*operation.inputs, None, None)[:5]
    work = FORMULAS["torchvision::deform_conv2d"](x, weight, offset, mask, bias, mask is not None, out=operation.out)
    assert isinstance(work, Work)
    return work


def _attention(operation: Operation) -> Work | int:
    query, key, value = operation.tensors[:3]
    if query.dim() == 3:  # heads are packed in the last axis
        q_heads, kv_heads = operation.attributes["q_num_heads"], operation.attributes["kv_num_heads"]
        query = query.unflatten(-1, (q_heads, -1)).transpose(1, 2)
        key, value = (t.unflatten(-1, (kv_heads, -1)).transpose(1, 2) for t in (key, value))
    return FORMULAS["aten::scaled_dot_product_attention"](query, key, value, out=operation.out)


def _recurrent(operation: Operation) -> int:
    """Both weight matrices once per step and sequence; gates are not counted."""
    x, w_input, w_hidden = operation.tensors[:3]
    return math.prod(x.shape[:2]) * (w_input.numel() + w_hidden.numel())


def _pooling(operation: Operation) -> Work | int:
    kernel = operation.attributes["kernel_shape"]
    return FORMULAS["aten::max_pool2d"](operation.tensors[0], kernel, out=operation.out)


def _normalisation(operation: Operation) -> Work | int:
    x, *affine = operation.tensors
    return FORMULAS["aten::layer_norm"](x, *affine[:2], out=operation.out)


def _resize(operation: Operation) -> Work:
    """2 neighbours an axis when linear, 4 when cubic; the nearest is a copy."""
    x = operation.tensors[0]
    axes = sum(a != b for a, b in zip(x.shape, operation.out.shape, strict=True))
    neighbours = {"linear": 2, "cubic": 4}.get(operation.attributes.get("mode", "nearest"), 0)
    return Work(elementwise=2 * neighbours**axes * operation.out.numel() if neighbours and axes else 0)


def _grid_sample(operation: Operation) -> Work | int:
    mode = {"bilinear": 0, "linear": 0, "nearest": 1, "bicubic": 2, "cubic": 2}
    number = mode[operation.attributes.get("mode", "linear")]
    return FORMULAS["aten::grid_sampler"](*operation.tensors[:2], number, out=operation.out)


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
FLOATING_AS = {
    f"com.microsoft::QLinear{name}": ATEN[name] for name in ("Add", "Mul", "Sigmoid", "LeakyRelu")
}  # element-wise on numbers that stay quantised
TABLE: dict[str, Formula] = {
    **dict.fromkeys(ATEN, _as_torch),
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    **dict.fromkeys(MATRIX_PRODUCTS, _matrix_product),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _pooling),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization", "InstanceNormalization"), _normalisation),
    **{name: _per_element(FORMULAS[torch_name].weight) for name, torch_name in FLOATING_AS.items()},
    **{name: _per_element(weight) for name, weight in QUANTISING.items()},
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
