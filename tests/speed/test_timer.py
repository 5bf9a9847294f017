"""Timing with a clock that the test moves, so that every figure is exact."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lwyolo.speed.latency import measure_latency
from lwyolo.speed.timer import time_passes


class Clock:
    """Advances by the next of the given durations, in ms, with each pass."""

    def __init__(self, *durations: float) -> None:
        self.durations, self.now, self.passes = list(durations), 0.0, 0

    def run(self) -> None:
        self.now += self.durations[min(self.passes, len(self.durations) - 1)] / 1e3
        self.passes += 1

    def __call__(self) -> float:
        return self.now


def test_warm_up_is_not_timed():
    clock = Clock(900, 500, 100, 100, 100, 10)
    timing = time_passes(clock.run, passes=50, budget_s=100, clock=clock)

    assert [10.0] * 50 == pytest.approx(list(timing.passes_ms))
    assert 55 == clock.passes


def test_median_and_p90_are_of_single_passes():
    clock = Clock(10, 10, 10, *range(1, 101))
    timing = time_passes(clock.run, passes=100, clock=clock)

    assert 50.5 == pytest.approx(timing.median_ms)
    assert 90.1 == pytest.approx(timing.p90_ms)


def test_warm_up_ends_although_nothing_is_steady():
    clock = Clock(*(1 + i % 2 for i in range(100)))
    time_passes(clock.run, passes=50, clock=clock)

    assert 70 == clock.passes


def test_what_takes_too_long_gets_no_figure_but_the_reason():
    clock = Clock(2100)
    timing = time_passes(clock.run, passes=50, budget_s=20, clock=clock)

    assert (None, None) == (timing.median_ms, timing.p90_ms)
    assert "one pass took 2100 ms; 50 passes exceed the budget of 20 s" == timing.reason
    assert 2 == clock.passes


def test_the_device_is_waited_for_around_each_pass():
    calls: list[str] = []
    clock = Clock(1)

    def run() -> None:
        clock.run()
        calls.append("run")

    time_passes(run, passes=50, clock=clock, synchronise=lambda: calls.append("wait"))

    assert ["wait", "run", "wait"] * 53 == calls


def test_a_measurement_changes_neither_the_model_nor_the_random_state():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()).train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    latency = measure_latency(model, (32, 48), passes=50)

    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert model.training
    assert torch.equal(state, torch.get_rng_state())
    assert ((32, 48), 1, 50, False, "cpu", None) == (
        latency.imgsz, latency.batch, latency.passes, latency.fused, latency.device, latency.reason,
    )  # fmt: skip
    assert latency.p90_ms >= latency.median_ms > 0
