"""The estimated latency that `info` shows below the costs, where this machine was calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lwyolo import provenance
from lwyolo.errors import RecordError

if TYPE_CHECKING:
    from lwyolo.cost import Cost
    from lwyolo.speed.calibration import Calibration
    from lwyolo.speed.estimate import Estimate

HINT = "No estimated latency: lwyolo calibrate measures this machine once, and info then shows one."


@dataclass(frozen=True, slots=True)
class Estimates:
    """What a calibration says of some models.

    Args:
        cpu: That was calibrated.
        dates: Of the fits behind the rows.
        remark: Why there are no rows; empty also where nobody asked.
    """

    rows: tuple[Estimate, ...] = ()
    cpu: str = ""
    dates: tuple[str, ...] = ()
    remark: str = ""


def estimates_of(costs: Sequence[tuple[str, Cost]], wanted: bool | None) -> Estimates:
    """Estimate the latency of deployed graphs.

    Args:
        costs: Names and deployed graphs.
        wanted: `False`: no estimate; `True`: say also what is missing for one; `None`: only show one that there is.
    """
    from lwyolo.speed import calibration

    file = calibration.default_file()
    if wanted is False:
        return Estimates()
    if not file.is_file():
        return Estimates(remark=HINT if wanted else "")
    try:
        found = calibration.load(file)
    except RecordError as error:
        return Estimates(remark=f"No estimated latency: {error}")
    if found.cpu != (cpu := provenance.cpu_name()):
        return Estimates(
            remark=f"No estimated latency: {file} is of another processor, {found.cpu}; this is {cpu}. "
            "lwyolo calibrate measures it."
        )
    return _estimates(costs, found, bool(wanted))


def _estimates(costs: Sequence[tuple[str, Cost]], found: Calibration, asked: bool) -> Estimates:
    """Estimate what the calibration holds for: batch and type must be its own, and its threads must fit the cores."""
    from lwyolo.speed.calibration import installed
    from lwyolo.speed.estimate import estimate

    cores = provenance.usable_cores()
    pairs = [
        (fit, estimate(fit, name, cost, installed(fit.package), cores))
        for name, cost in costs
        for fit in found.fits
        if (cost.input_shapes[0][0], cost.dtype) == (fit.batch, "float32") and fit.threads <= cores
    ]
    if pairs:
        return Estimates(tuple(row for _, row in pairs), found.cpu, tuple(sorted({fit.date for fit, _ in pairs})))
    remark = (
        "No estimated latency: the calibration holds for deployed graphs at batch 1 in float32, with threads "
        f"{', '.join(sorted({str(fit.threads) for fit in found.fits}))} of {cores} usable cores."
    )
    return Estimates(remark=remark if asked else "")
