"""One tiny training that several files look at."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """The data YAML of a demo set of 10 images."""
    from lwyolo.data.demo import make_demo

    return make_demo(tmp_path_factory.mktemp("data") / "demo", images=10, size=64)


@pytest.fixture(scope="session")
def tiny_run(demo, tmp_path_factory) -> Path:
    """The folder of a run of two epochs of yolov8n-dyhead at 64 px."""
    from lwyolo import YOLO

    project = tmp_path_factory.mktemp("runs")
    YOLO("cfg/yolov8n-dyhead.yaml").train(
        data=str(demo),
        epochs=2,
        imgsz=64,
        batch=4,
        device="cpu",
        workers=0,
        plots=False,
        project=str(project),
        name="tiny",
    )
    return project / "tiny"
