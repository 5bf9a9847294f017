"""Drawn and hand-written operators against closed formulas, on the meta device and on the CPU.

`test_operations.py` has a fixed case of each operator; here sizes are drawn, and blocks are added up from papers.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lwyolo.cost import profile
from lwyolo.modules.dyhead import DyHead, DyHeadLite
from lwyolo.modules.fasternet import PConv

F32 = 4


class Call(nn.Module):
    """A function of the input and of weights; before them, where there are such, the modules that it calls."""

    def __init__(self, function, *weights, **modules):
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList([torch.zeros(shape) for shape in weights])
        self.called = nn.ModuleList(modules.values())

    def forward(self, x):
        return self.function(*self.called, x, *self.weights)


def on_both(module, shape, **options):
    return [profile(module, input_shape=shape, device=device, **options) for device in ("meta", "cpu")]


def agreed(module, shape):
    """Profile on both devices, every operator with its formula, and return what both say."""
    on_meta, on_cpu = on_both(module, shape, strict=True)
    assert on_meta == on_cpu
    return on_meta


SMALL = st.integers(1, 3)


@st.composite
def convolutions(draw):
    """Options of a convolution of 1 to 3 dimensions, the batch and the size of its input."""
    n = draw(st.integers(1, 3))

    def axes(low, high):
        return tuple(draw(st.lists(st.integers(low, high), min_size=n, max_size=n)))

    groups = draw(st.integers(1, 4))
    options = {
        "in_channels": groups * draw(SMALL),
        "out_channels": groups * draw(SMALL),
        "kernel_size": axes(1, 4),
        "stride": axes(1, 3),
        "padding": axes(0, 3),
        "dilation": axes(1, 3),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    return options, draw(SMALL), axes(3, 9)


def axes_of(o, size):
    return zip(size, o["kernel_size"], o["stride"], o["padding"], o["dilation"], strict=True)


def weight_and_bias(o):
    return o["in_channels"] * o["out_channels"] // o["groups"] * math.prod(o["kernel_size"]), o["bias"] * o[
        "out_channels"
    ]


@given(convolutions())
def test_convolution(drawn):
    """Ho·Wo·c2·(c1/g)·kh·kw; input, weight and bias are read once, the output is written once."""
    o, batch, size = drawn
    out = [(i + 2 * p - d * (k - 1) - 1) // s + 1 for i, k, s, p, d in axes_of(o, size)]
    assume(min(out) >= 1 and all(i + 2 * p > d * (k - 1) for i, k, s, p, d in axes_of(o, size)))
    weight, bias = weight_and_bias(o)

    cost = agreed([nn.Conv1d, nn.Conv2d, nn.Conv3d][len(size) - 1](**o), (batch, o["in_channels"], *size))

    elements = batch * (o["in_channels"] * math.prod(size) + o["out_channels"] * math.prod(out)) + weight + bias
    assert (batch * math.prod(out) * weight, 2 * batch * math.prod(out) * weight) == (cost.macs, cost.flops)
    assert (F32 * elements, F32 * elements) == (cost.memory_access_bytes, cost.memory_access_fused_bytes)
    assert weight + bias == cost.params


@given(convolutions(), st.data())
def test_transposed_convolution(drawn, data):
    """Each input position is spread by the whole kernel: Hi·Wi·c1·(c2/g)·kh·kw, whatever the output padding."""
    o, batch, size = drawn
    extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(o["stride"], o["dilation"], strict=True))
    out = [
        (i - 1) * s - 2 * p + d * (k - 1) + e + 1 for (i, k, s, p, d), e in zip(axes_of(o, size), extra, strict=True)
    ]
    assume(min(out) >= 1)
    weight, bias = weight_and_bias(o)
    kind = [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d][len(size) - 1]

    costs = on_both(kind(**o, output_padding=extra), (batch, o["in_channels"], *size))

    elements = batch * (o["in_channels"] * math.prod(size) + o["out_channels"] * math.prod(out)) + weight + bias
    macs = batch * math.prod(size) * weight
    assert {(macs, 2 * macs, F32 * elements)} == {(c.macs, c.flops, c.memory_access_bytes) for c in costs}


@given(st.lists(SMALL, max_size=3), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_linear(leading, c1, c2, bias):
    rows = math.prod(leading)

    cost = agreed(nn.Linear(c1, c2, bias), (*leading, c1))

    assert rows * c1 * c2 == cost.macs
    assert F32 * (rows * (c1 + c2) + c1 * c2 + bias * c2) == cost.memory_access_bytes


@st.composite
def products(draw):
    """Shapes of two operands of `@`, and the multiply-accumulates: batch axes broadcast, a vector has no rows."""
    n, k, m = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 5))
    batch = draw(st.lists(SMALL, max_size=3))
    a, b = ([draw(st.sampled_from([size, 1])) for size in batch[draw(st.integers(0, len(batch))) :]] for _ in "ab")
    vector_a, vector_b = draw(st.booleans()), draw(st.booleans())
    shapes = ((k,) if vector_a else (*a, n, k)), ((k,) if vector_b else (*b, k, m))
    joint = torch.broadcast_shapes([] if vector_a else a, [] if vector_b else b)
    return shapes, math.prod(joint) * (1 if vector_a else n) * k * (1 if vector_b else m)


@given(products())
def test_matrix_product_of_vectors_matrices_and_broadcast_batches(drawn):
    (a, b), macs = drawn

    on_meta, on_cpu = on_both(Call(lambda x, y: x @ y, b), a)

    assert macs == on_meta.macs
    assert on_meta == on_cpu


@pytest.mark.parametrize("view", [lambda x: x.squeeze_(0), lambda x: x.unsqueeze_(0), lambda x: x.transpose_(0, 1)])
def test_view_made_in_place_is_free(view):
    cost = agreed(Call(view), (1, 3))

    assert (0, 0) == (cost.flops, cost.memory_access_bytes)


def test_split_without_a_view_relation_is_free():
    cost = agreed(Call(lambda x: torch.unsafe_split(x, 2, 1)), (1, 4))

    assert (0, 0) == (cost.flops, cost.memory_access_bytes)


def test_cropped_result_of_a_transposed_convolution_is_no_larger_on_the_cpu():
    agreed(nn.ConvTranspose3d(1, 1, 1, padding=(0, 0, 1), bias=False), (1, 1, 3, 3, 3))


@pytest.mark.parametrize(
    ("function", "weights", "macs"),
    [
        (lambda x, b, w: torch.addmm(b, x[0], w), [(5,), (6, 5)], 4 * 6 * 5),
        (lambda x, b, w: torch.addmm(b, x[0], w, beta=0.5, alpha=2), [(4, 5), (6, 5)], 4 * 6 * 5),
        (lambda x, b, w: torch.addmv(b, x[0], w), [(4,), (6,)], 4 * 6),
        (lambda x, b, w: torch.baddbmm(b, x, w), [(5,), (3, 6, 5)], 3 * 4 * 6 * 5),
        (lambda x, b, w: torch.addbmm(b, x, w), [(4, 5), (3, 6, 5)], 3 * 4 * 6 * 5),
        (lambda x, w: torch.kron(x[0], w), [(2, 2)], 0),
        (lambda x, w: torch.inner(x, w), [(2, 6)], 3 * 4 * 6 * 2),
        (lambda x, w: torch.linalg.multi_dot([x[0], w, w]), [(6, 6)], 2 * 4 * 6 * 6),
    ],
    ids=["addmm", "addmm scaled", "addmv", "baddbmm", "addbmm", "kron", "inner", "multi_dot"],
)
def test_product_with_something_added(function, weights, macs):
    assert macs == agreed(Call(function, *weights), (3, 4, 6)).macs


@given(st.lists(st.sampled_from(["batch", "left", "right", "both"]), min_size=1, max_size=5), st.data())
def test_einsum_of_two_meets_every_index_once(roles, data):
    """One multiply-accumulate for each combination of all indices, of which `both` are summed over."""
    assume("both" in roles)
    letters = "abcde"[: len(roles)]
    sizes = data.draw(st.lists(st.integers(2, 4), min_size=len(roles), max_size=len(roles)))
    named = list(zip(letters, roles, sizes, strict=True))

    def operand(*wanted):
        order = data.draw(st.permutations([(letter, size) for letter, role, size in named if role in wanted]))
        return "".join(letter for letter, _ in order), [size for _, size in order]

    x, x_shape = operand("batch", "left", "both")
    w, w_shape = operand("batch", "right", "both")
    y, _ = operand("batch", "left", "right")
    module = Call(lambda a, b: torch.einsum(f"{x},{w}->{y}", a, b), w_shape)

    assert math.prod(sizes) == agreed(module, tuple(x_shape)).macs


@given(st.lists(st.integers(2, 5), min_size=4, max_size=4))
def test_einsum_of_three_goes_from_left_to_right(sizes):
    i, j, k, m = sizes
    module = Call(lambda x, v, w: torch.einsum("ij,jk,km->im", x, v, w), (j, k), (k, m))
    enabled, torch.backends.opt_einsum.enabled = torch.backends.opt_einsum.enabled, False
    try:
        assert i * j * k + i * k * m == agreed(module, (i, j)).macs
    finally:
        torch.backends.opt_einsum.enabled = enabled


B, C, H, W = 2, 8, 6, 5


@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(1, 2), SMALL, SMALL, st.sampled_from(["plain", "causal", "mask", "bias"]))
def test_attention_of_grouped_queries_with_values_of_another_width(kv_heads, shared, dk, dv, kind):
    """heads·Nq·Nk·(dk + dv): a causal or masked product is computed whole by the definition."""
    heads, nq, nk = kv_heads * shared, 5, 7

    def attend(q, k, v):
        mask = torch.ones(nq, nk, dtype=torch.bool if kind == "mask" else q.dtype, device=q.device)
        return functional.scaled_dot_product_attention(
            q, k, v, mask if kind in ("mask", "bias") else None, is_causal=kind == "causal", enable_gqa=shared > 1
        )

    module = Call(attend, (B, kv_heads, nk, dk), (B, kv_heads, nk, dv))

    assert B * heads * nq * nk * (dk + dv) == agreed(module, (B, heads, nq, dk)).macs


D, HEADS, N = 16, 4, 6


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(("kdim", "vdim"), [(D, D), (10, 12)])
def test_multi_head_attention_with_keys_and_values_of_other_widths(batch_first, need_weights, kdim, vdim):
    attention = nn.MultiheadAttention(D, HEADS, kdim=kdim, vdim=vdim, batch_first=batch_first)
    keys, values = ((B, 9, width) if batch_first else (9, B, width) for width in (kdim, vdim))
    module = Call(lambda m, q, k, v: m(q, k, v, need_weights=need_weights)[0], keys, values, m=attention)
    projections = N * D * D + 9 * (kdim + vdim) * D + N * D * D

    assert B * (projections + 2 * N * 9 * D) == agreed(module, (B, N, D) if batch_first else (N, B, D)).macs


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [True, False])
def test_transformer_layers(activation, norm_first):
    layer = nn.TransformerEncoderLayer(D, HEADS, 24, activation=activation, norm_first=norm_first, batch_first=True)
    stack = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)

    assert 3 * B * (4 * N * D * D + 2 * N * N * D + 2 * N * D * 24) == agreed(stack, (B, N, D)).macs


class SwinBlock(nn.Module):
    """Shifted-window attention of Swin: partition, qkv, attention with a position bias, projection, merge, MLP."""

    def __init__(self, window=2, shift=1):
        super().__init__()
        self.norm, self.qkv, self.project = nn.LayerNorm(D), nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.mlp = nn.Sequential(nn.LayerNorm(D), nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D))
        self.bias = nn.Parameter(torch.zeros(HEADS, window**2, window**2))
        self.window, self.shift = window, shift

    def forward(self, x):
        b, h, w, _ = x.shape
        s = self.window
        y = torch.roll(self.norm(x), (-self.shift, -self.shift), (1, 2))
        y = y.view(b, h // s, s, w // s, s, D).permute(0, 1, 3, 2, 4, 5).reshape(-1, s * s, D)
        q, k, v = self.qkv(y).reshape(-1, s * s, 3, HEADS, D // HEADS).permute(2, 0, 3, 1, 4)
        y = ((q * (D // HEADS) ** -0.5) @ k.mT + self.bias).softmax(-1) @ v
        y = self.project(y.transpose(1, 2).reshape(-1, s * s, D))
        y = y.view(b, h // s, w // s, s, s, D).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, D)
        x = x + torch.roll(y, (self.shift, self.shift), (1, 2))
        return x + self.mlp(x)


@pytest.mark.parametrize("window", [2, 4])
def test_window_attention_of_swin(window):
    """Swin, equation 2: 4hwC² + 2M²hwC, and 8hwC² of the MLP."""
    h, w = 8, 12

    assert B * h * w * (4 * D * D + 2 * window**2 * D + 8 * D * D) == agreed(SwinBlock(window), (B, h, w, D)).macs


@pytest.mark.parametrize("groups", [1, C])
@pytest.mark.parametrize(("stride", "dilation", "offset_groups"), [(1, 1, 1), (2, 1, 2), (1, 2, 4)])
def test_deformable_convolution_with_its_offset_convolution(groups, stride, dilation, offset_groups):
    """DCNv2: a convolution of c channels to 27 for each offset group, and the contraction; sampling is element-wise.

    torchvision hands its operator a vector of zeros where there is no bias, which is read too.
    """
    ops = pytest.importorskip("torchvision.ops")
    options = {"stride": stride, "padding": dilation, "dilation": dilation}
    predict = nn.Conv2d(C, 27 * offset_groups, 3, **options)
    c2 = 12 if groups == 1 else C
    deform = ops.DeformConv2d(C, c2, 3, groups=groups, bias=False, **options)

    def run(predict, deform, x):
        y, x_offset, mask = predict(x).chunk(3, 1)
        return deform(x, torch.cat((y, x_offset), 1), mask)

    area = -(-H // stride) * -(-W // stride)
    found = agreed(Call(run, predict=predict, deform=deform), (B, C, H, W))
    (operator,) = (o for o in found.operators if o.name == "torchvision::deform_conv2d")

    assert B * area * c2 * (C // groups) * 9 == operator.macs
    assert B * area * C * 9 * (2 * 4 + 1) == operator.flops - 2 * operator.macs
    assert B * area * 27 * offset_groups * C * 9 + operator.macs == found.macs
    assert (
        F32 * (B * (C * H * W + 27 * offset_groups * area + c2 * area) + c2 * (C // groups) * 9 + c2)
        == operator.memory_access_bytes
    )


def test_convolution_whose_weights_are_computed_from_the_image():
    """Dynamic convolution: attention over 4 kernels by two layers on the mean, their mixture, one group an image."""

    def run(squeeze, expand, x, kernels):
        weights = expand(functional.relu(squeeze(x.mean((2, 3))))).softmax(1)
        kernel = (weights @ kernels.flatten(1)).reshape(-1, C, 3, 3)
        y = functional.conv2d(x.reshape(1, -1, H, W), kernel, padding=1, groups=x.shape[0])
        return y.reshape(-1, 12, H, W)

    mixture = 4 * 12 * C * 9
    module = Call(run, (4, 12, C, 3, 3), squeeze=nn.Linear(C, 2), expand=nn.Linear(2, 4))

    assert B * (C * 2 + 2 * 4 + mixture + H * W * 12 * C * 9) == agreed(module, (B, C, H, W)).macs


@pytest.mark.parametrize("k", [1, 3])
def test_shared_block_called_k_times_on_two_levels(k):

    def run(conv, x):
        levels = [x, functional.max_pool2d(x, 2)]
        for _ in range(k):
            levels = [conv(level) for level in levels]
        return levels

    found = agreed(Call(run, conv=nn.Conv2d(C, C, 3, padding=1, bias=False)), (B, C, 8, 6))

    assert (k * B * (48 + 12) * C * C * 9, C * C * 9) == (found.macs, found.params)
    assert [2 * k] == [layer.calls for layer in found.layers if layer.type == "Conv2d"]


@pytest.mark.parametrize(
    "to_grid",
    [
        lambda x: functional.pad(x, (0, 64 - x.shape[-1], 0, 64 - x.shape[-2])),
        lambda x: functional.adaptive_avg_pool2d(x, 64),
        lambda x: x.new_zeros(x.shape[0], x.shape[1], 64, 64),
    ],
    ids=["padded", "pooled", "fixed grid"],
)
def test_block_of_fixed_size_does_not_grow_with_the_image(to_grid):
    module = Call(lambda conv, x: conv(to_grid(x)), conv=nn.Conv2d(3, 4, 3, padding=1))
    macs = [profile(module, imgsz).macs for imgsz in (16, 32, 64)]

    assert 3 * [64 * 64 * 3 * 4 * 9] == macs


@given(st.integers(1, 40), st.integers(3, 9), st.integers(3, 9))
def test_partial_convolution_of_fasternet(c, h, w):
    """hw·k²·c_p² with a quarter of the channels, at least one; copies beside it."""
    part = max(c // 4, 1)

    assert (h * w * 9 * part**2, 2 * h * w * 9 * part**2) == (
        (found := agreed(PConv(c), (1, c, h, w))).macs, found.flops,
    )  # fmt: skip


def neighbours(i, levels):
    """Levels that level `i` is rebuilt from, finer first."""
    return [j for j in (i - 1, i, i + 1) if 0 <= j < levels]


def attention_macs(c, levels):
    """Scale attention: c for each gated feature. Task attention: c·c/4 and c/4·4c for each level."""
    return sum(len(neighbours(i, levels)) * c + c * (c // 4) + c // 4 * 4 * c for i in range(levels))


def pyramid(levels, size=(26, 42)):
    """Heights and widths of levels, each half of the one before, rounded up."""
    sizes = [size]
    while len(sizes) < levels:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


def branch_areas(sizes):
    """Output positions of each spatial branch: the finer level is read with stride 2, the coarser as it is."""
    areas = [h * w for h, w in sizes]
    return [areas[max(i, j)] for i in range(len(sizes)) for j in neighbours(i, len(sizes))]


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("levels", [1, 2, 3, 5])
@pytest.mark.parametrize("norm", ["gn", "bn"])
@pytest.mark.parametrize("deform", ["dense", "depthwise"])
def test_dynamic_head(deform, norm, levels, n):
    """Each level: 27 offset channels, a deformable convolution of itself and each neighbour, and both attentions."""
    c, ch, sizes = 16, [12, *[16] * (levels - 1)], pyramid(levels)
    positions, branches = sum(h * w for h, w in sizes), sum(branch_areas(sizes))
    contraction = 9 * c * c if deform == "dense" else 9 * c + c * c
    block = positions * 27 * c * 9 + branches * contraction + attention_macs(c, levels)

    found = agreed(DyHead(ch, c, n, deform, norm), [(B, k, *size) for k, size in zip(ch, sizes, strict=True)])

    assert B * (math.prod(sizes[0]) * 12 * c + n * block) == found.macs
    (operator,) = (o for o in found.operators if o.name == "torchvision::deform_conv2d")
    assert n * len(branch_areas(sizes)) == operator.calls
    assert B * n * branches * c * 9 * 9 == operator.flops - 2 * operator.macs


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_dynamic_head_without_deformable_convolution(levels, n):
    c, ch, sizes = 16, [12, *[16] * (levels - 1)], pyramid(levels)
    block = sum(branch_areas(sizes)) * (9 * c + c * c) + attention_macs(c, levels)

    found = agreed(DyHeadLite(ch, c, n), [(B, k, *size) for k, size in zip(ch, sizes, strict=True)])

    assert B * (math.prod(sizes[0]) * 12 * c + n * block) == found.macs


LSTM, GRU = (nn.LSTM, 4, 3 * 4 + 2 + 3 + 5), (nn.GRU, 3, 2 * 4 + 1 + 2 + 5)
"""Gates, and element-wise FLOPs a hidden unit and step: sigmoids at 4, tanh, products, sums.

An LSTM's sums join the two products of each gate, and the two parts of the cell. A GRU's join those of two gates, the
parts of the candidate, and old and new state: (h - n)·z + n.
"""


def recurrent(kind, layers, directions):
    """Build one; return it, what it costs on both devices, its multiply-accumulates and the units that it computes."""
    (cls, n_gates, _), c, hidden, steps = kind, 10, 12, 5
    module = cls(c, hidden, layers, bidirectional=directions == 2, batch_first=True)
    widths = [c, *[hidden * directions] * (layers - 1)]
    macs = B * steps * directions * sum(n_gates * hidden * (width + hidden) for width in widths)
    return on_both(module, (B, steps, c)), macs, B * steps * directions * layers * hidden


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("kind", [LSTM, GRU], ids=["LSTM", "GRU"])
def test_recurrent_layers(kind, layers, directions):
    costs, macs, _ = recurrent(kind, layers, directions)

    assert [macs] * 2 == [cost.macs for cost in costs]


@pytest.mark.parametrize("kind", [LSTM, GRU], ids=["LSTM", "GRU"])
def test_gates_of_recurrent_layers_are_elementwise_work(kind):
    costs, macs, units = recurrent(kind, 2, 2)

    assert [2 * macs + kind[2] * units] * 2 == [cost.flops for cost in costs]


@pytest.mark.parametrize("kind", [LSTM, GRU], ids=["LSTM", "GRU"])
def test_recurrent_layers_have_no_operator_without_a_formula(kind):
    costs, _, _ = recurrent(kind, 1, 1)

    assert [{}] * 2 == [cost.uncounted for cost in costs]


X = (2, 8, 16, 12)
N_X = math.prod(X)
WORK = {
    "fft2": (lambda x: torch.fft.fft2(x.to(torch.complex64)), 5 * N_X * math.log2(16 * 12)),
    "rfft2": (torch.fft.rfft2, 2.5 * N_X * math.log2(16 * 12)),
    "rfft over another axis": (lambda x: torch.fft.rfft(x, dim=1), 2.5 * N_X * math.log2(8)),
    "irfft": (lambda x: torch.fft.irfft(torch.complex(x, x), n=22), 2.5 * N_X // 12 * 22 * math.log2(22)),
    "linear": (lambda x: functional.interpolate(x.flatten(2), scale_factor=3, mode="linear"), 3 * N_X * 2 * 2),
    "bicubic": (lambda x: functional.interpolate(x, (5, 7), mode="bicubic"), 16 * 5 * 7 * 16 * 2),
    "trilinear": (lambda x: functional.interpolate(x[None], scale_factor=2, mode="trilinear"), 8 * N_X * 8 * 2),
    "nearest-exact": (lambda x: functional.interpolate(x, scale_factor=2, mode="nearest-exact"), 0),
    "nearest of lines": (lambda x: functional.interpolate(x.flatten(2), scale_factor=2), 0),
    "grid sample, cubic": (
        lambda x: functional.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), "bicubic", align_corners=False),
        N_X * 16 * 2,
    ),
    "grid sample of a volume": (
        lambda x: functional.grid_sample(x[None], x[:1, :3].permute(0, 2, 3, 1)[:, None], align_corners=False),
        2 * 16 * 12 * 8 * 2,
    ),
    "mean pool 2 × 4": (nn.AvgPool2d((2, 4)), N_X),
    "max pool of lines": (lambda x: functional.max_pool1d(x.flatten(2), 4), N_X),
    "mean pool of a volume": (lambda x: functional.avg_pool3d(x[None], 2), N_X),
    "pooled to 4 × 3": (nn.AdaptiveAvgPool2d((4, 3)), N_X),
    "greatest of all": (nn.AdaptiveMaxPool2d(1), N_X),
    "instance norm": (nn.InstanceNorm2d(8), 5 * N_X),
    "instance norm with gain": (nn.InstanceNorm2d(8, affine=True), 7 * N_X),
    "batch norm of lines": (lambda x: functional.batch_norm(x.flatten(2), x.new_zeros(8), x.new_ones(8)), 2 * N_X),
    "rms norm": (nn.RMSNorm(12), 4 * N_X),
    "log softmax": (lambda x: x.log_softmax(-1), 5 * N_X),
    "logsumexp": (lambda x: x.logsumexp(1), 3 * N_X),
    "length": (lambda x: x.norm(dim=1), 2 * N_X),
    "unit length": (lambda x: functional.normalize(x, dim=1), 2 * N_X + 16 * 12 * 2 + N_X),
    "mish": (nn.Mish(), 5 * N_X),
    "gated linear": (nn.GLU(1), 5 * N_X // 2),
    "parametric relu": (nn.PReLU(8), 2 * N_X),
    "relu6": (nn.ReLU6(), 2 * N_X),
    "hard sigmoid": (nn.Hardsigmoid(), 4 * N_X),
    "softplus": (nn.Softplus(), 3 * N_X),
    "difference and power": (lambda x: (x - 1) ** 2, 2 * N_X),
    "running sum": (lambda x: x.cumsum(-1), N_X),
    "greatest and where": (lambda x: x.max(1), N_X),
    "k greatest": (lambda x: x.topk(2, 1), N_X),
    "shuffle of channels": (nn.ChannelShuffle(2), 0),
    "unshuffle": (nn.PixelUnshuffle(2), 0),
    "reflected": (nn.ReflectionPad2d(1), 0),
    "rolled": (lambda x: x.roll((1, 2), (2, 3)), 0),
    "drop out": (nn.Dropout(), 0),
    "drawn noise": (torch.randn_like, 0),
}


@pytest.mark.parametrize(("function", "flops"), WORK.values(), ids=WORK)
def test_elementwise_work_follows_the_published_table(function, flops):
    """Of drawn axes and odd kinds; `test_operations.py` has the plain ones."""
    found = agreed(function if isinstance(function, nn.Module) else Call(function), X)

    assert (0, round(flops)) == (found.macs, found.flops)
