"""From the steps of a traced pass to the frozen tree of costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from lwyolo.cost.memory import compulsory_bytes, fused_bytes, peak_activation
from lwyolo.cost.paths import Call
from lwyolo.cost.trace import Step, Value
from lwyolo.cost.tree import Convolution, Cost, LayerCost, OperatorCost

OUTSIDE = "(outside of layers)"


@dataclass(slots=True)
class Sums:
    """Sums over steps."""

    macs: int = 0
    flops: int = 0
    eager: int = 0
    fused: int = 0
    written: int = 0
    elementwise: int = 0
    elementwise_fused: int = 0
    calls: int = 0
    groups: int = 0
    counted: bool = True
    convolutions: list[Convolution] = field(default_factory=list)

    def add(self, step: Step, fused: int) -> None:
        """Add one step, whose fused memory access is `fused`."""
        eager = step.n_bytes
        self.macs += step.work.macs
        self.flops += step.flops
        self.eager += eager
        self.fused += fused
        self.written += sum(access.n_bytes for access in step.writes)
        if step.fusible:
            self.elementwise += 0 if step.vectors else eager
            self.elementwise_fused += fused
        self.calls += 1
        self.groups += fused > 0  # a group's bytes stand at its first step
        self.counted &= step.counted
        if step.convolution is not None:
            self.convolutions.append(step.convolution)


def build_cost(
    root: Call,
    params: dict[Call, int],
    steps: list[Step],
    values: list[Value],
    outputs: set[int],
    shapes: Sequence[tuple[int, ...]],
    dtype: str,
    fused: bool,
) -> Cost:
    """Sum the steps by model, layer, module and operator.

    Args:
        root: The model; the steps name calls below it.
        params: Parameters that belong to a call itself.
        steps: What ran, in order.
        values: What the steps read and write, by number.
        outputs: Values that the pass returns.
        shapes: Of the inputs.
        dtype: Of weights and activations.
        fused: Whether this is the deployed graph.
    """
    total, own, operators = Sums(), dict[Call, Sums](), dict[str, Sums]()
    for step, n_fused in zip(steps, fused_bytes(steps, values, outputs), strict=True):
        for sums in (total, own.setdefault(step.call, Sums()), operators.setdefault(step.name, Sums())):
            sums.add(step, n_fused)
    peak, at = peak_activation(steps, values, outputs)
    return Cost(
        name=root.type,
        params=sum(params.values()),
        macs=total.macs,
        flops=total.flops,
        memory_access_bytes=total.eager,
        memory_access_fused_bytes=total.fused,
        compulsory_bytes=compulsory_bytes(steps, values, outputs),
        activation_bytes=total.written,
        peak_activation_bytes=peak,
        peak_at=steps[at].call.path if steps else "",
        layers=tuple(_layers(root, own, params)),
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
        alone = replace(root, type=OUTSIDE if root.children else root.type, children={})
        yield _layer(alone, {alone: own.get(root, Sums())}, {alone: params.get(root, 0)})


def _layer(call: Call, own: dict[Call, Sums], params: dict[Call, int]) -> LayerCost:
    children = tuple(_layer(child, own, params) for child in call.children.values())
    sums = own.get(call, Sums())
    return LayerCost(
        index=call.index,
        from_=call.from_,
        path=call.path,
        type=call.type,
        calls=call.calls,
        output_shapes=call.outputs,
        params=params.get(call, 0) + sum(c.params for c in children),
        macs=sums.macs + sum(c.macs for c in children),
        flops=sums.flops + sum(c.flops for c in children),
        memory_access_bytes=sums.eager + sum(c.memory_access_bytes for c in children),
        memory_access_fused_bytes=sums.fused + sum(c.memory_access_fused_bytes for c in children),
        activation_bytes=sums.written + sum(c.activation_bytes for c in children),
        elementwise_bytes=sums.elementwise + sum(c.elementwise_bytes for c in children),
        elementwise_fused_bytes=sums.elementwise_fused + sum(c.elementwise_fused_bytes for c in children),
        n_operators=sums.calls + sum(c.n_operators for c in children),
        n_groups=sums.groups + sum(c.n_groups for c in children),
        convolutions=tuple(sums.convolutions),
        children=children,
    )
