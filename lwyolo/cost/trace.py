"""One forward pass as a list of steps: every operator that ran, what it computed, and which values it read and wrote.

A value is one version of a storage: views share the value of their base, and writing in place makes a new one. Memory
access is counted on steps and values (`memory.py`), never on tensors, so that a slice or an expanded axis cannot hide
who else uses the data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from lwyolo.cost.operations import ALLOCATIONS, FORMULAS, GATHERS, Elementwise, Formula, Work
from lwyolo.cost.paths import Call, CallTree
from lwyolo.cost.shapes import Operator, ShapeMode, answer, tensors_in
from lwyolo.errors import CostError

FILLS_INPLACE = frozenset(f"aten::{name}" for name in "copy fill zero uniform normal bernoulli random exponential".split())
CONTRACTIONS = frozenset({"aten::convolution", "aten::addmm", "aten::mm", "aten::linear", "torchvision::deform_conv2d"})
BATCH_NORMS = frozenset({"aten::batch_norm", "aten::native_batch_norm", "aten::cudnn_batch_norm"})
CASTS = frozenset({"aten::_to_copy"})


class Access(NamedTuple):
    """Bytes of a value, through one view of it: two equal views are one access."""

    value: int
    view: tuple[Any, ...]
    n_bytes: int


@dataclass(slots=True)
class Value:
    """One version of a storage; `producer` is the step that wrote it, -1 for what the pass was given."""

    storage: int
    n_bytes: int
    producer: int
    whole: bool
    weight: bool


@dataclass(slots=True)
class Step:
    """One operator that ran. `vectors` are the parameters of a batch norm, kept apart because folding removes them."""

    name: str
    call: Call
    work: Work
    counted: bool
    fusible: bool
    reads: tuple[Access, ...]
    vectors: tuple[Access, ...]
    writes: tuple[Access, ...]
    contraction: bool
    has_bias: bool

    @property
    def flops(self) -> int:
        """2 × MACCs and element-wise work."""
        return 2 * self.work.macs + self.work.elementwise

    @property
    def n_bytes(self) -> int:
        """Eager memory access: each distinct input element read once, each output element written once."""
        return sum(access.n_bytes for access in (*self.reads, *self.vectors, *self.writes))


class OperatorTrace(ShapeMode):
    """Record the operators that run inside, under the innermost call of `tree`.

    Args:
        weights: Parameters and buffers; they are read, and no activation memory.
    """

    def __init__(self, tree: CallTree, weights: Iterable[Tensor]) -> None:
        super().__init__()
        self.tree = tree
        self.steps: list[Step] = []
        self.values: list[Value] = []
        self._weights = {_key(t) for t in weights}
        self._current: dict[int, int] = {}
        self._kept: list[Any] = []  # a freed storage would give its address, and so its identity, to another one

    def keeps_whole(self, operator: Operator) -> bool:
        """A composite operator with a formula is one step; any other is taken apart, as torch itself does."""
        return operator.name in FORMULAS

    def run(self, operator: Operator, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator and record it."""
        tensors = list(tensors_in(args, kwargs))
        run_args, run_kwargs = (_to_meta(args), _to_meta(kwargs)) if _mixed(tensors) else (args, kwargs)
        result = answer(operator, func, run_args, run_kwargs)
        if operator.view or operator.name in ALLOCATIONS:
            return result
        if operator.name in CASTS and result.device != tensors[0].device and result.dtype == tensors[0].dtype:
            self._current[_key(result)] = self.value_of(tensors[0])  # a move between devices, absent where there is one
            self._kept.append(result.untyped_storage())
            return result
        self._record(operator, args, kwargs, tensors, result)
        return result

    def _record(
        self, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor], result: Any
    ) -> None:
        formula = FORMULAS.get(operator.name)
        written = [a for i, name in operator.written for a in tensors_in(args[i] if i < len(args) else kwargs.get(name))]
        results = written or list(tensors_in(result))
        is_norm = operator.name in BATCH_NORMS
        if is_norm:
            results = results[:1]
        elif operator.name.endswith("_with_indices"):
            results = results[:1]
        index = len(self.steps)
        reads = self._reads(operator, tensors[:1] if is_norm else tensors, written, results)
        vectors = tuple(self._access(t) for t in tensors[1:]) if is_norm else ()
        writes = tuple(self._write(t, index, bool(written)) for t in results)
        self.steps.append(
            Step(
                name=operator.name,
                call=self.tree.current,
                work=_work(operator.name, formula, args, kwargs, result),
                counted=formula is not None or operator.pointwise,
                fusible=is_norm or operator.name in CASTS or _is_elementwise(operator, formula),
                reads=reads,
                vectors=vectors,
                writes=writes,
                contraction=operator.name in CONTRACTIONS,
                has_bias=operator.name != "aten::mm" and (operator.name != "aten::convolution" or args[2] is not None),
            )
        )

    def _reads(
        self, operator: Operator, tensors: list[Tensor], written: list[Tensor], results: list[Tensor]
    ) -> tuple[Access, ...]:
        if written and operator.name in FILLS_INPLACE:
            tensors = [t for t in tensors if not any(t is w for w in written)]
        accesses = list(dict.fromkeys(self._access(t) for t in tensors))
        if operator.name in GATHERS and accesses:
            gathered = sum(t.numel() * t.element_size() for t in results)
            table = max(range(len(accesses)), key=lambda i: accesses[i].n_bytes if tensors[i].is_floating_point() else -1)
            accesses[table] = accesses[table]._replace(n_bytes=min(gathered, accesses[table].n_bytes))
        return tuple(accesses)

    def value_of(self, tensor: Tensor) -> int:
        """Return the value that a tensor shows now; an unknown one was given to the pass."""
        key = _key(tensor)
        if key not in self._current:
            self._new_value(tensor, -1, whole=True)
        return self._current[key]

    def _access(self, tensor: Tensor) -> Access:
        view = (tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
        return Access(self.value_of(tensor), view, distinct_bytes(tensor))

    def _write(self, tensor: Tensor, step: int, inplace: bool) -> Access:
        n_bytes = tensor.numel() * tensor.element_size()
        whole = not inplace or n_bytes >= tensor.untyped_storage().nbytes()
        return Access(self._new_value(tensor, step, whole), (), n_bytes)

    def _new_value(self, tensor: Tensor, step: int, whole: bool) -> int:
        key, storage = _key(tensor), tensor.untyped_storage()
        self.values.append(Value(key, storage.nbytes(), step, whole, key in self._weights))
        self._current[key] = len(self.values) - 1
        self._kept.append(storage)
        return self._current[key]


def distinct_bytes(tensor: Tensor) -> int:
    """Bytes of the distinct elements behind a view: an expanded axis counts once, overlapping windows once.

    Example:
        >>> distinct_bytes(torch.zeros(2, 1, device="meta").expand(2, 100))
        8
        >>> distinct_bytes(torch.zeros(10, device="meta").unfold(0, 3, 1))
        40
    """
    if tensor.is_contiguous():
        return tensor.numel() * tensor.element_size()
    if not tensor.numel():
        return 0
    axes = [(size, stride) for size, stride in zip(tensor.shape, tensor.stride()) if stride and size > 1]
    elements, span = 1, 1
    for size, stride in axes:
        elements *= size
        span += (size - 1) * stride
    return min(elements, span) * tensor.element_size()


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _is_elementwise(operator: Operator, formula: Formula | None) -> bool:
    return isinstance(formula, Elementwise) or (formula is None and operator.pointwise)


def _mixed(tensors: list[Tensor]) -> bool:
    return any(t.is_meta for t in tensors) and any(not t.is_meta and t.dim() > 0 for t in tensors)


def _to_meta(values: Any) -> Any:
    return tree_map(lambda v: v.to("meta") if isinstance(v, Tensor) and v.dim() > 0 else v, values)


def _work(name: str, formula: Formula | None, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Work:
    if formula is None:
        return Work()
    try:
        work = formula(*args, **kwargs, out=result)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise CostError(f"the formula of operator {name} failed: {type(error).__name__}: {error}") from error
    return work if isinstance(work, Work) else Work(macs=work)
