"""What a latency record says, and what measuring leaves alone; no test looks at how long something really took."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from lwyolo.errors import UsageError
from lwyolo.speed import latency
from lwyolo.speed.latency import measure_latency
from lwyolo.speed.rounds import STAGES, Samples


def tiny(channels=3):
    return nn.Sequential(nn.Conv2d(channels, 2, 1), nn.BatchNorm2d(2))


class Here(nn.Module):
    """Of a module that no other process can import."""


def sample(index, ms, clean):
    return {"round": index, **dict.fromkeys(STAGES, ms), "clean": clean}


@pytest.fixture
def taken(monkeypatch):
    """Take given samples instead of starting a process; keep what would have been run."""
    asked = []

    def set_up(samples, reason=None):
        monkeypatch.setattr(latency, "_timed", lambda *arguments: asked.append(arguments) or (Samples(samples), reason))
        return asked

    return set_up


def test_a_process_of_its_own_times_fifty_passes_and_counts_the_clean_ones():
    record = measure_latency(tiny(channels=1).train(), (32, 64), batch=2, channels=1)

    assert ((32, 64), 2, "float32", "cpu", torch.get_num_threads(), False, "torch eager") == (
        record.imgsz, record.batch, record.dtype, record.device, record.threads, record.fused, record.runtime,
    )  # fmt: skip
    assert record.passes >= 50
    assert (record.median_ms is None) == (record.reason is not None)
    assert record.median_ms is None or record.median_ms > 0


def test_figures_are_of_clean_passes_with_the_interval_of_their_median(taken):
    taken([sample(i, 10.0 + i, True) for i in range(6)] + [sample(6, 99.0, False)])

    record = measure_latency(tiny(), 32)

    assert (12.5, 10.0, 15.0, 7, 6) == (record.median_ms, record.low_ms, record.high_ms, record.passes, record.clean)
    assert record.reason is None


def test_a_machine_that_others_use_gives_a_reason_and_no_figure(taken):
    taken([sample(i, 10.0, False) for i in range(6)])

    record = measure_latency(tiny(), 32)

    assert (None, None) == (record.median_ms, record.p90_ms)
    assert "none of 6 passes was clean, as other processes used this machine" == record.reason


def test_a_slow_model_has_a_reason_and_no_figure():
    record = measure_latency(tiny(), 32, budget_s=1e-9)

    assert (None, 0) == (record.median_ms, record.passes)
    assert record.reason.endswith("50 passes exceed the budget of 1e-09 s")


def test_a_class_that_no_other_process_can_import_is_named():
    model = nn.Sequential(nn.Conv2d(3, 1, 1), Here())

    assert "No module named 'test_latency'" in measure_latency(model, 32).reason


def test_model_and_random_state_stay_as_they_are(taken):
    asked = taken([])
    model = tiny().train()
    weights, random_state = deepcopy(model.state_dict()), torch.get_rng_state()

    measure_latency(model, 32)

    assert (True, False) == (model.training, asked[0][0].training)
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert torch.equal(random_state, torch.get_rng_state())


def test_stock_detector_is_fused_on_the_copy_only(taken):
    from ultralytics.nn.tasks import DetectionModel

    asked = taken([])
    model = DetectionModel("yolov8n.yaml", verbose=False)

    record = measure_latency(model, 32)

    assert (True, False, True) == (record.fused, model.is_fused(), asked[0][0].is_fused())


def test_model_without_numbers_is_refused():
    with pytest.raises(UsageError, match="a model on the meta device has no numbers"):
        measure_latency(tiny().to("meta"), 32)
