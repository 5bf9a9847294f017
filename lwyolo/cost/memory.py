"""Memory access cost of a traced pass, eager and fused, and its theoretical peak of activation memory.

*Eager* sums over operators: each distinct input element read once, each output element written once, weights once per
call, views free, caches ignored. *Fused* is the same after each element-wise operator (batch norm, activation, sum,
product, cast) has joined the group of the one that made its input, where nobody else uses that value; the value is
then neither written nor read. A batch norm that follows a convolution so becomes the convolution's bias vector. For a
1×1 convolution both are the hw(c1 + c2) + c1·c2 elements of ShuffleNet V2.
"""

from __future__ import annotations

from collections.abc import Iterable

from lwyolo.cost.trace import Access, Step, Value


def fused_bytes(steps: list[Step], values: list[Value], outputs: set[int]) -> list[int]:
    """Return the fused memory access of each step; a group's bytes stand at its first step. `outputs` are written."""
    return bytes_of_groups(steps, values, outputs, fused_groups(steps, values, outputs))


def fused_groups(steps: list[Step], values: list[Value], outputs: set[int]) -> list[int]:
    """Return the group of each step, by the number of its first step."""
    readers = _readers(steps)
    group = list(range(len(steps)))
    for index, step in enumerate(steps):
        if step.fusible:
            producer = _merge_target(step, values, readers, outputs)
            group[index] = index if producer is None else group[producer]
    return group


def bytes_of_groups(steps: list[Step], values: list[Value], outputs: set[int], group: list[int]) -> list[int]:
    """Return what each group reads and writes, at its first step; what only it reads of its own is neither."""
    readers = _readers(steps)
    members: dict[int, list[int]] = {}
    for index, root in enumerate(group):
        members.setdefault(root, []).append(index)
    result = [0] * len(steps)
    for root, indices in members.items():
        reads = [a for i in indices for a in steps[i].reads if _root(group, values[a.value]) != root]
        written = [a for i in indices for a in steps[i].writes if _is_needed(a.value, root, group, readers, outputs)]
        vectors = sum(_vector_bytes(steps[i], steps, values, group, root) for i in indices)
        result[root] = distinct(reads, values) + sum(a.n_bytes for a in written) + vectors
    return result


def _readers(steps: list[Step]) -> dict[int, set[int]]:
    readers: dict[int, set[int]] = {}
    for index, step in enumerate(steps):
        for access in step.reads:
            readers.setdefault(access.value, set()).add(index)
    return readers


def _merge_target(step: Step, values: list[Value], readers: dict[int, set[int]], outputs: set[int]) -> int | None:
    """Return whom to join: who made the largest input that only this step reads, whole; of equals, the latest."""
    candidates = [
        (access.n_bytes, values[access.value].producer)
        for access in step.reads
        if (value := values[access.value]).producer >= 0
        and value.whole
        and access.n_bytes >= value.n_bytes
        and len(readers[access.value]) == 1
        and access.value not in outputs
    ]
    return max(candidates)[1] if candidates else None


def _root(group: list[int], value: Value) -> int:
    return group[value.producer] if value.producer >= 0 else -1


def _is_needed(value: int, root: int, group: list[int], readers: dict[int, set[int]], outputs: set[int]) -> bool:
    users = readers.get(value, set())
    return value in outputs or not users or any(group[user] != root for user in users)


def _vector_bytes(step: Step, steps: list[Step], values: list[Value], group: list[int], root: int) -> int:
    """Parameters of a batch norm when fused: a new bias of a convolution, its old one, or a scale and a shift."""
    if not step.vectors:
        return 0
    one, producer = step.vectors[0].n_bytes, values[step.reads[0].value].producer
    if producer >= 0 and steps[producer].folds and group[producer] == root:
        return 0 if steps[producer].biased else one
    return 2 * one


def distinct(accesses: Iterable[Access], values: list[Value]) -> int:
    """Bytes of the accesses together: equal views once, and never more than the value holds."""
    per_value: dict[int, int] = {}
    for access in dict.fromkeys(accesses):
        per_value[access.value] = per_value.get(access.value, 0) + access.n_bytes
    return sum(min(n_bytes, values[value].n_bytes) for value, n_bytes in per_value.items())


def compulsory_bytes(steps: list[Step], values: list[Value], outputs: set[int]) -> int:
    """Return the least that any execution moves: what the pass was given, once, and what it returns.

    Parameters of batch norms are left out: folding takes them into the weights before.
    """
    given = [a for step in steps for a in step.reads if values[a.value].producer < 0]
    return distinct(given, values) + sum(values[v].n_bytes for v in outputs if values[v].producer >= 0)


def peak_activation(steps: list[Step], values: list[Value], outputs: set[int]) -> tuple[int, int]:
    """Return the largest sum of live activations in bytes, and the step where it occurs.

    An activation lives from the step that makes it to the last one that reads it. This is a lower bound: allocators
    round up, kernels take scratch memory, and a program may hold a tensor longer than it needs it.
    """
    born: dict[int, int] = {}
    dies: dict[int, int] = {}
    size: dict[int, int] = {}
    for index, step in enumerate(steps):
        for access in (*step.reads, *step.writes):
            value = values[access.value]
            if not value.weight:
                born.setdefault(value.storage, index)
                dies[value.storage] = index
                size[value.storage] = max(size.get(value.storage, 0), value.n_bytes)
    dies.update({values[v].storage: len(steps) for v in outputs if values[v].storage in born})
    change = [0] * (len(steps) + 2)
    for storage, index in born.items():
        change[index] += size[storage]
        change[dies[storage] + 1] -= size[storage]
    live, best, where = 0, 0, 0
    for index in range(len(steps)):
        live += change[index]
        if live > best:
            best, where = live, index
    return best, where
