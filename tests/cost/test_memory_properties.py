"""Laws of memory access and of peak memory on small networks that are composed at random."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lwyolo.cost import profile

C, H, W = 8, 6, 4
F32 = 4
BYTES = (
    "memory_access_bytes", "memory_access_fused_bytes", "compulsory_bytes", "activation_bytes", "peak_activation_bytes",
)  # fmt: skip


class Block(nn.Module):
    """One of the steps below: its own layers, applied to the value before and to one that was skipped."""

    def __init__(self, kind):
        super().__init__()
        layers, self.function = KINDS[kind]
        self.layers = nn.ModuleList(layer() for layer in layers)

    def forward(self, x, skipped):
        return self.function(x, skipped, *self.layers)


def split(x, _, act):
    a, b = x.chunk(2, 1)
    return torch.cat((act(a), b), 1)


def partial_write(x, _, conv):
    y = x.clone()
    y[:, : C // 4] = conv(x[:, : C // 4])
    return y


def attend(x, _):
    tokens = x.flatten(2).mT
    return functional.scaled_dot_product_attention(tokens, tokens, tokens).mT.reshape(x.shape)


KINDS = {
    "conv": ([lambda: nn.Conv2d(C, C, 3, padding=1)], lambda x, _, conv: conv(x)),
    "conv without bias": ([lambda: nn.Conv2d(C, C, 1, bias=False)], lambda x, _, conv: conv(x)),
    "depthwise": ([lambda: nn.Conv2d(C, C, 3, padding=1, groups=C)], lambda x, _, conv: conv(x)),
    "norm": ([lambda: nn.BatchNorm2d(C)], lambda x, _, norm: norm(x)),
    "group norm": ([lambda: nn.GroupNorm(2, C)], lambda x, _, norm: norm(x)),
    "act": ([nn.SiLU], lambda x, _, act: act(x)),
    "act in place": ([lambda: nn.ReLU(inplace=True)], lambda x, _, act: act(x)),
    "residual": ([], lambda x, skipped: x + skipped),
    "residual in place": ([], lambda x, skipped: x.add_(skipped)),
    "concat": ([lambda: nn.Conv2d(2 * C, C, 1)], lambda x, skipped, conv: conv(torch.cat((x, skipped), 1))),
    "split": ([nn.SiLU], split),
    "split halves": ([lambda: nn.Conv2d(C // 2, C, 1)], lambda x, _, conv: conv(x.split(C // 2, 1)[1])),
    "partial": ([lambda: nn.Conv2d(C // 4, C // 4, 3, padding=1, bias=False)], partial_write),
    "up and down": ([], lambda x, _: functional.max_pool2d(functional.interpolate(x, scale_factor=2), 2)),
    "pool": ([lambda: nn.MaxPool2d(3, 1, 1)], lambda x, _, pool: pool(x)),
    "gate": ([], lambda x, _: x * x.mean((2, 3), keepdim=True).sigmoid()),
    "permuted": ([lambda: nn.Linear(C, C)], lambda x, _, linear: linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)),
    "softmax": ([], lambda x, skipped: x * skipped.softmax(1)),
    "attention": ([], attend),
}


class Composed(nn.Module):
    """Blocks in a row; each may read what any earlier one gave, and several values may be returned."""

    def __init__(self, kinds, skips, returns):
        super().__init__()
        self.blocks = nn.ModuleList(map(Block, kinds))
        self.skips, self.returns = skips, returns

    def forward(self, x):
        values = [x]
        for block, skip in zip(self.blocks, self.skips, strict=True):
            values.append(block(values[-1], values[skip % len(values)]))
        return values[-self.returns :]


@st.composite
def networks(draw, kinds=tuple(KINDS)):
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=8))
    skips = draw(st.lists(st.integers(0, 8), min_size=len(chosen), max_size=len(chosen)))
    return Composed(chosen, skips, draw(st.integers(1, 2))).eval()


def cost(network, batch=1, **options):
    return profile(network, input_shape=(batch, C, H, W), strict=True, **options)


def tables(network):
    """Bytes of what a pass reads besides activations: weights and biases, and all four vectors of a batch norm."""
    tensors = [*network.parameters(), *network.buffers()]
    return sum(t.numel() * t.element_size() for t in tensors if t.is_floating_point())


@settings(max_examples=100)
@given(networks(), st.integers(1, 3))
def test_fusing_costs_no_more_and_nothing_costs_less_than_it_must(network, batch):
    found = cost(network, batch)

    assert found.memory_access_fused_bytes <= found.memory_access_bytes
    assert found.compulsory_bytes <= found.memory_access_bytes


@settings(max_examples=100)
@given(networks(tuple(kind for kind in KINDS if kind != "norm")), st.integers(1, 3))
def test_fused_network_moves_at_least_the_compulsory_bytes(network, batch):
    found = cost(network, batch)

    assert found.compulsory_bytes <= found.memory_access_fused_bytes


def test_folded_batch_norm_moves_at_least_the_compulsory_bytes():
    """Folding makes one vector of four, so no execution has to read all four."""
    found = cost(nn.Sequential(nn.Conv2d(C, C, 1, bias=False), nn.BatchNorm2d(C)))

    assert F32 * (2 * C * H * W + C * C + C) == found.memory_access_fused_bytes
    assert found.compulsory_bytes <= found.memory_access_fused_bytes


@settings(max_examples=60)
@given(networks())
def test_bytes_are_those_of_the_weights_and_a_multiple_of_the_batch(network):
    """bytes(b) = w + b·a; run one by one, every block reads its weights once: w is known."""
    costs = [cost(network, batch) for batch in (1, 2, 3)]

    for measure in BYTES[:4]:
        one, two, three = (getattr(found, measure) for found in costs)
        assert two - one == three - two, measure
    one, two = costs[0].memory_access_bytes, costs[1].memory_access_bytes
    assert tables(network) == 2 * one - two
    assert costs[1].activation_bytes == 2 * costs[0].activation_bytes
    assert costs[2].peak_activation_bytes == 3 * costs[0].peak_activation_bytes


@settings(max_examples=60)
@given(networks(), st.integers(1, 2))
def test_number_types_scale_every_byte_and_no_operation(network, batch):
    full = cost(network, batch)

    for dtype, ratio in (("float16", 2), ("bfloat16", 2), ("float64", 0.5)):
        other = cost(network, batch, dtype=dtype)
        assert [getattr(full, measure) / ratio for measure in BYTES] == [getattr(other, measure) for measure in BYTES]
        assert (full.macs, full.flops, full.params) == (other.macs, other.flops, other.params)


@settings(max_examples=60)
@given(networks())
def test_peak_is_at_least_one_value_and_at_most_all_of_them(network):
    found = cost(network)
    given_bytes = F32 * C * H * W

    assert given_bytes <= found.peak_activation_bytes <= found.activation_bytes + given_bytes


@settings(max_examples=60)
@given(networks())
def test_meta_device_and_cpu_agree(network):
    assert cost(network) == cost(network, device="cpu")


@settings(max_examples=25)
@given(networks(), networks())
def test_network_after_another_adds_up_eagerly(first, second):
    """Operators run one by one do not see each other: both halves cost what they cost alone."""
    first.returns = second.returns = 1
    both = Chain(first, second)

    for measure in ("params", "macs", "flops", "memory_access_bytes", "activation_bytes"):
        assert getattr(cost(first), measure) + getattr(cost(second), measure) == getattr(cost(both), measure), measure
    fused = cost(first).memory_access_fused_bytes + cost(second).memory_access_fused_bytes
    assert cost(both).memory_access_fused_bytes <= fused


class Chain(nn.Module):
    """One network after another."""

    def __init__(self, *parts):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x):
        for part in self.parts:
            (x,) = part(x)
        return [x]


CONVOLUTIONS = list(itertools.product((1, 2), (1, 3, 5), (1, 2), (1, 4), (False, True)))


@pytest.mark.parametrize(("batch", "k", "s", "g", "bias"), CONVOLUTIONS)
def test_convolution_moves_what_shufflenet_counts(batch, k, s, g, bias):
    """B·(hw·c1 + hw·c2) + k²·c1·c2 / g elements, and the bias; eager and fused."""
    c2 = 12
    found = cost(nn.Conv2d(C, c2, k, s, k // 2, groups=g, bias=bias), batch)
    out = -(-H // s) * -(-W // s)
    n_bytes = F32 * (batch * (H * W * C + out * c2) + k * k * C * c2 // g + bias * c2)

    assert (n_bytes, n_bytes, n_bytes) == (
        found.memory_access_bytes, found.memory_access_fused_bytes, found.compulsory_bytes,
    )  # fmt: skip


@pytest.mark.parametrize("act", [nn.SiLU, nn.ReLU, nn.Hardswish, nn.Identity])
@pytest.mark.parametrize("batch", [1, 2])
def test_detectors_convolution_fuses_to_its_input_weights_and_output(act, batch):
    """`Conv` of Ultralytics before `fuse()` and after: fused, both move the same bytes."""
    from ultralytics.nn.modules import Conv

    module = Conv(C, 12, 3, 2, act=act())
    n_in, n_out, eager = batch * C * H * W, batch * 12 * H * W // 4, nn.Identity is not act
    folded = n_in + n_out + 9 * C * 12 + 12

    found = cost(module, batch)

    assert F32 * (n_in + n_out + 9 * C * 12 + 2 * n_out + 4 * 12 + 2 * n_out * eager) == found.memory_access_bytes
    assert F32 * folded == found.memory_access_fused_bytes


def test_value_written_in_parts_is_written_before_it_is_read_whole():
    """Clone 2n; the part: convolution n/2 and its weights, copy n/2; then SiLU cannot join the copy of a part: 2n."""
    part, n = C // 4, C * H * W
    found = cost(Composed(["partial", "act"], [0, 0], 1))

    assert F32 * (2 * n + n // 2 + 9 * part**2 + n // 2 + 2 * n) == found.memory_access_fused_bytes


def test_expanded_column_is_read_once():
    class Column(nn.Module):
        def forward(self, x):
            return x * x[..., :1].expand_as(x)

    assert F32 * (2 * C * H * W + C * H) == cost(Column()).memory_access_bytes


def test_operand_given_twice_is_read_once():
    assert F32 * 2 * C * H * W == cost(Square()).memory_access_bytes


class Square(nn.Module):
    def forward(self, x):
        return x * x


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_peak_of_a_chain_is_its_widest_pair(widths):
    chain = nn.Sequential(*(nn.Conv2d(c1, c2, 1) for c1, c2 in itertools.pairwise([C, *widths])))

    assert F32 * H * W * max(map(sum, itertools.pairwise([C, *widths]))) == cost(chain).peak_activation_bytes


@pytest.mark.parametrize("n", [1, 2, 5])
def test_values_that_are_returned_live_to_the_end(n):
    """The input dies after its only reader; the outputs of all `n` convolutions are there at the end."""
    found = cost(Composed(["conv"] * n, [0] * n, n))

    assert F32 * C * H * W * max(n, 2) == found.peak_activation_bytes
