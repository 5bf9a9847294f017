"""Where the cost of one model lies: by layer, by module, by operator, and what the guidelines say of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lwyolo.reports.tables import Align, Table, number, wrap
from lwyolo.units import MIB, MISSING

if TYPE_CHECKING:
    from lwyolo.cost import Cost, LayerCost
    from lwyolo.cost.lint import Finding

MEASURES = ("Params", "%", "MMACCs", "%", "MAC\neager\n(MiB)", "%", "MAC\nfused\n(MiB)", "%")
GUIDELINES = (
    "G1: unequal widths, G2: groups, G3: fragments, G4: element-wise operators (ShuffleNet V2, ECCV 2018); depthwise: "
    "fewer FLOPs at a lower speed (FasterNet, CVPR 2023). Share: of the model's eager MAC, what is meant. The papers "
    "give no thresholds; ours are in docs/cost.md. A finding is a reason to measure latency, not a verdict."
)


def layer_table(name: str, cost: Cost) -> Table:
    """Return a row for each row of the YAML."""
    rows = (
        (
            MISSING if layer.index is None else str(layer.index),
            MISSING if layer.from_ is None else str(layer.from_).replace(" ", ""),
            layer.type,
            _shape(layer.output_shapes),
            *_measures(layer, cost),
        )
        for layer in cost.layers
    )
    title = f"Layers of {name}, {_graph(cost)}"
    sides: list[Align] = ["right"] * len(MEASURES)
    align: tuple[Align, ...] = ("right", "left", "left", "left", *sides)
    return Table(("Layer", "From", "Module", "Output", *MEASURES), tuple(rows), align, title, stub=4)


def module_table(name: str, cost: Cost) -> Table:
    """Return the tree of modules, each below the one that calls it and counted in it."""

    def lines(layers: Sequence[LayerCost], depth: int) -> Iterator[tuple[str, ...]]:
        for layer in layers:
            calls = "" if layer.calls == 1 else str(layer.calls)
            yield f"{'  ' * depth}{layer.path or MISSING}", layer.type, calls, *_measures(layer, cost)
            yield from lines(layer.children, depth + 1)

    title = f"Modules of {name}, {_graph(cost)}"
    notes = ("A module's figures hold those of the modules below it. Calls: where it ran more than once.",)
    rows = tuple(lines(cost.layers, 0))
    return Table(("Module", "Class", "Calls", *MEASURES), rows, title=title, notes=notes, stub=2)


def operator_table(name: str, cost: Cost) -> Table:
    """Return the totals of each operator; one without a formula has no operations to show."""
    rows = (
        (
            operator.name,
            str(operator.calls),
            number(operator.macs / 1e6 if operator.counted else None, 1),
            _percent(operator.macs, cost.macs) if operator.counted else MISSING,
            number(operator.flops / 1e6 if operator.counted else None, 1),
            number(operator.memory_access_bytes / MIB, 1),
            _percent(operator.memory_access_bytes, cost.memory_access_bytes),
            number(operator.memory_access_fused_bytes / MIB, 1),
            "" if operator.counted else "NO FORMULA",
        )
        for operator in cost.operators
    )
    measures = ("MMACCs", "%", "MFLOPs with\nelement-wise", "MAC eager\n(MiB)", "%", "MAC fused\n(MiB)", "")
    return Table(("Operator", "Calls", *measures), tuple(rows), title=f"Operators of {name}, {_graph(cost)}")


def lint_table(name: str, cost: Cost, findings: Sequence[Finding]) -> Table:
    """Return what ShuffleNet V2's guidelines and FasterNet's warning find in a model, row by row."""
    rows = (
        (f.guideline, MISSING if f.index is None else str(f.index), f.type, wrap(f.found, 60), f"{100 * f.share:.1f} %")
        for f in findings
    )
    title = f"Guidelines on {name}, {_graph(cost)}: {len(findings) or 'no'} finding{'s' * (len(findings) != 1)}"
    header = ("Guideline", "Layer", "Module", "Found", "Share")
    return Table(header, tuple(rows), ("left", "right", "left", "left", "right"), title, (GUIDELINES,), stub=4)


def _graph(cost: Cost) -> str:
    return f"{'deployed' if cost.fused else 'training'} graph"


def _measures(layer: LayerCost, cost: Cost) -> tuple[str, ...]:
    return (
        number(layer.params),
        _percent(layer.params, cost.params),
        number(layer.macs / 1e6, 1),
        _percent(layer.macs, cost.macs),
        number(layer.memory_access_bytes / MIB, 1),
        _percent(layer.memory_access_bytes, cost.memory_access_bytes),
        number(layer.memory_access_fused_bytes / MIB, 1),
        _percent(layer.memory_access_fused_bytes, cost.memory_access_fused_bytes),
    )


def _percent(part: float, whole: float) -> str:
    return number(100 * part / whole if whole else None, 1)


def _shape(shapes: Sequence[Sequence[int]]) -> str:
    """Word the output of a layer without its batch: `64×80×80`, several levels one below the other."""
    lines = ["×".join(map(str, shape[1:])) for shape in shapes[:4]]
    return "\n".join(lines + ["…"] * (len(shapes) > 4))
