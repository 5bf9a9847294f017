"""What models cost, side by side; the first is the baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lwyolo.record import CostRecord, LatencyRecord
from lwyolo.reports.tables import Table, change, number
from lwyolo.units import MIB, milliseconds

COLUMNS: tuple[tuple[str, Callable[[CostRecord], float | None], int], ...] = (
    ("Layers", lambda cost: cost.layers, 0),
    ("Params\n(M)", lambda cost: cost.params / 1e6, 2),
    ("fp32\n(MiB)", lambda cost: cost.params * 4 / MIB, 2),
    ("fp16\n(MiB)", lambda cost: cost.params * 2 / MIB, 2),
    ("int8\n(MiB)", lambda cost: cost.params / MIB, 2),
    ("GMACCs", lambda cost: cost.macs / 1e9, 3),
    ("GFLOPs", lambda cost: cost.gflops, 2),
    ("GFLOPs +\nelement-wise", lambda cost: None if cost.flops is None else cost.flops / 1e9, 2),
    ("Ultralytics\nGFLOPs", lambda cost: cost.ultralytics_gflops, 2),
    ("MAC eager\n(MiB)", lambda cost: _mib(cost.memory_access_bytes), 1),
    ("MAC fused\n(MiB)", lambda cost: _mib(cost.memory_access_fused_bytes), 1),
    ("Σ act.\n(MiB)", lambda cost: _mib(cost.activation_bytes), 1),
    ("Peak\n(MiB)", lambda cost: _mib(cost.peak_activation_bytes), 1),
    ("FLOPs\nper byte", lambda cost: cost.arithmetic_intensity, 1),
)
"""Header, figure and digits of each column."""

MEANING = (
    "GFLOPs = 2 × GMACCs, of contractions, as papers print it; beside it, with element-wise work added. Ultralytics' "
    "own figure is of the training graph. fp32, fp16, int8: size of the parameters. MAC: memory access cost, bytes "
    "that one pass moves, each operator on its own (eager), or with element-wise operators merged into their producers "
    "(fused). Σ act.: activations written by all operators; Peak: alive at once, a lower bound. FLOPs per byte: "
    "arithmetic intensity, FLOPs with element-wise work over fused MAC."
)
GRAPHS = {False: "training", True: "deployed"}


def cost_table(named: Sequence[tuple[str, CostRecord]]) -> Table:
    """Put models side by side; a line under each says how it differs from the first of the same graph.

    Where there is but one model, its second graph is compared with its first. Figures that were taken under different
    conditions are not compared; the names then say the conditions.

    Args:
        named: Name and cost of each model, once for each of its graphs.
    """
    where = [cost_conditions(cost) for _, cost in named]
    same, alone = len(set(where)) == 1, len({name for name, _ in named}) == 1
    graphs = list(dict.fromkeys(GRAPHS[cost.fused] for _, cost in named))
    rows: list[tuple[str, ...]] = []
    for graph in graphs:
        members = [i for i, (_, cost) in enumerate(named) if GRAPHS[cost.fused] == graph]
        base = 0 if alone else members[0]
        for i in members:
            name, cost = named[i]
            figures = (number(figure(cost), digits) for _, figure, digits in COLUMNS)
            rows.append((name if same else f"{name}\n{where[i]}", graph, *figures, _calls(cost)))
            if same and i != base:
                changes = (change(figure(cost), figure(named[base][1])) for _, figure, _ in COLUMNS)
                what = graphs[0] if alone and graph != graphs[0] else named[base][0]
                rows.append((f"  against {what}", "", *changes, ""))
    title = f"One forward pass: {where[0]}" if same else "One forward pass, each under its own conditions"
    header = ("Model", "Graph", *(header for header, _, _ in COLUMNS), "No\nformula")
    if len(graphs) == 1:
        title = f"{title}, {graphs[0]} graph"
        header, rows = _without_graph(header), [_without_graph(row) for row in rows]
    return Table(header, tuple(rows), title=title, notes=(MEANING, *_notes(named)), stub=min(len(graphs), 2))


def _without_graph(row: tuple[str, ...]) -> tuple[str, ...]:
    return (row[0], *row[2:])


def cost_conditions(cost: CostRecord) -> str:
    """Say under which conditions a cost holds, and who counted."""
    return f"{conditions(cost.imgsz, cost.batch, cost.dtype)}; {cost.counter}"


def latency_line(latency: LatencyRecord) -> str:
    """Say how long a forward pass took and under which conditions, or why it was not measured."""
    where = f"{latency.runtime} on {latency.device}, {latency.threads} CPU thread{'s' if latency.threads != 1 else ''}"
    if latency.median_ms is None:
        return f"Latency: not measured, {latency.reason} ({where})."
    graph = "fused" if latency.fused else "not fused"
    passes = (
        f"{latency.passes} passes" if latency.clean is None else f"{latency.clean} clean of {latency.passes} passes"
    )
    interval = f" ({latency.low_ms:.1f} to {milliseconds(latency.high_ms)})" if latency.low_ms is not None else ""
    return (
        f"Latency: median {milliseconds(latency.median_ms)}{interval}, p90 {milliseconds(latency.p90_ms)} of {passes}; "
        f"{conditions(latency.imgsz, latency.batch, latency.dtype)}, {graph}, {where}."
    )


def conditions(imgsz: tuple[int, int], batch: int, dtype: str) -> str:
    """Word the conditions of a figure: image size, batch, and number type."""
    return f"{imgsz[0]} × {imgsz[1]}, batch {batch}, {dtype}"


def _mib(n_bytes: int | None) -> float | None:
    return None if n_bytes is None else n_bytes / MIB


def _calls(cost: CostRecord) -> str:
    """Name what has no formula, with its calls."""
    return ",\n".join(f"{name} × {calls}" for name, calls in sorted(cost.uncounted.items())) or "0"


def _notes(named: Sequence[tuple[str, CostRecord]]) -> list[str]:
    """Name what ran without a formula, once for a model whose graphs do not differ in it."""
    notes = []
    for name, cost in named:
        if cost.uncounted:
            calls = ", ".join(f"{operator} × {count}" for operator, count in sorted(cost.uncounted.items()))
            notes.append(f"Ran without a formula in {name}, missing in its totals: {calls}.")
    return list(dict.fromkeys(notes))
