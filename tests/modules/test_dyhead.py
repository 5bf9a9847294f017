from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lwyolo.errors import GraphError
from lwyolo.modules.dyhead import DyHead, DyHeadBlock, DyHeadLite, ScaleAttention, TaskAttention, resize


def pyramid(c=16, sizes=((16, 24), (8, 12), (4, 6)), batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, c, *size, generator=generator) for size in sizes]


def block(c=16, deform="dense", seed=0, offsets=0.05):
    """A block in double precision whose offsets are not zero."""
    torch.manual_seed(seed)
    made = DyHeadBlock(c, deform).eval()
    nn.init.normal_(made.offset.weight, std=offsets)
    nn.init.normal_(made.offset.bias, std=offsets)
    for attention in (made.scale, made.task):
        for parameter in attention.parameters():
            nn.init.normal_(parameter, std=0.3)
    return made


@pytest.mark.parametrize(("c", "expected"), [(256, 1_916_508), (128, 495_420), (96, 284_788), (64, 132_012)])
def test_a_block_has_the_parameters_of_the_published_one(c, expected):
    assert expected == sum(p.numel() for p in DyHeadBlock(c).parameters())


def sample(x, y_position, x_position):
    """Bilinear value of `x` [C, H, W] at one position in pixels; outside is zero."""
    value = torch.zeros(x.shape[0])
    for row in (int(y_position // 1), int(y_position // 1) + 1):
        for column in (int(x_position // 1), int(x_position // 1) + 1):
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                value += x[:, row, column] * (1 - abs(y_position - row)) * (1 - abs(x_position - column))
    return value


def modulated_deform_conv(x, weight, offset, mask, stride):
    """y(p) = sum_k w_k * x(p * stride + p_k + dp_k(p)) * dm_k(p), written out position by position."""
    out = torch.zeros(x.shape[0], weight.shape[0], *offset.shape[-2:])
    for b in range(x.shape[0]):
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                for k in range(9):
                    dy, dx = offset[b, 2 * k, i, j].item(), offset[b, 2 * k + 1, i, j].item()
                    value = sample(x[b], i * stride + k // 3 - 1 + dy, j * stride + k % 3 - 1 + dx)
                    out[b, :, i, j] += weight[:, :, k // 3, k % 3] @ value * mask[b, k, i, j]
    return out


def hard_sigmoid(x):
    return ((x + 3) / 6).clamp(0, 1)


def reference(block, x):
    """The block from the paper's equations, with the weights of ours: pi_C(mean_l(pi_L(F_l) * pi_S(F_l)))."""
    results = []
    for i, level in enumerate(x):
        predicted = F.conv2d(level, block.offset.weight, block.offset.bias, padding=1)
        neighbours = [(block.middle, level, 1, predicted, 1.0)]
        if i:
            neighbours.append((block.finer, x[i - 1], 2, predicted, 1.0))
        if i + 1 < len(x):
            neighbours.append((block.coarser, x[i + 1], 1, F.avg_pool2d(predicted, 2), 0.5))
        total = torch.zeros_like(level)
        for branch, feature, stride, shared, ratio in neighbours:
            offset, mask = shared[:, :18] * ratio, torch.sigmoid(shared[:, 18:])
            y = modulated_deform_conv(feature, branch.deform.weight, offset, mask, stride)
            y = F.group_norm(y, 16, branch.norm.weight, branch.norm.bias)
            if y.shape != level.shape:
                y = F.interpolate(y, size=level.shape[-2:], mode="bilinear", align_corners=False)
            gate = F.conv2d(y.mean((2, 3), keepdim=True), block.scale.squeeze.weight, block.scale.squeeze.bias)
            total = total + y * hard_sigmoid(gate.clamp(min=0))
        mean = total / len(neighbours)
        hidden = F.conv2d(mean.mean((2, 3), keepdim=True), block.task.reduce.weight, block.task.reduce.bias).clamp(min=0)
        theta = hard_sigmoid(F.conv2d(hidden, block.task.expand.weight, block.task.expand.bias))
        a1, b1, a2, b2 = theta.chunk(4, dim=1)
        first = mean * ((a1 - 0.5) * 2 + 1) + (b1 - 0.5)
        second = mean * ((a2 - 0.5) * 2) + (b2 - 0.5)
        results.append(torch.where(first > second, first, second))
    return results


@torch.no_grad()
def test_equals_a_reference_written_from_the_papers_equations():
    made = block(offsets=0.1)
    x = pyramid(sizes=((8, 8), (4, 4), (2, 2)), batch=1)

    for expected, actual in zip(reference(made, x), made(x), strict=True):
        assert torch.allclose(expected, actual, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("deform", ["dense", "depthwise"])
def test_without_offsets_it_is_a_convolution_times_one_half(deform):
    made = block(deform=deform)
    nn.init.zeros_(made.offset.weight)
    nn.init.zeros_(made.offset.bias)
    (x,) = pyramid(sizes=((9, 7),))
    branch = made.middle
    plain = F.conv2d(x, branch.deform.weight, padding=1, groups=branch.deform.groups) * 0.5
    y = branch.norm(branch.mix(plain))

    assert torch.allclose(made.task(y * made.scale(y)), made([x])[0], atol=1e-5)


@torch.no_grad()
def test_the_scale_gate_lies_between_one_half_and_one():
    attention = ScaleAttention(16)
    nn.init.normal_(attention.squeeze.weight, std=20)
    gates = attention(torch.randn(64, 16, 5, 5))

    assert 0.5 <= gates.min().item()
    assert gates.max().item() <= 1.0
    assert gates.max() > gates.min()


@torch.no_grad()
def test_the_task_attention_at_rest_is_a_relu():
    attention = TaskAttention(16)
    nn.init.zeros_(attention.expand.weight)
    nn.init.zeros_(attention.expand.bias)
    x = torch.randn(2, 16, 5, 5)

    assert torch.allclose(F.relu(x), attention(x), atol=1e-6)


@torch.no_grad()
def test_images_of_a_batch_do_not_see_each_other():
    made, x = block(), pyramid(batch=3)
    order = [2, 0, 1]

    for whole, permuted in zip(made(x), made([level[order] for level in x]), strict=True):
        assert torch.allclose(whole[order], permuted, atol=1e-5)


def largest_difference_after_a_shift(made):
    """Roll the levels by 4, 2 and 1 pixels: away from the rim the spatial attention must roll along.

    Norms and gates are taken out: they see the whole level, and the rim is another one after a roll.
    """
    for branch in (made.middle, made.finer, made.coarser):
        branch.norm = nn.Identity()
    made.scale, made.task = Constant(), nn.Identity()
    sizes = ((96, 96), (48, 48), (24, 24))
    x = pyramid(sizes=sizes, batch=1)
    rolled = [level.roll((s, s), (2, 3)) for level, s in zip(x, (4, 2, 1), strict=True)]
    differences = []
    for before, after, s, margin in zip(made(x), made(rolled), (4, 2, 1), (32, 16, 8), strict=True):
        moved = before.roll((s, s), (2, 3))
        differences.append((moved - after)[..., margin:-margin, margin:-margin].abs().max().item())
    return max(differences)


class Constant(nn.Module):
    """A gate of one."""

    def forward(self, x):
        return torch.ones(1)


class CroppedOffsets(DyHeadBlock):
    """The well-known port: the coarser level gets the top-left quarter of the middle level's offsets."""

    def _shared(self, offsets, branch, level, size):
        if branch is self.coarser:
            cropped = offsets[..., : level.shape[-2], : level.shape[-1]]
            return cropped[:, :18], cropped[:, 18:].sigmoid()
        return super()._shared(offsets, branch, level, size)


@torch.no_grad()
def test_a_shift_of_the_image_shifts_the_output_and_the_known_port_fails_this():
    made = block()
    port = CroppedOffsets(16).eval()
    port.load_state_dict(made.state_dict())

    assert largest_difference_after_a_shift(made) < 1e-4
    assert largest_difference_after_a_shift(port) > 1e-2


@torch.no_grad()
@pytest.mark.parametrize("cls", [DyHead, DyHeadLite])
@pytest.mark.parametrize("sizes", [((13, 13), (7, 7), (4, 4)), ((16, 24),), ((10, 6), (5, 3))])
def test_odd_sizes_and_any_number_of_levels(cls, sizes):
    head = cls([8 * 2**i for i in range(len(sizes))], 32, 2).eval()
    x = [torch.randn(1, 8 * 2**i, *size) for i, size in enumerate(sizes)]

    assert [(1, 32, *size) for size in sizes] == [tuple(level.shape) for level in head(x)]


@torch.no_grad()
def test_an_image_that_is_not_a_number_neither_crashes_nor_hides():
    made, (x,) = block(), pyramid(sizes=((8, 16),), batch=1)

    assert torch.isnan(made([torch.full_like(x, float("nan"))])[0]).any()


def test_a_level_of_the_right_width_is_not_projected():
    head = DyHead([64, 128], 64)

    assert isinstance(head.project[0], nn.Identity)
    assert not isinstance(head.project[1], nn.Identity)


def test_unknown_deform_gives_the_nearest():
    with pytest.raises(GraphError) as error:
        DyHead([64, 64], 64, deform="depthwse")

    assert "deform 'depthwse', expected dense or depthwise. Did you mean depthwise?" == str(error.value)


def test_halving_averages_two_by_two_pixels():
    x = torch.randn(1, 3, 8, 10)

    assert torch.allclose(F.avg_pool2d(x, 2), resize(x, (4, 5)), atol=1e-6)


def test_lite_has_no_deformable_convolution_and_folds():
    lite = DyHeadLite([64, 128, 256], 64)
    kinds = {type(m).__name__ for m in lite.modules()}

    assert "DeformConv2d" not in kinds
    assert "GroupNorm" not in kinds
    assert "BatchNorm2d" in kinds
