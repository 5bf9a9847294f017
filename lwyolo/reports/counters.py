"""Other counters beside ours: what each prints, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lwyolo.reports.tables import Table
from lwyolo.units import MISSING

if TYPE_CHECKING:
    from lwyolo.cost import Cost
    from lwyolo.cost.counters import OtherCount

OURS = (
    "lwyolo: multiply-accumulates of all convolutions, matrix products and attention, called as modules or as "
    "functions; printed is twice that. With element-wise work its FLOPs are {:.3f} G."
)
OUR_BATCH_NORM, THEIR_BATCH_NORM = 2, 8
"""FLOPs an element of a batch norm, in our table and in Ultralytics' counter."""
MORE = "other modules that it counts (layer and group norms, softmax, pooling)"
LESS = "functional calls that it misses (such as F.conv2d)"


def counters_table(name: str, macs: int, flops: int, counts: Sequence[OtherCount]) -> Table:
    """Put what each counter prints, and the same as multiply-accumulates, beside ours.

    Args:
        name: The model.
        macs: Our multiply-accumulates.
        flops: Our FLOPs, element-wise work included.
        counts: What `other_counts` returned for the same graph and image.
    """
    rows = [("lwyolo", "", f"{2 * macs / 1e9:.3f} GFLOPs", f"{macs / 1e9:.3f}", "")]
    notes = [OURS.format(flops / 1e9)]
    for count in counts:
        printed = MISSING if count.printed is None else f"{count.printed:.3f} {count.unit}"
        converted = MISSING if count.macs is None else f"{count.macs / 1e9:.3f}"
        rows.append((count.counter, count.version or MISSING, printed, converted, difference(count.macs, macs)))
        notes.append(f"{count.counter}: {count.convention if count.reason is None else f'{count.reason}.'}")
    return Table(
        ("Counter", "Version", "Prints", "GMACCs", "Against ours"),
        tuple(rows),
        align=("left", "left", "right", "right", "right"),
        title=f"What counters say of {name}; GMACCs: their figures as multiply-accumulates, each by its own convention",
        notes=tuple(notes),
    )


def difference(macs: float | None, ours: int) -> str:
    """Format the difference from our multiply-accumulates; a plain 0 is exact agreement.

    Example:
        >>> difference(1012.7, 1000), difference(1000.0, 1000), difference(None, 1000)
        ('+1.27 %', '0', '–')
    """
    if macs is None or not ours:
        return MISSING
    return "0" if macs == ours else f"{100 * (macs - ours) / ours:+.2f} %"


def ultralytics_difference(cost_unfused: Cost, printed_gflops: float | None) -> str:
    """Say how far Ultralytics' figure is from twice our multiply-accumulates, and why; both for one image.

    Args:
        cost_unfused: Our cost of the graph that Ultralytics counted.
        printed_gflops: What it prints, `None` where its counter fails.
    """
    if printed_gflops is None:
        return "Ultralytics prints 0.0 GFLOPs, an error that it hides; `lwyolo doctor` looks for the cause."
    images = cost_unfused.input_shapes[0][0]
    ours = cost_unfused.gflops / images
    difference = printed_gflops - ours
    norms = sum(o.flops for o in cost_unfused.operators if o.name == "aten::batch_norm") // (OUR_BATCH_NORM * images)
    missed = {o.name: 2 * o.macs / images / 1e9 for o in cost_unfused.operators if _is_missed(o.name) and o.macs}
    rest = difference - THEIR_BATCH_NORM * norms / 1e9 + sum(missed.values())
    parts = []
    if norms:
        gflops = THEIR_BATCH_NORM * norms / 1e9
        parts.append(f"{gflops:+.3g} is batch norm, {THEIR_BATCH_NORM} FLOPs for each of {norms:,} elements")
    parts += [f"{-gflops:+.3g} is {name}, which it misses" for name, gflops in missed.items()]
    if not _is_zero(rest, ours):
        cause = MORE if rest > 0 else LESS
        parts.append(f"{rest:+.3g} comes from {cause}, or from the small images that it extrapolates")
    printed = f"Ultralytics prints {_figure(printed_gflops)} GFLOPs for the training graph"
    if not parts:
        return f"{printed}, which is 2 × our MACCs."
    return f"{printed}, {_against(difference, ours)} 2 × our MACCs ({_figure(ours)}): {'; '.join(parts)}."


def _is_missed(operator: str) -> bool:
    """Whether Ultralytics' counter cannot see an operator: it hooks torch's modules and a few of torch's functions."""
    return not operator.startswith("aten::")


def _is_zero(gflops: float, ours: float) -> bool:
    return abs(gflops) <= 1e-6 * ours


def _figure(gflops: float) -> str:
    return f"{gflops:.2f}" if gflops >= 1 else f"{gflops:.3g}"


def _against(difference: float, ours: float) -> str:
    if _is_zero(difference, ours):
        return "as much as"
    percent = f" ({100 * difference / ours:+.2f} %)" if ours else ""
    return f"{abs(difference):.3g} {'more' if difference > 0 else 'less'}{percent} than"
