"""What every registered module owes: the file iterates the registry, so a new module is covered by existing."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
import yaml as pyyaml
from nets import OURS, SCALES, detector, row_of, yaml_around
from torch import nn
from ultralytics.nn.tasks import DetectionModel

from lwyolo.engine.model import prepare_export

modules = pytest.mark.parametrize("spec", OURS, ids=lambda spec: spec.name)
SIZES = [(256, 256), (192, 320)]


def image(size=(256, 256), batch=2, seed=0):
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def output(model, x):
    with torch.no_grad():
        return model(x)[0]


def close(a, b, tolerance=1e-4):
    """Largest difference, relative to the largest value."""
    return (a - b).abs().max().item() <= tolerance * max(b.abs().max().item(), 1.0)


def test_the_registry_is_not_empty():
    assert len(OURS) >= 9


@modules
def test_cites_a_paper_and_gives_a_row(spec):
    row = pyyaml.safe_load(spec.row)

    assert spec.paper.title
    assert spec.name == row[2]
    assert spec.summary.endswith(".")
    assert "Shapes:" in inspect.getdoc(spec.cls)
    assert all(reason.strip() for _, reason in spec.no_export)


@modules
@pytest.mark.parametrize("scale", SCALES)
def test_builds_at_every_scale_from_its_row(spec, scale):
    model = detector(spec, scale)

    assert [16.0, 32.0] == sorted(model.stride.tolist())[1:]


@modules
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_strides_hold_at_two_sizes_one_not_square(spec, size):
    model = detector(spec).eval()
    seen = {}
    row_of(model, spec).register_forward_hook(lambda m, args, out: seen.update(i=args[0], o=out))
    predictions = output(model, image(size))
    anchors = sum(size[0] * size[1] // int(stride) ** 2 for stride in model.stride)
    out, given = seen["o"], seen["i"]

    assert (2, 7, anchors) == tuple(predictions.shape)
    if spec.kind == "backbone":
        assert [(size[0] // s, size[1] // s) for s in (8, 16, 32)] == [tuple(level.shape[-2:]) for level in out]
    elif spec.emits == "levels":
        assert [tuple(level.shape[-2:]) for level in given] == [tuple(level.shape[-2:]) for level in out]
    elif spec.kind == "upsample":
        assert tuple(2 * s for s in given.shape[-2:]) == tuple(out.shape[-2:])


def alone(spec, c=64):
    """The module built from its constructor's roles, without a model around it, and an input for it."""
    _, _, _, args = pyyaml.safe_load(spec.row)
    free = {p.name: value for p, value in zip(spec.yaml_parameters, args, strict=False)}
    roles = {"c1": 3 if spec.kind == "backbone" else c, "c2": c, "n": 1, "ch": [c] * 3, "nc": 3}
    module = spec.cls(**{p.name: roles.get(p.role, free.get(p.name, p.default)) for p in spec.parameters})

    def given(h, w):
        strides = (1, 1, 1) if spec.kind == "fusion" else (1, 2, 4)
        levels = [torch.rand(2, c, h // s, w // s) for s in strides]
        return levels if "ch" in spec.roles else torch.rand(2, roles["c1"], h, w)

    return module, given


@modules
@pytest.mark.parametrize("size", [(64, 64), (32, 96)], ids=str)
def test_alone_it_returns_the_channels_that_the_graph_is_told(spec, size):
    module, given = alone(spec)
    x = given(*size)
    out = module.eval()(x)
    rule = getattr(spec.cls, "out_channels", None)

    if spec.kind == "head":
        assert (2, 7) == tuple(out[0].shape[:2])
    elif spec.emits == "levels":
        told = [64, 64, 64] if rule is None else list(rule(3, *pyyaml.safe_load(spec.row)[3]))
        assert [(2, c) for c in told] == [tuple(level.shape[:2]) for level in out]
    else:
        assert (2, 64) == tuple(out.shape[:2])


@modules
def test_a_gradient_reaches_every_parameter(spec):
    model = detector(spec).train()
    predictions = model(image(batch=4))
    generator = torch.Generator().manual_seed(1)
    maps = predictions.values() if isinstance(predictions, dict) else predictions  # a list before Ultralytics 8.4
    tensors = [t for t in maps if isinstance(t, torch.Tensor)]
    sum((t * torch.randn(t.shape, generator=generator)).sum() for t in tensors).backward()
    learned = [(name, p) for name, p in row_of(model, spec).named_parameters() if not name.startswith("dfl.")]

    assert [] == [name for name, p in learned if not p.requires_grad]
    assert [] == [name for name, p in learned if p.grad is None or not p.grad.abs().sum() > 0]


@modules
def test_eval_is_deterministic_and_images_do_not_see_each_other(spec):
    model = detector(spec).eval()
    x = image(batch=3)
    first = output(model, x)

    assert torch.equal(first, output(model, x))
    assert close(output(model, x[[2, 0, 1]]), first[[2, 0, 1]], 1e-5)


@modules
def test_survives_state_dict_pickle_and_deepcopy(spec):
    model, other = detector(spec, seed=0).eval(), detector(spec, seed=1).eval()
    expected = output(model, image())
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    other.load_state_dict(model.state_dict())

    assert torch.equal(expected, output(other, image()))
    assert torch.equal(expected, output(copy.deepcopy(model), image()))
    assert torch.equal(expected, output(pickle.loads(pickle.dumps(model)), image()))
    assert torch.equal(expected, output(torch.load(buffer, weights_only=False), image()))


@modules
def test_opens_under_torchs_restricted_loader(spec):
    buffer = io.BytesIO()
    torch.save(row_of(detector(spec), spec), buffer)
    buffer.seek(0)
    unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(buffer)

    assert [] == [name for name in unsafe if name.startswith(("lwyolo.", "torchvision."))]


@modules
def test_works_in_channels_last_and_half_weights_stay_finite(spec):
    model = detector(spec).eval()
    expected = output(model, image())
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    rounded = copy.deepcopy(model).half().float()

    assert close(output(last, image().to(memory_format=torch.channels_last)), expected)
    assert torch.isfinite(output(rounded, image())).all()


@modules
def test_works_under_autocast(spec):
    model = detector(spec).eval()
    with torch.autocast("cpu", torch.bfloat16):
        predictions = output(model, image())

    assert torch.isfinite(predictions).all()
    assert close(predictions.float(), output(model, image()), 0.1)


@modules
def test_fuse_changes_no_prediction(spec):
    model = detector(spec).eval()
    expected = output(model, image())

    assert close(output(model.fuse(verbose=False), image()), expected)


@modules
def test_inplace_set_at_load_changes_no_prediction(spec):
    model = detector(spec).eval()
    expected = output(model, image())
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = True

    assert close(output(model, image()), expected, 1e-6)


def exporting(spec):
    """The deployed detector in export mode, which returns one tensor."""
    model = detector(spec).eval().fuse(verbose=False)
    model.model[-1].export, model.model[-1].format = True, "onnx"
    for module in model.modules():
        if hasattr(module, "forward_split"):
            module.forward = module.forward_split
    return model


@modules
def test_torchscript_agrees(spec):
    if "torchscript" in dict(spec.no_export):
        return
    model, x = exporting(spec), image(batch=1)
    with torch.no_grad():
        expected = model(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(model, x, strict=False)

    assert close(output_of(traced, x), expected)


def output_of(traced, x):
    with torch.no_grad():
        return traced(x)


@modules
def test_onnx_agrees_in_onnx_runtime(spec):
    if "onnx" in dict(spec.no_export):
        return
    model, x = exporting(spec), image(batch=1)
    arguments = {"format": "onnx"}
    prepare_export(model, arguments)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), file, opset_version=max(17, arguments.get("opset") or 0), dynamo=False)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        expected = model(x)

    assert close(torch.from_numpy(np.asarray(result)), expected)


@modules
def test_rebuilds_for_another_number_of_classes(spec):
    model = detector(spec)
    again = DetectionModel(model.yaml, nc=7, verbose=False)

    assert 7 == again.model[-1].nc
    assert model.stride.tolist() == again.stride.tolist()


@modules
def test_its_detector_has_a_loss(spec):
    model = detector(spec).train()
    model.args = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5, overlap_mask=True, cls_pw=0.0, epochs=1)
    batch = {
        "img": image(),
        "batch_idx": torch.tensor([0.0, 1.0]),
        "cls": torch.tensor([[0.0], [2.0]]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.4, 0.3], [0.3, 0.6, 0.2, 0.2]]),
    }
    loss, _ = model.loss(batch)

    assert torch.isfinite(loss if isinstance(loss, torch.Tensor) else sum(loss.values())).all()


def test_yaml_around_uses_the_row_of_the_spec():
    for spec in OURS:
        yaml = yaml_around(spec)

        assert 1 == sum(row[2] == spec.name for row in yaml["backbone"] + yaml["head"])


def test_every_registered_class_is_a_module_of_torch():
    assert all(issubclass(spec.cls, nn.Module) for spec in OURS)
