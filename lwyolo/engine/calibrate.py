"""Measure a few detectors in each runtime, and fit what a multiply-accumulate and a byte take on this machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from lwyolo import cost as paper
from lwyolo import provenance
from lwyolo.cost import Cost
from lwyolo.engine import bench
from lwyolo.engine.candidates import Ready, Setting, ready
from lwyolo.errors import UsageError
from lwyolo.record import now
from lwyolo.speed.calibration import installed
from lwyolo.speed.estimate import MIN_MODELS, Fit, Point, best_second, constants, leave_one_out, mean_and_worst
from lwyolo.speed.result import Failure
from lwyolo.speed.rounds import Samples, Stop, run_rounds
from lwyolo.speed.runtime import runtimes
from lwyolo.speed.statistics import MIN_ROUNDS

QUICK = ("yolo26n.yaml", "yolov8n-ghost.yaml", "yolo12n.yaml", "yolov6n.yaml", "yolov8n-p2.yaml", "yolo11s.yaml")
"""Few, that lie far apart in size and in FLOPs for each byte, and that differ as much from each other as others differ
from them: their leave-one-out error would otherwise promise too much."""
FULL = (*QUICK, "yolov8n.yaml", "yolo11n.yaml", "yolov10n.yaml", "yolov9t.yaml", "yolov8s.yaml")
DEFAULT_RUNTIMES = ("onnxruntime", "openvino", "ncnn")
WANTED_ROUNDS, SAMPLES = 10, 2
"""Rounds that time is given for by default; samples in each."""

Tell = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Args:
        models: Model YAMLs, checkpoints, or stock names; at least 4 detectors.
        runtimes: Each with its own constants.
        threads: Numbers of threads, each with its own constants.
        budget_s: Seconds for the rounds of each fit; by default as many as 10 rounds take.
    """

    models: Sequence[str]
    runtimes: Sequence[str]
    threads: Sequence[int] = (1,)
    imgsz: int | tuple[int, int] = 640
    budget_s: float | None = None
    seed: int = 0

    @property
    def steps(self) -> int:
        """How many models are prepared, and how many times rounds are taken: each is one step of the progress."""
        return len(self.runtimes) * len(self.threads) * (len(self.models) + 1)


def usual_runtimes() -> tuple[str, ...]:
    """Return the runtimes that models are deployed to and that are installed here.

    Raises:
        UsageError: None is.
    """
    known = runtimes()
    found = tuple(name for name in DEFAULT_RUNTIMES if known[name].missing() is None)
    if not found:
        raise UsageError(f"no runtime to calibrate is installed. {known[DEFAULT_RUNTIMES[0]].missing()}")
    return found


def check(plan: Plan) -> None:
    """Refuse what cannot be measured here.

    Raises:
        UsageError: A runtime is unknown or missing, there are more threads than cores, or too few models.
    """
    bench.check(bench.Plan(plan.models, runtimes=plan.runtimes, threads=max(plan.threads)))
    if len(set(plan.models)) < MIN_MODELS:
        raise UsageError(
            f"--models: found {len(set(plan.models))}, expected {MIN_MODELS} or more that differ in size and in "
            f"FLOPs for each byte, such as {' '.join(QUICK)}."
        )


def calibrate(plan: Plan, tell: Tell = lambda *_: None) -> tuple[list[Fit], list[Failure]]:
    """Measure and fit; a runtime in which too few models could be measured is a failure with its reason.

    Args:
        plan: What is measured.
        tell: Told what is being done, and how many steps are done; a part of a step, while rounds are taken.

    Raises:
        UsageError: As `check`.
        GraphError: A model cannot be built.
    """
    check(plan)
    fits: list[Fit] = []
    failures: list[Failure] = []
    for runtime, threads in product(plan.runtimes, plan.threads):
        steps = (len(fits) + len(failures)) * (len(plan.models) + 1)
        folder = Path(tempfile.mkdtemp(prefix="lwyolo-calibrate-"))
        try:
            fits.append(_fit(plan, runtime, threads, folder, steps, tell))
        except UsageError as error:
            failures.append(Failure(f"{threads} thread{'s' * (threads != 1)}", runtime, str(error)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return fits, failures


def _fit(plan: Plan, runtime: str, threads: int, folder: Path, steps: int, tell: Tell) -> Fit:
    """Measure all models in one runtime, in the same rounds, and fit.

    Raises:
        UsageError: Too few models could be measured.
    """
    setting = Setting([runtime], imgsz=plan.imgsz, threads=threads)
    lost: list[Failure] = []
    loaded: list[Ready] = []
    with ExitStack() as stack:
        for number, source in enumerate(plan.models):
            say = partial(_say, tell, steps + number)
            loaded += ready(source, setting, folder / str(number), stack, lost, say)
        steps += len(plan.models)
        left_out = [f"{one.name}: {one.reason}" for one in lost]
        _require(len(loaded), left_out)
        budget = plan.budget_s or _time_of_rounds(loaded)
        samples = run_rounds(
            {one.source: one.process for one in loaded},
            Stop(budget_s=budget, samples=SAMPLES),
            {},
            plan.seed,
            lambda n, passed: tell(f"{runtime}, threads {threads}: round {n}", steps + min(passed / budget, 1.0)),
        )
    costs = {one.source: paper.profile(one.model, one.candidate.imgsz) for one in loaded}
    points = {
        one.source: point for one in loaded if (point := _point(one, costs[one.source], samples[one.source], left_out))
    }
    _require(len(points), [*left_out, "more time (--budget) or a quieter machine would do"])
    return _fitted(loaded[0], list(points.values()), [costs[source] for source in points], left_out)


def _say(tell: Tell, step: float, text: str) -> None:
    tell(text, step)


def _require(found: int, left_out: Sequence[str]) -> None:
    if found < MIN_MODELS:
        raise UsageError(f"{found} models were measured, and {MIN_MODELS} are needed. {'; '.join(left_out)}.")


def _time_of_rounds(loaded: Sequence[Ready]) -> float:
    """Return the seconds that enough rounds take, going by the first calls."""
    first_ms: float = sum(one.told["first_ms"] for one in loaded)
    return WANTED_ROUNDS * (SAMPLES + 1) * first_ms / 1e3


def _point(one: Ready, cost: Cost, samples: Samples, left_out: list[str]) -> Point | None:
    """Return what was measured of a model; where that is too little, add it to those that are left out."""
    summary = samples.summary("forward")
    if summary.median_ms is None or summary.clean_rounds < MIN_ROUNDS:
        left_out.append(
            f"{one.candidate.name}: nothing disturbed {summary.clean_rounds} of {summary.rounds} rounds, and "
            f"{MIN_ROUNDS} are needed"
        )
        return None
    return Point(
        model=one.candidate.name,
        params=cost.params,
        macs=cost.macs,
        memory_bytes=cost.memory_access_fused_bytes,
        elementwise_flops=cost.flops - 2 * cost.macs,
        ms=summary.median_ms,
        clean=summary.clean,
        samples=summary.samples,
    )


def _fitted(one: Ready, points: Sequence[Point], costs: Sequence[Cost], left_out: Sequence[str]) -> Fit:
    second = best_second(points)
    a, b = constants(points, second)
    mean_error, worst_error = mean_and_worst(leave_one_out(points, second))
    package = runtimes()[one.candidate.runtime].packages[0]
    return Fit(
        date=now(),
        runtime=one.candidate.runtime,
        package=package,
        runtime_version=installed(package),
        threads=one.candidate.threads,
        batch=one.candidate.batch,
        precision=one.candidate.precision,
        imgsz=one.candidate.imgsz,
        usable_cores=provenance.usable_cores(),
        quota=provenance.cpu_quota(),
        operators=tuple(sorted({op.name for cost in costs for op in cost.operators if op.macs})),
        second=second,
        a_s_per_mac=a,
        b_s=b,
        points=tuple(points),
        left_out=tuple(left_out),
        mean_error=mean_error,
        worst_error=worst_error,
    )
