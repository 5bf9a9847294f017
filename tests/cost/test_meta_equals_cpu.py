"""The whole table is the same on the meta device and on the CPU, at every call, and the model stays as it was."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
from torch import nn

from lwyolo.cost import profile
from lwyolo.engine.files import load_model_yaml, with_scale

ROOT = Path(__file__).resolve().parents[2]
NETS = runpy.run_path(str(ROOT / "tests" / "modules" / "nets.py"))  # the module contract's way to build a detector
SHIPPED = sorted((ROOT / "cfg").glob("*.yaml"))
SCALES = ["n", *(pytest.param(scale, marks=pytest.mark.slow) for scale in "smlx")]
HOOKS = [name for name in vars(nn.Module()) if name.endswith("_hooks")]


def detector(yaml):
    from ultralytics.nn.tasks import DetectionModel

    return DetectionModel(load_model_yaml(yaml), verbose=False)


def state(model):
    """All that a pass could change: numbers, flags, hooks, and what else the modules hold."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "tensors": {k: (t.clone(), t.device, t.dtype, t.requires_grad, t._version) for k, t in tensors.items()},
        "identities": {name: id(tensor) for name, tensor in tensors.items()},
        "hooks": {name: [list(getattr(m, hooks)) for hooks in HOOKS] for name, m in model.named_modules()},
        "modules": {name: (id(m), type(m), m.training, attributes(m)) for name, m in model.named_modules()},
        "random": torch.get_rng_state(),
        "threads": (torch.get_num_threads(), torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled()),
    }


def attributes(module):
    """Values by name: strides and anchors, sizes, whatever a constructor or an earlier pass left."""
    plain = (torch.Tensor, int, float, str, tuple, list, dict, type(None))
    return {
        name: value.clone() if isinstance(value, torch.Tensor) else value
        for name, value in vars(module).items()
        if isinstance(value, plain) and not name.startswith("_")
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.device == b.device and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return a is b if isinstance(a, nn.Module) else bool(a == b)


def check(model, size, fused):
    """Profile twice on the meta device and once on the CPU; training mode and anchors of another size must stay."""
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, size + 32, size + 32))
    model.train()
    next(model.parameters()).requires_grad_(False)
    torch.backends.mha.set_fastpath_enabled(True)
    before = state(model)

    first, second = (profile(model, size, fused=fused, strict=True) for _ in range(2))
    on_cpu = profile(model, size, fused=fused, strict=True, device="cpu")

    assert first == second == on_cpu
    after = state(model)
    assert [] == [key for key in before if not same(before[key], after[key])]


graphs = pytest.mark.parametrize("fused", [False, True], ids=["training", "deployed"])


@graphs
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("yaml", SHIPPED, ids=lambda file: file.stem)
def test_shipped_detectors(yaml, scale, fused):
    check(detector(with_scale(str(yaml), scale)), 64, fused)


@pytest.mark.parametrize("spec", NETS["OURS"], ids=lambda spec: spec.name)
def test_registered_modules_deployed(spec):
    check(NETS["detector"](spec), 64, fused=True)


@pytest.mark.parametrize("spec", NETS["OURS"], ids=lambda spec: spec.name)
def test_registered_modules_alone_at_a_batch_and_an_oblong_image(spec):
    """The row by itself, on the shapes that its detector hands it."""
    model, seen = NETS["detector"](spec).eval(), []
    row = NETS["row_of"](model, spec)
    handle = row.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        model(torch.zeros(2, 3, 64, 96))
    handle.remove()
    shapes = [tuple(x.shape) for x in seen[0]] if isinstance(seen[0], list) else tuple(seen[0].shape)

    on_meta, on_cpu = (profile(row, input_shape=shapes, device=device, strict=True) for device in ("meta", "cpu"))

    assert on_meta == on_cpu
    assert on_meta.params == sum(p.numel() for p in row.parameters())


@pytest.mark.slow
@graphs
@pytest.mark.parametrize(
    "name", ["yolov8x", "yolo11x", "yolo12s", "yolo26s", "yolov8n-seg", "yolo11n-pose", "yolov8n-obb"]
)
def test_stock_models(name, fused):
    from ultralytics import YOLO

    check(YOLO(f"{name}.yaml").model, 64, fused)


@pytest.mark.parametrize(
    ("stem", "dtype"),
    [
        ("yolov8n-dyhead", "float16"),
        ("yolov8n-dysample", "bfloat16"),
        ("yolo26n-dyheadlite", "float64"),
        ("yolov8n-shareddetect", "float16"),
    ],
)
def test_other_types(stem, dtype):
    model = detector(str(ROOT / "cfg" / f"{stem}.yaml"))

    on_meta, on_cpu = (profile(model, 64, dtype=dtype, device=device) for device in ("meta", "cpu"))

    assert on_meta == on_cpu
    assert dtype == on_meta.dtype


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_random_numbers_that_a_pass_draws_are_given_back(device):
    class Noisy(nn.Module):
        def forward(self, x):
            return x + torch.randn(4)

    before = torch.get_rng_state()
    profile(Noisy(), input_shape=(2, 4), device=device)

    assert torch.equal(before, torch.get_rng_state())
