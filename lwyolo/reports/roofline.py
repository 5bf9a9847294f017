"""Rooflines as tables and sentences: what limits the groups of a model, and why two models differ in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lwyolo.reports.cost import conditions
from lwyolo.reports.tables import Table, number
from lwyolo.speed.roofline import TOLERATED, Group, Roofline, Roofs
from lwyolo.speed.roofline_sums import Difference, Sum, differences, sums, total
from lwyolo.units import MIB, MISSING

NAMED = 5
"""Kinds, and groups that exceed their bound, that a sentence names."""
SHOWN_MS = 0.05
MEANING = (
    "A group: operators that a runtime runs together, or could. FLOPs: 2 × MACCs, what the model asks for (model "
    "FLOPS); a kernel with fewer multiplications (Winograd) may exceed the peak. MiB: read and written, element-wise "
    "operators merged. Bound: the longer of FLOPs at the peak and bytes at the bandwidth of the smallest cache that "
    "holds them. Reached: bound over time; from 50 % on a group is compute-bound or memory-bound, below it neither "
    "roof explains its time. Layout: kernels that the runtime adds, or that copy where our count has a view; they "
    "compute nothing."
)
ROOFS_NOTE = (
    "The fastest undisturbed sample of each; of the peak, among dense kernels of torch and of the runtime. Ridge: with "
    "fewer FLOPs for each byte the bandwidth is the limit."
)
NOT_AT_ONCE = "They were measured one after the other; lwyolo bench {} --vs {} tells whether the whole differs."


def roofline_tables(models: Sequence[Roofline], shown: int | None = 20) -> list[Table]:
    """Return the tables of one model or two on one machine.

    Args:
        models: At least one.
        shown: Groups of each model, the slowest; `None`: all.
    """
    tables = [roofs_table(models[0].roofs, models[0].cpu)]
    tables += [table for model in models for table in (kind_table(model), group_table(model, shown))]
    return tables + ([difference_table(*models)] if len(models) == 2 else [])


def roofs_table(roofs: Roofs, cpu: str) -> Table:
    """Return the limits that groups are held against."""
    rows = [("peak", MISSING, f"{number(roofs.gflops_per_s, 1)} GFLOPS", MISSING, roofs.peak_of)]
    for level in roofs.levels:
        ridge = None if level.gb_per_s is None else roofs.gflops_per_s / level.gb_per_s
        rate = MISSING if level.gb_per_s is None else f"{number(level.gb_per_s, 1)} GB/s"
        rows.append((level.name, _size(level.size_bytes), rate, number(ridge, 1), level.reason))
    title = f"Roofs in float32, {_threads(roofs)}: {cpu}"
    header = ("Roof", "Holds", "Limit", "Ridge\n(FLOP/byte)", "")
    return Table(header, tuple(rows), ("left", "right", "right", "right", "left"), title, (ROOFS_NOTE, MEANING))


def kind_table(model: Roofline) -> Table:
    """Return a row for each kind of group, and what must be said of the whole."""
    found = [*sums(model.groups, "kind"), total("sum", model.groups)]
    rows = tuple((one.name, str(one.groups), *_figures(one), _share(one.ms, model.sum_ms)) for one in found)
    header = ("Kind", "Groups", "GFLOPs", "MiB", "Time\n(ms)", "GFLOPS", "Bound\n(ms)", "Reached\n(%)", "%")
    title = f"{model.name}: {conditions(model.imgsz, model.batch, 'float32')}, {_threads(model.roofs)}, {model.runtime}"
    return Table(header, rows, title=title, notes=tuple(remarks(model)))


def _figures(one: Sum) -> tuple[str, ...]:
    return (
        number(2 * one.macs / 1e9, 3),
        number(one.n_bytes / MIB, 1),
        number(one.ms, 2),
        number(one.gflops_per_s if one.macs else None, 1),
        number(one.bound_ms if one.bound_ms else None, 2),
        _share(one.bound_ms, one.ms) if one.bound_ms else MISSING,
    )


def group_table(model: Roofline, shown: int | None) -> Table:
    """Return a row for each group, the slowest first."""
    slowest = sorted(model.groups, key=lambda group: -group.ms)[:shown]
    rows = tuple(_group(group, model.sum_ms) for group in slowest)
    header = (
        *("Group", "Kind", "Time\n(ms)", "%", "FLOP/\nbyte", "GFLOPS", "Reached\n(%)", "Class"),
        *("MFLOPs", "MiB", "Bound\n(ms)", "Level", "Kernels"),
    )
    left = {"Group", "Kind", "Class", "Level", "Kernels"}
    which = f"the {len(rows)} slowest of {len(model.groups)} groups" if len(rows) < len(model.groups) else "all groups"
    sides = tuple("left" if name in left else "right" for name in header)
    return Table(header, rows, sides, f"{model.name}: {which}")  # type: ignore[arg-type]  # literals of a tuple


def _group(group: Group, whole_ms: float) -> tuple[str, ...]:
    return (
        group.name.removeprefix("/").replace("/", "."),
        group.kind,
        number(group.ms, 3),
        _share(group.ms, whole_ms),
        number(group.intensity if group.macs else None, 1),
        number(group.gflops_per_s if group.macs else None, 1),
        number(None if group.share is None else 100 * group.share, 1),
        group.verdict,
        number(2 * group.macs / 1e6, 1),
        number(group.n_bytes / MIB, 2),
        number(group.bound_ms or None, 3),
        group.level or MISSING,
        " ".join(group.kernels),
    )


def remarks(model: Roofline) -> Iterator[str]:
    """Say what must be known of the figures."""
    by_class = (
        f"{one.name} {one.ms:.1f} ms ({_share(one.ms, model.sum_ms)} %)" for one in sums(model.groups, "verdict")
    )
    yield f"Time by class: {', '.join(by_class)}."
    yield (
        f"Groups sum to {model.sum_ms:.2f} ms, the whole takes {model.whole_ms:.2f} ms without the profiler (ratio "
        f"{model.sum_ratio:.3f}); medians, {model.clean} of {model.runs} runs undisturbed."
    )
    if model.disturbed:
        yield "Too few runs were undisturbed, so disturbed ones count too: times are too long, and sums need not agree."
    yield _exceeding(model)
    unknown = [f"{level.name} ({level.reason})" for level in model.roofs.levels if level.gb_per_s is None]
    if unknown:
        yield f"Without a bandwidth, so that groups there are held against the peak alone: {', '.join(unknown)}."
    if model.unmapped_macs:
        yield f"Not in any group, as no kernel was found for them: {2 * model.unmapped_macs / 1e9:.3f} GFLOPs."
    yield from model.remarks


def _exceeding(model: Roofline) -> str:
    found = sorted(model.exceeding, key=lambda group: -(group.share or 0.0))
    more = f"{100 * (TOLERATED - 1):.0f} %"
    if not found:
        return f"No group is faster than its bound by more than {more}."
    named = ", ".join(f"{group.name} ({100 * (group.share or 0.0):.0f} %)" for group in found[:NAMED])
    rest = f", and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return (
        f"{len(found)} of {len(model.groups)} groups are faster than their bound by more than {more}: {named}{rest}. "
        "The limits are too low; they were probably measured while others used the machine, or at a lower clock."
    )


def difference_table(first: Roofline, second: Roofline) -> Table:
    """Return a row for each kind of group of two models, and why they differ in time."""
    rows = tuple(_difference(one) for one in differences(first, second))
    header = (
        *("Kind", f"{first.name}\n(ms)", f"{second.name}\n(ms)", "More\n(ms)"),
        *(f"{first.name}\nGFLOPs", f"{second.name}\nGFLOPs", f"{first.name}\nGFLOPS", f"{second.name}\nGFLOPS"),
    )
    title = f"Why {second.name} and {first.name} differ in time"
    return Table(header, rows, title=title, notes=tuple(explanation(first, second)))


def _difference(one: Difference) -> tuple[str, ...]:
    pair = (one.first, one.second)
    return (
        one.kind,
        *(number(side.ms, 2) for side in pair),
        f"{one.more_ms:+.2f}",
        *(number(2 * side.macs / 1e9, 3) for side in pair),
        *(number(side.gflops_per_s if side.macs else None, 1) for side in pair),
    )


def explanation(first: Roofline, second: Roofline) -> Iterator[str]:
    """Say in a few sentences where the second model's additional time, or lack of it, comes from."""
    a, b = (total(model.name, model.groups) for model in (first, second))
    more = b.ms - a.ms
    yield (
        f"{b.name} takes {b.ms:.1f} ms in its groups, {_more(more)} than {a.name} ({a.ms:.1f} ms), with "
        f"{_times(b.macs, a.macs)} its FLOPs and {_times(b.n_bytes, a.n_bytes)} its bytes. At the roofs it would take "
        f"{b.bound_ms:.1f} ms, and {a.name} {a.bound_ms:.1f} ms."
    )
    if a.macs and b.macs:
        by_work = a.ms * (b.macs / a.macs - 1)
        yield (
            f"At the {a.gflops_per_s:.0f} GFLOPS of {a.name} its FLOPs would take {a.ms + by_work:.1f} ms: "
            f"{by_work:+.1f} ms by the number of FLOPs, {more - by_work:+.1f} ms by how fast they run and by what "
            f"computes none; it reaches {b.gflops_per_s:.0f} GFLOPS."
        )
    named = [_reason(one) for one in differences(first, second)[:NAMED] if abs(one.more_ms) >= SHOWN_MS]
    if named:
        yield f"By kind: {'; '.join(named)}."
    yield NOT_AT_ONCE.format(b.name, a.name)


def _reason(one: Difference) -> str:
    what = f"{one.kind} {one.more_ms:+.1f} ms"
    if one.first.macs or one.second.macs:
        speeds = " against ".join(
            f"{2 * side.macs / 1e9:.2f} GFLOPs at {side.gflops_per_s:.0f} GFLOPS" if side.macs else "none"
            for side in (one.second, one.first)
        )
        return f"{what} ({speeds})"
    if one.first.n_bytes or one.second.n_bytes:
        return f"{what} ({one.second.n_bytes / MIB:.0f} against {one.first.n_bytes / MIB:.0f} MiB)"
    return f"{what} ({one.second.groups} against {one.first.groups} kernels)"


def _more(ms: float) -> str:
    return f"{abs(ms):.1f} ms {'more' if ms >= 0 else 'less'}"


def _times(value: float, base: float) -> str:
    return f"{value / base:.2f} times" if base else "any number of"


def _share(part: float, whole: float) -> str:
    return number(100 * part / whole if whole else None, 1)


def _threads(roofs: Roofs) -> str:
    return f"{roofs.threads} thread{'s' * (roofs.threads != 1)}"


def _size(n_bytes: int | None) -> str:
    if n_bytes is None:
        return MISSING
    return f"{n_bytes / MIB:g} MiB" if n_bytes >= MIB else f"{n_bytes / 1024:g} KiB"
