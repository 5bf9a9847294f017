"""What Ultralytics prints, from a copy that it cannot change."""

from __future__ import annotations

from copy import deepcopy

import pytest

from lwyolo.cost.upstream import ultralytics_gflops


@pytest.mark.parametrize(
    ("name", "imgsz"),
    [("yolov8n", 640), ("yolov8n", (320, 640)), pytest.param("yolo26n", 640, marks=pytest.mark.slow)],
)
def test_figure_is_that_of_ultralytics(stock, name, imgsz):
    from ultralytics.utils.torch_utils import get_flops

    model = stock(name)

    assert get_flops(deepcopy(model), list(imgsz) if isinstance(imgsz, tuple) else imgsz) == ultralytics_gflops(
        model, imgsz
    )


def test_figure_counts_a_batch_norm_until_it_is_folded(stock):
    fused = deepcopy(stock("yolov8n")).fuse(verbose=False)

    assert (8.855, 8.744) == (round(ultralytics_gflops(stock("yolov8n")), 3), round(ultralytics_gflops(fused), 3))


def test_failure_of_upstreams_counter_is_no_cost(stock, monkeypatch):
    """The original `thop` knows no `stride=`, and Ultralytics turns its error into 0.0."""
    import thop

    def original(model, inputs, custom_ops=None, verbose=True):
        raise AssertionError

    monkeypatch.setattr(thop, "profile", original)

    assert ultralytics_gflops(stock("yolov8n")) is None
