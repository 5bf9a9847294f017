"""Multiply-accumulates of whole detectors, derived by hand from YAML widths and closed formulas, without any hook."""

from __future__ import annotations

from pathlib import Path

import pytest

from lwyolo.cost import profile

BY_HAND = [  # at 640 × 640, batch 1, 80 classes
    ("yolov8n", None, 4_371_993_600),
    ("yolov8n", True, 4_371_993_600),
    ("yolo11n", None, 3_271_251_200),
    ("yolo12n", None, 3_735_481_600),
    ("yolo26n", None, 3_040_627_200),
    ("yolo26n", True, 2_740_153_600),
    ("rtdetr-l", None, 54_768_076_800),
    ("rtdetr-l", True, 52_801_996_800),
]


@pytest.mark.parametrize(("name", "fused", "macs"), BY_HAND)
def test_multiply_accumulates_equal_the_hand_count(stock, name, fused, macs):
    try:
        model = stock(name)
    except FileNotFoundError:
        pytest.skip(f"the installed Ultralytics has no {name}.yaml")

    cost = profile(model, fused=fused)

    assert (macs, {}) == (cost.macs, cost.uncounted)


def test_timm_classifier_equals_the_hand_count():
    timm = pytest.importorskip("timm")

    assert 1_500_441_600 == profile(timm.create_model("mobilenetv4_conv_small")).macs


def test_figures_of_yolov8n_are_those_of_the_reference_prototype(stock):
    """MACCs and bytes in units of 1e6, without the anchors, which only a first pass makes."""
    cost = profile(stock("yolov8n"))
    deployed = profile(stock("yolov8n"), fused=True)

    assert (476.3, 365.1) == (round(cost.memory_access_bytes / 1e6, 1), round(deployed.memory_access_bytes / 1e6, 1))
    assert cost.memory_access_fused_bytes == deployed.memory_access_fused_bytes


def test_fused_batch_norms_change_no_product_and_fewer_parameters(stock):
    cost, deployed = profile(stock("yolov8n")), profile(stock("yolov8n"), fused=True)

    assert (3_157_200, 3_151_904) == (cost.params, deployed.params)
    assert (False, True) == (cost.fused, deployed.fused)
    assert cost.flops > deployed.flops


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolo26n"])
def test_multiply_accumulates_of_convolutions_grow_with_the_area(stock, name):
    small, large = profile(stock(name), 320), profile(stock(name), 640)

    def convolutions(cost):
        return next(o.macs for o in cost.operators if o.name == "aten::convolution")

    assert 4 * convolutions(small) == convolutions(large)
    assert small.params == large.params


def test_batch_scales_activations_and_not_weights(stock):
    one, two, three = (profile(stock("yolov8n"), 160, batch=b) for b in (1, 2, 3))

    assert 2 * one.macs == two.macs
    assert two.memory_access_bytes - one.memory_access_bytes == three.memory_access_bytes - two.memory_access_bytes
    assert two.memory_access_bytes < 2 * one.memory_access_bytes


def test_half_precision_halves_the_bytes_of_floats(stock):
    full, half = profile(stock("yolov8n"), 160), profile(stock("yolov8n"), 160, dtype="float16")

    assert full.macs == half.macs
    assert full.peak_activation_bytes == 2 * half.peak_activation_bytes


@pytest.mark.parametrize(("name", "fused"), [("yolov8n", None), ("yolo12n", None), ("yolo26n", True)])
def test_meta_device_and_cpu_agree_on_everything(stock, name, fused):
    model = stock(name)

    assert profile(model, 64, fused=fused) == profile(model, 64, fused=fused, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("fused", [None, True])
@pytest.mark.parametrize(
    "name",
    [
        "yolov3-tiny",
        "yolov5n",
        "yolov6n",
        "yolov8n",
        "yolov8n-ghost",
        "yolov8n-p2",
        "yolov9t",
        "yolov9c",
        "yolov10n",
        "yolov10s",
        "yolo11n",
        "yolo12n",
        "yolo26n",
        "rtdetr-l",
        "yolov8n-rtdetr",
    ],
)
def test_meta_device_and_cpu_agree_on_further_detectors(stock, name, fused):
    model = stock(name)

    assert profile(model, 160, fused=fused) == profile(model, 160, fused=fused, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("fused", [None, True])
@pytest.mark.parametrize("yaml", sorted((Path(__file__).parents[2] / "cfg").glob("*.yaml")), ids=lambda file: file.stem)
def test_meta_device_and_cpu_agree_on_our_detectors(yaml, fused):
    from lwyolo import YOLO

    model = YOLO(str(yaml)).model.eval()
    cost = profile(model, 128, fused=fused)

    assert {} == cost.uncounted
    assert cost == profile(model, 128, fused=fused, device="cpu")
