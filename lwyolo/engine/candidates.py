"""From a model and a runtime to a candidate that is loaded in its process, and was found to compute what torch does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from ultralytics.nn.modules import RTDETRDecoder

from lwyolo.engine.deploy import Artifact, load, prepare, steady_image
from lwyolo.errors import LwyoloError, UsageError
from lwyolo.speed.parity import agreement
from lwyolo.speed.result import Failure
from lwyolo.speed.rounds import Candidate, Process
from lwyolo.speed.runtime import runtimes
from lwyolo.speed.runtimes._torch import decoded

BLOCKS, BLOCK_S = 6, 0.4
OUT_OF_MEMORY = re.compile(r"alloc|memory|may fit|ended with -", re.IGNORECASE)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Setting:
    """What all candidates of a benchmark have in common.

    Args:
        data: A data YAML: its training images calibrate int8.
    """

    runtimes: Sequence[str]
    scale: str | None = None
    imgsz: int | tuple[int, int] = 640
    batch: int = 1
    threads: int = 1
    precisions: Sequence[str] = ("fp32",)
    device: str = "cpu"
    data: Path | None = None

    @property
    def end_to_end(self) -> bool:
        """Whether each runtime can hold a head that needs no suppression of boxes: all run the same graph."""
        known = runtimes()
        return all(known[name].holds_end_to_end for name in self.runtimes)


@dataclass(slots=True)
class Ready:
    """A candidate that is prepared, and then loaded.

    Args:
        source: Where its model comes from.
        model: The fused model that it should agree with.
        told: What the process told when it loaded.
        agreement: How the outputs compare with torch's, in words.
    """

    source: str
    candidate: Candidate
    artifact: Artifact
    model: Any
    process: Process
    told: dict[str, Any] = field(default_factory=dict)
    agreement: str = ""


def ready(
    source: str, setting: Setting, folder: Path, stack: ExitStack, failures: list[Failure], say: Say
) -> Iterator[Ready]:
    """Prepare a model for each runtime and precision, load it and compare it; what fails is a failure with its reason.

    Args:
        source: A model YAML, a checkpoint, or a stock name.
        setting: What all candidates have in common.
        folder: For artifacts.
        stack: Ends the processes.
        failures: Is added to.
        say: Told what is being done.

    Raises:
        LwyoloError: The model cannot be loaded, or is no detector.
    """
    size = (setting.imgsz, setting.imgsz) if isinstance(setting.imgsz, int) else setting.imgsz
    load(source, size, setting.scale)  # what is wrong with the model itself is said once, before anything is exported
    for runtime, precision in product(setting.runtimes, setting.precisions):
        where = folder / f"{runtime}-{precision}"
        try:
            say(f"preparing {source} for {runtime}, {precision}")
            one = _prepared(source, setting, runtime, precision, where)
            stack.enter_context(one.process)
            say(f"loading {one.candidate.key}")
            one.told = one.process.load()
            one.agreement = agree(one, where)
        except LwyoloError as error:
            reason = str(error)
            if setting.batch > 1 and OUT_OF_MEMORY.search(reason):
                say(f"looking for a batch of {source} that fits in {runtime}")
                reason += _what_fits(source, setting, runtime, precision, where)
            failures.append(Failure(Path(source).stem, runtime, reason))
        else:
            yield one


def _prepared(source: str, setting: Setting, runtime: str, precision: str, folder: Path) -> Ready:
    model, (artifact,) = prepare(
        source,
        folder,
        runtimes=[runtime],
        scale=setting.scale,
        imgsz=setting.imgsz,
        batch=setting.batch,
        precisions=[precision],
        data=setting.data,
        end_to_end=setting.end_to_end,
    )
    head = model.model[-1]
    candidate = Candidate(
        name=Path(source).stem,
        runtime=runtime,
        artifact=artifact.path,
        imgsz=artifact.imgsz,
        batch=artifact.batch,
        threads=setting.threads,
        precision=precision,
        device=setting.device,
        classes=head.nc,
        end_to_end=artifact.end_to_end or isinstance(head, RTDETRDecoder),
        channels=model.yaml.get("channels", 3),
    )
    return Ready(source, candidate, artifact, model, Process(candidate))


def _what_fits(source: str, setting: Setting, runtime: str, precision: str, folder: Path) -> str:
    """Halve the batch until a model loads and runs, and say which did."""
    batch = setting.batch // 2
    while batch:
        smaller = replace(setting, batch=batch)
        try:
            with (one := _prepared(source, smaller, runtime, precision, folder / str(batch))).process:
                one.process.load()
        except LwyoloError:
            batch //= 2
        else:
            return f" Of {setting.batch} and its halves, {batch} is the largest batch that fits."
    return " Not even a batch of 1 fits."


def agree(one: Ready, folder: Path) -> str:
    """Compare what a runtime makes of one image with what torch makes of it, and say how far they lie apart.

    Raises:
        UsageError: They differ: a runtime that is wrong is not timed.
    """
    candidate = one.candidate
    image = steady_image(one.model, (candidate.batch, candidate.channels, *candidate.imgsz))
    file, outputs = folder / "image.npy", folder / "outputs.npz"
    np.save(file, image)
    one.process.ask("outputs", image=str(file), to=str(outputs))
    with torch.inference_mode():
        expected = decoded(one.model(torch.from_numpy(image))).numpy()
    with np.load(outputs) as found:
        verdict = agreement([expected], [found[name] for name in found.files], candidate.precision)
    if not verdict.ok:
        raise UsageError(f"{candidate.key}: its outputs differ from torch's: {verdict.reason}")
    return verdict.reason


def throughput(
    one: Ready, setting: Setting, batches: Sequence[int], folder: Path, failures: list[Failure], say: Say
) -> dict[int, float | None]:
    """Count images a second at each batch, `None` where none of the blocks was clean.

    A batch that does not fit ends the row, and the largest that ran is told.
    """
    found: dict[int, float | None] = {}
    for batch in sorted(batches):
        say(f"throughput of {one.candidate.name} in {one.candidate.runtime} at batch {batch}")
        where = folder / f"{one.candidate.name}-{one.candidate.runtime}-{one.candidate.precision}-{batch}"
        try:
            at_batch = _prepared(
                one.source, replace(setting, batch=batch), one.candidate.runtime, one.candidate.precision, where
            )
            with at_batch.process as process:
                process.load()
                blocks = process.ask("throughput", seconds=BLOCK_S, blocks=BLOCKS)["blocks"]
        except LwyoloError as error:
            largest = f"the largest batch that ran is {max(found)}" if found else "no batch ran"
            failures.append(Failure(one.candidate.name, one.candidate.runtime, f"batch {batch}: {error} ({largest})"))
            break
        rates = [block["images_per_s"] for block in blocks if block["clean"] is not False]
        found[batch] = median(rates) if rates else None
    return found
