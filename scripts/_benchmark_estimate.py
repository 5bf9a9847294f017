"""How well latency is estimated from costs: eleven detectors in ONNX Runtime, each by constants of the others.

`python scripts/benchmark.py estimate [--threads 2] [--budget 240]`. Beside the two constants of `lwyolo calibrate`
stand parameters, memory access and MACCs alone, and a roofline from this machine's measured limits, each with one
constant of its own. Fails where the mean error of the pair that `calibrate` chooses is above 6 % or the worst above
15 %.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

MEAN_BAR, WORST_BAR = 0.06, 0.15
RUNTIME = "onnxruntime"


def run(args: argparse.Namespace) -> int:
    """Measure, print both tables, and return the exit code; `args` has `threads`, `budget` and `imgsz`."""
    from lwyolo import provenance
    from lwyolo.engine.calibrate import FULL, Plan, calibrate
    from lwyolo.reports.estimate import calibration_table
    from lwyolo.reports.tables import render
    from lwyolo.speed.estimate import leave_one_out, mean_and_worst, predictors

    plan = Plan(FULL, [RUNTIME], [args.threads], args.imgsz, args.budget)
    fits, failures = calibrate(plan, lambda text, step: print(f"{step:.1f} of {plan.steps}: {text}", flush=True))
    for failure in failures:
        print(f"not measured: {failure.runtime}, {failure.name}: {failure.reason}")
    if not fits:
        return 1
    (fit,) = fits
    limits = measured_limits(args.threads)
    errors = predictors(fit.points, rooflines(args.imgsz, *limits))
    pair = mean_and_worst(leave_one_out(fit.points, fit.second))
    print(f"\n{render(calibration_table(fit, provenance.cpu_name(), leave_one_out(fit.points, fit.second)))}\n")
    print(render(predictor_table(errors, *limits)))
    misses = [*fit.left_out]
    misses += [f"mean error {pair[0]:.1%} is above {MEAN_BAR:.0%}"] if pair[0] > MEAN_BAR else []
    misses += [f"worst error {pair[1]:.1%} is above {WORST_BAR:.0%}"] if pair[1] > WORST_BAR else []
    print("\n" + "; ".join(misses or ["all eleven measured, and both errors are within their bars"]))
    plain = {name: mean_and_worst(values) for name, values in errors.items()}
    print(json.dumps({"threads": args.threads, "limits": limits, "errors": plain, "cpu": provenance.cpu_name()}))
    return 1 if misses else 0


def measured_limits(threads: int) -> tuple[float, float]:
    """Return the peak of float32 in GFLOPS and the bandwidth of a copy in memory in GB/s."""
    from lwyolo.speed.machine import Effort, measure

    (ceilings,) = measure([threads], Effort(dtypes=("float32",), levels=1, seconds=6.0)).ceilings
    peak, copy = ceilings.peak(), ceilings.bandwidth()
    if peak is None or peak.gflops_per_s is None or copy is None:
        raise SystemExit("the limits of this machine could not be measured")
    return peak.gflops_per_s, copy.gb_per_s


def rooflines(imgsz: int, gflops_per_s: float, gb_per_s: float) -> dict[str, float]:
    """Return for each model Σ over its modules of the larger of compute and memory time, in ms."""
    from lwyolo.engine.calibrate import FULL
    from lwyolo.engine.info import cost_of

    costs = (cost_of(source, imgsz=imgsz, graphs=["deployed"]) for source in FULL)
    return {
        one.name: sum(
            max(2e-6 * macs / gflops_per_s, 1e-6 * moved / gb_per_s)
            for layer in one.deployed.layers
            for macs, moved in own_work(layer)
        )
        for one in costs
        if one.deployed is not None
    }


def own_work(layer: Any) -> Iterator[tuple[int, int]]:
    """Return MACCs and fused bytes of each module, without those of the modules in it."""
    for one in layer.walk():
        yield (
            one.macs - sum(child.macs for child in one.children),
            one.memory_access_fused_bytes - sum(child.memory_access_fused_bytes for child in one.children),
        )


def predictor_table(errors: dict[str, list[float]], gflops_per_s: float, gb_per_s: float) -> Any:
    """Put predictors side by side."""
    from lwyolo.reports.tables import Table
    from lwyolo.speed.estimate import mean_and_worst

    rows = []
    for name, values in errors.items():
        mean, worst = mean_and_worst(values)
        rows.append((name, f"{100 * mean:.1f} %", f"{100 * worst:.1f} %"))
    title = f"Leave-one-out errors; the roofline's limits, measured: {gflops_per_s:.1f} GFLOPS, {gb_per_s:.1f} GB/s"
    return Table(("Predictor", "Mean", "Worst"), tuple(rows), title=title)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run` reads."""
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--budget", type=float, default=240.0, help="seconds for all rounds")
