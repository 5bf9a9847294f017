"""Calibration, run for real on small images in few rounds; whether a sample was disturbed is left out of account."""

from __future__ import annotations

import math

import pytest

from lwyolo.engine import calibrate as module
from lwyolo.engine.calibrate import FULL, QUICK, Plan, calibrate, check, usual_runtimes
from lwyolo.engine.info import cost_of
from lwyolo.errors import GraphError, UsageError
from lwyolo.speed.estimate import best_second, constants, leave_one_out, mean_and_worst
from lwyolo.speed.rounds import Stop, run_rounds
from lwyolo.speed.runtime import runtimes
from lwyolo.speed.statistics import MIN_ROUNDS

MODELS = ("yolov8n.yaml", "yolov8n-ghost.yaml", "yolov8n-p2.yaml", "yolo26n.yaml")
SIZE = 64


def rounds_of_unknown_state(processes, stop, bases, seed, on_round):
    """As many rounds as are needed, on a machine that does not tell whether samples were disturbed."""
    found = run_rounds(processes, Stop(half_width=math.inf, budget_s=60.0, samples=stop.samples), bases, seed, on_round)
    for samples in found.values():
        for sample in samples.raw:
            sample["clean"] = None
    return found


@pytest.fixture(scope="module")
def calibrated():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "run_rounds", rounds_of_unknown_state)
        told = []
        plan = Plan(MODELS, ["torch"], imgsz=SIZE, budget_s=1.0)
        fits, failures = calibrate(plan, lambda text, steps: told.append((text, steps)))
    assert [] == failures
    return plan, fits[0], told


def test_each_model_is_measured_with_the_cost_of_its_deployed_graph(calibrated):
    _, fit, _ = calibrated
    deployed = {
        model.removesuffix(".yaml"): cost_of(model, imgsz=SIZE, graphs=["deployed"]).deployed for model in MODELS
    }

    assert {name: (cost.params, cost.macs) for name, cost in deployed.items()} == {
        point.model: (point.params, point.macs) for point in fit.points
    }
    # yolo26n ran with its head that needs no suppression: it also picks boxes, which the other head leaves to the caller
    assert {name: cost.memory_access_fused_bytes for name, cost in deployed.items() if name != "yolo26n"} == {
        point.model: point.memory_bytes for point in fit.points if point.model != "yolo26n"
    }
    assert all(point.elementwise_flops > 0 for point in fit.points)
    assert all(0 < point.ms < 60_000 and point.samples >= 2 * MIN_ROUNDS for point in fit.points)


def test_the_fit_is_that_of_its_points(calibrated):
    _, fit, _ = calibrated

    assert constants(fit.points, fit.second) == (fit.a_s_per_mac, fit.b_s)
    assert mean_and_worst(leave_one_out(fit.points, fit.second)) == (fit.mean_error, fit.worst_error)
    assert best_second(fit.points) == fit.second


def test_conditions_are_kept(calibrated):
    _, fit, _ = calibrated

    assert ("torch", "torch", 1, 1, "fp32", (SIZE, SIZE)) == (
        fit.runtime, fit.package, fit.threads, fit.batch, fit.precision, fit.imgsz,
    )  # fmt: skip
    assert runtimes()["torch"].version().split("+")[0] == fit.runtime_version.split("+")[0]
    assert ("aten::bmm", "aten::convolution") == fit.operators  # yolo26n attends


def test_a_model_that_cannot_be_built_is_an_error_and_not_left_out():
    with pytest.raises(GraphError, match="no-such-model"):
        calibrate(Plan((*MODELS[:3], "no-such-model.yaml"), ["torch"], imgsz=SIZE), lambda *_: None)


def test_progress_goes_up_to_the_last_step(calibrated):
    plan, _, told = calibrated
    steps = [step for _, step in told]

    assert steps == sorted(steps)
    assert len(MODELS) < steps[-1] <= plan.steps == len(MODELS) + 1


def test_too_few_models_give_no_fit_and_a_reason(monkeypatch):
    def refused(source, setting, folder, stack, failures, say):
        failures.append(module.Failure(source, "torch", "not this one"))
        return iter(())

    monkeypatch.setattr(module, "ready", refused)
    fits, failures = calibrate(Plan(MODELS, ["torch"], threads=[1]))

    assert (
        [],
        ["0 models were measured, and 4 are needed. " + "; ".join(f"{m}: not this one" for m in MODELS) + "."],
    ) == (
        fits,
        [failure.reason for failure in failures],
    )


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(QUICK, ["onnxruntim"]), "--runtime onnxruntim: unknown."),
        (Plan(QUICK, ["torch"], threads=[1, 10**6]), "--threads 1000000: this process may use"),
        (Plan(["yolov8n.yaml"] * 9, ["torch"]), "--models: found 1, expected 4 or more"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(plan, message):
    with pytest.raises(UsageError) as error:
        check(plan)

    assert str(error.value).startswith(message)


def test_usual_runtimes_are_those_installed(monkeypatch):
    installed = tuple(name for name in module.DEFAULT_RUNTIMES if not runtimes()[name].missing())
    if installed:
        assert installed == usual_runtimes()

    monkeypatch.setattr("lwyolo.speed.runtime.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"no runtime to calibrate is installed. onnxruntime needs .*lwyolo\[onnx\]"):
        usual_runtimes()


def test_the_full_set_has_eleven_detectors_and_the_quick_ones_among_them():
    assert (11, True) == (len(set(FULL)), set(QUICK) < set(FULL))
