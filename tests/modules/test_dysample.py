from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's users write

from lwyolo.errors import GraphError
from lwyolo.modules.dysample import SCOPE, DySample


def layer(c=16, *, std=None, **arguments):
    """A DySample whose offsets are zero, or drawn with a deviation of `std`."""
    module = DySample(c, **arguments)
    nn.init.zeros_(module.offset.weight) if std is None else nn.init.normal_(module.offset.weight, std=std)
    return module


@given(h=st.integers(1, 13), w=st.integers(1, 13), scale=st.integers(1, 3), style=st.sampled_from(["lp", "pl"]))
def test_without_offsets_it_is_bilinear_upsampling(h, w, scale, style):
    x = torch.rand(2, 36, h, w, generator=torch.Generator().manual_seed(h * 13 + w))
    expected = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)

    # grid_sample reads at positions from -1 to 1, so float32 rounds them a little more than interpolate does
    torch.testing.assert_close(layer(36, scale=scale, style=style)(x), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("c", [64, 128])
def test_published_counts_of_parameters(c):
    lp, pl = (sum(p.numel() for p in DySample(c, style=style).parameters()) for style in ("lp", "pl"))

    assert 32 * c + 32 == lp
    assert 2 * c + 8 == pl


@pytest.mark.parametrize("style", ["lp", "pl"])
def test_an_offset_moves_the_sample_by_the_scope_in_pixels_of_the_input(style):
    x = torch.rand(1, 16, 8, 8)
    module = layer(style=style)
    with torch.no_grad():  # in each group: x by four scopes, which is one pixel, y by none
        module.offset.bias.view(4, 2, -1)[:, 0] = 1 / SCOPE
    shifted = torch.cat((x[..., 1:], x[..., -1:]), dim=-1)  # the border differs
    expected = F.interpolate(shifted, scale_factor=2, mode="bilinear", align_corners=False)

    torch.testing.assert_close(module(x)[..., 2:-4], expected[..., 2:-4], rtol=0, atol=1e-5)


def test_groups_move_apart_and_their_channels_together():
    x = torch.rand(1, 1, 6, 6).repeat(1, 8, 1, 1)
    y = layer(8, std=1.0)(x)

    assert torch.equal(y[:, 0], y[:, 1])
    assert not torch.equal(y[:, 0], y[:, 2])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_its_type_and_the_position_of_samples(dtype):
    ramp = (
        torch.linspace(0, 1, 80).repeat(1, 16, 4, 1).to(dtype)
    )  # read at rounded points, it would be off by 1/50 pixel
    expected = layer()(ramp.float())
    y = layer().to(dtype)(ramp)

    assert dtype == y.dtype
    torch.testing.assert_close(y.float(), expected, rtol=0, atol=torch.finfo(dtype).eps / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 10}, "DySample: 10 channels cannot be divided by groups = 4."),
        ({"c1": 10, "groups": 2, "style": "pl"}, "DySample: 10 channels cannot be divided by scale² = 4."),
        ({"c1": 16, "style": "lq"}, "DySample: style 'lq', expected lp or pl."),
    ],
)
def test_unfitting_arguments_are_refused(arguments, message):
    with pytest.raises(GraphError) as error:
        DySample(**arguments)

    assert str(error.value).startswith(message)
