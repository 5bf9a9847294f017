"""The guidelines name the rows that they mean, with figures that a reader can redo."""

from __future__ import annotations

import math

import pytest
from torch import nn

from lwyolo.cost import profile
from lwyolo.cost.lint import SHARE, lint
from lwyolo.engine.info import cost_of

SHAPE = (1, 16, 32, 32)


def findings(*layers: nn.Module, shape=SHAPE):
    return lint(profile(nn.Sequential(*layers), input_shape=shape))


def guidelines(*layers: nn.Module, shape=SHAPE):
    return [finding.guideline for finding in findings(*layers, shape=shape)]


def test_plain_layers_raise_nothing():
    assert [] == guidelines(nn.Conv2d(16, 32, 3, stride=2), nn.BatchNorm2d(32), nn.Conv2d(32, 32, 3, padding=1))


def test_unequal_widths_are_named_with_what_they_cost():
    (finding,) = findings(nn.Conv2d(16, 64, 1, bias=False))
    excess = 4 * 32 * 32 * (16 + 64 - 2 * math.sqrt(16 * 64))
    access = 4 * (32 * 32 * (16 + 64) + 16 * 64)

    assert "G1" == finding.guideline
    assert excess / access == pytest.approx(finding.share)
    assert (
        f"1×1, 16 → 64 channels: {100 * excess / access:.0f} % of the memory access is due to unequal widths"
        == finding.found
    )


@pytest.mark.parametrize(("c2", "expected"), [(16, []), (32, []), (33, ["G1"]), (7, ["G1"]), (8, [])])
def test_widths_may_differ_by_a_factor_of_two(c2, expected):
    assert expected == guidelines(nn.Conv2d(16, c2, 1))


def test_a_convolution_that_changes_resolution_may_change_its_width():
    assert [] == guidelines(nn.Conv2d(16, 64, 3, stride=2, padding=1))


def test_half_precision_gives_the_same_shares():
    net = nn.Sequential(nn.Conv2d(16, 64, 1, bias=False))

    assert lint(profile(net, input_shape=SHAPE)) == lint(profile(net, input_shape=SHAPE, dtype="float16"))


def test_groups_are_named_with_their_intensity():
    (finding,) = findings(nn.Conv2d(16, 16, 3, padding=1, groups=4, bias=False))
    macs = 32 * 32 * 16 * (16 // 4) * 9
    access = 4 * (32 * 32 * 32 + 16 * 4 * 9)

    assert ("G2", 1.0) == (finding.guideline, finding.share)
    assert f"4 groups, {2 * macs / access:.1f} FLOPs a byte" in finding.found


def test_a_depthwise_convolution_is_no_grouped_one():
    plain, depthwise = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1, groups=16)

    assert ["depthwise"] == guidelines(plain, depthwise)


def test_many_small_kernels_are_fragments():
    small = nn.Sequential(*(nn.Conv2d(16, 16, 1) for _ in range(8)))
    large = nn.Conv2d(16, 16, 15, padding=7)

    assert ["G3"] == guidelines(large, small)
    assert [] == guidelines(large, small[:7])
    assert [] == guidelines(nn.Conv2d(16, 16, 1), small)


def test_what_merges_with_a_convolution_is_no_fragment():
    small = nn.Sequential(*(part for _ in range(4) for part in (nn.Conv2d(16, 16, 1), nn.SiLU())))

    assert [] == guidelines(nn.Conv2d(16, 16, 15, padding=7), small)


def test_element_wise_work_that_nothing_takes_in_is_named():
    merged, alone = nn.Sequential(nn.MaxPool2d(1), nn.SiLU(), nn.Sigmoid()), nn.Sequential(nn.Flatten(1), nn.Softmax(1))
    (finding,) = findings(nn.Conv2d(16, 16, 3, padding=1), merged)

    assert ("G4", "Sequential") == (finding.guideline, finding.type)
    assert "element-wise operators move 67 % of its bytes, and 0 % when a runtime merges them" == finding.found
    assert [] == guidelines(nn.Conv2d(16, 16, 3, padding=1), alone)


def test_what_moves_next_to_nothing_is_not_named():
    narrow = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 64, 1))

    assert [] == guidelines(nn.Conv2d(16, 16, 3, padding=1), narrow, shape=(1, 16, 320, 320))


def test_rows_of_a_yaml_are_named_by_their_index():
    cost = cost_of("yolov8n-ghost.yaml", graphs=("deployed",)).deployed
    rows = {layer.index: layer.type for layer in cost.layers}
    found = lint(cost)

    assert {"G1", "G3", "depthwise"} <= {finding.guideline for finding in found}
    assert all(rows[finding.index] == finding.type and finding.share >= SHARE for finding in found)
    assert {1, 2, 4} <= {finding.index for finding in found if finding.guideline == "depthwise"}


def test_stock_yolov8n_is_clean():
    assert () == lint(cost_of("yolov8n.yaml", graphs=("deployed",)).deployed)
