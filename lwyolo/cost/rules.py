"""Output shapes of the common operators on the meta device, one rule each.

A rule gets the operator's positional arguments, all of whose tensors are on the meta device, and returns the result,
or `NotImplemented` for operands that it does not know: torch then answers, with its own message where they do not fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from lwyolo.cost.elementwise import ELEMENTWISE as WEIGHTS
from lwyolo.cost.elementwise import aten
from lwyolo.cost.layouts import broadcast, elementwise_strides, row_major

Rule = Callable[..., Any]


def _new(like: Tensor, shape: Iterable[int], dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(tuple(shape), dtype=dtype or like.dtype, device="meta")


def _regular(*tensors: Tensor) -> bool:
    """Whether the operands are of one floating-point type, and none is permuted: the result is then contiguous."""
    return _same_float(*tensors) and all(map(row_major, tensors))


def _same_float(*tensors: Tensor) -> bool:
    dtype = tensors[0].dtype
    return dtype.is_floating_point and all(t.dtype == dtype for t in tensors)


def _ints(value: Any, n: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * n if len(values) == 1 else values


def _elementwise(*args: Any, result: torch.dtype | None = None, integers: bool = False, **_: Any) -> Any:
    tensors = [a for a in args if isinstance(a, Tensor)]
    numbers = [t for t in tensors if t.dtype != torch.bool]  # beside a number, a truth value is a 0 or 1 of its type
    alike = len({t.dtype for t in numbers}) == 1 and (integers or numbers[0].is_floating_point())
    if not alike or any(isinstance(a, complex) for a in args):
        return NotImplemented
    shape = list(tensors[0].shape)
    for other in tensors[1:]:
        if list(other.shape) != shape:
            joined = broadcast(shape, other.shape)
            if joined is None:
                return NotImplemented
            shape = joined
    if all(t.is_contiguous() and list(t.shape) == shape for t in tensors):
        return _new(numbers[0], shape, result)
    strides = elementwise_strides(tensors, shape)
    return torch.empty_strided(shape, strides, dtype=result or numbers[0].dtype, device="meta")


def _arithmetic(*args: Any, rounding_mode: str | None = None, exact: bool = True, **_: Any) -> Any:
    """Integers stay integers where no operand is a fraction and nothing is left over."""
    whole = (exact or rounding_mode is not None) and not any(isinstance(a, float) for a in args)
    return _elementwise(*args, integers=whole)


def _division(*args: Any, **options: Any) -> Any:
    return _arithmetic(*args, exact=False, **options)


def _comparison(*args: Any) -> Any:
    return _elementwise(*args, result=torch.bool)


def _logical(*args: Any) -> Any:
    tensors = [a for a in args if isinstance(a, Tensor)]
    alike = len({t.shape for t in tensors}) == 1 and all(t.dtype == torch.bool and t.is_contiguous() for t in tensors)
    return _new(tensors[0], tensors[0].shape) if alike else NotImplemented


def _masked_fill(x: Tensor, mask: Tensor, value: Any) -> Any:
    return NotImplemented if isinstance(value, Tensor) or mask.dtype != torch.bool else _elementwise(x, mask)


def _same(x: Tensor, *_: Any) -> Any:
    return _new(x, x.shape) if _regular(x) else NotImplemented


def _contiguous(x: Tensor, *_: Any) -> Any:
    return _new(x, x.shape) if x.is_floating_point() else NotImplemented


def _softmax(x: Tensor, dim: int, other_type: Any = None) -> Any:
    return NotImplemented if other_type else _contiguous(x)


def _convolution(
    x: Tensor, w: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, extra: Any, groups: int
) -> Any:
    n = w.dim() - 2
    channels = w.shape[0] if transposed else w.shape[1] * groups
    if x.dim() != w.dim() or x.shape[1] != channels or not _regular(x, w):
        return NotImplemented
    s, p, d, e = (_ints(v, n) for v in (stride, padding, dilation, extra or 0))
    reach = [d[i] * (w.shape[2 + i] - 1) for i in range(n)]
    if transposed:
        size = [(x.shape[2 + i] - 1) * s[i] - 2 * p[i] + reach[i] + e[i] + 1 for i in range(n)]
    else:
        size = [(x.shape[2 + i] + 2 * p[i] - reach[i] - 1) // s[i] + 1 for i in range(n)]
    if min(size) < 1:
        return NotImplemented
    return _new(x, (x.shape[0], w.shape[1] * groups if transposed else w.shape[0], *size))


def _product(a: Tensor, b: Tensor) -> Any:
    if a.shape[-1] != b.shape[-2] or a.shape[:-2] != b.shape[:-2] or a.dtype != b.dtype:
        return NotImplemented
    return _new(a, (*a.shape[:-1], b.shape[-1]))


def _added_product(bias: Tensor, a: Tensor, b: Tensor) -> Any:
    product = _product(a, b)
    fits = product is not NotImplemented and broadcast(bias.shape, product.shape) == list(product.shape)
    return product if fits and bias.dtype == a.dtype else NotImplemented


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    fits = x.shape[-1] == weight.shape[-1] and x.dtype == weight.dtype and weight.dim() == 2
    return _new(x, (*x.shape[:-1], weight.shape[0])) if fits else NotImplemented


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    first, axis = tensors[0], dim % max(tensors[0].dim(), 1)
    sides = {(*t.shape[:axis], -1, *t.shape[axis + 1 :]) for t in tensors}
    plain = _regular(*tensors) or (_same_float(*tensors) and first.dim() not in (4, 5))
    if len(sides) > 1 or not first.dim() or not plain:
        return NotImplemented
    return _new(first, (*first.shape[:axis], sum(t.shape[axis] for t in tensors), *first.shape[axis + 1 :]))


def _stack(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    first = tensors[0]
    if len({t.shape for t in tensors}) > 1 or not _same_float(*tensors):
        return NotImplemented
    axis = dim % (first.dim() + 1)
    return _new(first, (*first.shape[:axis], len(tensors), *first.shape[axis:]))


def _pool(x: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False) -> Any:
    if x.dim() != 4 or not _regular(x):
        return NotImplemented
    k, s, p, d = (_ints(v, 2) for v in (kernel, stride or kernel, padding, dilation))
    size = []
    for i, length in enumerate(x.shape[2:]):
        room = length + 2 * p[i] - d[i] * (k[i] - 1) - 1
        windows = (-(-room // s[i]) if ceil else room // s[i]) + 1
        size.append(windows - (ceil and (windows - 1) * s[i] >= length + p[i]))  # none may start in the padding
    return _new(x, (*x.shape[:2], *size)) if min(size) > 0 else NotImplemented


def _average_pool(x: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, ceil: bool = False, *_: Any) -> Any:
    return _pool(x, kernel, stride, padding, 1, ceil)


def _adaptive_pool(x: Tensor, size: Any) -> Any:
    return _new(x, (*x.shape[:-2], *size)) if x.dim() == 4 and _regular(x) else NotImplemented


def _upsample(x: Tensor, size: Any, *rest: Any) -> Any:
    if not _regular(x):
        return NotImplemented
    if size is None:
        factors = rest[-1]
        size = [math.floor(length * factor) for length, factor in zip(x.shape[2:], factors, strict=True)]
    return _new(x, (*x.shape[:2], *size))


def _grid_sample(x: Tensor, grid: Tensor, *_: Any) -> Any:
    fits = x.shape[0] == grid.shape[0] and grid.shape[-1] == x.dim() - 2 and x.dim() == grid.dim()
    return _new(x, (*x.shape[:2], *grid.shape[1:-1])) if fits and x.dtype == grid.dtype else NotImplemented


def _reduce(x: Tensor, dims: Any = None, keepdim: bool = False, *_: Any, dtype: torch.dtype | None = None) -> Any:
    known = _regular(x) or (x.is_contiguous() and dtype is not None)
    if dims is None or dims == [] or isinstance(dims, torch.dtype) or not known:
        return NotImplemented
    axes = {d % x.dim() for d in _ints(dims, 1)}
    return _new(x, (1 if i in axes else n for i, n in enumerate(x.shape) if keepdim or i not in axes), dtype)


def _test(x: Tensor, *args: Any) -> Any:
    return _reduce(x, *args, dtype=torch.bool)


def _topk(x: Tensor, k: int, dim: int = -1, *_: Any) -> Any:
    if not _regular(x) or not x.dim() or k > x.shape[dim]:
        return NotImplemented
    shape = [k if i == dim % x.dim() else n for i, n in enumerate(x.shape)]
    return _new(x, shape), _new(x, shape, torch.long)


def _gather(x: Tensor, dim: int, index: Tensor, *_: Any) -> Any:
    return _new(x, index.shape) if x.dim() == index.dim() and index.dtype == torch.long else NotImplemented


def _index(x: Tensor, indices: Sequence[Tensor | None]) -> Any:
    given = [i for i in indices if i is not None]
    before = len(indices) - len(given)
    known = all(i.dtype == torch.long and i.shape == given[0].shape for i in given) and indices[before] is not None
    if not known or any(i is not None for i in indices[:before]) or not _regular(x):
        return NotImplemented
    return _new(x, (*x.shape[:before], *given[0].shape, *x.shape[len(indices) :]))


def _attention(q: Tensor, k: Tensor, v: Tensor, *_: Any) -> Any:
    """Fused kernels keep the layout of the query."""
    if q.dim() != 4 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2] or q.dtype != v.dtype:
        return NotImplemented
    shape = (*q.shape[:-1], v.shape[-1])
    return torch.empty_strided(shape, elementwise_strides([q], shape), dtype=q.dtype, device="meta")


def _deformable_convolution(x: Tensor, weight: Tensor, offset: Tensor, *_: Any) -> Any:
    return _new(x, (x.shape[0], weight.shape[0], *offset.shape[2:]))


ELEMENTWISE = frozenset[str]().union(*WEIGHTS.values()) - aten("glu prelu log_sigmoid_forward")  # other shapes
RULES: dict[str, Rule] = dict.fromkeys(ELEMENTWISE, _elementwise)
_BY_NAME: dict[str, Rule] = {
    "eq ne lt le gt ge": _comparison,
    "add sub rsub mul neg": _arithmetic,
    "div": _division,
    "batch_norm group_norm instance_norm zeros_like ones_like full_like nan_to_num": _same,
    "layer_norm": _contiguous,
    "bitwise_and bitwise_or bitwise_not logical_and logical_or logical_not": _logical,
    "masked_fill": _masked_fill,
    "softmax log_softmax _softmax _log_softmax": _softmax,
    "convolution": _convolution,
    "mm bmm": _product,
    "addmm baddbmm": _added_product,
    "linear": _linear,
    "cat": _cat,
    "stack": _stack,
    "max_pool2d": _pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _adaptive_pool,
    "upsample_nearest2d upsample_bilinear2d": _upsample,
    "grid_sampler grid_sampler_2d": _grid_sample,
    "sum mean amax amin": _reduce,
    "any all": _test,
    "topk": _topk,
    "gather": _gather,
    "index": _index,
    "scaled_dot_product_attention": _attention,
}
for _names, _rule in _BY_NAME.items():
    RULES.update(dict.fromkeys(aten(_names), _rule))
RULES["torchvision::deform_conv2d"] = _deformable_convolution
