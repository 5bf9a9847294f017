"""How the result of an element-wise operator lies in memory, as torch's TensorIterator decides it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor


def row_major(t: Tensor) -> bool:
    """Whether the axes are stored in their order, with gaps at most."""
    if t.is_contiguous():
        return True
    strides = [stride for stride, size in zip(t.stride(), t.shape, strict=True) if size > 1]
    return 0 not in strides and strides == sorted(strides, reverse=True)


def elementwise_strides(tensors: Sequence[Tensor], shape: Sequence[int]) -> list[int]:
    """Keep the order of axes that the operands are stored in; earlier operands decide, broadcast axes have no say."""
    n = len(shape)
    stored = [
        [0] * (n - t.dim())
        + [0 if size == 1 != full else stride for size, stride, full in zip(t.shape, t.stride(), tail, strict=True)]
        for t in tensors
        for tail in (shape[n - t.dim() :],)
    ]
    order = list(reversed(range(n)))  # fastest axis first
    for i in range(1, n):
        at = i
        for before in reversed(range(i)):
            verdict = _slower(order[before], order[at], stored, shape)
            if verdict < 0:
                break
            if verdict > 0:
                order[before], order[at] = order[at], order[before]
                at = before
    strides, step = [0] * n, 1
    for axis in order:
        strides[axis] = step
        step *= max(shape[axis], 1)
    return strides


def _slower(a: int, b: int, stored: Iterable[Sequence[int]], shape: Sequence[int]) -> int:
    """Whether axis `a` is stored outside of axis `b` (1), inside (-1), or either way (0)."""
    for strides in stored:
        if strides[a] and strides[b]:
            if strides[a] != strides[b]:
                return 1 if strides[a] > strides[b] else -1
            if shape[a] > shape[b]:
                return 1
    return 0


def broadcast(a: Sequence[int], b: Sequence[int]) -> list[int] | None:
    """Return the joint shape of two operands, `None` where they do not fit."""
    n = max(len(a), len(b))
    pairs = list(zip([1] * (n - len(a)) + list(a), [1] * (n - len(b)) + list(b), strict=True))
    if any(x != y and 1 not in (x, y) for x, y in pairs):
        return None
    return [y if x == 1 else x for x, y in pairs]
