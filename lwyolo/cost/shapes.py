"""Output shapes of the common operators on the meta device, without torch's own meta kernels.

torch writes most meta kernels in Python: a batch norm takes 1 ms, a grid_sample 20 ms, and the first of them imports
sympy and torch._dynamo, 1.7 s. The rules here answer for floating-point operands in row-major order, which is nearly
everything that a detector does. Anything else, mismatched shapes included, is left to torch and to its error messages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lwyolo.cost.operations import ELEMENTWISE, operator_name

Rule = Callable[..., Any]
COMPARISONS = frozenset(f"aten::{name}" for name in "eq ne lt le gt ge".split())


@dataclass(frozen=True, slots=True)
class Operator:
    """What an operator's schema says: whether it only makes a view, which arguments it writes, whether it is composite."""

    name: str
    view: bool
    composite: bool
    pointwise: bool
    written: tuple[tuple[int, str], ...]


@lru_cache(maxsize=None)
def describe(func: Any) -> Operator:
    """Read the schema of an operator overload."""
    schema = func._schema
    written = tuple((i, a.name) for i, a in enumerate(schema.arguments) if a.alias_info and a.alias_info.is_write)
    aliases = any(result.alias_info and not result.alias_info.is_write for result in schema.returns)
    composite = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    return Operator(operator_name(func), aliases and not written, composite, torch.Tag.pointwise in func.tags, written)


def tensors_in(*values: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and dicts, in order."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from tensors_in(*value)
        elif isinstance(value, dict):
            yield from tensors_in(*value.values())


class ShapeMode(TorchDispatchMode):
    """Answer operators on the meta device by the rules of this file; it changes no result, only the time taken.

    Under `torch.inference_mode`, composite operators arrive whole: one with a rule is answered so, others are taken apart.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True makes torch wrap the method below in torch._dynamo.disable, whose import takes 1.1 s

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        operator = describe(func)
        kwargs = kwargs or {}
        if operator.composite and not self.keeps_whole(operator):
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        return self.run(operator, func, args, kwargs)

    def keeps_whole(self, operator: Operator) -> bool:
        """Whether a composite operator is answered as one."""
        return operator.name in RULES

    def run(self, operator: Operator, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the operator's result."""
        return answer(operator, func, args, kwargs)


def answer(operator: Operator, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return an operator's result, by our rule on the meta device and by torch elsewhere."""
    rule = RULES.get(operator.name)
    if rule is None or not kwargs.keys() <= {"alpha", "value", "approximate"}:
        return func(*args, **kwargs)
    tensors = list(tensors_in(args, kwargs))
    if not tensors or any(t.device.type != "meta" for t in tensors):
        return func(*args, **kwargs)
    result = tensors[0] if operator.written and operator.name in INPLACE else NotImplemented
    if not operator.written:
        result = rule(*args)
    return func(*args, **kwargs) if result is NotImplemented else result


def _new(like: Tensor, shape: Iterable[int], dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(tuple(shape), dtype=dtype or like.dtype, device="meta")


def _regular(*tensors: Tensor) -> bool:
    """Whether the operands are of one floating-point type, and none is permuted: the result is then contiguous."""
    dtype = tensors[0].dtype
    return dtype.is_floating_point and all(t.dtype == dtype and _row_major(t) for t in tensors)


def _row_major(t: Tensor) -> bool:
    if t.is_contiguous():
        return True
    strides = [stride for stride, size in zip(t.stride(), t.shape) if size > 1 and stride > 0]
    return strides == sorted(strides, reverse=True)


def _ints(value: Any, n: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * n if len(values) == 1 else values


def _elementwise(*args: Any, dtype: torch.dtype | None = None) -> Any:
    tensors = [a for a in args if isinstance(a, Tensor)]
    if not _regular(*tensors) or any(isinstance(a, complex) for a in args):
        return NotImplemented
    shape = list(tensors[0].shape)
    for other in tensors[1:]:
        if list(other.shape) != shape:
            joined = _broadcast(shape, other.shape)
            if joined is None:
                return NotImplemented
            shape = joined
    return _new(tensors[0], shape, dtype)


def _broadcast(a: Sequence[int], b: Sequence[int]) -> list[int] | None:
    n = max(len(a), len(b))
    pairs = list(zip([1] * (n - len(a)) + list(a), [1] * (n - len(b)) + list(b)))
    if any(x != y and 1 not in (x, y) for x, y in pairs):
        return None
    return [y if x == 1 else x for x, y in pairs]


def _comparison(*args: Any) -> Any:
    return _elementwise(*args, dtype=torch.bool)


def _same(x: Tensor, *_: Any) -> Any:
    return _new(x, x.shape) if _regular(x) else NotImplemented


def _softmax(x: Tensor, dim: int, half_to_float: bool) -> Any:
    return NotImplemented if half_to_float else _same(x)


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
    fits = product is not NotImplemented and _broadcast(bias.shape, product.shape) == list(product.shape)
    return product if fits and bias.dtype == a.dtype else NotImplemented


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    first, axis = tensors[0], dim % max(tensors[0].dim(), 1)
    sides = {(*t.shape[:axis], -1, *t.shape[axis + 1 :]) for t in tensors}
    if len(sides) > 1 or not first.dim() or not _regular(*tensors):
        return NotImplemented
    return _new(first, (*first.shape[:axis], sum(t.shape[axis] for t in tensors), *first.shape[axis + 1 :]))


def _stack(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    first = tensors[0]
    if len({t.shape for t in tensors}) > 1 or not _regular(*tensors):
        return NotImplemented
    axis = dim % (first.dim() + 1)
    return _new(first, (*first.shape[:axis], len(tensors), *first.shape[axis:]))


def _pool(x: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False) -> Any:
    if x.dim() != 4 or ceil or not _regular(x):
        return NotImplemented
    k, s, p, d = (_ints(v, 2) for v in (kernel, stride or kernel, padding, dilation))
    size = [(x.shape[2 + i] + 2 * p[i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in range(2)]
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
        size = [math.floor(length * factor) for length, factor in zip(x.shape[2:], factors)]
    return _new(x, (*x.shape[:2], *size))


def _grid_sample(x: Tensor, grid: Tensor, *_: Any) -> Any:
    fits = x.shape[0] == grid.shape[0] and grid.shape[-1] == x.dim() - 2 and x.dim() == grid.dim()
    return _new(x, (*x.shape[:2], *grid.shape[1:-1])) if fits and x.dtype == grid.dtype else NotImplemented


def _reduce(x: Tensor, dims: Any = None, keepdim: bool = False, *_: Any) -> Any:
    if not dims or isinstance(dims, torch.dtype) or not _regular(x):
        return NotImplemented
    axes = {d % x.dim() for d in _ints(dims, 1)}
    return _new(x, (1 if i in axes else n for i, n in enumerate(x.shape) if keepdim or i not in axes))


def _topk(x: Tensor, k: int, dim: int = -1, *_: Any) -> Any:
    if not _regular(x) or not x.dim() or k > x.shape[dim]:
        return NotImplemented
    shape = [k if i == dim % x.dim() else n for i, n in enumerate(x.shape)]
    return _new(x, shape), _new(x, shape, torch.long)


def _gather(x: Tensor, dim: int, index: Tensor, *_: Any) -> Any:
    return _new(x, index.shape) if x.dim() == index.dim() and index.dtype == torch.long else NotImplemented


def _index(x: Tensor, indices: Sequence[Tensor | None]) -> Any:
    first = indices[0]
    if first is None or any(i is None or i.dtype != torch.long or i.shape != first.shape for i in indices):
        return NotImplemented
    return _new(x, (*first.shape, *x.shape[len(indices) :])) if _regular(x) else NotImplemented


def _attention(q: Tensor, k: Tensor, v: Tensor, *_: Any) -> Any:
    """The layout that fused kernels write: [B, heads, N, d] stored as [B, N, heads, d]."""
    if q.dim() != 4 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2] or q.dtype != v.dtype:
        return NotImplemented
    return _new(q, (q.shape[0], q.shape[2], q.shape[1], v.shape[3])).transpose(1, 2)


def _deformable_convolution(x: Tensor, weight: Tensor, offset: Tensor, *_: Any) -> Any:
    return _new(x, (x.shape[0], weight.shape[0], *offset.shape[2:]))


RULES: dict[str, Rule] = {f"aten::{name}": _elementwise for names in ELEMENTWISE.values() for name in names.split()}
INPLACE = frozenset(RULES)
RULES.update(dict.fromkeys(COMPARISONS, _comparison))
RULES.update({f"aten::{name}": rule for names, rule in {
    "batch_norm layer_norm group_norm instance_norm": _same,
    "_softmax _log_softmax": _softmax,
    "convolution": _convolution,
    "mm bmm": _product,
    "addmm baddbmm": _added_product,
    "cat": _cat,
    "stack": _stack,
    "max_pool2d": _pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _adaptive_pool,
    "upsample_nearest2d upsample_bilinear2d": _upsample,
    "grid_sampler grid_sampler_2d": _grid_sample,
    "sum mean": _reduce,
    "topk": _topk,
    "gather": _gather,
    "index": _index,
    "scaled_dot_product_attention": _attention,
}.items() for name in names.split()})  # fmt: skip
RULES["torchvision::deform_conv2d"] = _deformable_convolution
