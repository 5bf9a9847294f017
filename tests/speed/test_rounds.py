from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lwyolo.errors import UsageError
from lwyolo.speed import result as results
from lwyolo.speed import worker
from lwyolo.speed.fairness import conditions
from lwyolo.speed.result import Accuracy, Result, against
from lwyolo.speed.rounds import STAGES, Candidate, Process, Stop, run_rounds
from lwyolo.speed.statistics import BETWEEN_PROCESSES, MIN_ROUNDS


class Clock:
    now = 0.0


class Fake:
    """A process that takes as long as it is told to, on a clock of its own."""

    def __init__(self, clock, ms, log, name):
        self.clock, self.ms, self.log, self.name = clock, ms, log, name

    def ask(self, do, samples):
        assert "round" == do
        self.log.append(self.name)
        taken = [next(self.ms) for _ in range(samples)]
        self.clock.now += sum(taken) / 1e3
        return {"samples": [{**dict.fromkeys(STAGES, ms), "clean": True} for ms in taken]}


def steady(ms):
    while True:
        yield ms


def wild(seed):
    rng = np.random.default_rng(seed)
    while True:
        yield float(rng.exponential(50))


def ran(first, second, bases=None, **stop):
    clock, log, told = Clock(), [], []
    processes = {"a": Fake(clock, first, log, "a"), "b": Fake(clock, second, log, "b")}
    found = run_rounds(
        processes, Stop(clock=lambda: clock.now, **stop), bases or {}, on_round=lambda n, s: told.append((n, s))
    )
    return found, log, told


def test_steady_candidates_end_as_soon_as_an_interval_can_be_given():
    found, log, told = ran(steady(10.0), steady(20.0))

    assert MIN_ROUNDS == len(told) == len(log) // 2
    assert [MIN_ROUNDS * 5] * 2 == [len(samples.raw) for samples in found.values()]
    assert 20.0 == found["b"].summary("forward").median_ms


def test_each_round_has_every_candidate_once_in_an_order_that_changes():
    _, log, _ = ran(wild(0), wild(1), budget_s=20.0)
    orders = {tuple(log[i : i + 2]) for i in range(0, len(log), 2)}

    assert {("a", "b"), ("b", "a")} == orders


def test_candidates_that_never_settle_end_with_their_budget():
    _, _, told = ran(wild(0), wild(1), budget_s=20.0, half_width=1e-6)

    assert told[-1][1] <= 20.0
    assert MIN_ROUNDS < len(told)


def test_as_many_rounds_as_are_asked_for_are_taken_whatever_they_show():
    assert 9 == len(ran(steady(10.0), steady(20.0), rounds=9)[2])
    assert 9 == len(ran(wild(0), wild(1), rounds=9, budget_s=1e-6)[2])


def test_against_a_base_the_ratio_has_to_be_narrow_and_not_the_times():
    rng = np.random.default_rng(0)
    drift = [50 * float(d) for d in np.repeat(np.exp(rng.normal(0, 0.5, 900)), 5)]
    alone = len(ran(iter(drift), iter(drift), budget_s=60.0)[2])
    paired = len(ran(iter(drift), iter(2 * d for d in drift), {"b": "a", "a": "a"}, budget_s=60.0)[2])

    assert paired == MIN_ROUNDS < alone


def a_result(name="a", ms=10.0, **changes):
    made = conditions((64, 64), 1, 1, "fp32", "torch", "2", "cpu", "torchvision", {})
    samples = tuple(
        {**dict.fromkeys(STAGES, ms), "round": r, "clean": True, "candidates": 0, "boxes": 0} for r in range(20)
    )
    values = {
        "name": name, "conditions": made, "load_ms": 1.0, "first_ms": 2.0, "candidates": 0, "boxes": 0,
        "size_bytes": 3, "peak_bytes": None, "agreement": "equal", "normalised": False, "samples": samples,
        "images_per_s": {4: 80.5}, **changes,
    }  # fmt: skip
    return Result(**values)


def test_results_survive_a_file(tmp_path):
    looked_at = a_result("b", 12.0, accuracy=Accuracy(0.5, 0.25, 20, "data.yaml"))
    results.save([a_result(), looked_at], tmp_path / "base.json")

    assert [a_result(), looked_at] == results.load(tmp_path / "base.json")


def test_results_that_were_saved_without_an_accuracy_are_read(tmp_path):
    results.save([a_result()], tmp_path / "base.json")
    content = json.loads((tmp_path / "base.json").read_text())
    del content["results"][0]["accuracy"]
    (tmp_path / "base.json").write_text(json.dumps(content))

    assert [a_result()] == results.load(tmp_path / "base.json")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file. lwyolo bench"),
        ("{", "not readable as JSON"),
        ("[]", "holds no results of lwyolo bench"),
        ('{"schema": 9}', "schema 9; this version of lwyolo reads schema 1"),
        ('{"schema": 1, "results": [{"name": "x"}]}', "holds no results of lwyolo bench: KeyError 'conditions'"),
    ],
)
def test_a_file_with_something_else_is_refused(tmp_path, content, expected):
    file = tmp_path / "base.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(UsageError, match=r"base\.json: ") as caught:
        results.load(file)
    assert expected in str(caught.value)


def test_results_of_the_same_rounds_are_compared_round_by_round():
    comparison = against(a_result("b", 11.0), a_result())

    assert ("b", "a", "torch", ()) == (comparison.name, comparison.base, comparison.runtime, comparison.warnings)
    assert {"slower"} == {ratio.verdict for ratio in comparison.ratios.values()}
    assert 1.1 == pytest.approx(comparison.ratios["end_to_end"].ratio)


@pytest.mark.parametrize("name", ["threads", "imgsz", "runtime", "precision", "batch", "graph", "device", "cpu"])
def test_results_under_other_conditions_are_not_compared_unless_forced(name):
    other = dataclasses.replace(a_result().conditions, **{name: "x"})

    with pytest.raises(UsageError, match=rf"b and a cannot be compared: {name}: "):
        against(a_result("b", conditions=other), a_result())
    assert against(a_result("b", conditions=other), a_result(), force=True).warnings[0].startswith(f"{name}: ")


def test_results_of_different_times_are_compared_by_the_ends_of_their_intervals():
    def varied(ms):
        return tuple({**s, **dict.fromkeys(STAGES, ms * (1 + 0.01 * (s["round"] % 5)))} for s in a_result().samples)

    new, old = a_result(samples=varied(10.0)), a_result(samples=varied(10.1))
    comparison = against(new, old, same_rounds=False)
    a, b = new.summary("forward"), old.summary("forward")

    assert ("not measured in the same rounds",) == comparison.warnings
    widened = 1 + BETWEEN_PROCESSES
    assert (a.low_ms / b.high_ms / widened, a.high_ms / b.low_ms * widened) == (
        pytest.approx(comparison.ratios["forward"].low),
        pytest.approx(comparison.ratios["forward"].high),
    )
    assert "no difference shown" == comparison.ratios["forward"].verdict


class Head(nn.Module):
    """Gives the boxes that a detector of two classes would."""

    def forward(self, x):
        return x.mean((2, 3)).repeat(1, 2)[..., None].expand(-1, -1, 9)


def serve(*requests):
    out = io.StringIO()
    worker.serve(io.StringIO("\n".join(map(json.dumps, requests))), out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def load_request(path, **changes):
    return {
        "do": "load", "runtime": "torch", "artifact": str(path), "imgsz": [64, 96], "batch": 2, "threads": 1,
        "precision": "fp32", "device": "cpu", "classes": 2, "end_to_end": False, "torchvision": True, "channels": 3,
        **changes,
    }  # fmt: skip


def test_a_worker_loads_samples_and_counts(tmp_path):
    torch.save(Head(), tmp_path / "model.module")
    np.save(tmp_path / "image.npy", np.ones((2, 3, 64, 96), np.float32))
    loaded, sampled, counted, compared = serve(
        load_request(tmp_path / "model.module"),
        {"do": "round", "samples": 3},
        {"do": "throughput", "seconds": 0.05, "blocks": 2},
        {"do": "outputs", "image": str(tmp_path / "image.npy"), "to": str(tmp_path / "outputs.npz")},
    )

    assert ("torchvision", torch.__version__) == (loaded["suppression"], loaded["version"])
    assert 3 == len(sampled["samples"])
    for sample in sampled["samples"]:
        assert sample["end_to_end"] == pytest.approx(sum(sample[stage] for stage in STAGES[:3]))
    assert [True, True] == [block["images_per_s"] > 0 for block in counted["blocks"]]
    assert [(2, 6, 9)] == [found.shape for found in np.load(tmp_path / "outputs.npz").values()]
    assert {} == compared


def test_what_a_runtime_raises_is_answered_and_the_worker_goes_on(tmp_path):
    torch.save(Head(), tmp_path / "model.module")
    failed, loaded = serve(load_request(tmp_path / "missing.module"), load_request(tmp_path / "model.module"))

    assert "missing.module" in failed["error"]
    assert "torchvision" == loaded["suppression"]


def test_what_is_no_detector_has_no_boxes_and_may_have_other_channels(tmp_path):
    torch.save(nn.Conv2d(5, 2, 1), tmp_path / "model.module")
    _, sampled = serve(load_request(tmp_path / "model.module", classes=0, channels=5), {"do": "round", "samples": 1})

    assert (0, 0, None) == tuple(sampled["samples"][0][name] for name in ("candidates", "boxes", "device"))


def test_a_process_that_dies_is_told_with_its_candidate(tmp_path, monkeypatch):
    monkeypatch.setattr("lwyolo.speed.rounds.sys.executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text("#!/bin/sh\necho out of memory >&2\nexit 7\n")
    (tmp_path / "python").chmod(0o755)
    candidate = Candidate("a", "torch", Path("x"), (64, 64))

    with (
        Process(candidate) as process,
        pytest.raises(
            UsageError, match=r"a in torch at fp32, 1 threads, batch 1: its process ended with 7\. out of memory"
        ),
    ):
        process.load()
