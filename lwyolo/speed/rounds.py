"""Candidates against each other: each in its own process, in shuffled rounds, until the intervals are narrow enough."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO, cast

from lwyolo.errors import UsageError
from lwyolo.speed.statistics import MIN_ROUNDS, Sample, Summary, compare, summarise
from lwyolo.speed.worker import ENVIRONMENT, THREAD_VARIABLES

STAGES = ("preprocess", "forward", "suppression", "end_to_end")
DEVICE = "device"
"""Part of `forward`, by the device's own clock; told beside it where the runtime knows it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a process loads and runs.

    Args:
        name: Of the model.
        classes: That its outputs score; 0 for a model that is no detector, whose outputs are left as they are.
        end_to_end: Whether its head needs no suppression of boxes.
        torchvision: Whether suppression may use torchvision.
    """

    name: str
    runtime: str
    artifact: Path
    imgsz: tuple[int, int]
    batch: int = 1
    threads: int = 1
    precision: str = "fp32"
    device: str = "cpu"
    classes: int = 80
    end_to_end: bool = False
    torchvision: bool = True
    channels: int = 3

    @property
    def key(self) -> str:
        """Name it among others."""
        return f"{self.name} in {self.runtime} at {self.precision}, {self.threads} threads, batch {self.batch}"


class Process:
    """A candidate's process. It ends with the `with` block."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  closed at exit
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "lwyolo.speed.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env={**os.environ, **ENVIRONMENT, **dict.fromkeys(THREAD_VARIABLES, str(candidate.threads))},
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.kill()
        self._popen.communicate()
        self._said.close()

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            UsageError: The process died, or the runtime failed; with its words.
        """
        to, back = cast("TextIO", self._popen.stdin), cast("TextIO", self._popen.stdout)
        try:
            to.write(json.dumps({"do": do, **request}) + "\n")
            to.flush()
            line = back.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._popen.wait()
            self._said.seek(0)
            said = " ".join(self._said.read().split())[-300:]
            raise UsageError(f"{self.candidate.key}: its process ended with {code}. {said}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise UsageError(f"{self.candidate.key}: {answer['error']}")
        return answer

    def load(self) -> dict[str, Any]:
        """Load the artifact."""
        return self.ask("load", **{**asdict(self.candidate), "artifact": str(self.candidate.artifact)})


@dataclass(slots=True)
class Samples:
    """What was measured of a candidate, sample by sample; nothing is left out."""

    raw: list[dict[str, Any]] = field(default_factory=list)

    def add(self, index: int, samples: Sequence[Mapping[str, Any]]) -> None:
        """Add a round."""
        self.raw += [{"round": index, **sample} for sample in samples]

    def of(self, stage: str) -> list[Sample]:
        """Return the samples of one stage."""
        return [Sample(s["round"], s[stage], s["clean"], s.get("waited")) for s in self.raw]

    def summary(self, stage: str) -> Summary:
        """Sum up one stage."""
        return summarise(self.of(stage))


@dataclass(frozen=True, slots=True)
class Stop:
    """When rounds end: when all intervals are narrow enough, or the time is up.

    Args:
        half_width: Of an interval, as a share of its middle.
        budget_s: Seconds that all rounds may take.
        samples: In a round.
        rounds: That are taken whatever they show.
    """

    half_width: float = 0.02
    budget_s: float = 30.0
    samples: int = 5
    rounds: int = 1
    clock: Callable[[], float] = time.perf_counter


def run_rounds(
    processes: Mapping[str, Process],
    stop: Stop,
    bases: Mapping[str, str],
    seed: int = 0,
    on_round: Callable[[int, float], None] = lambda *_: None,
) -> dict[str, Samples]:
    """Take rounds of samples: in each, every candidate in turn, in an order that is drawn anew.

    Args:
        processes: Loaded candidates by key.
        stop: When to end.
        bases: Key of a candidate to that of its baseline; without one, a candidate's own interval has to be narrow.
        seed: Of the order.
        on_round: Called after each round with its number and the seconds that have passed.
    """
    order, drawn, start = list(processes), random.Random(seed), stop.clock()  # noqa: S311  no secret
    found = {key: Samples() for key in order}
    index, next_look = 0, MIN_ROUNDS  # the intervals of many short rounds need not be drawn after each
    while True:
        drawn.shuffle(order)
        for key in order:
            found[key].add(index, processes[key].ask("round", samples=stop.samples)["samples"])
        index += 1
        passed = stop.clock() - start
        on_round(index, passed)
        due = index >= next_look
        next_look = max(next_look, index + index // 10 + 1) if due else next_look
        narrow = due and all(_width(key, found, bases) <= stop.half_width for key in order)
        if index >= stop.rounds and (narrow or passed * (index + 1) / index > stop.budget_s):
            return found


def _width(key: str, found: Mapping[str, Samples], bases: Mapping[str, str]) -> float:
    """Half of the width of an interval, as a share; infinite while there is none."""
    if key in bases:
        ratio = compare(found[key].of("end_to_end"), found[bases[key]].of("end_to_end"))
        low, high = ratio.low, ratio.high
    else:
        summary = found[key].summary("end_to_end")
        low, high = summary.low_ms, summary.high_ms
    return float("inf") if low is None or high is None else (high - low) / (high + low)
