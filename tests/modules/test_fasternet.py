from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from ultralytics.nn.modules import C2f

from lwyolo.modules.fasternet import FasterBlock, FasterC2f, PConv


def params(module):
    return sum(p.numel() for p in module.parameters())


@given(c=st.integers(1, 40), h=st.integers(1, 9), w=st.integers(1, 9))
def test_partial_convolution_leaves_all_but_the_first_quarter_bit_identical(c, h, w):
    x = torch.randn(2, c, h, w)
    before = x.clone()
    y = PConv(c)(x)
    part = max(c // 4, 1)

    assert torch.equal(x[:, part:], y[:, part:])
    assert not torch.equal(x[:, :part], y[:, :part])
    assert torch.equal(before, x)


def test_partial_convolution_filters_as_a_convolution_of_the_first_quarter():
    layer, x = PConv(16), torch.randn(2, 16, 5, 7)
    expected = nn.functional.conv2d(x[:, :4], layer.conv.weight, padding=1)

    assert torch.equal(expected, layer(x)[:, :4])


@pytest.mark.parametrize("c", [16, 64, 256])
def test_partial_convolution_has_a_sixteenth_of_the_weights(c):
    assert 9 * c * c == 16 * params(PConv(c))


@pytest.mark.parametrize("shortcut", [True, False])
def test_shortcut_adds_the_input(shortcut):
    block, x = FasterBlock(8, shortcut), torch.randn(1, 8, 4, 4)
    nn.init.zeros_(block.narrow.weight)

    assert torch.equal(x if shortcut else torch.zeros_like(x), block(x))


def test_only_the_middle_of_a_block_has_a_norm():
    norms = [name for name, module in FasterBlock(8).named_modules() if isinstance(module, nn.BatchNorm2d)]

    assert ["widen.bn"] == norms


@pytest.mark.parametrize("n", [1, 2, 4])
def test_faster_c2f_has_its_closed_count_of_parameters(n):
    c1, c2, c = 48, 64, 32
    frame = (c1 * 2 * c + 4 * c) + ((2 + n) * c * c2 + 2 * c2)
    block = 9 * (c // 4) ** 2 + (c * 2 * c + 4 * c) + 2 * c * c

    assert frame + n * block == params(FasterC2f(c1, c2, n))


def test_faster_c2f_is_lighter_than_the_c2f_that_it_replaces():
    assert params(FasterC2f(128, 128, 3)) < 0.6 * params(C2f(128, 128, 3))


def test_frame_takes_the_weights_of_c2f_by_name():
    ours, theirs = (block.state_dict() for block in (FasterC2f(32, 64, 2), C2f(32, 64, 2)))
    frame = {key: value.shape for key, value in theirs.items() if not key.startswith("m.")}

    assert frame == {key: value.shape for key, value in ours.items() if not key.startswith("m.")}


def test_export_of_c2f_does_not_reach_it():
    assert not isinstance(FasterC2f(8, 8), C2f)
    assert not hasattr(FasterC2f(8, 8), "forward_split")
