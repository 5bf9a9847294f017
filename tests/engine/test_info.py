from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ultralytics.nn import tasks

from lwyolo.cost import profile
from lwyolo.engine.files import load_model_yaml, with_scale
from lwyolo.engine.info import build_on_meta, model_cost

ROOT = Path(__file__).resolve().parents[2]
OURS = sorted(str(file) for file in (ROOT / "cfg").glob("*.yaml"))
STOCK = ["yolov8n.yaml", "yolo11n-seg.yaml", "yolov8n-pose.yaml", "yolov8n-obb.yaml", "yolo11n.yaml"]


@pytest.mark.parametrize("name", [*(with_scale(file, "n") for file in OURS), *STOCK], ids=lambda n: Path(n).name)
def test_a_model_without_weights_costs_what_the_real_one_costs(name):
    yaml = load_model_yaml(name)
    cls = {"seg": tasks.SegmentationModel, "pose": tasks.PoseModel, "obb": tasks.OBBModel}
    real = cls.get(Path(name).stem.rpartition("-")[2], tasks.DetectionModel)(yaml, verbose=False)
    expected = profile(real, 320, fused=True).record()
    stem, _, actual = model_cost(name, imgsz=320)

    assert Path(name).stem == stem
    assert {k: getattr(expected, k) for k in expected.__slots__ if k != "ultralytics_gflops"} == {
        k: getattr(actual, k) for k in actual.__slots__ if k != "ultralytics_gflops"
    }
    assert actual.ultralytics_gflops is not None
    assert real.stride.tolist() == build_on_meta(yaml).stride.tolist()


def test_nothing_has_weights_or_changes_what_is_built_next():
    assert all(p.is_meta for p in build_on_meta(load_model_yaml("yolov8n.yaml")).parameters())
    assert not any(p.is_meta for p in tasks.DetectionModel("yolov8n.yaml", verbose=False).parameters())


@pytest.mark.parametrize("name", ["cfg/yolov8n-dyhead.yaml", "yolov8x.yaml", "cfg/yolo26n-dyheadlite.yaml"])
def test_torchs_compiler_is_not_imported_which_takes_longer_than_all_the_rest(name):
    code = (
        f"import sys\nfrom lwyolo.engine.info import model_cost\nmodel_cost({name!r})\n"
        "print('SLOW', sorted({'torch._dynamo', 'sympy', 'torchvision'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert "SLOW []" in done.stdout, done.stderr[-2000:]
