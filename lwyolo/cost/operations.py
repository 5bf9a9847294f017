"""What each operator computes: one table from operator to formula.

Two numbers with two meanings. *MACCs* are the multiply-accumulates of contractions: convolution, matrix product,
attention. *FLOPs* are 2 × MACCs plus element-wise work by the weights below, where every addition, multiplication,
division, comparison and elementary function (exp, log, sqrt, tanh, erf, …) of the defining equation counts 1:
SiLU is x / (1 + exp(-x)), with its sigmoid written out, hence 4 + 1. Work on integers and the choice of an element
(copying, gathering, padding) count 0. Interpolation between `t` neighbours is `t` multiply-adds, hence 2 × t FLOPs.

Overloads and in-place variants share the formula of their operator: `aten::add_.Tensor` is counted as `aten::add`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from torch import Tensor

from lwyolo.errors import RegistrationError


class Work(NamedTuple):
    """Arithmetic of one call: `macs` of contractions, and `elementwise` FLOPs beside them."""

    macs: int = 0
    elementwise: int = 0


Formula = Callable[..., "Work | int"]
F = TypeVar("F", bound=Formula)

FORMULAS: dict[str, Formula] = {}

ELEMENTWISE = {  # FLOPs per output element; whatever else torch tags as pointwise counts 1
    1: "abs add sub rsub mul div neg sign square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin "
    "acos atan atan2 sinh cosh tanh erf erfc pow floor ceil round trunc frac relu threshold clamp_min clamp_max maximum "
    "minimum fmod remainder eq ne lt le gt ge",
    2: "clamp hardtanh relu6 leaky_relu prelu _prelu_kernel rrelu softshrink hardshrink logit",
    3: "softplus addcmul addcdiv lerp log_sigmoid_forward",
    4: "sigmoid hardsigmoid elu celu selu",
    5: "silu hardswish gelu mish glu",
}
REDUCTIONS = {  # FLOPs per input element
    1: "sum mean prod max min amax amin aminmax argmax argmin any all cumsum cumprod topk sort argsort median mode "
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d "
    "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d col2im scatter_add index_add scatter_reduce",
    2: "norm linalg_vector_norm",
    3: "logsumexp",
    4: "var std var_mean std_mean",
    5: "softmax _softmax log_softmax _log_softmax",
}
MOVES = (  # nothing is computed; what is read and written still counts as memory access
    "clone copy _to_copy cat stack constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d "
    "replication_pad2d replication_pad3d repeat repeat_interleave roll flip im2col pixel_shuffle pixel_unshuffle "
    "channel_shuffle native_channel_shuffle index _unsafe_index gather index_select embedding take scatter index_put "
    "index_copy index_fill masked_select slice_scatter select_scatter as_strided_copy unfold_copy tril triu where "
    "masked_fill nonzero one_hot isnan isinf isfinite logical_and logical_or logical_not logical_xor bitwise_and "
    "bitwise_or bitwise_not bitwise_xor __and__ __or__ _unsafe_masked_index complex"
)
FILLS = (  # written once, read never
    "zeros zeros_like new_zeros ones ones_like new_ones full full_like new_full fill zero arange linspace eye scalar_tensor "
    "rand rand_like randn randn_like randint randperm bernoulli uniform normal exponential"
)
ALLOCATIONS = frozenset(  # neither read nor written
    f"aten::{name}"
    for name in "empty empty_like new_empty empty_strided new_empty_strided lift_fresh lift detach alias resize set item "
    "_local_scalar_dense is_nonzero _assert_async _unsafe_view".split()
) | {"prim::device", "profiler::_record_function_enter_new", "profiler::_record_function_exit"}
GATHERS = frozenset(f"aten::{name}" for name in "index _unsafe_index gather index_select embedding take".split())


class Elementwise:
    """A formula per output element; memory access may merge such an operator into the one that made its input."""

    def __init__(self, weight: int) -> None:
        self.weight = weight

    def __call__(self, *args: Any, out: Any, **_: Any) -> Work:
        return Work(elementwise=self.weight * _float_size(args, out))


def op_cost(*operators: Any) -> Callable[[F], F]:
    """Give operators a formula: `@op_cost(torch.ops.my.op)`.

    The formula is called with the operator's own arguments, and its result as `out=`. It returns multiply-accumulates,
    or `Work(macs, elementwise)`.

    Args:
        operators: `torch.ops.my.op`, one overload of it (which stands for all), or its name `"my::op"`.

    Raises:
        RegistrationError: An operator already has a formula.

    Example:
        >>> @op_cost("doctest::scale_rows")
        ... def scale_rows(x, scale, *, out):
        ...     return Work(elementwise=out.numel())
        >>> FORMULAS.pop("doctest::scale_rows") is scale_rows
        True
    """

    def decorate(formula: F) -> F:
        for operator in operators:
            _register(operator_name(operator), formula)
        return formula

    return decorate


def operator_name(operator: Any) -> str:
    """Return `namespace::name` of an operator, one of its overloads, or a string: without overload or in-place mark.

    Example:
        >>> import torch
        >>> operator_name(torch.ops.aten.add_.Tensor), operator_name(torch.ops.aten.mm)
        ('aten::add', 'aten::mm')
    """
    namespace, _, rest = str(operator).replace("::", ".").partition(".")
    name = rest.partition(".")[0]
    inplace = name.endswith("_") and not name.endswith("__")
    return f"{namespace}::{name[:-1] if inplace else name}"


def _register(name: str, formula: Formula) -> None:
    known = FORMULAS.get(name)
    if known is not None and _origin(known) != _origin(formula):
        raise RegistrationError(f"operator {name} already has a formula, from {_origin(known)}; a formula is given once.")
    FORMULAS[name] = formula


def _origin(formula: Formula) -> str:
    return f"{formula.__module__}.{getattr(formula, '__qualname__', type(formula).__qualname__)}"


def _float_size(args: Any, out: Any) -> int:
    """Elements of the result, or 0 where no operand is a floating-point tensor."""
    result: Tensor = out[0] if isinstance(out, (tuple, list)) else out
    operands = [a for a in args if isinstance(a, Tensor)] or [result]
    return result.numel() if any(t.is_floating_point() or t.is_complex() for t in operands) else 0


def _reduction(weight: int) -> Formula:
    return lambda x, *_, out, **__: Work(elementwise=weight * _float_size((x,), x))


def _nothing(*_: Any, out: Any, **__: Any) -> Work:
    return Work()


@op_cost("aten::convolution", "aten::_convolution", "aten::cudnn_convolution", "aten::mkldnn_convolution")
def convolution(x: Tensor, weight: Tensor, *args: Any, out: Tensor, **_: Any) -> int:
    """Ho·Wo·Cout·(Cin/g)·kh·kw per image; a transposed one spreads each input position: Hi·Wi·Cin·(Cout/g)·kh·kw."""
    transposed = len(args) > 4 and args[4] is True
    return (x.numel() if transposed else out.numel()) * math.prod(weight.shape[1:])


@op_cost("aten::mm", "aten::bmm", "aten::_int_mm", "aten::mv", "aten::linear", "aten::_scaled_mm")
def matrix_product(a: Tensor, *_: Any, out: Tensor, **__: Any) -> int:
    """One multiply-accumulate per output element and element of the contracted axis, the last one of the first operand."""
    return out.numel() * a.shape[-1]


@op_cost("aten::dot", "aten::vdot")
def inner_product(a: Tensor, *_: Any, out: Tensor, **__: Any) -> int:
    """One multiply-accumulate per element."""
    return a.numel()


@op_cost("aten::addmm", "aten::baddbmm", "aten::addmv", "aten::_addmm_activation")
def added_product(_: Tensor, a: Tensor, *args: Any, out: Tensor, **__: Any) -> int:
    """A matrix product; what is added costs nothing more, as the bias of a convolution does."""
    return out.numel() * a.shape[-1]


@op_cost("aten::addbmm")
def summed_product(_: Tensor, a: Tensor, b: Tensor, *args: Any, out: Tensor, **__: Any) -> int:
    """A batch of matrix products that is summed over the batch."""
    return a.numel() * b.shape[-1]


@op_cost(
    "aten::scaled_dot_product_attention",
    "aten::_scaled_dot_product_flash_attention",
    "aten::_scaled_dot_product_flash_attention_for_cpu",
    "aten::_scaled_dot_product_efficient_attention",
    "aten::_scaled_dot_product_cudnn_attention",
    "aten::_scaled_dot_product_fused_attention_overrideable",
)
def attention(query: Tensor, key: Tensor, value: Tensor, *args: Any, out: Any, **_: Any) -> Work:
    """heads·Nq·Nk·(dk + dv) multiply-accumulates; scaling and softmax of the heads·Nq·Nk scores beside them."""
    scores = query.numel() // query.shape[-1] * key.shape[-2]
    return Work(scores * (query.shape[-1] + value.shape[-1]), 6 * scores)


@op_cost("torchvision::deform_conv2d")
def deformable_convolution(
    x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor, bias: Tensor, *args: Any, out: Tensor, **_: Any
) -> Work:
    """A convolution's contraction; beside it, per sampled value, 4 bilinear multiply-adds and the mask's product."""
    use_mask = bool(args[-1])
    sampled = x.shape[0] * x.shape[1] * math.prod(weight.shape[2:]) * math.prod(out.shape[2:])
    return Work(out.numel() * math.prod(weight.shape[1:]), sampled * (2 * 4 + use_mask))


@op_cost("aten::grid_sampler", "aten::grid_sampler_2d", "aten::grid_sampler_3d", "aten::cudnn_grid_sampler")
def grid_sample(x: Tensor, grid: Tensor, mode: int = 0, *_: Any, out: Tensor, **__: Any) -> Work:
    """Neighbours per value: 2 an axis when bilinear (mode 0), 1 when nearest (mode 1, a copy), 4 when bicubic (mode 2)."""
    neighbours = {0: 2, 1: 0, 2: 4}[mode] ** (x.dim() - 2)
    return Work(elementwise=2 * neighbours * out.numel())


@op_cost("aten::native_layer_norm", "aten::layer_norm", "aten::native_group_norm", "aten::group_norm", "aten::instance_norm")
def normalisation(x: Tensor, *args: Any, out: Any, **_: Any) -> Work:
    """Mean (1), deviation (1), variance (2), scaling (1), and gain and offset where there are such vectors."""
    affine = sum(isinstance(a, Tensor) for a in args[:3])
    return Work(elementwise=(5 + affine) * x.numel())


@op_cost("aten::batch_norm", "aten::native_batch_norm", "aten::cudnn_batch_norm", "aten::_native_batch_norm_legit_no_training")
def batch_norm(x: Tensor, *args: Any, out: Any, **_: Any) -> Work:
    """One scale and one shift per element, as evaluation needs; the two vectors per channel are not counted."""
    return Work(elementwise=2 * x.numel())


@op_cost("aten::_fused_rms_norm")
def rms_norm(x: Tensor, *_: Any, out: Any, **__: Any) -> Work:
    """Square, sum, scale and gain per element."""
    return Work(elementwise=4 * x.numel())


@op_cost(*(f"aten::{kind}_pool{n}d{tail}" for kind in ("max", "avg") for n in (1, 2, 3) for tail in ("", "_with_indices")))
def pooling(x: Tensor, kernel: Any, *_: Any, out: Any, **__: Any) -> Work:
    """One comparison or addition per element of each window."""
    result: Tensor = out[0] if isinstance(out, tuple) else out
    n_axes = x.dim() - 1 if x.dim() == 2 else x.dim() - 2
    sizes = [kernel] if isinstance(kernel, int) else list(kernel)
    return Work(elementwise=result.numel() * math.prod(sizes if len(sizes) > 1 else sizes * n_axes))


@op_cost("aten::_fft_c2c", "aten::_fft_r2c", "aten::_fft_c2r")
def fourier_transform(x: Tensor, dim: Any, *_: Any, out: Tensor, **__: Any) -> Work:
    """5·N·log2(n) for n transformed points in N values, half of it where one side is real."""
    signal = max(x, out, key=Tensor.numel)
    points = math.prod(signal.shape[d] for d in dim)
    per_value = 5.0 if x.is_complex() and out.is_complex() else 2.5
    return Work(elementwise=round(per_value * signal.numel() * math.log2(max(points, 2))))


@op_cost("aten::_cdist_forward")
def pairwise_distance(a: Tensor, b: Tensor, *_: Any, out: Tensor, **__: Any) -> Work:
    """Difference, power and sum per pair and coordinate."""
    return Work(elementwise=3 * out.numel() * a.shape[-1])


@op_cost("aten::mkldnn_rnn_layer")
def recurrent_layer(x: Tensor, w_input: Tensor, w_hidden: Tensor, *_: Any, out: Any, **__: Any) -> int:
    """Both weight matrices once per step and sequence; gates are not counted."""
    return math.prod(x.shape[:2]) * (w_input.numel() + w_hidden.numel())


def _interpolation(neighbours: int) -> Formula:
    return lambda x, *_, out, **__: Work(elementwise=2 * neighbours * out.numel())


def _fill_table() -> None:
    """Enter the operators that follow a rule by name; linear interpolation has 2 neighbours an axis, cubic 4."""
    by_rule: list[tuple[Formula, str]] = [(Elementwise(weight), names) for weight, names in ELEMENTWISE.items()]
    by_rule += [(_reduction(weight), names) for weight, names in REDUCTIONS.items()]
    by_rule += [(_interpolation(n), names) for n, names in (
        (2, "upsample_linear1d"), (4, "upsample_bilinear2d _upsample_bilinear2d_aa"), (8, "upsample_trilinear3d"),
        (16, "upsample_bicubic2d _upsample_bicubic2d_aa"),
        (0, "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact2d"),
    )]  # fmt: skip
    by_rule.append((_nothing, f"{MOVES} {FILLS}"))
    for formula, names in by_rule:
        FORMULAS.update(dict.fromkeys((f"aten::{name}" for name in names.split()), formula))


_fill_table()
