"""Our scalars in TensorBoard's real event file and MLflow's real store, read back by their own readers.

Ultralytics switches its loggers off under pytest, so the training runs in a process of its own. MLflow stores in files:
its other store needs packages that the slim `mlflow-skinny` does not bring.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lwyolo import record
from lwyolo.data.demo import make_demo

pytestmark = pytest.mark.slow

TRAIN = """
import sys
from ultralytics import settings
settings.update(tensorboard=True, mlflow=True)
from lwyolo.engine.trainer import DetectionTrainer
data, folder = sys.argv[1:]
DetectionTrainer(overrides=dict(model="yolov8n.yaml", data=data, epochs=2, imgsz=64, batch=4, workers=0, device="cpu",
                                plots=False, project=folder, name="run")).train()
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    pytest.importorskip("tensorboard", reason="the test extra is not installed")
    pytest.importorskip("mlflow", reason="the test extra is not installed")
    folder = tmp_path_factory.mktemp("loggers")
    data = make_demo(folder / "demo", images=10, size=64)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "GITHUB"))}
    environment |= {
        "YOLO_CONFIG_DIR": str(folder),
        "MLFLOW_TRACKING_URI": (folder / "mlflow").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_EXPERIMENT_NAME": "lwyolo",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, "-c", TRAIN, str(data), str(folder)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run"


def expected(run: Path) -> dict[str, float]:
    """The last value of each of our scalars, from the record."""
    written = record.read(run)
    per_class = {record.ap50_scalar(c.cls_id, c.cls_name): c.ap50 for c in written.metrics.classes if c.instances}
    return {**record.scalars(written), **per_class}


def test_tensorboard_holds_our_scalars(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run))
    events.Reload()
    last = {tag: events.Scalars(tag)[-1].value for tag in expected(run)}

    assert pytest.approx(expected(run), rel=1e-6) == last
    assert [1, 2] == [event.step for event in events.Scalars("cost/params")][:2]


def test_mlflow_holds_our_scalars(run, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = MlflowClient((run.parent / "mlflow").as_uri())
    (experiment,) = (e for e in client.search_experiments() if e.name == "lwyolo")
    (stored,) = client.search_runs([experiment.experiment_id])

    assert "FINISHED" == stored.info.status
    assert pytest.approx(expected(run), rel=1e-6) == {name: stored.data.metrics[name] for name in expected(run)}
