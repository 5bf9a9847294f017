from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn
from ultralytics.nn import tasks

import lwyolo
from lwyolo.cost import profile
from lwyolo.engine.files import load_model_yaml, with_scale
from lwyolo.engine.info import build_on_meta, cost_of, load_for_cost
from lwyolo.errors import CostError, GraphError

ROOT = Path(__file__).resolve().parents[2]
OURS = sorted(str(file) for file in (ROOT / "cfg").glob("*.yaml"))
STOCK = ["yolov8n.yaml", "yolo11n-seg.yaml", "yolov8n-pose.yaml", "yolov8n-obb.yaml", "yolo11n.yaml"]


@pytest.mark.parametrize("name", [*(with_scale(file, "n") for file in OURS), *STOCK], ids=lambda n: Path(n).name)
def test_a_model_without_weights_costs_what_the_real_one_costs(name):
    yaml = load_model_yaml(name)
    cls = {"seg": tasks.SegmentationModel, "pose": tasks.PoseModel, "obb": tasks.OBBModel}
    real = cls.get(Path(name).stem.rpartition("-")[2], tasks.DetectionModel)(yaml, verbose=False)
    actual = cost_of(name, imgsz=320)

    assert Path(name).stem == actual.name
    assert profile(real, 320, fused=False) == actual.training
    assert profile(real, 320, fused=True) == actual.deployed
    assert actual.ultralytics_gflops is not None
    assert real.stride.tolist() == build_on_meta(yaml).stride.tolist()


def test_nothing_has_weights_or_changes_what_is_built_next():
    assert all(p.is_meta for p in build_on_meta(load_model_yaml("yolov8n.yaml")).parameters())
    assert not any(p.is_meta for p in tasks.DetectionModel("yolov8n.yaml", verbose=False).parameters())


@pytest.mark.parametrize("name", ["cfg/yolov8n-dyhead.yaml", "yolov8x.yaml", "cfg/yolo26n-dyheadlite.yaml"])
def test_torchs_compiler_is_not_imported_which_takes_longer_than_all_the_rest(name):
    code = (
        f"import sys\nfrom lwyolo.engine.info import cost_of\ncost_of({name!r})\n"
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


def test_only_what_is_asked_for_is_counted():
    one = cost_of("yolov8n.yaml", imgsz=64, graphs=("deployed",), batch=3, dtype="float16")

    assert one.training is None
    assert (one.deployed,) == one.graphs
    assert (((3, 3, 64, 64),), "float16", True) == (
        one.deployed.input_shapes,
        one.deployed.dtype,
        one.deployed.fused,
    )
    assert [("yolov8n", one.deployed.record(one.ultralytics_gflops))] == one.records()


def test_a_fused_checkpoint_has_the_deployed_graph_alone(tmp_path):
    model = lwyolo.YOLO("yolov8n.yaml")
    model.model.fuse(verbose=False)
    model.save(tmp_path / "fused.pt")
    one = cost_of(tmp_path / "fused.pt", imgsz=64)

    assert one.training is None
    assert cost_of("yolov8n.yaml", imgsz=64).deployed == one.deployed
    with pytest.raises(CostError, match="fused already"):
        cost_of(tmp_path / "fused.pt", imgsz=64, graphs=("training",))


def test_profile_takes_modules_and_names_alike():
    model = lwyolo.YOLO("yolov8n.yaml")

    assert lwyolo.profile("yolov8n.yaml", imgsz=64, batch=2) == lwyolo.profile(model, imgsz=64, batch=2)
    assert lwyolo.profile(ROOT / "cfg" / "yolov8n-dyhead.yaml", 64, fused=True).fused
    assert 9 == lwyolo.profile(nn.Conv2d(1, 1, 3), input_shape=(1, 1, 3, 3)).macs
    with pytest.raises(CostError, match=r"takes a torch.nn.Module, and got int"):
        lwyolo.profile(3)


def test_a_stock_name_is_a_name_and_no_pattern():
    with pytest.raises(GraphError, match="no such model YAML"):
        cost_of("yolov8n-*.yaml")


def test_an_operator_without_a_formula_refuses_a_strict_count():
    assert cost_of("yolov8n.yaml", imgsz=64, strict=True).training.uncounted == {}


@pytest.mark.parametrize(
    ("source", "name"),
    [("rtdetr-l.yaml", "rtdetr-l"), ("yolov8-p2.yaml", "yolov8n-p2"), ("cfg/yolov8s-dyhead.yaml", "yolov8s-dyhead")],
)
def test_a_model_is_named_by_its_file_and_its_scale_where_it_has_several(source, name):
    assert name == load_for_cost(source)[0]
