"""Estimated latencies, never among measured ones: what a calibration found, and what it says of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lwyolo.reports.cost import conditions
from lwyolo.reports.tables import Align, Table, number
from lwyolo.units import MIB

if TYPE_CHECKING:
    from lwyolo.speed.estimate import Estimate, Fit

MEANING = (
    "Estimated: time = 2 · MACCs / FLOPS + {second} / its rate, with the two constants fitted on the other models in "
    "the table (leave-one-out). Of memory access and element-wise work, the second cost is the one that leaves the "
    "smaller mean error."
)
NOT = (
    "An estimate is of the forward pass with decoding; preprocessing and suppression of boxes come on top. It knows "
    "nothing of kernels: two models that it puts closer together than its error are not told apart. Measure those: "
    "lwyolo bench A --vs B."
)


def calibration_table(fit: Fit, cpu: str, errors: Sequence[float]) -> Table:
    """Return what was measured in a runtime, beside what the other models say of each.

    Args:
        fit: What was found.
        cpu: On which processor.
        errors: Of leaving each model out in turn.
    """
    rows = tuple(
        (
            point.model,
            number(point.macs / 1e9, 3),
            number(point.memory_bytes / MIB, 1),
            number(point.elementwise_flops / 1e9, 3),
            number(point.ms, 2),
            f"{point.clean} of {point.samples}",
            number(point.ms * (1 + error), 2),
            f"{100 * error:+.1f} %",
        )
        for point, error in zip(fit.points, errors, strict=True)
    )
    costs = ("GMACCs", "MAC fused\n(MiB)", "Element-\nwise\n(GFLOPs)")
    header = ("Model", *costs, "Measured\n(ms)", "Clean", "Estimate\n(ms)", "Error")
    title = (
        f"Calibration of {fit.runtime} {fit.runtime_version or ''}".rstrip()
        + f": forward pass with decoding, {conditions(fit.imgsz, fit.batch, fit.precision)}, {_threads(fit.threads)}, "
        f"{cpu}"
    )
    left_out = [f"Left out: {reason}." for reason in fit.left_out]
    return Table(header, rows, title=title, notes=(_constants(fit), MEANING.format(second=fit.second), *left_out))


def _constants(fit: Fit) -> str:
    unit = "GB/s" if fit.second == "memory access" else "GFLOPS of element-wise work"
    return (
        f"All models together: {_rate(fit.gflops_per_s, 'GFLOPS')} and {_rate(fit.g_per_s, unit)}. "
        f"Error of an estimate: {_percent(fit.mean_error)} in the mean, {_percent(fit.worst_error)} at worst, of "
        f"{len(fit.points)} models."
    )


def _rate(rate: float | None, unit: str) -> str:
    """Write a rate; one without a limit has a constant of 0."""
    return f"no limit in {unit}" if rate is None else f"{rate:.1f} {unit}"


def estimate_table(estimates: Sequence[Estimate], cpu: str, dates: Sequence[str]) -> Table:
    """Return a row for each model, runtime and number of threads.

    Args:
        estimates: Of deployed graphs, at batch 1 in float32.
        cpu: That was calibrated.
        dates: Of the calibrations behind them.
    """
    rows = []
    for i, one in enumerate(estimates):
        name = "" if i and estimates[i - 1].model == one.model else one.model
        figure = f"{number(one.ms, 1)}{' *' * bool(one.remarks)}"
        errors = (f"± {_percent(one.mean_error)}", _percent(one.worst_error))
        rows.append((name, one.runtime, str(one.threads), figure, *errors))
    header = ("Model", "Runtime", "Threads", "Estimate\n(ms)", "Error,\nmean", "Error,\nworst")
    align: tuple[Align, ...] = ("left", "left", "right", "right", "right", "right")
    days = " and ".join(sorted({date[:10] for date in dates}))
    title = (
        f"Estimated, not measured: forward pass with decoding of the deployed graph, batch 1, float32, on {cpu}; "
        f"calibrated {days}"
    )
    notes = dict.fromkeys(f"* {one.model}: {remark}." for one in estimates for remark in one.remarks)
    return Table(header, tuple(rows), align, title, tuple(notes), stub=2)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count != 1)}"
