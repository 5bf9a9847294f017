from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from lwyolo.cost import profile
from lwyolo.cost.counters import OtherCount
from lwyolo.cost.reference import REFERENCES, C, N
from lwyolo.cost.upstream import ultralytics_gflops
from lwyolo.reports.counters import counters_table, difference, ultralytics_difference
from lwyolo.reports.tables import WIDTH, render

NETS = {reference.name: reference.build for reference in REFERENCES}
COUNTS = (
    OtherCount("fvcore", "0.1.5", "A multiply-accumulate is one flop.", "Gflops", 4.4009984, 4_400_998_400, None),
    OtherCount("exact", "1.0", "As ours.", "GFLOPs", 8.7439872, 4_371_993_600.0, None),
    OtherCount("ptflops", "0.7.5", "Of modules.", "GMac", None, None, "gives None: ValueError: too few"),
    OtherCount("absent", None, "Of tensors.", "GMACs", None, None, "not installed: pip install absent"),
)


def sentence(model, imgsz=640):
    return ultralytics_difference(profile(model, imgsz), ultralytics_gflops(model, imgsz))


def test_ours_stands_first_and_others_with_their_unit_and_difference():
    table = counters_table("yolov8n", 4_371_993_600, 8_852_000_000, COUNTS)

    assert (
        ("lwyolo", "", "8.744 GFLOPs", "4.372", ""),
        ("fvcore", "0.1.5", "4.401 Gflops", "4.401", "+0.66 %"),
        ("exact", "1.0", "8.744 GFLOPs", "4.372", "0"),
        ("ptflops", "0.7.5", "–", "–", "–"),
        ("absent", "–", "–", "–", "–"),
    ) == table.rows


def test_notes_say_the_convention_or_why_there_is_no_figure():
    ours, *others = counters_table("yolov8n", 4_371_993_600, 8_852_000_000, COUNTS).notes

    assert ours.endswith("With element-wise work its FLOPs are 8.852 G.")
    assert [
        "fvcore: A multiply-accumulate is one flop.",
        "exact: As ours.",
        "ptflops: gives None: ValueError: too few.",
        "absent: not installed: pip install absent.",
    ] == others


def test_text_fits_a_terminal():
    from lwyolo.cost.counter_adapters import COUNTERS

    long = tuple(
        OtherCount(c.name, "0.1.5.post20221221", c.convention, c.unit, 109_536.154, 54_768e9, None) for c in COUNTERS
    )

    assert max(map(len, render(counters_table("yolov8n-dyhead", 10**13, 10**13, long)).splitlines())) <= WIDTH


@pytest.mark.parametrize(
    ("macs", "ours", "printed"),
    [(1012.7, 1000, "+1.27 %"), (1000.0, 1000, "0"), (1000.01, 1000, "+0.00 %"), (1, 0, "–"), (None, 5, "–")],
)
def test_exact_agreement_is_told_from_a_small_difference(macs, ours, printed):
    assert printed == difference(macs, ours)


def test_batch_norm_explains_the_difference():
    """One convolution of 3 × 3 × 3 to 32 channels at 64 × 64: 3,538,944 MACCs and 131,072 elements of batch norm."""
    model = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)).eval()

    assert (
        "Ultralytics prints 0.00813 GFLOPs for the training graph, 0.00105 more (+14.81 %) than 2 × our MACCs "
        "(0.00708): +0.00105 is batch norm, 8 FLOPs for each of 131,072 elements."
    ) == sentence(model, 64)


def test_no_difference_needs_no_reason():
    model = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1)).eval()

    assert "Ultralytics prints 0.00708 GFLOPs for the training graph, which is 2 × our MACCs." == sentence(model, 64)


def test_an_operator_that_is_missed_is_named():
    missed = 2 * 9 * N * C * C / 1e9

    assert f": {-missed:+.3g} is torchvision::deform_conv2d, which it misses." in sentence(
        NETS["deformable convolution"]()
    )


def test_what_is_missed_without_a_name_is_said_to_be_functional():
    missed = 2 * 9 * N // 4 * C * C / 1e9

    assert (
        f": {-missed:+.3g} comes from functional calls that it misses (such as F.conv2d), or from the small images "
        "that it extrapolates."
    ) in sentence(NETS["functional calls"]())


@pytest.mark.parametrize(("net", "times"), [("fixed windows", 16), ("fixed grid", 400)])
def test_extrapolation_from_small_images_is_off_where_a_block_has_a_fixed_size(net, times):
    model = NETS[net]().eval()
    cost, printed = profile(model), ultralytics_gflops(model)

    assert times == pytest.approx(printed / cost.gflops, rel=1e-12)
    assert "or from the small images that it extrapolates" in ultralytics_difference(cost, printed)


def test_a_failure_is_not_a_zero():
    cost = profile(nn.Sequential(nn.Conv2d(3, 8, 1)), 32)

    assert (
        "Ultralytics prints 0.0 GFLOPs, an error that it hides; `lwyolo doctor` looks for the cause."
    ) == ultralytics_difference(cost, None)


def test_a_batch_is_compared_image_by_image():
    model = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)).eval()
    printed = ultralytics_gflops(model, 64)

    assert sentence(model, 64) == ultralytics_difference(profile(model, 64, batch=3), printed)


def test_a_model_without_contractions_has_no_percentage():
    cost = profile(nn.Sequential(nn.BatchNorm2d(3)), 32)

    assert (
        "Ultralytics prints 2.46e-05 GFLOPs for the training graph, 2.46e-05 more than 2 × our MACCs (0): "
        "+2.46e-05 is batch norm, 8 FLOPs for each of 3,072 elements."
    ) == ultralytics_difference(cost, 8 * 3 * 32 * 32 / 1e9)


def batch_norm_elements(model, imgsz):
    """Count them at a small image, and by the area for a larger one."""
    sizes = []
    hooks = [
        module.register_forward_hook(lambda module, args, out: sizes.append(out.numel()))
        for module in model.modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    with torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    return sum(sizes) * imgsz**2 // 64**2


@pytest.mark.parametrize("name", ["yolov8n", "yolo26n"])
def test_batch_norm_is_all_of_the_difference_of_a_stock_detector(name):
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel(f"{name}.yaml", verbose=False).eval()
    elements = batch_norm_elements(model, 640)
    text = sentence(model)

    assert text.endswith(f": {8 * elements / 1e9:+.3g} is batch norm, 8 FLOPs for each of {elements:,} elements.")


def test_parts_of_dyhead_sum_to_its_difference(root):
    from lwyolo.engine.info import cost_of

    cost = cost_of(root / "cfg" / "yolov8n-dyhead.yaml", graphs=("training",))
    text = ultralytics_difference(cost.training, cost.ultralytics_gflops)
    total = re.search(r"([\d.]+) less", text)[1]
    parts = [float(part) for part in re.findall(r"([+-][\d.]+) (?:is|comes)", text)]

    assert -float(total) == pytest.approx(sum(parts), abs=2e-3)
    assert "torchvision::deform_conv2d, which it misses" in text
    assert 3 == len(parts)
