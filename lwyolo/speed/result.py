"""What a benchmark found, as data that is saved and compared later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lwyolo.errors import UsageError
from lwyolo.record import write_text
from lwyolo.speed.fairness import Conditions, differences, from_plain
from lwyolo.speed.rounds import STAGES
from lwyolo.speed.statistics import Ratio, Sample, Summary, compare, judged, summarise

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well a runtime detects, on the validation images of a data set; thresholds are those of `yolo val`.

    Args:
        map50: Mean average precision at an intersection over union of 0.5, 1 being all.
        map50_95: The mean over 0.5, 0.55, …, 0.95.
        images: That were looked at.
        data: Name of the data YAML.
    """

    map50: float
    map50_95: float
    images: int
    data: str


@dataclass(frozen=True, slots=True)
class Result:
    """One model in one runtime.

    Args:
        load_ms: Reading the artifact and making a session; `first_ms` is the first pass after that.
        candidates: Boxes above the confidence before suppression, and `boxes` after it; of a frame of noise.
        size_bytes: Of the artifact on disk.
        peak_bytes: Largest resident memory of a process that loads and runs the artifact and nothing else.
        agreement: How its outputs compare with torch's, in words.
        normalised: Whether the batch norms of a model without training were given statistics first.
        images_per_s: By batch; measured apart, back to back. `None` where other processes disturbed it all the time.
        samples: Every one that was taken, clean or not.
        accuracy: `None` where it was not asked for.
    """

    name: str
    conditions: Conditions
    load_ms: float
    first_ms: float
    candidates: int
    boxes: int
    size_bytes: int
    peak_bytes: int | None
    agreement: str
    normalised: bool
    samples: tuple[dict[str, Any], ...]
    images_per_s: dict[int, float | None]
    accuracy: Accuracy | None = None

    def of(self, stage: str) -> list[Sample]:
        """Return the samples of a stage."""
        return [Sample(s["round"], s[stage], s["clean"], s.get("waited")) for s in self.samples]

    def summary(self, stage: str) -> Summary:
        """Sum up a stage."""
        return summarise(self.of(stage))


@dataclass(frozen=True, slots=True)
class Failure:
    """A model in a runtime that was not measured, and why."""

    name: str
    runtime: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A result against its baseline, by stage; `warnings` tell what else differed."""

    name: str
    base: str
    runtime: str
    precision: str
    ratios: dict[str, Ratio]
    warnings: tuple[str, ...] = ()


def against(result: Result, base: Result, *, same_rounds: bool = True, force: bool = False) -> Comparison:
    """Compare two results.

    Args:
        result: Of the candidate.
        base: Of the baseline.
        same_rounds: They were measured in turn; else the interval is that of two independent medians, which is wider
            and knows nothing of how the machine changed in between.
        force: Compare also where the conditions forbid it.

    Raises:
        UsageError: They were measured under conditions that forbid it.
    """
    forbidding, other = differences(result.conditions, base.conditions)
    if forbidding and not force:
        raise UsageError(
            f"{result.name} and {base.name} cannot be compared: {'; '.join(forbidding)}. Use --force to do so anyway."
        )
    warnings = [*forbidding, *other, *([] if same_rounds else ["not measured in the same rounds"])]
    ratios = {
        stage: compare(result.of(stage), base.of(stage)) if same_rounds else apart(result, base, stage)
        for stage in STAGES
    }
    return Comparison(
        result.name, base.name, result.conditions.runtime, result.conditions.precision, ratios, tuple(warnings)
    )


def apart(result: Result, base: Result, stage: str) -> Ratio:
    """Compare medians that were measured at different times: each interval's ends against the other's."""
    a, b = result.summary(stage), base.summary(stage)
    rounds = min(a.clean_rounds, b.clean_rounds)
    if not (a.median_ms and a.low_ms and a.high_ms and b.median_ms and b.low_ms and b.high_ms):
        return Ratio(None, None, None, rounds, "not enough clean rounds", "an interval is missing")
    return judged(a.median_ms / b.median_ms, a.low_ms / b.high_ms, a.high_ms / b.low_ms, rounds)


def save(results: Sequence[Result], file: Path) -> None:
    """Write results as JSON, whole or not at all."""
    text = json.dumps({"schema": SCHEMA, "results": [asdict(result) for result in results]}, ensure_ascii=False)
    write_text(file, text + "\n")


def load(file: Path) -> list[Result]:
    """Read results.

    Raises:
        UsageError: The file is missing, or holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise UsageError(f"{file}: schema {content['schema']!r}; this version of lwyolo reads schema {SCHEMA}.")
        return [_result(one) for one in content["results"]]
    except FileNotFoundError:
        raise UsageError(f"{file}: no such file. lwyolo bench … --save {file} writes one.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: not readable as JSON: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file}: holds no results of lwyolo bench: {type(error).__name__} {error}.") from error


def _result(one: dict[str, Any]) -> Result:
    return Result(
        **{
            **one,
            "conditions": from_plain(one["conditions"]),
            "samples": tuple(one["samples"]),
            "images_per_s": {int(batch): value for batch, value in one["images_per_s"].items()},
            "accuracy": Accuracy(**one["accuracy"]) if one.get("accuracy") else None,
        }
    )
