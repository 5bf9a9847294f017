import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from lwyolo.data.demo import make_demo
from lwyolo.engine import exporting
from lwyolo.engine.deploy import fused_copy, load, normalise, prepare, steady_image
from lwyolo.engine.model import YOLO
from lwyolo.errors import UsageError
from lwyolo.speed.parity import agreement, probe
from lwyolo.speed.runtime import runtimes
from lwyolo.speed.runtimes._torch import decoded

SIZE = 64
INSTALLED = [name for name, runtime in runtimes().items() if runtime.missing() is None]


def needs(name):
    return pytest.mark.skipif(name not in INSTALLED, reason=f"{name} is not installed")


def run(artifact, image):
    return runtimes()[artifact.runtime].load(artifact.path, threads=1).run(image)


def expected(fused, image):
    with torch.inference_mode():
        return decoded(fused(torch.from_numpy(image))).numpy()


def listing(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("name", [name for name in INSTALLED if name != "torch-compile"])
def test_each_runtime_agrees_with_torch(name, tmp_path):
    fused, (artifact,) = prepare("yolov8n.yaml", tmp_path, runtimes=[name], imgsz=(SIZE, 96))
    image = steady_image(fused, (1, 3, SIZE, 96))

    found = agreement([expected(fused, image)], run(artifact, image))

    assert found.ok, found.reason
    anchors = sum((SIZE // stride) * (96 // stride) for stride in (8, 16, 32))
    assert (1, 84, anchors) == expected(fused, image).shape
    assert (name, (SIZE, 96), 1, True, False) == (
        artifact.runtime,
        artifact.imgsz,
        artifact.batch,
        artifact.normalised,
        artifact.end_to_end,
    )


def test_a_wrong_weight_is_seen(tmp_path):
    fused, (artifact,) = prepare("yolov8n.yaml", tmp_path, runtimes=["torch"], imgsz=SIZE)
    image = steady_image(fused, (1, 3, SIZE, SIZE))
    with torch.no_grad():
        fused.model[0].conv.weight[0] *= 1.05

    assert not agreement([expected(fused, image)], run(artifact, image)).ok


@needs("onnxruntime")
def test_a_head_without_suppression_stays_one(tmp_path):
    fused, artifacts = prepare("yolo26n.yaml", tmp_path, runtimes=["torch", "onnxruntime"], imgsz=SIZE)
    image = steady_image(fused, (1, 3, SIZE, SIZE))
    reference = expected(fused, image)

    assert (1, 84, 6) == reference.shape  # 84 anchors at 64 px, fewer than the 300 that the head returns
    assert [True, True] == [artifact.end_to_end for artifact in artifacts]
    assert [True, True] == [agreement([reference], run(artifact, image)).ok for artifact in artifacts]


@needs("ncnn")
def test_all_runtimes_of_a_call_hold_the_head_that_each_can_hold(tmp_path):
    fused, artifacts = prepare("yolo26n.yaml", tmp_path, runtimes=["torch", "ncnn"], imgsz=SIZE)
    image = steady_image(fused, (1, 3, SIZE, SIZE))
    reference = expected(fused, image)

    assert (1, 4 + 80, 84) == reference.shape
    assert [False, False] == [artifact.end_to_end for artifact in artifacts]
    assert [True, True] == [agreement([reference], run(artifact, image)).ok for artifact in artifacts]


@needs("onnxruntime")
def test_deformable_convolution_runs_in_onnxruntime(tmp_path, root):
    source = root / "cfg" / "yolov8n-dyhead.yaml"
    fused, (artifact,) = prepare(source, tmp_path, runtimes=["onnxruntime"], imgsz=SIZE)
    image = steady_image(fused, (1, 3, SIZE, SIZE))

    found = agreement([expected(fused, image)], run(artifact, image))

    assert found.ok, found.reason


@needs("ncnn")
def test_a_module_that_cannot_be_exported_is_named_with_the_runtime_and_what_to_use(tmp_path, root):
    with pytest.raises(UsageError) as error:
        prepare(root / "cfg" / "yolov8n-dyhead.yaml", tmp_path, runtimes=["ncnn"], imgsz=SIZE)

    message = str(error.value)
    assert message.startswith("ncnn: DyHead cannot be exported: its converter knows ")
    assert "It can be tried in torch, torch-channels-last, " in message
    assert "ncnn" not in message.split("It can be tried in")[1]


@needs("onnxruntime")
def test_what_a_converter_left_out_is_an_error(tmp_path, monkeypatch):
    cls = type(runtimes()["onnxruntime"])
    monkeypatch.setattr(cls, "refused_by_converter", lambda self, said: ["pooling is not supported"])

    with pytest.raises(
        UsageError, match="^onnxruntime: the model cannot be exported: pooling is not supported. It can"
    ):
        prepare("yolov8n.yaml", tmp_path, runtimes=["onnxruntime"], imgsz=SIZE)


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "mine.pt.d"  # upstream replaces ".pt" wherever it stands
    folder.mkdir()
    model = YOLO("yolov8n.yaml")
    with torch.no_grad():
        for norm in (m for m in model.model.modules() if isinstance(m, _BatchNorm)):
            norm.running_mean.uniform_(-0.1, 0.1)
    model.save(folder / "best.pt")
    return folder / "best.pt"


@needs("onnxruntime")
def test_a_checkpoint_is_left_as_it_is_and_files_go_to_the_folder_alone(checkpoint, tmp_path, monkeypatch, capfd):
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    (elsewhere / "debug.bin").write_text("mine")  # a name that a converter uses and deletes
    monkeypatch.chdir(elsewhere)
    before = listing(checkpoint.parent)
    names = [name for name in ("torch", "onnxruntime", "ncnn") if name in INSTALLED]

    fused, artifacts = prepare(checkpoint, Path("../out"), runtimes=names, imgsz=SIZE)

    assert before == listing(checkpoint.parent)
    assert {"debug.bin"} == set(listing(elsewhere))
    assert elsewhere == Path.cwd()
    assert all((tmp_path / "out").resolve() in artifact.path.resolve().parents for artifact in artifacts)
    assert ("", "") == capfd.readouterr()
    assert {False} == {artifact.normalised for artifact in artifacts}
    image = steady_image(fused, (1, 3, SIZE, SIZE))
    original = expected(YOLO(checkpoint).model.float().eval(), image)
    assert agreement([original], [expected(fused, image)]).ok  # the statistics of the checkpoint, not ours


def test_the_environment_is_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO_AUTOINSTALL", "true")
    monkeypatch.delenv("ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS", raising=False)
    inside = []
    model, _ = load("yolov8n.yaml", (SIZE, SIZE))

    def keep(**arguments):
        inside.append({name: os.environ[name] for name in exporting.SETTINGS})
        return str(tmp_path / "file")

    monkeypatch.setattr(model, "export", keep)
    exporting.export(model, runtimes()["torchscript"], tmp_path, (SIZE, SIZE), 1)

    assert [exporting.SETTINGS] == inside
    assert "true" == os.environ["YOLO_AUTOINSTALL"]
    assert "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS" not in os.environ


def test_size_is_that_of_all_files(tmp_path):
    _, (module, script) = prepare("yolov8n.yaml", tmp_path, runtimes=["torch", "torchscript"], imgsz=SIZE)

    assert [module.path.stat().st_size, script.path.stat().st_size] == [module.size_bytes, script.size_bytes]


def test_one_export_serves_two_runtimes(tmp_path):
    _, artifacts = prepare("yolov8n.yaml", tmp_path, runtimes=["torch", "torch-channels-last"], imgsz=SIZE)

    assert 1 == len({artifact.path for artifact in artifacts})


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"runtimes": ["onnxruntim"]}, "unknown. Known: torch, .* Did you mean onnxruntime?"),
        ({"runtimes": ["torch"], "precisions": ["int4"]}, "torch at int4: not supported"),
        pytest.param(
            {"runtimes": ["onnxruntime"], "precisions": ["int8"]}, "name a data YAML", marks=needs("onnxruntime")
        ),
    ],
)
def test_what_cannot_be_prepared_is_refused_before_anything_is_written(asked, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        prepare("yolov8n.yaml", tmp_path / "out", **asked)

    assert not (tmp_path / "out").exists()


def test_a_size_that_a_model_cannot_take_is_refused(tmp_path):
    with pytest.raises(UsageError, match="imgsz 64x100: yolov8n.yaml takes multiples of 32 pixels."):
        prepare("yolov8n.yaml", tmp_path, runtimes=["torch"], imgsz=(64, 100))


def test_a_model_of_another_task_is_refused(tmp_path):
    with pytest.raises(UsageError, match="a model for the task segment; .* for detect"):
        prepare("yolov8n-seg.yaml", tmp_path, runtimes=["torch"])


def conv_outputs(model, image):
    """Standard deviation of each convolution's output; one whose weights are zero by design has none."""
    found = {}
    hooks = [
        module.register_forward_hook(lambda _, __, y, name=name: found.update({name: float(y.std())}))
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Conv2d) and "dfl" not in name and module.weight.any()
    ]
    with torch.no_grad():
        model(torch.from_numpy(image))
    for hook in hooks:
        hook.remove()
    return list(found.values())


@pytest.mark.parametrize("name", ["yolov8n.yaml", "yolo11n.yaml", "yolo26n.yaml"])
def test_activations_of_a_normalised_model_neither_vanish_nor_grow(name):
    torch.manual_seed(0)
    model = YOLO(name).model.eval()
    images = probe((8, 3, 128, 128), seed=1)
    assert min(conv_outputs(model, images)) < 1e-4

    normalise(model, (128, 128))

    found = conv_outputs(model, images)
    assert 0.1 < min(found)
    assert max(found) < 10


def test_normalising_changes_statistics_alone():
    model = YOLO("yolov8n.yaml").model.train()
    model.model[0].eval()
    modes = [module.training for module in model.modules()]
    momenta = [m.momentum for m in model.modules() if isinstance(m, _BatchNorm)]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(7)
    state = torch.get_rng_state()

    normalise(model, (SIZE, SIZE))

    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {"running_mean", "running_var", "num_batches_tracked"} == {name.rsplit(".", 1)[1] for name in changed}
    assert modes == [module.training for module in model.modules()]
    assert momenta == [m.momentum for m in model.modules() if isinstance(m, _BatchNorm)]
    assert torch.equal(state, torch.get_rng_state())


def test_a_yaml_starts_from_the_same_weights_each_time():
    torch.manual_seed(1)
    first = load("yolov8n.yaml", (SIZE, SIZE))[0].model.state_dict()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = load("yolov8n.yaml", (SIZE, SIZE))[0].model.state_dict()

    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(state, torch.get_rng_state())


def test_a_yaml_is_taken_at_the_scale_asked_for():
    small, normalised = load("yolov8n.yaml", (SIZE, SIZE), scale="s")

    assert normalised
    assert 32 == small.model.model[0].conv.out_channels  # 64 · 0.5


def test_a_fused_copy_has_the_anchors_of_its_size():
    model, _ = load("yolov8n.yaml", (SIZE, SIZE))
    fused = fused_copy(model.model, (2, SIZE, SIZE))

    assert 84 == fused.model[-1].anchors.shape[-1]
    assert [] == [m for m in fused.modules() if isinstance(m, _BatchNorm)]
    assert [] != [m for m in model.model.modules() if isinstance(m, _BatchNorm)]


def test_a_steady_image_is_one_on_which_rounding_does_not_show():
    class Fickle(torch.nn.Module):
        """Magnifies on the image of the first seed alone."""

        def forward(self, x):
            first = torch.from_numpy(probe((1, 3, SIZE, SIZE), 0))
            gain = 1e8 if (x - first).abs().max() < 1e-3 else 1.0
            box = torch.stack([100 + gain * x.mean() % 50, *torch.tensor([50.0, 20.0, 20.0, 0.5])])
            return box.view(1, 5, 1)

    image = steady_image(Fickle(), (1, 3, SIZE, SIZE))

    assert np.array_equal(probe((1, 3, SIZE, SIZE), 1), image)


@needs("onnxruntime")
def test_a_batch_is_prepared(tmp_path):
    fused, (artifact,) = prepare("yolov8n.yaml", tmp_path, runtimes=["onnxruntime"], imgsz=SIZE, batch=3)
    image = steady_image(fused, (3, 3, SIZE, SIZE))

    assert 3 == artifact.batch
    assert agreement([expected(fused, image)], run(artifact, image)).ok


@needs("ncnn")
@pytest.mark.slow
def test_ncnn_runs_a_batch_one_by_one(tmp_path):
    fused, (artifact,) = prepare("yolov8n.yaml", tmp_path, runtimes=["ncnn"], imgsz=SIZE, batch=2)
    image = steady_image(fused, (2, 3, SIZE, SIZE))

    assert agreement([expected(fused, image)], run(artifact, image)).ok


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ("onnxruntime", "openvino") if name in INSTALLED])
def test_int8_is_calibrated_and_leaves_fp32_in_place(name, tmp_path):
    if name == "openvino":
        pytest.importorskip("nncf")
    data = make_demo(tmp_path / "demo", images=12, size=64)

    fused, (full, small) = prepare(
        "yolov8n.yaml", tmp_path / "out", runtimes=[name], imgsz=SIZE, precisions=("fp32", "int8"), data=data
    )

    image = steady_image(fused, (1, 3, SIZE, SIZE))
    assert agreement([expected(fused, image)], run(full, image)).ok
    quantised = runtimes()[name].load(small.path, threads=1, precision="int8").run(image)
    assert expected(fused, image).shape == quantised[0].shape
    assert small.size_bytes < 0.4 * full.size_bytes
