"""Models in runtimes, timed against each other: prepared by Ultralytics' exporter, run in processes of their own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from ultralytics.nn.modules import RTDETRDecoder

from lwyolo import provenance
from lwyolo.engine.deploy import Artifact, prepare, steady_image
from lwyolo.errors import LwyoloError, UsageError, did_you_mean
from lwyolo.speed.fairness import conditions
from lwyolo.speed.parity import agreement
from lwyolo.speed.result import Comparison, Failure, Result, against
from lwyolo.speed.rounds import Candidate, Process, Samples, Stop, run_rounds
from lwyolo.speed.runtime import runtimes
from lwyolo.speed.runtimes._torch import decoded
from lwyolo.speed.worker import ENVIRONMENT

DEFAULT_RUNTIMES = ("torch", "onnxruntime", "openvino")
THROUGHPUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Args:
        models: Model YAMLs, checkpoints, or stock names.
        base: The model that the others are compared with.
        throughput: Batches to count images a second of.
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
    stop: Stop = field(default_factory=Stop)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Bench:
    """What was found: results, comparisons with the base, and what was not measured."""

    results: tuple[Result, ...]
    comparisons: tuple[Comparison, ...]
    failures: tuple[Failure, ...]


@dataclass(slots=True)
class _Ready:
    """A candidate that is prepared, and then loaded."""

    source: str
    candidate: Candidate
    artifact: Artifact
    model: Any
    process: Process | None = None
    told: dict[str, Any] = field(default_factory=dict)
    agreement: str = ""


def check(plan: Plan) -> None:
    """Refuse what cannot be measured here.

    Raises:
        UsageError: A runtime is unknown or missing, or there are more threads than cores.
    """
    known = runtimes()
    for name in plan.runtimes:
        if name not in known:
            raise UsageError(f"--runtime {name}: unknown. Known: {', '.join(known)}.{did_you_mean(name, known)}")
        if reason := known[name].missing():
            raise UsageError(f"--runtime {name}: {reason}")
    if plan.threads > (cores := provenance.usable_cores()):
        raise UsageError(
            f"--threads {plan.threads}: this process may use {cores} cores; more threads measure the scheduler."
        )


def bench(
    plan: Plan, say: Callable[[str], None] = lambda _: None, on_round: Callable[[int, float], None] = lambda *_: None
) -> Bench:
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


def _bench(plan: Plan, folder: Path, say: Callable[[str], None], on_round: Callable[[int, float], None]) -> Bench:
    failures: list[Failure] = []
    ready: dict[str, _Ready] = {}
    sources = list(dict.fromkeys([*([plan.base] if plan.base else []), *plan.models]))
    with ExitStack() as stack:
        for number, source in enumerate(sources):
            for one in _candidates(plan, source, folder / str(number), failures, say):
                say(f"loading {one.candidate.key}")
                one.process = stack.enter_context(Process(one.candidate))
                try:
                    one.told = one.process.load()
                    one.agreement = _agree(one, folder)
                except UsageError as error:
                    failures.append(Failure(one.candidate.name, one.candidate.runtime, str(error)))
                else:
                    ready[one.candidate.key] = one
        if not ready:
            raise UsageError("nothing could be measured. " + " ".join(f"{f.runtime}: {f.reason}" for f in failures))
        bases = _bases(ready, sources[0]) if plan.base else {}
        say(f"timing {len(ready)} candidates")
        processes = {key: one.process for key, one in ready.items() if one.process is not None}
        found = run_rounds(processes, plan.stop, bases, plan.seed, on_round)
        results = {key: _result(one, found[key]) for key, one in ready.items()}
    for key, one in ready.items():
        results[key] = replace(results[key], images_per_s=_throughput(plan, one, folder, failures, say))
    comparisons = [against(results[key], results[base]) for key, base in bases.items()]
    return Bench(tuple(results.values()), tuple(comparisons), tuple(failures))


def _candidates(
    plan: Plan, source: str, folder: Path, failures: list[Failure], say: Callable[[str], None]
) -> Iterator[_Ready]:
    """Prepare a model for each runtime; what cannot be is a failure with its reason."""
    for runtime in plan.runtimes:
        say(f"preparing {source} for {runtime}")
        try:
            model, artifacts = prepare(
                source,
                folder / runtime,
                runtimes=[runtime],
                scale=plan.scale,
                imgsz=plan.imgsz,
                batch=plan.batch,
                precisions=plan.precisions,
                end_to_end=_all_hold_end_to_end(plan),
            )
        except LwyoloError as error:
            failures.append(Failure(Path(source).stem, runtime, str(error)))
            continue
        for artifact in artifacts:
            yield _Ready(source, _candidate(plan, source, model, artifact), artifact, model)


def _all_hold_end_to_end(plan: Plan) -> bool:
    """Whether each runtime can hold a head that needs no suppression of boxes: all run the same graph."""
    known = runtimes()
    return all(known[name].holds_end_to_end for name in plan.runtimes)


def _candidate(plan: Plan, source: str, model: Any, artifact: Artifact) -> Candidate:
    head = model.model[-1]
    return Candidate(
        name=Path(source).stem,
        runtime=artifact.runtime,
        artifact=artifact.path,
        imgsz=artifact.imgsz,
        batch=artifact.batch,
        threads=plan.threads,
        precision=artifact.precision,
        device=plan.device,
        classes=head.nc,
        end_to_end=artifact.end_to_end or isinstance(head, RTDETRDecoder),
    )


def _agree(one: _Ready, folder: Path) -> str:
    """Compare what a runtime makes of one image with what torch makes of it.

    Raises:
        UsageError: They differ: a runtime that is wrong is not timed.
    """
    candidate = one.candidate
    image = steady_image(one.model, (candidate.batch, one.model.yaml.get("channels", 3), *candidate.imgsz))
    file, outputs = folder / "image.npy", folder / "outputs.npz"
    np.save(file, image)
    cast("Process", one.process).ask("outputs", image=str(file), to=str(outputs))
    with torch.inference_mode():
        expected = decoded(one.model(torch.from_numpy(image))).numpy()
    with np.load(outputs) as found:
        verdict = agreement([expected], [found[name] for name in found.files], candidate.precision)
    if not verdict.ok:
        raise UsageError(f"{candidate.key}: its outputs differ from torch's: {verdict.reason}")
    return verdict.reason


def _bases(ready: dict[str, _Ready], base: str) -> dict[str, str]:
    """Give each candidate that of the base in the same runtime and precision."""
    stem = Path(base).stem
    return {
        key: other
        for key, one in ready.items()
        if one.candidate.name != stem and (other := replace(one.candidate, name=stem).key) in ready
    }


def _result(one: _Ready, samples: Samples) -> Result:
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
        peak_bytes=cast("Process", one.process).ask("memory")["peak_bytes"],
        agreement=one.agreement,
        normalised=one.artifact.normalised,
        samples=tuple(samples.raw),
        images_per_s={},
    )


def _throughput(
    plan: Plan, one: _Ready, folder: Path, failures: list[Failure], say: Callable[[str], None]
) -> dict[int, float]:
    """Count images a second at each batch; one that does not fit ends the row, and is told."""
    found: dict[int, float] = {}
    for batch in sorted(plan.throughput):
        say(f"throughput of {one.candidate.name} in {one.candidate.runtime} at batch {batch}")
        try:
            _, artifacts = prepare(
                one.source,
                folder / f"{one.candidate.name}-{one.candidate.runtime}-{batch}",
                runtimes=[one.candidate.runtime],
                scale=plan.scale,
                imgsz=plan.imgsz,
                batch=batch,
                precisions=[one.candidate.precision],
                end_to_end=_all_hold_end_to_end(plan),
            )
            with Process(replace(one.candidate, artifact=artifacts[0].path, batch=batch)) as process:
                process.load()
                found[batch] = process.ask("throughput", seconds=THROUGHPUT_S)["images_per_s"]
        except LwyoloError as error:
            largest = f"the largest batch that ran is {max(found)}" if found else "no batch ran"
            failures.append(Failure(one.candidate.name, one.candidate.runtime, f"batch {batch}: {error} ({largest})"))
            break
    return found
