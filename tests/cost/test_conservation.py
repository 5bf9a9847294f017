"""Nothing is lost or counted twice: sums, laws of scale, and operators without a formula."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lwyolo.cost import profile
from lwyolo.engine.info import load_for_cost
from lwyolo.errors import CostError

CFG = Path(__file__).resolve().parents[2] / "cfg"
SHIPPED = sorted(file.stem for file in CFG.glob("*.yaml"))
MEASURES = (
    "params", "macs", "flops", "memory_access_bytes", "memory_access_fused_bytes", "activation_bytes",
    "n_operators", "n_groups", "elementwise_bytes", "elementwise_fused_bytes",
)  # fmt: skip

shipped = pytest.mark.parametrize("stem", SHIPPED)
graphs = pytest.mark.parametrize("fused", [False, True], ids=["training", "deployed"])


@cache
def model(stem):
    """A shipped detector at scale n, without weights."""
    return load_for_cost(str(CFG / f"{stem}.yaml"), "n")[1]


@cache
def cost(stem, imgsz=(64, 64), batch=1, fused=True):
    return profile(model(stem), imgsz, batch=batch, fused=fused, strict=True)


@shipped
@graphs
def test_rows_and_operators_sum_to_the_totals(stem, fused):
    total = cost(stem, fused=fused)

    for measure in MEASURES[:6]:
        assert getattr(total, measure) == sum(getattr(row, measure) for row in total.layers), measure
    for measure in MEASURES[1:5]:
        assert getattr(total, measure) == sum(getattr(row, measure) for row in total.operators), measure
    assert sum(row.n_operators for row in total.layers) == sum(operator.calls for operator in total.operators)


@shipped
@graphs
def test_children_never_hold_more_than_their_parent(stem, fused):
    for part in (part for row in cost(stem, fused=fused).layers for part in row.walk()):
        for measure in MEASURES:
            assert getattr(part, measure) >= sum(getattr(child, measure) for child in part.children), part.path
        own = part.memory_access_bytes - sum(child.memory_access_bytes for child in part.children)
        assert sum(c.macs for c in part.convolutions) <= part.macs - sum(child.macs for child in part.children)
        assert sum(c.memory_access_bytes for c in part.convolutions) <= own
        assert part.elementwise_bytes <= part.memory_access_bytes
        assert part.n_groups <= part.n_operators


@shipped
@graphs
def test_convolutions_hold_all_that_their_operators_count(stem, fused):
    total = cost(stem, fused=fused)
    calls = [c for row in total.layers for part in row.walk() for c in part.convolutions]
    operators = [o for o in total.operators if o.name in ("aten::convolution", "torchvision::deform_conv2d")]

    assert sum(o.calls for o in operators) == len(calls)
    assert sum(o.macs for o in operators) == sum(c.macs for c in calls)
    assert [] == [
        c for c in calls if c.macs != c.positions_out * c.c2 * c.c1 // c.groups * torch.Size(c.kernel).numel()
    ]


@shipped
def test_parameters_depend_on_neither_image_nor_batch(stem):
    deployed = {cost(stem, size, batch).params for size, batch in (((64, 64), 1), ((640, 640), 1), ((64, 64), 3))}

    assert 1 == len(deployed)
    assert sum(p.numel() for p in model(stem).parameters()) == cost(stem, fused=False).params


GATES = 7 * 64 + 3 * (64 * 16 + 16 * 4 * 64)
"""DyHead at 64 channels, three levels: scale attention of 7 features, task attention of 3 levels, on pooled vectors."""
PER_IMAGE = {"yolov8-dyhead": GATES, "yolov8-dyheadlite": GATES, "yolo11-dyhead": GATES, "yolo11-dyheadlite": GATES}
PER_IMAGE |= {"yolo26-dyhead": GATES, "yolo26-dyheadlite": GATES}
ATTENTION_BLOCKS = {"yolo11-dyhead": 1, "yolo11-dyheadlite": 1, "yolo26-dyhead": 2, "yolo26-dyheadlite": 2}
"""C2PSA, and in YOLO26 a C3k2 beside it: 2 heads of keys 32 and values 64 wide, over all positions of P5."""
UNSCALED_FLOPS = {"yolov8-bifpn": (3 * 2 + 1) * 3 + (3 * 3 + 1)}
"""Weights of BiFPN's fusions are normalised once a pass: relu, sum and quotient each, and eps."""


def cells(size):
    """Positions of P5."""
    return size[0] * size[1] // 32**2


def areal(stem, size, batch=1, fused=True):
    """Multiply-accumulates that must be proportional to the area: without pooled layers and products of positions."""
    attention = ATTENTION_BLOCKS.get(stem, 0) * 2 * cells(size) ** 2 * (32 + 64)
    return cost(stem, size, batch, fused).macs - batch * (PER_IMAGE.get(stem, 0) + attention)


@shipped
def test_multiply_accumulates_grow_with_the_area(stem):
    """640 costs four times what 320 does; exempt by structure are DyHead's gates and the attention of YOLO11 and 26."""
    small, large = cost(stem, (320, 320)).macs, cost(stem, (640, 640)).macs

    assert 4 * areal(stem, (320, 320)) == areal(stem, (640, 640))
    if stem in ATTENTION_BLOCKS:
        assert 4 * small < large < 16 * small
    elif stem in PER_IMAGE:
        assert 4 * small == large + 3 * PER_IMAGE[stem]
    else:
        assert 4 * small == large


@settings(max_examples=12)
@given(st.sampled_from(SHIPPED), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.booleans())
def test_multiply_accumulates_of_any_image_and_batch(stem, rows, columns, batch, fused):
    size = (32 * rows, 32 * columns)

    assert batch * rows * columns * areal(stem, (32, 32), fused=fused) == areal(stem, size, batch, fused)


@shipped
def test_batch_multiplies_operations(stem):
    """Element-wise work on weights and on the sampling grid is done once, whatever the batch."""
    one, *more = (cost(stem, (64, 64), batch) for batch in (1, 2, 3))
    per_pass = UNSCALED_FLOPS.get(stem, 0) + (8 * (4 + 8) if stem == "yolov8-dysample" else 0)

    assert [2 * one.macs, 3 * one.macs] == [cost.macs for cost in more]
    assert [2 * one.flops - per_pass, 3 * one.flops - 2 * per_pass] == [cost.flops for cost in more]


@shipped
def test_bytes_are_linear_in_the_batch(stem):
    for measure in MEASURES[3:6]:
        one, two, three = (getattr(cost(stem, (64, 64), batch), measure) for batch in (1, 2, 3))

        assert two - one == three - two > 0, measure
        assert two <= 2 * one


def stock_yamls():
    """Upstream's models, but those that take text beside the image, or download their layers."""
    folder = Path(str(find_spec("ultralytics").origin)).parent / "cfg" / "models"
    names = {file.name for file in folder.rglob("*.yaml")}
    return sorted(name for name in names if not any(word in name for word in ("yoloe", "world", "cls-resnet")))


@pytest.mark.slow
@graphs
@pytest.mark.parametrize("name", stock_yamls())
def test_stock_models_keep_every_sum_and_bound(name, fused):
    total = profile(load_for_cost(name)[1], 192, fused=fused, strict=True)

    for measure in MEASURES[:6]:
        assert getattr(total, measure) == sum(getattr(row, measure) for row in total.layers), measure
    assert total.memory_access_fused_bytes <= total.memory_access_bytes
    assert total.compulsory_bytes <= total.memory_access_bytes
    assert total.peak_activation_bytes <= total.activation_bytes + 4 * 3 * 192 * 192


class Failing(nn.Module):
    def forward(self, x):
        raise ValueError("the level is missing")


def test_failing_profile_is_an_error_with_the_reason():
    with pytest.raises(CostError) as error:
        profile(nn.Sequential(nn.Conv2d(3, 4, 1), Failing()), 8)

    assert (
        "Sequential on an input of shape (1, 3, 8, 8) fails in 1 (Failing), given (1, 4, 8, 8): "
        "ValueError: the level is missing."
    ) == str(error.value)
