from __future__ import annotations

import copy
import inspect
import io
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from ultralytics.nn.modules import Conv, Detect
from ultralytics.nn.tasks import DetectionModel, yaml_model_load
from ultralytics.utils.torch_utils import ModelEMA

from lwyolo.engine import seam
from lwyolo.errors import GraphError
from lwyolo.modules.heads import SharedConv, SharedConvDetect, upstream_arguments

seam.install()

CH = [32, 64, 128]
OLD = os.environ.get("LWYOLO_OLD_ULTRALYTICS")
HAS_END2END = "end2end" in inspect.signature(Detect.__init__).parameters
needs_end2end = pytest.mark.skipif(not HAS_END2END, reason="Ultralytics before 8.4 has no end2end argument")
both_branches = pytest.mark.parametrize("end2end", [False, pytest.param(True, marks=needs_end2end)])


def head(levels=3, **arguments):
    torch.manual_seed(0)
    return SharedConvDetect(**{"nc": 3, "hidden": 32, "ch": CH[:levels], **arguments})


def detector(root, end2end=False, scale="n"):
    """The shipped model with norms that have seen data, so that folding them changes the weights."""
    yaml = yaml_model_load(root / f"cfg/yolov8{scale}-shareddetect.yaml") | {"end2end": end2end}
    torch.manual_seed(0)
    model = DetectionModel(yaml, nc=3, verbose=False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return model.eval()


def params(module):
    return sum(p.numel() for p in module.parameters())


def raw(model, x, branch):
    """Boxes and scores before decoding; a list of levels in Ultralytics before 8.4."""
    with torch.no_grad():
        predictions = model(x)[1]
    predictions = predictions.get(branch, predictions) if isinstance(predictions, dict) else {"levels": predictions}
    values = predictions["levels"] if "levels" in predictions else [predictions["boxes"], predictions["scores"]]
    return torch.cat([value.flatten() for value in values])


def relative_difference(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def test_levels_share_convolutions_and_have_norms_of_their_own():
    for towers in (head().cv2, head().cv3):
        for depth in (1, 2):
            first, second, third = (tower[depth] for tower in towers)

            assert first.shared[0] is second.shared[0]
            assert first.shared[0] is third.shared[0]
            assert 3 == len({id(level.bn) for level in (first, second, third)})


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: through_a_file(module)], ids=["deepcopy", "pickle"])
def test_levels_share_convolutions_in_a_copy_too(copied):
    towers = copied(head()).cv3

    assert towers[0][1].shared[0] is towers[2][1].shared[0]
    assert towers[0][1].shared[0] is towers[0][1]._modules["conv"]


def through_a_file(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def test_another_level_costs_its_1x1_convolutions_and_norms_only():
    hidden, nc = 32, 3
    projection, norms, last = 128 * hidden + 2 * hidden, 2 * 2 * hidden, hidden * nc + nc

    assert projection + norms + last == params(head(3).cv3) - params(head(2).cv3)


def test_a_shared_weight_is_in_the_state_dict_once():
    tensors = head().state_dict()

    assert ["cv2.0.1.conv.weight", "cv2.0.2.conv.weight"] == [
        k for k in tensors if "cv2" in k and tensors[k].shape[-1:] == (3,)
    ]
    assert len(tensors) == len({value.data_ptr() for value in tensors.values()})


def test_moving_average_treats_a_shared_weight_as_any_other(root):
    model = detector(root)
    ema = ModelEMA(model)
    ema.decay = lambda _: 0.9
    for value in ema.ema.state_dict().values():
        value.zero_()
    for value in model.state_dict().values():
        value.fill_(1)
    ema.update(model)
    average = ema.ema.state_dict()

    assert average["model.0.conv.weight"].max() == average["model.22.cv2.0.1.conv.weight"].max()


@both_branches
def test_fuse_changes_no_prediction_and_gives_each_level_its_weights(root, end2end):
    model, x = detector(root, end2end), torch.rand(1, 3, 192, 256)
    if end2end and not model.end2end:  # newer versions choose the branch by a switch
        model.end2end = True
    branch = "one2one" if end2end else "one2many"
    before = raw(model, x, branch)
    fused = copy.deepcopy(model).fuse(verbose=False)
    kept = fused.model[-1].cv2 or fused.model[-1].one2one_cv2
    first, second, third = (tower[1].conv.weight for tower in kept)

    assert relative_difference(raw(fused, x, branch), before) < 1e-4
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)
    assert relative_difference(raw(model, x, branch), before) == 0
    assert [] == [m for m in fused.modules() if isinstance(m, nn.BatchNorm2d)]


def test_layout_that_ultralytics_reads():
    layers = head()

    assert CH == [tower[0].conv.in_channels for tower in layers.cv2]
    assert {nn.Conv2d} == {type(tower[-1]) for towers in (layers.cv2, layers.cv3) for tower in towers}
    assert 32 == layers.cv3[0][-1].in_channels
    assert isinstance(layers.cv2[1][1], Conv)


def test_each_level_starts_from_the_prior_of_its_stride(root):
    biases = [tower[-1].bias.mean().item() for tower in detector(root).model[-1].cv3]

    assert biases == sorted(biases)
    assert 3 == len(set(biases))


def test_structure_does_not_depend_on_legacy(monkeypatch):
    counts = []
    for legacy in (True, False):
        monkeypatch.setattr(SharedConvDetect, "legacy", legacy, raising=False)
        counts.append(params(head()))

    assert counts[0] == counts[1]


@both_branches
def test_loss_reaches_every_parameter(root, end2end):
    model = detector(root, end2end).train()
    model.args = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5, cls_pw=0.0, epochs=1)
    batch = {
        "img": torch.rand(2, 3, 128, 128),
        "batch_idx": torch.tensor([0.0, 1.0]),
        "cls": torch.tensor([[0.0], [2.0]]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.4, 0.3], [0.3, 0.6, 0.8, 0.7]]),
    }
    loss, _ = model.loss(batch)
    loss.sum().backward()

    assert torch.isfinite(loss).all()
    assert ["dfl.conv.weight"] == [name for name, p in model.model[-1].named_parameters() if p.grad is None]


@needs_end2end
def test_end2end_branches_share_nothing_with_each_other():
    layers = head(end2end=True)

    assert layers.cv2[0][1].shared[0] is not layers.one2one_cv2[0][1].shared[0]
    assert layers.one2one_cv2[0][1].shared[0] is layers.one2one_cv2[2][1].shared[0]
    assert torch.equal(layers.cv3[0][1].conv.weight, layers.one2one_cv3[0][1].conv.weight)


def test_copy_that_fuse_reads_leaves_the_shared_weights_alone():
    first = SharedConv(4)
    second = SharedConv(4, first)
    before = first.shared[0].weight.clone()
    second.conv.weight.data.zero_()

    assert torch.equal(before, first.shared[0].weight)


class OldDetect:
    """The constructor of Detect before Ultralytics 8.4."""

    def __init__(self, nc=80, ch=()):
        pass


def test_old_constructor_gets_the_arguments_that_it_knows():
    given = {"nc": 3, "reg_max": 16, "end2end": False, "ch": [8]}

    assert {"nc": 3, "ch": [8]} == upstream_arguments(OldDetect.__init__, **given)


@pytest.mark.parametrize(("name", "value", "has"), [("reg_max", 1, 16), ("end2end", True, False)])
def test_what_an_old_version_cannot_do_is_refused(name, value, has):
    given = {"nc": 3, "reg_max": 16, "end2end": False, "ch": [8], name: value}
    with pytest.raises(GraphError) as error:
        upstream_arguments(OldDetect.__init__, **given)

    expected = f"{name}: {value} needs Ultralytics 8.4 or newer; the installed version has {name}: {has} only."

    assert f"SharedConvDetect: {expected}" == str(error.value)


@pytest.mark.slow
@pytest.mark.skipif(not OLD, reason="LWYOLO_OLD_ULTRALYTICS names no folder with an older Ultralytics")
def test_passes_on_an_older_ultralytics(root):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([OLD or "", str(root)])}
    environment.pop("LWYOLO_OLD_ULTRALYTICS")
    command = [sys.executable, "-m", "pytest", "-q", __file__]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout
