"""The property that each paper implies, module by module."""

from __future__ import annotations

import copy
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from ultralytics.utils.torch_utils import fuse_conv_and_bn

from lwyolo.errors import GraphError
from lwyolo.modules import timm_backbone
from lwyolo.modules.bifpn import WeightedFusion
from lwyolo.modules.dysample import DySample
from lwyolo.modules.fasternet import FasterC2f, PConv
from lwyolo.modules.gsconv import GSConv, shuffle_halves
from lwyolo.modules.heads import LevelConv, SharedConvDetect, stock_arguments
from lwyolo.modules.timm_backbone import TimmBackbone


@pytest.mark.parametrize("c", [4, 16, 30])
def test_partial_convolution_leaves_three_quarters_bit_identical(c):
    x = torch.randn(2, c, 8, 8)
    y = PConv(c)(x)
    touched = c // 4

    assert torch.equal(x[:, touched:], y[:, touched:])
    assert not torch.equal(x[:, :touched], y[:, :touched])


def test_partial_convolution_has_a_sixteenth_of_the_weights():
    assert 9 * 64 * 64 // 16 == sum(p.numel() for p in PConv(64).parameters())


def test_faster_c2f_is_smaller_than_c2f():
    from ultralytics.nn.modules import C2f

    count = [sum(p.numel() for p in cls(128, 128, 3, True).parameters()) for cls in (FasterC2f, C2f)]

    assert count[0] < 0.6 * count[1]


def test_shuffle_is_a_permutation_that_interleaves():
    x = torch.arange(8.0).reshape(1, 8, 1, 1)

    assert [0, 4, 1, 5, 2, 6, 3, 7] == shuffle_halves(x).flatten().tolist()


def test_gsconv_needs_an_even_width():
    with pytest.raises(ValueError, match="two halves of its output, but c2 is 7"):
        GSConv(8, 7)


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("size", [(7, 9), (8, 8)])
def test_dysample_without_offsets_is_bilinear(scale, size):
    layer = DySample(16, scale)
    nn.init.zeros_(layer.offset.weight)
    x = torch.randn(2, 16, *size)
    expected = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)

    assert torch.allclose(expected, layer(x), atol=1e-5)


def test_dysample_has_the_published_parameters():
    assert 32 * 64 + 32 == sum(p.numel() for p in DySample(64).parameters())


def test_dysample_groups_sample_apart():
    torch.manual_seed(0)
    layer = DySample(8, groups=4)
    nn.init.normal_(layer.offset.weight, std=1)
    x = torch.randn(1, 1, 6, 6).repeat(1, 8, 1, 1)
    y = layer(x)

    assert torch.allclose(y[:, 0], y[:, 1])
    assert not torch.allclose(y[:, 0], y[:, 2])


def test_dysample_needs_whole_groups():
    with pytest.raises(ValueError, match="c1 is 6, which does not divide into 4 groups"):
        DySample(6)


def test_fusion_of_equal_inputs_changes_nothing_but_eps():
    x = torch.randn(1, 4, 5, 5)

    assert torch.allclose(x, WeightedFusion([4, 4, 4])([x, x, x]), rtol=1e-3)


def test_fusion_weights_are_not_negative_and_sum_to_one():
    fusion = WeightedFusion([1, 1, 1])
    fusion.weight.data = torch.tensor([3.0, -2.0, 1.0])
    basis = [torch.eye(3)[i].reshape(1, 3, 1, 1) for i in range(3)]
    weights = fusion(basis).flatten()

    assert weights.min() >= 0
    assert torch.allclose(torch.tensor([0.75, 0.0, 0.25]), weights, atol=1e-4)


def head(levels=3, **arguments):
    torch.manual_seed(0)
    return SharedConvDetect(**{"nc": 3, "hidden": 32, "ch": [32, 64, 128][:levels], **arguments})


def test_shared_head_has_one_weight_for_all_levels():
    towers = head().cv2

    assert towers[0][1].conv.weight is towers[1][1].conv.weight is towers[2][1].conv.weight
    assert towers[0][1].bn is not towers[1][1].bn
    assert towers[0][-1].weight is towers[2][-1].weight


def test_another_level_costs_only_its_projection_norms_bias_and_scale():
    two, three = (sum(p.numel() for p in head(levels).cv3.parameters()) for levels in (2, 3))
    projection, norms, last = 128 * 32 + 2 * 32, 2 * 2 * 32, 3 + 1

    assert projection + norms + last == three - two


def test_fusing_gives_each_level_its_own_weights_and_the_same_output():
    tower = head().eval().cv2
    for layer in tower.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    x = torch.randn(1, 32, 6, 6)
    levels = [layers[1] for layers in tower]
    expected = [level(x) for level in levels]
    for level in levels:
        level.conv = fuse_conv_and_bn(level.conv, level.bn)
        level.forward = level.forward_fuse

    assert all(torch.allclose(a, level(x), atol=1e-5) for a, level in zip(expected, levels, strict=True))
    assert not torch.equal(levels[0].conv.weight, levels[1].conv.weight)


def test_shared_weights_stay_shared_after_deepcopy():
    towers = copy.deepcopy(head()).cv2

    assert towers[0][1].conv.weight is towers[1][1].conv.weight


def test_level_conv_keeps_the_forward_of_conv():
    assert "forward" not in vars(LevelConv)


def test_arguments_that_an_older_version_lacks_are_left_out():
    class OldDetect:
        def __init__(self, nc=80, ch=()):
            pass

    assert {"nc": 3, "ch": ()} == stock_arguments(OldDetect, nc=3, reg_max=16, end2end=False, ch=())


@pytest.mark.parametrize(
    ("name", "channels"),
    [("starnet_s050", [32, 64, 128]), ("mobilenetv4_conv_small", [64, 96, 960]), ("efficientvit_b0", [32, 64, 128])],
)
def test_timm_channels_are_known_before_building(name, channels):
    assert channels == TimmBackbone.out_channels(3, name)


def test_timm_backbone_emits_strides_8_16_32():
    backbone = TimmBackbone(3, "mobilenetv4_conv_small_050").eval()
    levels = backbone(torch.rand(1, 3, 64, 96))

    assert [(1, 32, 8, 12), (1, 48, 4, 6), (1, 480, 2, 3)] == [tuple(level.shape) for level in levels]


def test_normalisation_is_the_identity_without_weights():
    backbone = TimmBackbone(3, "starnet_s050")

    assert (0.0, 1.0) == (backbone.mean.abs().max().item(), backbone.std.min().item())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mobilnetv4_conv_small", "timm has no model 'mobilnetv4_conv_small'. Did you mean mobilenetv4_conv_small?"),
        (
            "efficientvit_m0",
            "timm model 'efficientvit_m0' emits strides [16, 32, 64], expected 8, 16 and 32 among them. One that does: "
            "efficientvit_b0.",
        ),
    ],
)
def test_a_timm_model_that_cannot_is_refused_with_one_that_can(name, message):
    with pytest.raises(GraphError) as error:
        TimmBackbone(3, name)

    assert message == str(error.value)


def test_missing_timm_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    timm_backbone._level_channels.cache_clear()
    with pytest.raises(GraphError) as error:
        TimmBackbone(3, "starnet_s050")

    assert "TimmBackbone needs timm, which is not installed: pip install lwyolo[timm]" == str(error.value)
