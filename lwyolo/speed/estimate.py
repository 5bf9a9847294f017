"""An estimate of latency from what a model costs on paper: a · MACCs + b · a second cost, fitted on a machine.

The second cost is fused memory access, or element-wise work, whichever leaves the smaller error in a runtime on this
machine: activations are bound by memory on one and by their exponentials on another.

The error of an estimate is that of leaving one out: each calibrated model is estimated by constants that were fitted on
the others. Errors are shares of the measured time, and so is what the fit minimises: a slow model weighs no more than a
fast one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lwyolo.errors import UsageError

if TYPE_CHECKING:
    from lwyolo.cost import Cost

Array = NDArray[Any]

Second = Literal["memory access", "element-wise work"]
SECONDS: dict[Second, str] = {"memory access": "memory_bytes", "element-wise work": "elementwise_flops"}
"""Second costs, and what a point calls them."""
MIN_MODELS = 4
"""With fewer, leaving one out leaves hardly more models than constants."""
REACH = 2.0
"""An estimate is extrapolated beyond this times the largest calibrated cost, and below the smallest over this."""
TELL_APART = 1e-9
"""Sine², of the angle between MACCs and bytes as vectors over models, below which two constants are not told apart."""


@dataclass(frozen=True, slots=True)
class Point:
    """A model that was measured.

    Args:
        macs: Of the deployed graph, whose head is the one that ran.
        memory_bytes: Its fused memory access.
        elementwise_flops: Its element-wise work.
        ms: Median time of `forward`: the forward pass with decoding.
        clean: Samples that nothing disturbed, of `samples`.
    """

    model: str
    params: int
    macs: int
    memory_bytes: int
    elementwise_flops: int
    ms: float
    clean: int
    samples: int


@dataclass(frozen=True, slots=True)
class Fit:
    """The two constants of a runtime on this machine, and what they rest on.

    Args:
        date: ISO 8601, in UTC.
        package: That the version is of; `None` where the package is not known to the installer.
        usable_cores: That the process might run on; with `quota`, the cores that the control group grants.
        operators: Contractions that the calibrated models are made of.
        a_s_per_mac: Seconds for a multiply-accumulate.
        second: Which cost `b` multiplies.
        b_s: Seconds for a byte of memory access, or for a FLOP of element-wise work.
        left_out: Models that were not used, and why.
        mean_error: Of leaving one out, as a share of the measured time; `worst_error` is the largest.
    """

    date: str
    runtime: str
    package: str
    runtime_version: str | None
    threads: int
    batch: int
    precision: str
    imgsz: tuple[int, int]
    usable_cores: int
    quota: float | None
    operators: tuple[str, ...]
    second: Second
    a_s_per_mac: float
    b_s: float
    points: tuple[Point, ...]
    left_out: tuple[str, ...]
    mean_error: float
    worst_error: float

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What a fit replaces an earlier one of."""
        return self.runtime, self.threads, self.batch, self.precision

    @property
    def gflops_per_s(self) -> float | None:
        """Speed that `a` stands for, 2 FLOPs for a multiply-accumulate; `None` where it is 0."""
        return 2e-9 / self.a_s_per_mac if self.a_s_per_mac else None

    @property
    def g_per_s(self) -> float | None:
        """Rate that `b` stands for, in GB/s or in GFLOPS of element-wise work; `None` where it is 0."""
        return 1e-9 / self.b_s if self.b_s else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a model would take, estimated and not measured.

    Args:
        ms: Time of `forward`: the forward pass with decoding.
        mean_error: Of leaving one calibrated model out, as a share; `worst_error` is the largest.
        remarks: Why the error may be larger.
    """

    model: str
    runtime: str
    runtime_version: str | None
    threads: int
    ms: float
    mean_error: float
    worst_error: float
    remarks: tuple[str, ...]


def constants(points: Sequence[Point], second: Second = "memory access") -> tuple[float, float]:
    """Return seconds for a multiply-accumulate and for a unit of the second cost, neither negative.

    Example:
        >>> points = [Point("a", 0, 2 * 10**9, 10**8, 0, 22.0, 5, 5), Point("b", 0, 10**9, 3 * 10**8, 0, 16.0, 5, 5)]
        >>> a, b = constants(points)
        >>> round(a * 1e12, 3), round(b * 1e12, 3)
        (10.0, 20.0)
    """
    a, b = nearest_to_one(_costs(points, second) / _seconds(points)[:, None])
    return float(a), float(b)


def leave_one_out(points: Sequence[Point], second: Second = "memory access") -> list[float]:
    """Return the error of each model's estimate by constants of the others: estimate over measurement, less 1."""
    return errors_of(_costs(points, second), _seconds(points))


def best_second(points: Sequence[Point]) -> Second:
    """Return the second cost with which the mean error of leaving one out is smaller."""
    return min(SECONDS, key=lambda second: mean_and_worst(leave_one_out(points, second))[0])


def predictors(points: Sequence[Point], roofline_ms: Mapping[str, float] | None = None) -> dict[str, list[float]]:
    """Return leave-one-out errors of the pair and of what it is compared with, each with a constant of its own.

    Args:
        points: What was measured.
        roofline_ms: What a roofline predicts for each model, Σ over groups of the larger of compute and memory time.
    """
    compared: dict[str, list[float]] = {
        "parameters": [p.params for p in points],
        "fused memory access": [p.memory_bytes for p in points],
        "MACCs": [p.macs for p in points],
    }
    if roofline_ms is not None:
        compared["roofline"] = [roofline_ms[p.model] for p in points]
    seconds = _seconds(points)
    found = {name: errors_of(np.array(values, dtype=float)[:, None], seconds) for name, values in compared.items()}
    return {**found, **{f"a · MACCs + b · {second}": leave_one_out(points, second) for second in SECONDS}}


def mean_and_worst(errors: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the largest of errors without their signs.

    Example:
        >>> mean_and_worst([0.25, -0.75])
        (0.5, 0.75)
    """
    sizes = [abs(error) for error in errors]
    return sum(sizes) / len(sizes), max(sizes)


def errors_of(costs: Array, seconds: Array) -> list[float]:
    """Leave each model out in turn, and return the error of its estimate by the others.

    Shapes:
        costs: [models, 1 or 2]
        seconds: [models]
    """
    shares = costs / seconds[:, None]
    others = (np.delete(shares, i, axis=0) for i in range(len(shares)))
    return [float(row @ nearest_to_one(rest)) - 1 for row, rest in zip(shares, others, strict=True)]


def nearest_to_one(shares: Array) -> Array:
    """Return factors, none negative, with which the columns of each row add up to 1 by least squares.

    Shapes:
        shares: [models, 1 or 2], cost for each second that was measured, positive
        returns: [1 or 2]
    """
    sums, products = shares.sum(axis=0), shares.T @ shares
    squares = products.diagonal()
    alone = sums / squares
    if len(alone) == 1:
        return np.asarray(alone)
    determinant = squares[0] * squares[1] - products[0, 1] ** 2
    if determinant > TELL_APART * squares[0] * squares[1]:
        both = (sums * squares[::-1] - sums[::-1] * products[0, 1]) / determinant
        if (both >= 0).all():
            return np.asarray(both)
    better = np.arange(2) == np.argmax(sums * alone)  # what each leaves over is the number of models less this
    return np.where(better, alone, 0.0)


def estimate(fit: Fit, name: str, cost: Cost, installed: str | None, usable_cores: int) -> Estimate:
    """Estimate the latency of a model's deployed graph.

    Args:
        fit: Of a runtime on this machine.
        name: Of the model.
        cost: In float32, at the batch of the fit.
        installed: Version of the runtime's package that is installed now.
        usable_cores: That this process may run on now.

    Raises:
        UsageError: The cost is of another batch or type.
    """
    batch, *size = cost.input_shapes[0][0], *cost.input_shapes[0][-2:]
    if (batch, cost.dtype) != (fit.batch, "float32"):
        raise UsageError(
            f"{name}: batch {batch}, {cost.dtype}; the calibration is of batch {fit.batch}, {fit.precision}."
        )
    unknown = sorted({one.name for one in cost.operators if one.macs} - set(fit.operators))
    remarks = [_extrapolated(fit, cost)]
    remarks += [f"has {', '.join(unknown)}, which no calibrated model has" if unknown else ""]
    remarks += [f"counted without {', '.join(sorted(cost.uncounted))}: no formula is known" if cost.uncounted else ""]
    if tuple(size) != fit.imgsz:
        remarks.append(f"the error was found at {fit.imgsz[0]} × {fit.imgsz[1]}")
    if installed != fit.runtime_version:
        versions = f"{fit.package} {fit.runtime_version or '?'}, and {installed or 'none'} is installed now"
        remarks.append(f"{fit.runtime} was calibrated with {versions}")
    if usable_cores != fit.usable_cores:
        remarks.append(
            f"{fit.runtime} was calibrated with {fit.usable_cores} usable cores, and there are {usable_cores}"
        )
    seconds = fit.a_s_per_mac * cost.macs + fit.b_s * second_cost(cost, fit.second)
    return Estimate(
        model=name,
        runtime=fit.runtime,
        runtime_version=fit.runtime_version,
        threads=fit.threads,
        ms=seconds * 1e3,
        mean_error=fit.mean_error,
        worst_error=fit.worst_error,
        remarks=tuple(remark for remark in remarks if remark),
    )


def second_cost(cost: Cost, second: Second) -> int:
    """Return fused memory access in bytes, or element-wise work in FLOPs."""
    return cost.memory_access_fused_bytes if second == "memory access" else cost.flops - 2 * cost.macs


def _extrapolated(fit: Fit, cost: Cost) -> str:
    """Say by what a model lies outside of those that were calibrated; empty where it does not."""
    values = {
        "MACCs": (cost.macs, [p.macs for p in fit.points]),
        fit.second: (second_cost(cost, fit.second), [getattr(p, SECONDS[fit.second]) for p in fit.points]),
    }
    below = [name for name, (value, known) in values.items() if value < min(known) / REACH]
    above = [name for name, (value, known) in values.items() if value > max(known) * REACH]
    parts = [f"{' and '.join(names)} far {side}" for names, side in ((below, "below"), (above, "above")) if names]
    return f"extrapolated: {', '.join(parts)} those of the calibrated models" if parts else ""


def _costs(points: Sequence[Point], second: Second) -> Array:
    return np.array([(p.macs, getattr(p, SECONDS[second])) for p in points], dtype=float)


def _seconds(points: Sequence[Point]) -> Array:
    return np.array([p.ms for p in points]) / 1e3
