"""One forward pass as a list of steps: every operator that ran, what it computed, which values it read and wrote.

A value is one version of a storage: views share the value of their base, and writing in place makes a new one. Memory
access is counted on steps and values (`memory.py`), never on tensors, so that a slice or an expanded axis cannot hide
who else uses the data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from lwyolo.cost.elementwise import ALLOCATIONS, FILLS, GATHERS, aten
from lwyolo.cost.operations import FORMULAS, Elementwise, Formula, Work
from lwyolo.cost.paths import Call, CallTree
from lwyolo.cost.shapes import Operator, ShapeMode, answer, tensors_in
from lwyolo.cost.tree import Convolution
from lwyolo.errors import CostError

CONVOLUTIONS = aten("convolution _convolution") | {"torchvision::deform_conv2d"}
CONTRACTIONS = aten("convolution addmm mm linear") | {"torchvision::deform_conv2d"}
BATCH_NORMS = aten("batch_norm native_batch_norm cudnn_batch_norm _native_batch_norm_legit_no_training")
CASTS = aten("_to_copy")
OVERWRITES = FILLS | aten("copy")


class Access(NamedTuple):
    """Bytes of a value, through one view of it: two equal views are one access."""

    value: int
    view: tuple[Any, ...]
    n_bytes: int


@dataclass(slots=True)
class Value:
    """One version of a storage.

    Args:
        producer: The step that wrote it, -1 for what the pass was given.
        whole: Whether that step wrote all of it.
    """

    storage: int
    n_bytes: int
    producer: int
    whole: bool
    weight: bool


@dataclass(slots=True)
class Step:
    """One operator that ran.

    Args:
        fusible: Whether it works element by element, so that it can join the operator before.
        vectors: Parameters of a batch norm, apart from `reads` because folding removes them.
        folds: Whether it is a contraction whose weights can take in a batch norm that follows.
        biased: Whether such a contraction has a bias already.
        convolution: Its shape, where it is one.
    """

    name: str
    call: Call
    work: Work
    counted: bool
    fusible: bool
    reads: tuple[Access, ...]
    vectors: tuple[Access, ...]
    writes: tuple[Access, ...]
    folds: bool
    biased: bool
    convolution: Convolution | None = None

    @property
    def flops(self) -> int:
        """2 × MACCs and element-wise work."""
        return 2 * self.work.macs + self.work.elementwise

    @property
    def n_bytes(self) -> int:
        """Eager memory access: each distinct input element read once, each output element written once."""
        return sum(access.n_bytes for access in (*self.reads, *self.vectors, *self.writes))


class OperatorTrace(ShapeMode):  # type: ignore[no-untyped-call]  # torch leaves its base class untyped
    """Record the operators that run inside, under the innermost call of `tree`.

    Args:
        weights: Parameters and buffers; they are read, and are no activations.
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
        tensors = tensors_in(args, kwargs)
        result = answer(operator, func, args, kwargs, tensors)
        if operator.view or operator.name in ALLOCATIONS:
            return result
        if operator.name in CASTS and result.device != tensors[0].device and result.dtype == tensors[0].dtype:
            self._set(result, self.value_of(tensors[0]))  # a move between devices: absent where there is but one
            return result
        written = [
            t for i, name in operator.written for t in tensors_in(args[i] if i < len(args) else kwargs.get(name))
        ]
        work, counted, elementwise = _work(operator, args, kwargs, result)
        norm = operator.name in BATCH_NORMS
        reads = self._reads(operator, tensors[:1] if norm else tensors, written, result)
        vectors = tuple(self._access(t) for t in tensors[1:]) if norm else ()
        results = written or tensors_in(result)
        if norm or operator.name.endswith("_with_indices"):
            results = results[:1]  # evaluation has no use for the others
        self.steps.append(
            Step(
                name=operator.name,
                call=self.tree.current,
                work=work,
                counted=counted,
                fusible=elementwise or norm or operator.name in CASTS,
                reads=reads,
                vectors=vectors,
                writes=tuple(self._write(t, inplace=bool(written)) for t in results),
                folds=operator.name in CONTRACTIONS,
                biased=len(args) > 2 and args[2] is not None,
            )
        )
        if operator.name in CONVOLUTIONS:
            self.steps[-1].convolution = _convolution(operator.name, args, result, self.steps[-1])
        return result

    def value_of(self, tensor: Tensor) -> int:
        """Return the value that a tensor shows now; an unknown one was given to the pass."""
        key = _key(tensor)
        return (
            self._current[key]
            if key in self._current
            else self._new_value(tensor, -1, whole=True, n_bytes=tensor.untyped_storage().nbytes())
        )

    def _reads(
        self, operator: Operator, tensors: list[Tensor], written: list[Tensor], result: Any
    ) -> tuple[Access, ...]:
        if operator.name in FILLS:
            return ()
        if operator.name in OVERWRITES:
            tensors = [t for t in tensors if not any(t is w for w in written)]
        accesses = list(dict.fromkeys(self._access(t) for t in tensors))
        if operator.name in GATHERS:
            gathered = sum(t.numel() * t.element_size() for t in tensors_in(result))
            accesses[0] = accesses[0]._replace(n_bytes=min(gathered, accesses[0].n_bytes))
        return tuple(accesses)

    def _access(self, tensor: Tensor) -> Access:
        view = (tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
        return Access(self.value_of(tensor), view, distinct_bytes(tensor))

    def _write(self, tensor: Tensor, *, inplace: bool) -> Access:
        n_bytes = distinct_bytes(tensor)
        held = tensor.untyped_storage().nbytes() if inplace else n_bytes  # a result may be cropped from a larger buffer
        return Access(self._new_value(tensor, len(self.steps), n_bytes >= held, held), (), n_bytes)

    def _new_value(self, tensor: Tensor, step: int, whole: bool, n_bytes: int) -> int:
        key = _key(tensor)
        self.values.append(Value(key, n_bytes, step, whole, key in self._weights))
        self._set(tensor, len(self.values) - 1)
        return len(self.values) - 1

    def _set(self, tensor: Tensor, value: int) -> None:
        self._current[_key(tensor)] = value
        self._kept.append(tensor.untyped_storage())


def distinct_bytes(tensor: Tensor) -> int:
    """Bytes of the distinct elements behind a view: an expanded axis counts once, overlapping windows once.

    Example:
        >>> import torch
        >>> distinct_bytes(torch.zeros(2, 1, device="meta").expand(2, 100))
        8
        >>> distinct_bytes(torch.zeros(10, device="meta").unfold(0, 3, 1))
        40
    """
    if tensor.is_contiguous():
        return tensor.numel() * tensor.element_size()
    elements, span = min(tensor.numel(), 1), min(tensor.numel(), 1)
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        if stride and size:
            elements *= size
            span += (size - 1) * stride
    return min(elements, span) * tensor.element_size()


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _work(operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> tuple[Work, bool, bool]:
    """Return the work of an operator, whether a formula is known, and whether it works element by element."""
    formula: Formula | None = FORMULAS.get(operator.name) or (Elementwise(1) if operator.pointwise else None)
    if formula is None:
        return Work(), False, False
    try:
        work = formula(*args, **kwargs, out=result)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise CostError(f"the formula of operator {operator.name} fails: {type(error).__name__}: {error}") from error
    return work if isinstance(work, Work) else Work(macs=work), True, isinstance(formula, Elementwise)


def _convolution(name: str, args: tuple[Any, ...], out: Tensor, step: Step) -> Convolution:
    """Describe a call of a convolution; a deformable one has its strides and groups in other places."""
    x, weight = args[:2]
    if name == "torchvision::deform_conv2d":
        stride, transposed, groups = args[5:7], False, args[11]
    else:
        stride, transposed, groups = args[3], args[6], args[8]
    c1, c2 = weight.shape[1] * groups, weight.shape[0]
    kernel = tuple(weight.shape[2:])
    return Convolution(
        c1=c2 if transposed else c1,
        c2=c1 if transposed else c2,
        kernel=kernel,
        groups=groups,
        stride=tuple(stride) * (len(kernel) if len(stride) == 1 else 1),
        positions_in=x.numel() // (c2 if transposed else c1),
        positions_out=out.numel() // (c1 if transposed else c2),
        macs=step.work.macs,
        memory_access_bytes=step.n_bytes,
    )
