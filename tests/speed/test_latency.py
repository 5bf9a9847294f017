"""What a latency record says, and what measuring leaves alone; no test looks at real time."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from lwyolo.errors import UsageError
from lwyolo.record import LatencyRecord
from lwyolo.speed import latency
from lwyolo.speed.latency import measure_latency
from lwyolo.speed.timer import Timing


class Tiny(nn.Module):
    """A model with a batch norm and a `fuse()` of its own."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.conv = nn.Conv2d(channels, 2, 1)
        self.bn = nn.BatchNorm2d(2)
        self.seen: list[tuple[torch.Size, bool, bool]] = []

    def forward(self, x):
        self.seen.append((x.shape, self.training, torch.is_inference_mode_enabled()))
        return self.bn(self.conv(x))

    def fuse(self, verbose: bool = True):
        self.bn = nn.Identity()
        return self


def test_record_says_how_it_was_measured():
    record = measure_latency(Tiny(), (16, 24), batch=2)

    assert isinstance(record, LatencyRecord)
    assert record.median_ms is not None
    assert record.p90_ms >= record.median_ms > 0
    assert (50, (16, 24), 2, "float32", "cpu", torch.get_num_threads(), True, "torch eager", None) == (
        record.passes, record.imgsz, record.batch, record.dtype, record.device, record.threads, record.fused,
        record.runtime, record.reason,
    )  # fmt: skip


@pytest.fixture
def one_pass(monkeypatch):
    """Run a single pass and take 1 ms for it."""

    def once(run, **_):
        run()
        return Timing((1.0,), 3)

    monkeypatch.setattr(latency, "time_passes", once)


def test_copy_runs_without_gradients_on_an_image_of_its_channels(one_pass):
    seen: list[object] = []
    model = Tiny(channels=1)
    model.forward = lambda x: seen.append((tuple(x.shape), torch.is_inference_mode_enabled()))

    measure_latency(model.train(), 16, channels=1)

    assert [((1, 1, 16, 16), True)] == seen


def test_model_and_random_state_stay_as_they_are():
    model = Tiny().train()
    weights, random_state = deepcopy(model.state_dict()), torch.get_rng_state()

    measure_latency(model, 16)

    assert model.training
    assert isinstance(model.bn, nn.BatchNorm2d)
    assert [] == model.seen
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert torch.equal(random_state, torch.get_rng_state())


def test_stock_detector_is_fused_on_the_copy_only(one_pass):
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel("yolov8n.yaml", verbose=False)

    record = measure_latency(model, 32)

    assert (True, False) == (record.fused, model.is_fused())


def test_slow_model_has_a_reason_and_no_figure(monkeypatch):
    monkeypatch.setattr(latency, "time_passes", lambda *_, **__: Timing((), 2, "one pass took 2100 ms"))

    record = measure_latency(Tiny(), 16)

    assert (None, None, 0, "one pass took 2100 ms") == (record.median_ms, record.p90_ms, record.passes, record.reason)


def test_fewer_than_fifty_passes_are_refused():
    with pytest.raises(UsageError, match=r"^passes=10: a latency is the median of at least 50 timed passes\.$"):
        measure_latency(Tiny(), 16, passes=10)


def test_model_without_numbers_is_refused():
    with pytest.raises(UsageError, match="a model on the meta device has no numbers"):
        measure_latency(Tiny().to("meta"), 16)
