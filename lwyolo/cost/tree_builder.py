"""From the steps of a traced pass to the frozen tree of costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from lwyolo.cost.memory import compulsory_bytes, fused_bytes, peak_activation
from lwyolo.cost.paths import Call, CallTree
from lwyolo.cost.trace import OperatorTrace, Step
from lwyolo.cost.tree import Cost, LayerCost, OperatorCost

OUTSIDE = "(outside of layers)"


@dataclass(slots=True)
class Sums:
    """Sums over steps."""

    macs: int = 0
    flops: int = 0
    eager: int = 0
    fused: int = 0
    written: int = 0
    calls: int = 0
    counted: bool = True

    def add(self, step: Step, fused: int) -> None:
        """Add one step, whose fused memory access is `fused`."""
        self.macs += step.work.macs
        self.flops += step.flops
        self.eager += step.n_bytes
        self.fused += fused
        self.written += sum(access.n_bytes for access in step.writes)
        self.calls += 1
        self.counted &= step.counted


def build_cost(
    tree: CallTree, trace: OperatorTrace, outputs: set[int], shapes: Sequence[tuple[int, ...]], dtype: str, fused: bool
) -> Cost:
    """Sum the steps by model, layer, module and operator."""
    steps, values, model = trace.steps, trace.values, tree.root.module
    total, own, operators = Sums(), dict[Call, Sums](), dict[str, Sums]()
    for step, n_fused in zip(steps, fused_bytes(steps, values, outputs), strict=True):
        for sums in (total, own.setdefault(step.call, Sums()), operators.setdefault(step.name, Sums())):
            sums.add(step, n_fused)
    peak, at = peak_activation(steps, values, outputs)
    return Cost(
        name=type(model).__name__,
        params=sum(p.numel() for p in model.parameters()),
        macs=total.macs,
        flops=total.flops,
        memory_access_bytes=total.eager,
        memory_access_fused_bytes=total.fused,
        compulsory_bytes=compulsory_bytes(steps, values, outputs),
        activation_bytes=total.written,
        peak_activation_bytes=peak,
        peak_at=steps[at].call.path if steps else "",
        layers=tuple(_layers(tree.root, own, _own_params(tree.root, model))),
        operators=_operators(operators),
        input_shapes=tuple(shapes),
        dtype=dtype,
        fused=fused,
    )


def _operators(operators: dict[str, Sums]) -> tuple[OperatorCost, ...]:
    costs = [OperatorCost(n, s.calls, s.macs, s.flops, s.eager, s.fused, s.counted) for n, s in operators.items()]
    return tuple(sorted(costs, key=lambda c: (-c.macs, -c.memory_access_bytes, c.name)))


def _layers(root: Call, own: dict[Call, Sums], params: dict[Call, int]) -> Iterable[LayerCost]:
    """One row for each module that the model calls, and one for what it does itself, if anything."""
    yield from (_layer(call, own, params) for call in root.children.values())
    if root in own or params.get(root) or not root.children:
        alone = Call(root.path, root.module, root.calls, outputs=root.outputs)
        kind = OUTSIDE if root.children else type(root.module).__name__
        yield _layer(alone, {alone: own.get(root, Sums())}, {alone: params.get(root, 0)}, kind)


def _layer(call: Call, own: dict[Call, Sums], params: dict[Call, int], kind: str | None = None) -> LayerCost:
    children = tuple(_layer(child, own, params) for child in call.children.values())
    sums = own.get(call, Sums())
    index, from_, label = (getattr(call.module, name, None) for name in ("i", "f", "type"))  # set by upstream's parser
    is_row = isinstance(index, int) and isinstance(label, str)
    return LayerCost(
        index=index if is_row else None,
        from_=tuple(from_) if isinstance(from_, list) else from_ if isinstance(from_, int) else None,
        path=call.path,
        type=kind or (str(label) if is_row else type(call.module).__name__).rpartition(".")[2],
        calls=call.calls,
        output_shapes=call.outputs,
        params=params.get(call, 0) + sum(c.params for c in children),
        macs=sums.macs + sum(c.macs for c in children),
        flops=sums.flops + sum(c.flops for c in children),
        memory_access_bytes=sums.eager + sum(c.memory_access_bytes for c in children),
        memory_access_fused_bytes=sums.fused + sum(c.memory_access_fused_bytes for c in children),
        activation_bytes=sums.written + sum(c.activation_bytes for c in children),
        children=children,
    )


def _own_params(root: Call, model: nn.Module) -> dict[Call, int]:
    """Give each parameter, once, to the innermost call whose path leads to it."""
    by_path: dict[str, Call] = {}
    for call in root.walk():
        by_path.setdefault(call.path, call)
    params: dict[Call, int] = {}
    for name, parameter in model.named_parameters():
        path = name
        while path not in by_path:
            path = path.rpartition(".")[0]
        params[by_path[path]] = params.get(by_path[path], 0) + parameter.numel()
    return params
