from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ultralytics.nn.modules import Conv

from lwyolo.errors import GraphError
from lwyolo.modules.gsconv import GSConv, VoVGSCSP, shuffle_halves


def params(module):
    return sum(p.numel() for p in module.parameters())


@given(half=st.integers(1, 40))
def test_shuffle_is_a_permutation_in_which_the_halves_alternate(half):
    order = shuffle_halves(torch.arange(2 * half).reshape(1, 2 * half, 1, 1)).flatten().tolist()

    assert list(range(2 * half)) == sorted(order)
    assert list(range(half)) == order[::2]
    assert list(range(half, 2 * half)) == order[1::2]


def test_shuffle_moves_whole_channels_of_every_image():
    x = torch.randn(2, 6, 3, 5)

    assert torch.equal(x[:, [0, 3, 1, 4, 2, 5]], shuffle_halves(x))


def test_even_channels_are_the_dense_half():
    layer, x = GSConv(8, 12, 3, 2).eval(), torch.randn(1, 8, 9, 9)
    dense = layer.dense(x)
    y = layer(x)

    assert (1, 12, 5, 5) == tuple(y.shape)
    assert torch.equal(dense, y[:, ::2])
    assert torch.equal(layer.depthwise(dense), y[:, 1::2])


def test_costs_about_half_of_a_convolution():
    half = 64
    expected = (9 * 128 * half + 2 * half) + (25 * half + 2 * half)

    assert expected == params(GSConv(128, 128, 3))
    assert expected < 0.52 * params(Conv(128, 128, 3))


def test_activation_can_be_left_out():
    layer = GSConv(2, 4, act=False)

    assert [torch.nn.Identity] * 2 == [type(layer.dense.act), type(layer.depthwise.act)]


def test_odd_width_is_refused():
    with pytest.raises(GraphError) as error:
        GSConv(8, 7)

    assert "GSConv: c2=7 channels, expected an even number: one half is dense, one depthwise." == str(error.value)


@pytest.mark.parametrize("n", [1, 3])
def test_every_parameter_of_the_block_is_used(n):
    block = VoVGSCSP(24, 32, n)
    y = block(torch.randn(2, 24, 6, 6))
    (y * torch.randn_like(y)).sum().backward()

    assert (2, 32, 6, 6) == tuple(y.shape)
    assert n == len(block.m)
    assert [] == [name for name, p in block.named_parameters() if p.grad is None]
