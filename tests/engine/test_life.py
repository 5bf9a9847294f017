"""The life of a checkpoint: in fresh interpreters, in stock Ultralytics, on several GPUs, without its plugin."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ultralytics.utils import dist

from lwyolo import YOLO
from lwyolo.engine.checkpoint import check_checkpoint, pickled_names
from lwyolo.engine.trainer import DetectionTrainer
from lwyolo.errors import DataError, PluginError, UsageError
from lwyolo.record import read


def fresh(code: str, cwd: Path, **environment: str) -> str:
    """Run code in an interpreter that has imported nothing of ours, and return what it printed."""
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]), **environment},
    )
    assert 0 == done.returncode, done.stderr[-3000:]
    return done.stdout


def test_a_run_leaves_its_files(tiny_run):
    names = {str(file.relative_to(tiny_run)) for file in tiny_run.rglob("*") if file.is_file()}

    assert {"args.yaml", "results.csv", "record.json", "report.md", "weights/best.pt", "weights/last.pt"} <= names
    assert "finished" == read(tiny_run).state


def test_best_opens_in_stock_ultralytics_that_never_heard_of_us(tiny_run, tmp_path):
    out = fresh(
        "from ultralytics import YOLO; import sys; import numpy as np\n"
        f"model = YOLO({str(tiny_run / 'weights' / 'best.pt')!r})\n"
        "result = model.predict(np.zeros((64, 64, 3), 'uint8'), imgsz=64, device='cpu', verbose=False)\n"
        "print('classes', len(result[0].names), type(model).__module__, 'lwyolo.engine.seam' in sys.modules)",
        tmp_path,
    )

    assert "classes 6 ultralytics.models.yolo.model True" in out


def test_stock_yolo_command_predicts(tiny_run, demo, tmp_path):
    image = next((demo.parent / "images" / "val").glob("*.jpg"))
    arguments = [
        "yolo",
        "predict",
        f"model={tiny_run / 'weights' / 'best.pt'}",
        f"source={image}",
        "imgsz=64",
        "device=cpu",
    ]
    arguments += ["save=True", f"project={tmp_path}", "name=n"]
    fresh(f"import sys; sys.argv = {arguments!r}; from ultralytics.cfg import entrypoint; entrypoint()", tmp_path)

    assert [image.name] == [file.name for file in tmp_path.rglob("*.jpg")]


def test_stock_ultralytics_trains_on_from_our_checkpoint(tiny_run, demo, tmp_path):
    code = (
        "from ultralytics import YOLO\n"
        f"model = YOLO({str(tiny_run / 'weights' / 'last.pt')!r})\n"
        f"model.train(data={str(demo)!r}, epochs=1, imgsz=64, batch=4, device='cpu', workers=0, plots=False, val=False, "
        f"project={str(tmp_path)!r}, name='n')\nprint('trained', type(model.trainer).__module__)"
    )

    assert "trained ultralytics.models.yolo.detect.train" in fresh(code, tmp_path)


def test_checkpoint_opens_under_restricted_loading(tiny_run, tmp_path):
    code = (
        "from lwyolo import YOLO\n"
        f"print(type(YOLO({str(tiny_run / 'weights' / 'best.pt')!r}).model.model[22]).__name__)"
    )

    assert "DyHead" in fresh(code, tmp_path, ULTRALYTICS_SAFE_LOAD="1")


def test_the_worker_of_several_gpus_builds_and_trains_in_a_fresh_interpreter(demo, tmp_path):
    """Ultralytics pickles trainer and callbacks into a script; here it runs as one process, without a GPU."""
    trainer = DetectionTrainer(
        overrides={
            "model": "cfg/yolov8n-dyhead.yaml", "data": str(demo), "epochs": 1, "imgsz": 64, "batch": 4, "device": "cpu",
            "workers": 0, "plots": False, "val": False, "project": str(tmp_path), "name": "ddp", "exist_ok": True,
        }
    )  # fmt: skip
    script = Path(dist.generate_ddp_file(trainer))
    try:
        root = str(Path(__file__).resolve().parents[2])
        done = subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": root},
        )
    finally:
        script.unlink()

    assert 0 == done.returncode, done.stderr[-3000:]
    run = read(tmp_path / "ddp")
    assert ("finished", 1) == (run.state, run.epochs_run)
    assert {"DyHead"} == set(run.model.modules)


def test_callbacks_from_a_parent_process_are_not_doubled(demo, tmp_path):
    overrides = {"model": "yolov8n.yaml", "data": str(demo), "device": "cpu", "project": str(tmp_path), "name": "a"}
    parent = DetectionTrainer(overrides=dict(overrides))
    worker = DetectionTrainer(overrides={**overrides, "name": "b"}, _callbacks=parent.callbacks)

    def ours(trainer):
        return {
            event: [f.__qualname__ for f in fs if "lwyolo" in f.__module__] for event, fs in trainer.callbacks.items()
        }

    assert ours(parent) == ours(worker)
    assert ours(parent)["on_train_end"]


def test_an_interrupted_run_is_resumed_to_its_end(demo, tmp_path):
    class Stop(Exception):
        pass

    def stop(trainer):
        if trainer.epoch == 0:
            raise Stop

    model = YOLO("cfg/yolov8n-dyheadlite.yaml")
    model.add_callback("on_fit_epoch_end", stop)
    with pytest.raises(Stop):
        model.train(data=str(demo), epochs=2, imgsz=64, batch=4, device="cpu", workers=0, plots=False, val=False,
                    project=str(tmp_path), name="r")  # fmt: skip
    failed = read(tmp_path / "r")
    YOLO(tmp_path / "r" / "weights" / "last.pt").train(resume=True)
    run = read(tmp_path / "r")

    assert ("failed", "Stop: ") == (failed.state, failed.error)
    assert ("finished", 2, 1) == (run.state, run.epochs_run, len(run.resumed_at))
    assert failed.started_at == run.started_at


def test_export_to_onnx_sets_the_opset_that_deformable_convolution_needs(tiny_run, tmp_path):
    import onnx
    import onnxruntime

    best = tmp_path / "best.pt"
    shutil.copy(tiny_run / "weights" / "best.pt", best)
    model = YOLO(best)
    x = torch.rand(1, 3, 64, 64)
    expected = model.model.eval()(x)[0]
    file = model.export(format="onnx", imgsz=64, simplify=False, device="cpu")
    graph = onnx.load(file)
    (result,) = onnxruntime.InferenceSession(file).run(None, {"images": x.numpy()})

    assert 19 == graph.opset_import[0].version
    assert any(node.op_type == "DeformConv" for node in graph.graph.node)
    assert (torch.from_numpy(result) - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_an_opset_too_low_is_refused(tiny_run):
    with pytest.raises(UsageError) as error:
        YOLO(tiny_run / "weights" / "best.pt").export(format="onnx", opset=17)

    assert "opset=17: DyHead needs at least 19." == str(error.value)


def test_a_format_that_cannot_is_refused_with_the_reason(tiny_run):
    with pytest.raises(UsageError, match=r"format=ncnn: DyHead cannot be exported: .*use DyHeadLite"):
        YOLO(tiny_run / "weights" / "best.pt").export(format="ncnn")


def test_a_checkpoint_without_its_package_names_it_and_installs_nothing(tiny_run, tmp_path, monkeypatch):
    lost = tmp_path / "lost.pt"
    content = (tiny_run / "weights" / "best.pt").read_bytes()
    lost.write_bytes(
        _renamed(tiny_run / "weights" / "best.pt", tmp_path, b"lwyolo.modules.dyhead", b"lwtoys.modules.dyhead")
    )
    monkeypatch.setattr("ultralytics.nn.tasks.check_requirements", lambda *a, **k: pytest.fail("tried to install"))
    with pytest.raises(PluginError) as error:
        YOLO(lost)

    assert re.fullmatch(
        rf"{re.escape(str(lost))}: needs lwtoys\.modules\.dyhead \(DeformBranch, DyHead, DyHeadBlock, .*\), which cannot be "
        r"imported here\. Install the package lwtoys from the author of the checkpoint, or load the file with --plugins\. "
        r"Nothing was installed\.",
        str(error.value),
    )
    assert content == (tiny_run / "weights" / "best.pt").read_bytes()


def _renamed(checkpoint: Path, folder: Path, old: bytes, new: bytes) -> bytes:
    """Return a checkpoint whose pickle names another package of the same length."""
    import zipfile

    target = folder / "renamed.pt"
    with zipfile.ZipFile(checkpoint) as source, zipfile.ZipFile(target, "w") as out:
        for item in source.infolist():
            out.writestr(item.filename, source.read(item).replace(old, new))
    return target.read_bytes()


def test_names_in_a_checkpoint_are_read_without_unpickling(tiny_run):
    names = pickled_names(tiny_run / "weights" / "best.pt")

    assert ("lwyolo.modules.dyhead", "DyHead") in names
    assert ("ultralytics.nn.tasks", "DetectionModel") in names
    check_checkpoint(tiny_run / "weights" / "best.pt")


def test_a_data_yaml_whose_images_are_missing_is_refused_and_its_download_never_runs(tmp_path):
    data = tmp_path / "data.yaml"
    target = tmp_path / "pwned"
    data.write_text(f"train: images/train\nval: images/val\nnames: [a]\ndownload: open({str(target)!r}, 'w')\n")
    with pytest.raises(DataError) as error:
        YOLO("yolov8n.yaml").train(data=str(data), epochs=1, device="cpu", project=str(tmp_path), name="x")

    assert f"{data}: train: {tmp_path / 'images/train'} does not exist." == str(error.value)
    assert not target.exists()


def test_scale_of_a_checkpoint_is_refused(tiny_run):
    with pytest.raises(UsageError, match="a checkpoint has its scale already"):
        YOLO(tiny_run / "weights" / "best.pt", scale="s")
