"""Timing with a clock that the test sets: every figure is exact."""

from __future__ import annotations

import pytest

from lwyolo.speed.timer import Timing, time_passes


class FakeDevice:
    """Passes of given lengths in seconds; the last length repeats. The clock moves when the device is waited for."""

    def __init__(self, *lengths: float):
        self.lengths = list(lengths)
        self.now = self.pending = 0.0
        self.runs = 0

    def run(self):
        self.pending += self.lengths[min(self.runs, len(self.lengths) - 1)]
        self.runs += 1

    def synchronise(self):
        self.now, self.pending = self.now + self.pending, 0.0

    def clock(self):
        return self.now

    def time(self, **options):
        return time_passes(self.run, synchronise=self.synchronise, clock=self.clock, **options)


def test_steady_passes_need_three_to_warm_up():
    device = FakeDevice(0.010)

    timing = device.time()

    assert (3, 50, 53) == (timing.warm_up, len(timing.passes_ms), device.runs)
    assert (10.0, 10.0, None) == (pytest.approx(timing.median_ms), pytest.approx(timing.p90_ms), timing.reason)


def test_slow_first_passes_are_warmed_away():
    timing = FakeDevice(2.0, 0.5, 0.030, 0.020, 0.0105, 0.010, 0.010, 0.010).time(budget_s=1000)

    assert 7 == timing.warm_up
    assert [pytest.approx(10.0)] * 50 == list(timing.passes_ms)


def test_warm_up_of_a_restless_device_ends():
    timing = FakeDevice(*[0.010, 0.020] * 40).time()

    assert (20, 50) == (timing.warm_up, len(timing.passes_ms))


def test_each_pass_ends_when_the_device_is_done():
    """Without waiting, the clock would not move at all."""
    assert 4.0 == pytest.approx(FakeDevice(0.004).time().median_ms)


def test_median_and_ninetieth_percentile_of_all_passes():
    timing = Timing(tuple(float(ms) for ms in range(1, 51)), warm_up=3)

    assert (25.5, 45.1) == (timing.median_ms, pytest.approx(timing.p90_ms))


def test_passes_beyond_the_budget_are_not_started():
    device = FakeDevice(3.0, 2.1)

    timing = device.time()

    assert (None, None, 2) == (timing.median_ms, timing.p90_ms, device.runs)
    assert "one pass took 2100 ms; 50 passes exceed the budget of 20 s" == timing.reason


def test_slow_first_pass_alone_does_not_exceed_the_budget():
    assert 50 == len(FakeDevice(5.0, 0.01).time().passes_ms)


def test_passes_that_become_slow_are_given_up():
    timing = FakeDevice(*[0.1] * 13, 15.0).time()

    assert () == timing.passes_ms
    assert "13 of 50 passes took 46 s; the budget is 20 s" == timing.reason
