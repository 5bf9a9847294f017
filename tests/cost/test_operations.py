"""Each operator against its closed formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from lwyolo.cost import Work, op_cost, profile
from lwyolo.cost.operations import FORMULAS
from lwyolo.errors import RegistrationError


class Call(nn.Module):
    """A function as a module; tensors given beside the input are its weights."""

    def __init__(self, function, *weights):
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList([torch.zeros(shape) for shape in weights])

    def forward(self, x):
        return self.function(x, *self.weights)


def cost(module, *shape):
    return profile(module, input_shape=shape)


B, C, H, W = 2, 8, 12, 10
CONVOLUTIONS = {
    "1x1": (nn.Conv2d(C, 6, 1), H * W * 6 * C),
    "3x3 with bias costs no more": (nn.Conv2d(C, 6, 3, padding=1, bias=True), H * W * 6 * C * 9),
    "stride 2": (nn.Conv2d(C, 6, 3, 2, 1), 6 * 5 * 6 * C * 9),
    "no padding": (nn.Conv2d(C, 6, (3, 5)), 10 * 6 * 6 * C * 15),
    "same padding": (nn.Conv2d(C, 6, (3, 5), padding="same"), H * W * 6 * C * 15),
    "dilated": (nn.Conv2d(C, 6, 3, padding=2, dilation=2), H * W * 6 * C * 9),
    "grouped": (nn.Conv2d(C, 12, 3, padding=1, groups=4), H * W * 12 * (C // 4) * 9),
    "depthwise": (nn.Conv2d(C, C, 3, padding=1, groups=C), H * W * C * 9),
    "transposed": (nn.ConvTranspose2d(C, 6, 2, 2), H * W * C * 6 * 4),
    "transposed, grouped": (nn.ConvTranspose2d(C, 6, 3, 2, 1, output_padding=1, groups=2), H * W * C * 3 * 9),
    "functional": (Call(lambda x, w: functional.conv2d(x, w, padding=1), (6, C, 3, 3)), H * W * 6 * C * 9),
}


@pytest.mark.parametrize(("module", "per_image"), CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
def test_convolution(module, per_image):
    assert B * per_image == cost(module, B, C, H, W).macs


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_convolution_of_every_dimension(device):
    assert 9 * 4 * 3 * 3 == profile(nn.Conv1d(3, 4, 3, padding=1), input_shape=(1, 3, 9), device=device).macs
    assert 5**3 * 4 * 3 * 27 == profile(nn.Conv3d(3, 4, 3, padding=1), input_shape=(1, 3, 5, 5, 5), device=device).macs
    assert 9 * 3 * 4 * 2 == profile(nn.ConvTranspose1d(3, 4, 2, 2), input_shape=(1, 3, 9), device=device).macs


PRODUCTS = {
    "linear of vectors": (nn.Linear(10, 7), 2 * 8 * 12 * 10 * 7),
    "linear without bias": (nn.Linear(10, 7, bias=False), 2 * 8 * 12 * 10 * 7),
    "functional linear": (Call(lambda x, w: functional.linear(x, w), (7, 10)), 2 * 8 * 12 * 10 * 7),
    "matmul": (Call(lambda x: x @ x.transpose(-1, -2)), 2 * 8 * 12 * 10 * 12),
    "matmul with a shared operand": (Call(lambda x, w: x @ w, (10, 3)), 2 * 8 * 12 * 10 * 3),
    "bmm": (Call(lambda x: torch.bmm(x[0], x[0].mT)), 8 * 12 * 10 * 12),
    "baddbmm": (Call(lambda x: torch.baddbmm(x[0, :, :, :1], x[0], x[0].mT)), 8 * 12 * 10 * 12),
    "addbmm": (Call(lambda x, w: torch.addbmm(w, x[0], x[0].mT), (12, 12)), 8 * 12 * 10 * 12),
    "mv": (Call(lambda x, w: torch.mv(x[0, 0], w), (10,)), 12 * 10),
    "dot": (Call(lambda x, w: torch.dot(x[0, 0, 0], w), (10,)), 10),
    "einsum of two": (Call(lambda x, w: torch.einsum("bchw,wd->bchd", x, w), (10, 3)), 2 * 8 * 12 * 10 * 3),
    "einsum, batched": (Call(lambda x: torch.einsum("bchw,bcgw->bchg", x, x)), 2 * 8 * 12 * 10 * 12),
    "einsum of three, left to right": (
        Call(lambda x, v, w: torch.einsum("bchw,wd,de->bche", x, v, w), (10, 3), (3, 5)),
        2 * 8 * 12 * (10 * 3 + 3 * 5),
    ),
    "tensordot": (Call(lambda x, w: torch.tensordot(x, w, dims=2), (12, 10, 3)), 2 * 8 * 12 * 10 * 3),
    "unfolded convolution": (
        Call(lambda x, w: w @ functional.unfold(x, 3, padding=1), (6, 8 * 9)),
        2 * 12 * 10 * 6 * 8 * 9,
    ),
}


@pytest.fixture(autouse=True)
def plain_einsum(monkeypatch):
    """Contract from left to right, also where the optional path optimiser is installed."""
    monkeypatch.setattr(torch.backends.opt_einsum, "enabled", False)


@pytest.mark.parametrize(("module", "macs"), PRODUCTS.values(), ids=PRODUCTS.keys())
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_matrix_product(module, macs, device):
    assert macs == profile(module, input_shape=(B, 8, 12, 10), device=device).macs


HEADS, N, D = 4, 30, 16


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_attention_is_one_operator_that_never_holds_its_scores(device):
    module = Call(lambda x: functional.scaled_dot_product_attention(x, x[:, :, :20], x[:, :, :20]))

    attention = profile(module, input_shape=(B, HEADS, N, D), device=device)

    assert B * HEADS * N * 20 * (D + D) == attention.macs
    assert 6 * B * HEADS * N * 20 == attention.flops - 2 * attention.macs
    assert 4 * B * HEADS * D * (N + 20 + N) == attention.memory_access_bytes  # keys and values are one view, read once
    assert ["aten::scaled_dot_product_attention"] == [o.name for o in attention.operators]


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head_attention(device, need_weights):
    attention = nn.MultiheadAttention(HEADS * D, HEADS, batch_first=True)
    module = Call(lambda x: attention(x, x, x, need_weights=need_weights)[0])
    module.attention = attention
    d = HEADS * D

    assert B * (4 * N * d * d + 2 * N * N * d) == profile(module, input_shape=(B, N, d), device=device).macs


def test_transformer_layer_agrees_on_both_devices():
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    on_meta, on_cpu = (profile(layer, input_shape=(B, N, 64), device=device) for device in ("meta", "cpu"))

    assert B * (4 * N * 64 * 64 + 2 * N * N * 64 + 2 * N * 64 * 128) == on_meta.macs == on_cpu.macs
    assert on_meta == on_cpu


def test_recurrent_layer():
    lstm = nn.LSTM(10, 20, batch_first=True)

    assert B * N * 4 * 20 * (10 + 20) == cost(lstm, B, N, 10).macs
    assert B * N * 4 * 20 * (10 + 20) == profile(lstm, input_shape=(B, N, 10), device="cpu").macs


def test_window_attention():
    """Windows of 4 × 4 in 8 × 8 positions: every position meets the 16 of its own window."""
    d = 16

    def attend(x):
        windows = x.view(B, d, 2, 4, 2, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, d)
        return torch.softmax(windows @ windows.mT, -1) @ windows

    assert B * 64 * 16 * d * 2 == cost(Call(attend), B, d, 8, 8).macs


@pytest.mark.parametrize("groups", [1, C])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_deformable_convolution_counts_contraction_and_sampling_apart(groups, masked, device):
    ops = pytest.importorskip("torchvision.ops")
    offset, mask = torch.zeros(B, 18, H, W), torch.zeros(B, 9, H, W)

    class Deformed(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(C, C // groups, 3, 3))
            self.register_buffer("offset", offset)
            self.register_buffer("mask", mask)

        def forward(self, x):
            return ops.deform_conv2d(x, self.offset, self.weight, padding=1, mask=self.mask if masked else None)

    found = profile(Deformed(), input_shape=(B, C, H, W), device=device)

    assert B * H * W * C * (C // groups) * 9 == found.macs
    assert B * H * W * C * 9 * (2 * 4 + masked) == found.flops - 2 * found.macs


ELEMENTWISE = {
    "sum": (lambda x: x + x, 1),
    "sum in place": (lambda x: x.clone().add_(1), 1),
    "quotient": (lambda x: x / 3, 1),
    "relu": (functional.relu, 1),
    "leaky relu": (functional.leaky_relu, 2),
    "sigmoid": (torch.sigmoid, 4),
    "silu": (functional.silu, 5),
    "hardswish": (functional.hardswish, 5),
    "gelu": (functional.gelu, 5),
    "softmax": (lambda x: x.softmax(1), 5),
    "mean": (lambda x: x.mean((2, 3)), 1),
    "variance": (lambda x: x.var(1), 4),
    "batch norm": (nn.BatchNorm2d(C), 2),
    "layer norm": (nn.LayerNorm(W), 7),
    "layer norm without gain": (nn.LayerNorm(W, elementwise_affine=False), 5),
    "group norm": (nn.GroupNorm(2, C), 7),
    "max pool 3x3": (nn.MaxPool2d(3, 1, 1), 9),
    "global mean": (nn.AdaptiveAvgPool2d(1), 1),
    "nearest": (nn.Upsample(scale_factor=2), 0),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), 4 * 2 * 4),
    "concatenation": (lambda x: torch.cat([x, x], 1), 0),
    "shuffle": (nn.PixelShuffle(2), 0),
    "padding": (lambda x: functional.pad(x, (1, 1, 1, 1)), 0),
    "comparison": (lambda x: x > 0, 1),
}


@pytest.mark.parametrize(("function", "per_element"), ELEMENTWISE.values(), ids=ELEMENTWISE.keys())
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_elementwise_work(function, per_element, device):
    module = function if isinstance(function, nn.Module) else Call(function)

    found = profile(module, input_shape=(B, C, H, W), device=device)

    assert (0, per_element * B * C * H * W, {}) == (found.macs, found.flops, found.uncounted)


def test_integer_arithmetic_is_no_floating_point_operation():
    assert 0 == cost(Call(lambda x: torch.arange(10) * 2 + 1), 1, 1).flops


@pytest.mark.parametrize(("mode", "neighbours"), [("bilinear", 4), ("nearest", 0)])
def test_grid_sample(mode, neighbours):
    module = Call(
        lambda x, grid: functional.grid_sample(x, grid.expand(B, -1, -1, -1), mode=mode, align_corners=False),
        (1, 5, 6, 2),
    )

    assert B * C * 30 * 2 * neighbours == cost(module, B, C, H, W).flops


def test_fourier_transform_is_five_n_log_n():
    assert 5 * 64 * math.log2(64) == cost(Call(lambda x: torch.fft.fft(x.to(torch.complex64))), 1, 64).flops
    assert 2.5 * 64 * math.log2(64) == cost(Call(torch.fft.rfft), 1, 64).flops


def test_custom_operator_counts_by_its_own_formula(custom_operator):
    module = Call(custom_operator)
    unknown = cost(module, 1, C)

    @op_cost(custom_operator)
    def formula(x, *, out):
        return Work(macs=3 * x.numel(), elementwise=out.numel())

    known = cost(module, 1, C)

    assert ({"lwyolo_test::twice": 1}, 0) == (unknown.uncounted, unknown.flops)
    assert ({}, 3 * C, 7 * C) == (known.uncounted, known.macs, known.flops)


@pytest.fixture
def custom_operator():
    library = torch.library.Library("lwyolo_test", "FRAGMENT")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: torch.empty_like(x), "Meta")
    yield torch.ops.lwyolo_test.twice
    FORMULAS.pop("lwyolo_test::twice", None)
    library._destroy()


def test_second_formula_for_an_operator_is_refused():
    with pytest.raises(RegistrationError) as error:
        op_cost(torch.ops.aten.mm)(lambda *_, out: 0)

    expected = (
        "operator aten::mm already has a formula, from lwyolo.cost.operations.matrix_product; a formula is given once."
    )
    assert expected == str(error.value)
