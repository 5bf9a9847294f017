from __future__ import annotations

import pytest

from lwyolo.engine.support import support
from lwyolo.speed.runtime import runtimes

TORCH = type(runtimes()["torch"])


def test_a_model_that_agrees_has_its_largest_differences():
    (row,) = support(["yolov8n.yaml"], ["torch"], imgsz=64)

    assert ("yolov8n", "torch", "agrees", 0.0, 0.0) == (
        row.model,
        row.runtime,
        row.verdict,
        row.max_box_px,
        row.max_score,
    )


def test_a_runtime_that_computes_something_else_differs(monkeypatch):
    class Wrong:
        def __init__(self, session):
            self.session = session

        def run(self, image):
            return [1.01 * output for output in self.session.run(image)]

    load = TORCH.load
    monkeypatch.setattr(TORCH, "load", lambda *args, **kwargs: Wrong(load(*args, **kwargs)))
    (row,) = support(["yolov8n.yaml"], ["torch"], imgsz=64)

    assert "differs" == row.verdict
    assert row.max_box_px > 0.1
    assert "differ by more than 0.001" in row.detail


@pytest.mark.parametrize(
    ("model", "what"), [("yolov8n.yaml", "the model"), ("yolov8n-fasterc2f.yaml", "a model with FasterC2f")]
)
def test_what_a_runtime_raises_is_a_reason_that_names_the_modules(monkeypatch, model, what):
    def load(*_, **__):
        raise RuntimeError("operator Sort\nis not\nimplemented")

    monkeypatch.setattr(TORCH, "load", load)
    (row,) = support([model], ["torch"], imgsz=64)

    assert "refused" == row.verdict
    assert f"torch: {what} is exported and cannot be run: operator Sort is not implemented" == row.detail


def test_a_model_that_cannot_be_built_does_not_stop_the_others():
    missing, other = support(["no-such.yaml", "yolov8n.yaml"], ["torch"], imgsz=64)

    assert ["refused", "agrees"] == [missing.verdict, other.verdict]
    assert "no-such.yaml: no such model YAML" in missing.detail
