from __future__ import annotations

import logging
import sys
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from lwyolo.cost import profile
from lwyolo.cost.copying import meta_copy
from lwyolo.cost.counter_adapters import COUNTERS, Counter, Figure
from lwyolo.cost.counters import other_counts
from lwyolo.cost.reference import IMGSZ, REFERENCES, C, N
from lwyolo.errors import CostError

BY_NAME = {counter.name: counter for counter in COUNTERS}
NETS = {reference.name: reference for reference in REFERENCES}
DEFORMABLE = 9 * N * C * C
CONVOLUTION = 9 * N // 4 * C * C
ATTENTION = 2 * (N // 4) ** 2 * C
PRODUCT = N * C * C
NORM = 3 * N * C  # elements


def ask(name, model, imgsz=IMGSZ, channels=3):
    (count,) = other_counts(model, imgsz, channels, (BY_NAME[name],))
    if count.reason and count.reason.startswith(("not installed", "needs")):
        pytest.skip(f"{name} {count.reason}")
    return count


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        raise ZeroDivisionError("no such thing")


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("name", NETS)
def test_ours_equals_the_closed_formula_of_every_reference(name, device):
    cost = profile(NETS[name].build(), IMGSZ, device=device)

    assert (NETS[name].macs, {}) == (cost.macs, cost.uncounted)


@pytest.mark.parametrize(
    ("counter", "net", "off"),
    [
        ("Ultralytics get_flops", "deformable convolution", -DEFORMABLE),
        ("Ultralytics get_flops", "functional calls", -CONVOLUTION),
        ("Ultralytics get_flops", "shared module", 4 * NORM),
        ("Ultralytics get_flops", "fixed windows", 15 * NETS["fixed windows"].macs),
        ("Ultralytics get_flops", "fixed grid", 399 * NETS["fixed grid"].macs),
        ("ultralytics-thop", "deformable convolution", -DEFORMABLE),
        ("ultralytics-thop", "functional calls", -CONVOLUTION),
        ("ultralytics-thop", "shared module", 4 * NORM),
        ("ultralytics-thop", "fixed windows", 0),
        ("ultralytics-thop", "linear attention", 0),
        ("fvcore", "deformable convolution", -DEFORMABLE),
        ("fvcore", "functional calls", -ATTENTION),
        ("fvcore", "shared module", 2 * NORM),
        ("fvcore", "linear attention", 0),
        ("calflops", "deformable convolution", -DEFORMABLE),
        ("calflops", "functional calls", -ATTENTION),
        ("calflops", "linear attention", -2 * PRODUCT),
        ("calflops", "shared module", 0),
        ("ptflops, pytorch", "functional calls", -CONVOLUTION - ATTENTION),
        ("ptflops, pytorch", "linear attention", -2 * PRODUCT),
        ("ptflops, pytorch", "shared module", 3 * NORM),
        ("ptflops, aten", "deformable convolution", -DEFORMABLE),
        ("ptflops, aten", "functional calls", -ATTENTION),
        ("ptflops, aten", "shared module", 0),
        ("torchinfo", "functional calls", -CONVOLUTION - ATTENTION),
        ("torchinfo", "linear attention", -2 * PRODUCT),
        ("torchinfo", "shared module", 3 * 2 * C),
        ("torch FlopCounterMode", "deformable convolution", -DEFORMABLE),
        ("torch FlopCounterMode", "functional calls", -ATTENTION),
        ("torch FlopCounterMode", "linear attention", 0),
        ("torch FlopCounterMode", "shared module", 0),
    ],
)
def test_counters_are_off_by_what_their_convention_says(counter, net, off):
    assert (off, None) == ((count := ask(counter, NETS[net].build())).macs - NETS[net].macs, count.reason)


@pytest.mark.parametrize(
    ("counter", "unit", "flops_a_mac"),
    [
        ("Ultralytics get_flops", "GFLOPs", 2),
        ("ultralytics-thop", "GMACs", 1),
        ("fvcore", "Gflops", 1),
        ("calflops", "GFLOPs", 2),
        ("ptflops, pytorch", "GMac", 1),
        ("ptflops, aten", "GMac", 1),
        ("torchinfo", "G mult-adds", 1),
        ("torch FlopCounterMode", "GFLOPs", 2),
    ],
)
def test_what_is_printed_is_converted_by_the_convention(counter, unit, flops_a_mac):
    """One convolution without bias, which all of them know: 16 × 16 positions of 3 × 3 × 3 to 8 channels."""
    count = ask(counter, nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False)), 16)

    assert (unit, 55_296, flops_a_mac * 55_296 / 1e9) == (count.unit, count.macs, count.printed)


@pytest.mark.parametrize(("counter", "biases"), [("ptflops, aten", 1), ("torchinfo", 1), ("fvcore", 0)])
def test_a_bias_counts_where_the_convention_says_so(counter, biases):
    count = ask(counter, nn.Sequential(nn.Conv2d(3, 8, 3, padding=1)), 16)

    assert 55_296 + biases * 16 * 16 * 8 == count.macs


def test_flops_of_calflops_hold_activations_that_its_macs_lack():
    count = ask("calflops", nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.SiLU()), 16)

    assert (55_296, (2 * 55_296 + 16 * 16 * 8) / 1e9) == (count.macs, count.printed)


def test_figures_are_of_the_image_that_is_asked_for():
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False))

    assert 32 * 96 * 9 * 8 == ask("torch FlopCounterMode", net, (32, 96), channels=1).macs


@pytest.mark.parametrize("counter", [name for name in BY_NAME if name != "Ultralytics get_flops"])
def test_a_model_that_fails_has_a_reason_and_no_figure(counter):
    count = ask(counter, Broken(), 32)

    assert (None, None) == (count.printed, count.macs)
    assert "ZeroDivisionError" in count.reason
    assert "no such thing" in count.reason


def test_zero_of_get_flops_is_a_failure():
    count = ask("Ultralytics get_flops", Broken(), 32)

    assert (None, None) == (count.printed, count.macs)
    assert count.reason.startswith("gives 0.0: ")


def test_a_counter_that_is_not_there_says_how_to_get_it():
    absent = Counter("absent", "no-such-distribution", "G", "", lambda model, image: Figure(1, 1))
    (count,) = other_counts(nn.Conv2d(3, 4, 1), 32, counters=(absent,))

    assert (None, None, None) == (count.version, count.printed, count.macs)
    assert "not installed: pip install no-such-distribution" == count.reason


def test_a_package_that_a_counter_lacks_is_named():
    def needs_more(model, image):
        raise ModuleNotFoundError("No module named 'transformers'", name="transformers")

    (count,) = other_counts(nn.Conv2d(3, 4, 1), 32, counters=(Counter("x", "torch", "G", "", needs_more),))

    assert "needs transformers: pip install transformers" == count.reason


def test_the_first_cause_is_the_reason():
    def wraps(model, image):
        try:
            model(image)
        except ZeroDivisionError as error:
            raise RuntimeError("see above") from error

    (count,) = other_counts(Broken(), 32, counters=(Counter("x", "torch", "G", "", wraps),))

    assert "fails: ZeroDivisionError: no such thing" == count.reason


def test_nothing_is_printed_warned_of_or_logged(capsys, caplog):
    def noisy(model, image):
        print("out")
        print("err", file=sys.stderr)
        logging.getLogger("noisy").error("log")
        warnings.warn("warning", stacklevel=1)
        return Figure(1, 1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (count,) = other_counts(nn.Conv2d(3, 4, 1), 32, counters=(Counter("noisy", "torch", "G", "", noisy),))

    assert 1 == count.macs
    assert ("", "", []) == (*capsys.readouterr(), caplog.records)
    assert 0 == logging.root.manager.disable


def test_functions_that_a_counter_replaces_are_put_back():
    before = functional.conv2d, torch.matmul, torch.Tensor.matmul

    def patches(model, image):
        functional.conv2d = torch.matmul = torch.Tensor.matmul = print
        raise ValueError("too late to undo")

    other_counts(nn.Conv2d(3, 4, 1), 32, counters=(Counter("x", "torch", "G", "", patches),))

    assert before == (functional.conv2d, torch.matmul, torch.Tensor.matmul)
    assert "matmul" not in vars(torch.Tensor)


def test_the_model_and_the_random_numbers_stay_as_they_are():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(), nn.SiLU()).train()
    model[0].weight.requires_grad_(False)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    attributes = [dict(vars(module)) for module in model.modules()]
    random = torch.get_rng_state()

    other_counts(model, 32)

    assert all(module.training for module in model.modules())
    assert [*weights] == [*model.state_dict()]
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in weights.items())
    assert attributes == [dict(vars(module)) for module in model.modules()]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(random, torch.get_rng_state())


def test_a_model_without_weights_is_refused():
    model = meta_copy(nn.Sequential(nn.Conv2d(3, 8, 3)), torch.float32)

    with pytest.raises(CostError, match=r"^Sequential lies on the meta device and has no weights; .* `YOLO\(yaml\)"):
        other_counts(model, 32)


def test_counters_tell_of_yolov8n_what_the_fact_sheet_says(stock):
    """Percent of 4,371,993,600 multiply-accumulates, measured elsewhere with the versions of the day."""
    counts = {count.counter: count.macs for count in other_counts(stock("yolov8n")) if count.macs}
    known = {
        "Ultralytics get_flops": 1.27,
        "ultralytics-thop": 1.27,
        "fvcore": 0.66,
        "calflops": 0.0,
        "ptflops, pytorch": 1.04,
        "ptflops, aten": 0.03,
        "torchinfo": 0.03,
        "torch FlopCounterMode": 0.0,
    }

    assert {name: known[name] for name in counts} == {
        name: round(100 * (macs - 4_371_993_600) / 4_371_993_600, 2) for name, macs in counts.items()
    }
    assert "torch FlopCounterMode" in counts
