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
    ("GMACCs", lambda cost: cost.macs / 1e9, 3),
    ("GFLOPs", lambda cost: cost.gflops, 2),
    ("GFLOPs\n(Ultralytics)", lambda cost: cost.ultralytics_gflops, 2),
    ("MAC eager\n(MiB)", lambda cost: _mib(cost.memory_access_bytes), 1),
    ("MAC fused\n(MiB)", lambda cost: _mib(cost.memory_access_fused_bytes), 1),
)
"""Header, figure and digits of each column."""

MEANING = (
    "GFLOPs = 2 × GMACCs, of contractions; Ultralytics' own figure is of the graph before fusing. fp32, fp16: size of "
    "the parameters. MAC: bytes that one pass moves, each operator on its own (eager), or with elementwise operators "
    "merged into their producers (fused)."
)


def cost_table(named: Sequence[tuple[str, CostRecord]]) -> Table:
    """Put models side by side; with several, a line under each says how it differs from the first.

    Figures that were taken under different conditions are not compared; the names then say the conditions.

    Args:
        named: Name and cost of each model.
    """
    conditions = [cost_conditions(cost) for _, cost in named]
    same = len(set(conditions)) == 1
    rows = []
    for i, (name, cost) in enumerate(named):
        label = name if same else f"{name}\n{conditions[i]}"
        rows.append((label, *(number(figure(cost), digits) for _, figure, digits in COLUMNS), _calls(cost)))
        if i and same:
            base = named[0][1]
            changes = (change(figure(cost), figure(base)) for _, figure, _ in COLUMNS)
            rows.append((f"  against {named[0][0]}", *changes, ""))
    return Table(
        header=("Model", *(header for header, _, _ in COLUMNS), "No\nformula"),
        rows=tuple(rows),
        title=f"One forward pass: {conditions[0]}" if same else "One forward pass, each under its own conditions",
        notes=(MEANING, *(_uncounted(name, cost) for name, cost in named if cost.uncounted)),
    )


def cost_conditions(cost: CostRecord) -> str:
    """Say under which conditions a cost holds, and who counted."""
    return f"{conditions(cost.imgsz, cost.batch, cost.dtype, cost.fused)}; {cost.counter}"


def latency_line(latency: LatencyRecord) -> str:
    """Say how long a forward pass took and under which conditions, or why it was not measured."""
    where = f"{latency.runtime} on {latency.device}, {latency.threads} CPU thread{'s' if latency.threads != 1 else ''}"
    if latency.median_ms is None:
        return f"Latency: not measured, {latency.reason} ({where})."
    return (
        f"Latency: median {milliseconds(latency.median_ms)}, p90 {milliseconds(latency.p90_ms)} of {latency.passes} "
        f"passes; {conditions(latency.imgsz, latency.batch, latency.dtype, latency.fused)}, {where}."
    )


def conditions(imgsz: tuple[int, int], batch: int, dtype: str, fused: bool) -> str:
    """Word the conditions of a figure: image size, batch, number type, and whether the graph is the deployed one."""
    return f"{imgsz[0]} × {imgsz[1]}, batch {batch}, {dtype}, {'fused' if fused else 'not fused'}"


def _mib(n_bytes: int | None) -> float | None:
    return None if n_bytes is None else n_bytes / MIB


def _calls(cost: CostRecord) -> str:
    return str(sum(cost.uncounted.values()))


def _uncounted(name: str, cost: CostRecord) -> str:
    calls = ", ".join(f"{operator} × {count}" for operator, count in sorted(cost.uncounted.items()))
    return f"Ran without a formula in {name}, missing in its totals: {calls}."
