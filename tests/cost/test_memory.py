"""Memory access and peak memory against figures added up by hand; 4 bytes an element."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lwyolo.cost import profile

B, C, H, W = 2, 8, 16, 16
N = C * H * W


class Call(nn.Module):
    """A function as a module, with the modules that it uses."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def access(module, *shape):
    cost = profile(module, input_shape=shape)
    return cost.memory_access_bytes, cost.memory_access_fused_bytes


@pytest.mark.parametrize(
    ("module", "elements"),
    [
        (nn.Conv2d(C, 12, 1, bias=False), B * (H * W * C + H * W * 12) + C * 12),
        (nn.Conv2d(C, 12, 3, 2, 1, bias=False), B * (H * W * C + H * W // 4 * 12) + 9 * C * 12),
        (nn.Conv2d(C, C, 3, 1, 1, groups=C, bias=False), B * 2 * N + 9 * C),
        (nn.Conv2d(C, 12, 1), B * (H * W * C + H * W * 12) + C * 12 + 12),
    ],
    ids=["1x1", "3x3 stride 2", "depthwise", "with bias"],
)
def test_convolution_reads_and_writes_what_shufflenet_says(module, elements):
    assert (4 * elements, 4 * elements) == access(module, B, C, H, W)


def test_broadcast_operand_is_read_once():
    """relu: 2n; mean: n + c; product with the mean: 2n + c; sum with the input: 3n."""
    module = Call(lambda _, x: functional.relu(x) * functional.relu(x).mean((2, 3), keepdim=True) + x)

    def reused(_, x):
        y = functional.relu(x)
        return y * y.mean((2, 3), keepdim=True) + x

    assert 65_600 == 4 * (8 * N + 2 * C) == access(Call(reused), 1, C, H, W)[0]
    assert 4 * (10 * N + 2 * C) == access(module, 1, C, H, W)[0]


def test_convolution_batch_norm_activation_and_sum_fuse_into_one_group():
    """Eager: conv 2n + 9c², norm 2n + 4c, SiLU 2n, sum 3n. Fused: the input, once, weights, a bias, the output."""
    module = Call(
        lambda m, x: functional.silu(m.bn(m.conv(x))) + x,
        conv=nn.Conv2d(C, C, 3, 1, 1, bias=False),
        bn=nn.BatchNorm2d(C),
    )

    assert (76_160, 18_720) == access(module, 1, C, H, W)
    assert 4 * (9 * N + 9 * C * C + 4 * C) == 76_160
    assert 4 * (2 * N + 9 * C * C + C) == 18_720


def test_activation_in_place_costs_what_another_one_does():
    def block(inplace):
        return nn.Sequential(nn.Conv2d(C, C, 1), nn.SiLU(inplace=inplace), nn.Conv2d(C, C, 1))

    assert access(block(False), 1, C, H, W) == access(block(True), 1, C, H, W)


def test_value_with_two_readers_is_written():
    """The convolution's output goes to the activation and to the sum: neither can hide it."""
    module = Call(lambda m, x: functional.relu(m.conv(x)).mean((2, 3)), conv=nn.Conv2d(C, C, 1, bias=False))
    twice = Call(lambda m, x: (lambda y: functional.relu(y) + y.mean())(m.conv(x)), conv=nn.Conv2d(C, C, 1, bias=False))

    assert 4 * (2 * N + C * C + N + C) == access(module, 1, C, H, W)[1]
    assert 4 * (2 * N + C * C + (N + 1) + (2 * N + 1)) == access(twice, 1, C, H, W)[1]


def test_half_of_a_split_cannot_hide_the_whole():
    def split(m, x):
        a, b = m.conv(x).chunk(2, 1)
        return functional.silu(a) * b

    cost = access(Call(split, conv=nn.Conv2d(C, 2 * C, 1, bias=False)), 1, C, H, W)

    assert 4 * (N + 2 * C * C + 2 * N + 2 * N + 3 * N) == cost[0]
    assert 4 * (N + 2 * C * C + 2 * N + 2 * N + N) == cost[1]


def test_returned_value_is_written_although_it_is_used_inside():
    module = Call(lambda m, x: (lambda y: [y, functional.relu(y)])(m.conv(x)), conv=nn.Conv2d(C, C, 1, bias=False))

    assert (4 * (2 * N + C * C + 2 * N),) * 2 == access(module, 1, C, H, W)


def test_batch_norm_without_a_convolution_reads_scale_and_shift():
    assert (4 * (2 * N + 4 * C), 4 * (2 * N + 2 * C)) == access(nn.BatchNorm2d(C), 1, C, H, W)


def test_batch_norm_after_a_biased_convolution_adds_no_vector():
    module = nn.Sequential(nn.Conv2d(C, C, 1, bias=True), nn.BatchNorm2d(C))

    assert 4 * (2 * N + C * C + C) == access(module, 1, C, H, W)[1]


def test_weights_are_read_at_every_call():
    conv = nn.Conv2d(C, C, 1, bias=False)

    assert 3 * 4 * (2 * N + C * C) == access(Call(lambda m, x: m.conv(m.conv(m.conv(x))), conv=conv), 1, C, H, W)[0]


def test_views_are_free_and_copies_are_not():
    def views(_, x):
        return x.permute(0, 2, 3, 1)[:, 1:].unsqueeze(0).expand(3, -1, -1, -1, -1)

    assert (0, 0) == access(Call(views), 1, C, H, W)
    assert 2 * 4 * N == access(Call(lambda _, x: x.permute(0, 2, 3, 1).contiguous()), 1, C, H, W)[0]


def test_indexing_reads_what_it_gathers_and_the_indices():
    table, index = nn.Embedding(1000, 4), torch.tensor([1, 5, 7])

    assert 4 * 12 + 4 * 12 + 8 * 3 == access(Call(lambda m, _: m.table(m.index), table=table, index=index), 1, 1)[0]


def test_partial_convolution_copies_only_its_part():
    """FasterNet: the first quarter of the channels is convolved in place of a copy."""

    def partial(m, x):
        y = x.clone()
        y[:, : C // 4] = m.conv(x[:, : C // 4])
        return y

    found = access(Call(partial, conv=nn.Conv2d(C // 4, C // 4, 3, 1, 1, bias=False)), 1, C, H, W)

    assert 4 * (2 * N + 2 * N // 4 + 9 * (C // 4) ** 2 + 2 * N // 4) == found[0]


def test_peak_holds_input_and_output_of_the_widest_step():
    module = nn.Sequential(nn.Conv2d(C, 4 * C, 1), nn.ReLU(), nn.Conv2d(4 * C, C, 1))

    cost = profile(module, input_shape=(1, C, H, W))

    assert (4 * (4 * N + 4 * N), "1") == (cost.peak_activation_bytes, cost.peak_at)


def test_peak_counts_a_skipped_value_until_its_last_reader():
    module = Call(lambda m, x: m.b(m.a(x)) + x, a=nn.Conv2d(C, C, 1), b=nn.Conv2d(C, C, 1))

    assert 4 * 3 * N == profile(module, input_shape=(1, C, H, W)).peak_activation_bytes


def test_activation_in_place_needs_no_second_buffer():
    def block(inplace):
        return profile(nn.Sequential(nn.ReLU(), nn.ReLU(inplace), nn.ReLU()), input_shape=(1, C, H, W))

    assert 4 * 2 * N == block(True).peak_activation_bytes
    assert 4 * 3 * N == block(True).activation_bytes


@st.composite
def networks(draw):
    """Random chains of layers with a skipped value now and then."""
    kinds = draw(
        st.lists(st.sampled_from(["conv", "norm", "act", "inplace", "skip", "pool", "scale"]), min_size=1, max_size=8)
    )
    return _network(tuple(kinds), draw(st.integers(1, 3)))


def _network(kinds, batch):
    layers = {
        "conv": lambda: nn.Conv2d(4, 4, 3, 1, 1),
        "norm": lambda: nn.BatchNorm2d(4),
        "act": nn.SiLU,
        "inplace": lambda: nn.ReLU(inplace=True),
        "pool": lambda: nn.MaxPool2d(3, 1, 1),
    }
    modules = {f"m{i}": layers[kind]() for i, kind in enumerate(kinds) if kind in layers}

    def run(m, x):
        start = x
        for i, kind in enumerate(kinds):
            x = (
                x + start
                if kind == "skip"
                else x * x.mean((2, 3), keepdim=True)
                if kind == "scale"
                else getattr(m, f"m{i}")(x)
            )
        return x

    return Call(run, **modules), batch


@settings(max_examples=40)
@given(networks())
def test_fusing_never_costs_more_and_no_execution_moves_less_than_the_compulsory_bytes(drawn):
    module, batch = drawn

    cost = profile(module, input_shape=(batch, 4, 6, 5))

    assert cost.memory_access_fused_bytes <= cost.memory_access_bytes
    assert cost.compulsory_bytes <= cost.memory_access_bytes
    assert sum(layer.memory_access_fused_bytes for layer in cost.layers) == cost.memory_access_fused_bytes
    assert cost.peak_activation_bytes >= 4 * batch * 4 * 6 * 5
