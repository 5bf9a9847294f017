"""Models in runtimes, timed against each other: prepared by Ultralytics' exporter, run in processes of their own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from lwyolo import provenance
from lwyolo.data.index import require_images
from lwyolo.engine.accuracy import accuracy, check_classes
from lwyolo.engine.candidates import Ready, Say, Setting, ready, throughput
from lwyolo.errors import UsageError, did_you_mean
from lwyolo.speed.fairness import conditions
from lwyolo.speed.footprint import footprint
from lwyolo.speed.result import Comparison, Failure, Result, against
from lwyolo.speed.rounds import Samples, Stop, run_rounds
from lwyolo.speed.runtime import runtimes
from lwyolo.speed.worker import ENVIRONMENT

DEFAULT_RUNTIMES = ("torch", "onnxruntime", "openvino")
COMPANIONS = ("onnxruntime", "openvino", "torchscript")
"""The first that is installed runs beside eager torch on a CPU, which alone says little about a deployment."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Args:
        models: Model YAMLs, checkpoints, or stock names.
        base: The model that the others are compared with.
        throughput: Batches to count images a second of.
        data: A data YAML: its training images calibrate int8, and its validation images tell the mAP of checkpoints.
    """

    models: Sequence[str]
    runtimes: Sequence[str] = DEFAULT_RUNTIMES
    base: str | None = None
    scale: str | None = None
    imgsz: int | tuple[int, int] = 640
    batch: int = 1
    threads: int = 1
    precisions: Sequence[str] = ("fp32",)
    device: str = "cpu"
    throughput: Sequence[int] = ()
    data: Path | None = None
    stop: Stop = field(default_factory=Stop)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Bench:
    """What was found: results, comparisons with the base, and what was not measured."""

    results: tuple[Result, ...]
    comparisons: tuple[Comparison, ...]
    failures: tuple[Failure, ...]


def check(plan: Plan) -> None:
    """Refuse what cannot be measured here.

    Raises:
        UsageError: A runtime is unknown or missing, none has a precision, int8 has no images, or there are more threads
            than cores.
        DataError: The data set cannot be used.
    """
    known = runtimes()
    for name in plan.runtimes:
        if name not in known:
            raise UsageError(f"--runtime {name}: unknown. Known: {', '.join(known)}.{did_you_mean(name, known)}")
        if reason := known[name].missing():
            raise UsageError(f"--runtime {name}: {reason}")
    for precision in plan.precisions:
        if not any(precision in known[name].precisions for name in plan.runtimes):
            able = [name for name, runtime in known.items() if precision in runtime.precisions]
            raise UsageError(f"--precision {precision}: of the runtimes, {' and '.join(able)} run it.")
    if "int8" in plan.precisions and plan.data is None:
        raise UsageError("--precision int8: it is calibrated on images; name a data YAML with --data.")
    if plan.threads > (cores := provenance.usable_cores()):
        raise UsageError(
            f"--threads {plan.threads}: this process may use {cores} cores; more threads measure the scheduler."
        )
    if plan.data is not None:
        require_images(plan.data)


def bench(plan: Plan, say: Say = lambda _: None, on_round: Callable[[int, float], None] = lambda *_: None) -> Bench:
    """Measure.

    Args:
        plan: What is measured.
        say: Told what is being done.
        on_round: Told the number of rounds, and the seconds that they have taken.

    Raises:
        UsageError: Nothing can be measured.
    """
    check(plan)
    folder = Path(tempfile.mkdtemp(prefix="lwyolo-bench-"))
    try:
        return _bench(plan, folder, say, on_round)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bench(plan: Plan, folder: Path, say: Say, on_round: Callable[[int, float], None]) -> Bench:
    failures: list[Failure] = []
    setting = _setting(plan)
    sources = list(dict.fromkeys([*([plan.base] if plan.base else []), *plan.models]))
    with ExitStack() as stack:
        loaded = {
            one.candidate.key: one
            for number, source in enumerate(sources)
            for one in ready(source, setting, folder / str(number), stack, failures, say)
        }
        if not loaded:
            raise UsageError("nothing could be measured. " + " ".join(f"{f.runtime}: {f.reason}" for f in failures))
        bases = _bases(loaded, sources[0]) if plan.base else {}
        say(f"timing {len(loaded)} candidates")
        processes = {key: one.process for key, one in loaded.items()}
        found = run_rounds(processes, plan.stop, bases, plan.seed, on_round)
        results = {key: _result(one, found[key]) for key, one in loaded.items()}
        if plan.data is not None:
            for key, one in loaded.items():
                say(f"mAP of {key}")
                results[key] = _with_accuracy(results[key], one, plan.data, folder, failures)
    for key, one in loaded.items():
        rates = throughput(one, setting, plan.throughput, folder, failures, say)
        results[key] = replace(results[key], images_per_s=rates)
    comparisons = [against(results[key], results[base]) for key, base in bases.items()]
    return Bench(tuple(results.values()), tuple(comparisons), tuple(dict.fromkeys(failures)))


def _setting(plan: Plan) -> Setting:
    chosen = list(dict.fromkeys(plan.runtimes))
    if chosen == ["torch"] and plan.device == "cpu":
        known = runtimes()
        chosen.append(next(name for name in COMPANIONS if known[name].missing() is None))
    return Setting(chosen, plan.scale, plan.imgsz, plan.batch, plan.threads, plan.precisions, plan.device, plan.data)


def _bases(loaded: dict[str, Ready], base: str) -> dict[str, str]:
    """Give each candidate that of the base in the same runtime and precision."""
    stem = Path(base).stem
    return {
        key: other
        for key, one in loaded.items()
        if one.candidate.name != stem and (other := replace(one.candidate, name=stem).key) in loaded
    }


def _result(one: Ready, samples: Samples) -> Result:
    candidate, last = one.candidate, samples.raw[-1]
    return Result(
        name=candidate.name,
        conditions=conditions(
            candidate.imgsz,
            candidate.batch,
            candidate.threads,
            candidate.precision,
            candidate.runtime,
            one.told["version"],
            candidate.device,
            one.told["suppression"],
            {**os.environ, **ENVIRONMENT},
        ),
        load_ms=one.told["load_ms"],
        first_ms=one.told["first_ms"],
        candidates=last["candidates"],
        boxes=last["boxes"],
        size_bytes=one.artifact.size_bytes,
        peak_bytes=footprint(candidate),
        agreement=one.agreement,
        normalised=one.artifact.normalised,
        samples=tuple(samples.raw),
        images_per_s={},
    )


def _with_accuracy(result: Result, one: Ready, data: Path, folder: Path, failures: list[Failure]) -> Result:
    """Add the mAP of a runtime; a model without training has none, and one of other classes is told."""
    if one.artifact.normalised:
        reason = "mAP: it was built from a YAML and has no training behind it"
        failures.append(Failure(result.name, result.conditions.runtime, reason))
        return result
    try:
        check_classes(one.model.names, require_images(data))
        found = accuracy(one.process, folder, one.model.names, int(max(one.model.stride)), data)
    except UsageError as error:
        failures.append(Failure(result.name, result.conditions.runtime, f"mAP: {error}"))
        return result
    return replace(result, accuracy=found)
