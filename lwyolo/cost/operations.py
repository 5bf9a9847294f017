"""What each operator computes: one table from operator to formula.

Two numbers with two meanings. *MACCs* are the multiply-accumulates of contractions: convolution, matrix product,
attention. *FLOPs* are 2 × MACCs plus element-wise work by the weights of `elementwise.py` and the formulas below.
Interpolation between `t` neighbours is `t` multiply-adds, hence 2 × t FLOPs.

Overloads and in-place variants share the formula of their operator: `aten::add_.Tensor` is counted as `aten::add`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from torch import Tensor

from lwyolo.cost.elementwise import ELEMENTWISE, FILLS, GATHERS, INTERPOLATIONS, MOVES, REDUCTIONS
from lwyolo.errors import RegistrationError


class Work(NamedTuple):
    """Arithmetic of one call: `macs` of contractions, and `elementwise` FLOPs beside them."""

    macs: int = 0
    elementwise: int = 0


Formula = Callable[..., "Work | int"]
F = TypeVar("F", bound=Formula)

FORMULAS: dict[str, Formula] = {}


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A formula per output element; memory access may merge such an operator into the one that made its input."""

    weight: int

    def __call__(self, *args: Any, out: Any, **_: Any) -> Work:  # noqa: D102  a formula as any other
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
        raise RegistrationError(
            f"operator {name} already has a formula, from {_origin(known)}; a formula is given once."
        )
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
    """One multiply-accumulate per output element and element of the contracted axis, the last of the first operand."""
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
    """Neighbours per value: 2 an axis when linear (mode 0), 4 when cubic (mode 2); the nearest (mode 1) is a copy."""
    neighbours = {0: 2, 1: 0, 2: 4}[mode] ** (x.dim() - 2)
    return Work(elementwise=2 * neighbours * out.numel())


@op_cost(
    "aten::native_layer_norm", "aten::layer_norm", "aten::native_group_norm", "aten::group_norm", "aten::instance_norm"
)
def normalisation(x: Tensor, *args: Any, out: Any, **_: Any) -> Work:
    """Mean (1), deviation (1), variance (2), scaling (1), and gain and offset where there are such vectors."""
    affine = sum(isinstance(a, Tensor) for a in args[:3])
    return Work(elementwise=(5 + affine) * x.numel())


@op_cost(
    "aten::batch_norm",
    "aten::native_batch_norm",
    "aten::cudnn_batch_norm",
    "aten::_native_batch_norm_legit_no_training",
)
def batch_norm(x: Tensor, *args: Any, out: Any, **_: Any) -> Work:
    """One scale and one shift per element, as evaluation needs; the two vectors per channel are not counted."""
    return Work(elementwise=2 * x.numel())


@op_cost("aten::_fused_rms_norm")
def rms_norm(x: Tensor, *_: Any, out: Any, **__: Any) -> Work:
    """Square, sum, scale and gain per element."""
    return Work(elementwise=4 * x.numel())


@op_cost(
    *(f"aten::{kind}_pool{n}d{tail}" for kind in ("max", "avg") for n in (1, 2, 3) for tail in ("", "_with_indices"))
)
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
def recurrent_layer(x: Tensor, w_input: Tensor, w_hidden: Tensor, *_: Any, out: Any, **__: Any) -> Work:
    """Both weight matrices of an LSTM once per step and sequence; beside them 22 FLOPs for each hidden unit.

    These are: the sums of both products (4 gates), three sigmoids (4 each), two hyperbolic tangents, the new cell (3),
    and its product with the output gate (1).
    """
    steps = math.prod(x.shape[:2])
    return Work(steps * (w_input.numel() + w_hidden.numel()), 22 * steps * w_hidden.shape[1])


def _interpolation(neighbours: int) -> Formula:
    return lambda x, *_, out, **__: Work(elementwise=2 * neighbours * out.numel())


def _by_name() -> dict[str, Formula]:
    """The operators above that follow a rule by name."""
    table: dict[str, Formula] = dict.fromkeys(GATHERS | FILLS | MOVES, _nothing)
    for weights, rule in ((ELEMENTWISE, Elementwise), (REDUCTIONS, _reduction), (INTERPOLATIONS, _interpolation)):
        for weight, names in weights.items():
            table.update(dict.fromkeys(names, rule(weight)))
    return table


FORMULAS.update(_by_name())
