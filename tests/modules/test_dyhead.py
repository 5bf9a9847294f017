from __future__ import annotations

import copy
import io
import warnings

import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from lwyolo.errors import GraphError
from lwyolo.modules._deform import DeformConv, resample_offsets, resize
from lwyolo.modules._onnx import register_deform_conv2d
from lwyolo.modules.dyhead import DyHead, DyHeadBlock, DyHeadLite, ScaleAttention, TaskAttention


def pyramid(c=16, sizes=((16, 24), (8, 12), (4, 6)), batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, c, *size, generator=generator) for size in sizes]


def trained(module, std=0.05, seed=0):
    """Move what starts at zero or at rest, or sampling and attention are not tested."""
    torch.manual_seed(seed)
    for name, parameter in module.named_parameters():
        if "offset" in name:
            nn.init.normal_(parameter, std=std)
        elif "scale" in name or "task" in name:
            nn.init.normal_(parameter, std=0.3)
    return module.eval()


def block(c=16, deform="dense", norm="gn", std=0.05):
    torch.manual_seed(1)
    return trained(DyHeadBlock(c, deform, norm), std)


def largest_difference(a, b):
    return max((x - y).abs().max().item() for x, y in zip(a, b, strict=True))


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


def half_of_a_plain_conv(x, weight, offset, mask, stride):
    """What a modulated deformable convolution is where offsets and mask logits are zero."""
    return 0.5 * functional.conv2d(x, weight, stride=stride, padding=1, groups=x.shape[1] // weight.shape[1])


def hard_sigmoid(x):
    return ((x + 3) / 6).clamp(0, 1)


def reference(block, x, convolve):
    """The block from the paper's equations, with the weights of ours: pi_C(mean_l(pi_L(F_l) * pi_S(F_l)))."""
    results = []
    for i, level in enumerate(x):
        predicted = functional.conv2d(level, block.offset.weight, block.offset.bias, padding=1)
        neighbours = [(block.middle, level, 1, predicted, 1.0)]
        if i:
            neighbours.append((block.finer, x[i - 1], 2, predicted, 1.0))
        if i + 1 < len(x):
            neighbours.append((block.coarser, x[i + 1], 1, functional.avg_pool2d(predicted, 2), 0.5))
        total = torch.zeros_like(level)
        for branch, feature, stride, shared, ratio in neighbours:
            offset, mask = shared[:, :18] * ratio, torch.sigmoid(shared[:, 18:])
            y = branch.mix(convolve(feature, branch.deform.weight, offset, mask, stride))
            y = functional.group_norm(y, 16, branch.norm.weight, branch.norm.bias)
            if y.shape != level.shape:
                y = functional.interpolate(y, size=level.shape[-2:], mode="bilinear", align_corners=False)
            gate = functional.conv2d(y.mean((2, 3), keepdim=True), *block.scale.squeeze.parameters())
            total = total + y * hard_sigmoid(gate.clamp(min=0))
        mean = total / len(neighbours)
        hidden = functional.conv2d(mean.mean((2, 3), keepdim=True), *block.task.reduce.parameters()).clamp(min=0)
        theta = hard_sigmoid(functional.conv2d(hidden, *block.task.expand.parameters()))
        a1, b1, a2, b2 = theta.chunk(4, dim=1)
        first = mean * ((a1 - 0.5) * 2 + 1) + (b1 - 0.5)
        second = mean * ((a2 - 0.5) * 2) + (b2 - 0.5)
        results.append(torch.where(first > second, first, second))
    return results


@torch.no_grad()
def test_equals_a_reference_written_from_the_papers_equations():
    made = block(c=32, std=0.1)
    x = pyramid(c=32, sizes=((8, 12), (4, 6), (2, 3)), batch=1)

    assert largest_difference(reference(made, x[:2], modulated_deform_conv), made(x[:2])) < 1e-5
    x = pyramid(c=32, sizes=((8, 8), (4, 4), (2, 2)), batch=2)
    assert largest_difference(reference(made, x, modulated_deform_conv), made(x)) < 1e-5


@torch.no_grad()
@pytest.mark.parametrize("deform", ["dense", "depthwise"])
def test_a_fresh_block_convolves_plainly_times_one_half(deform):
    made, x = DyHeadBlock(32, deform), pyramid(c=32)

    assert largest_difference(reference(made, x, half_of_a_plain_conv), made(x)) < 1e-5


@torch.no_grad()
def test_a_single_level_is_rebuilt_from_itself():
    made, x = block(c=32), pyramid(c=32, sizes=((5, 7),), batch=1)

    assert largest_difference(reference(made, x, modulated_deform_conv), made(x)) < 1e-5


@torch.no_grad()
def test_the_scale_gate_lies_between_one_half_and_one():
    attention = ScaleAttention(16)
    nn.init.normal_(attention.squeeze.weight, std=20)
    gates = attention(torch.randn(64, 16, 5, 5))

    assert (0.5, 1.0) == (gates.min().item(), gates.max().item())
    assert ((gates > 0.5) & (gates < 1)).any()


@torch.no_grad()
def test_the_task_attention_at_rest_is_a_relu():
    attention = TaskAttention(16)
    nn.init.zeros_(attention.expand.weight)
    nn.init.zeros_(attention.expand.bias)
    x = torch.randn(2, 16, 5, 5)

    assert torch.allclose(functional.relu(x), attention(x), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("norm", ["gn", "bn"])
def test_images_of_a_batch_do_not_see_each_other(norm):
    made, x = block(norm=norm), pyramid(batch=3)
    order = [2, 0, 1]
    permuted = made([level[order] for level in x])

    assert largest_difference([level[order] for level in made(x)], permuted) < 1e-5


def largest_difference_after_a_shift(made):
    """Roll the levels by 4, 2 and 1 pixels: away from the rim the spatial attention must roll along.

    Norms and gates are taken out: they see the whole level, and the rim is another one after a roll.
    """
    for branch in (made.middle, made.finer, made.coarser):
        branch.norm = nn.Identity()
    made.scale, made.task = GateOfOne(), nn.Identity()
    x = pyramid(sizes=((96, 96), (48, 48), (24, 24)), batch=1)
    rolled = [level.roll((s, s), (2, 3)) for level, s in zip(x, (4, 2, 1), strict=True)]
    differences = []
    for before, after, s, margin in zip(made(x), made(rolled), (4, 2, 1), (32, 16, 8), strict=True):
        moved = before.roll((s, s), (2, 3))
        differences.append((moved - after)[..., margin:-margin, margin:-margin].abs().max().item())
    return max(differences)


class GateOfOne(nn.Module):
    def forward(self, x):
        return torch.ones(1)


class CroppedOffsets(DyHeadBlock):
    """The well-known port: the coarser level gets the top-left quarter of the middle level's offsets."""

    def _share(self, predicted, branch, source):
        if branch is self.coarser:
            cropped = predicted[..., : source.shape[-2], : source.shape[-1]]
            return cropped[:, :18], cropped[:, 18:].sigmoid()
        return super()._share(predicted, branch, source)


@torch.no_grad()
def test_a_shift_of_the_image_shifts_the_output_and_the_known_port_fails_this():
    made = block()
    port = CroppedOffsets(16).eval()
    port.load_state_dict(made.state_dict())

    assert largest_difference_after_a_shift(made) < 1e-4
    assert largest_difference_after_a_shift(port) > 1e-2


def test_offsets_are_scaled_to_the_pixels_of_the_coarser_level_per_axis():
    predicted = torch.zeros(1, 27, 7, 13)
    predicted[:, 0:18:2], predicted[:, 1:18:2] = 7.0, 13.0
    offset, mask = resample_offsets(predicted, (4, 7), in_its_pixels=True)

    assert torch.allclose(torch.full((1, 9, 4, 7), 4.0), offset[:, 0::2])
    assert torch.allclose(torch.full((1, 9, 4, 7), 7.0), offset[:, 1::2])
    assert torch.equal(torch.full((1, 9, 4, 7), 0.5), mask)


def test_the_mask_is_made_from_resampled_logits():
    predicted = torch.randn(1, 27, 4, 6)
    _, mask = resample_offsets(predicted, (2, 3), in_its_pixels=True)

    assert torch.allclose(functional.avg_pool2d(predicted[:, 18:], 2).sigmoid(), mask, atol=1e-6)


def test_halving_averages_two_by_two_pixels():
    x = torch.randn(1, 3, 8, 10)

    assert torch.allclose(functional.avg_pool2d(x, 2), resize(x, (4, 5)), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("cls", [DyHead, DyHeadLite])
@pytest.mark.parametrize("sizes", [((13, 13), (7, 7), (4, 4)), ((16, 24),), ((10, 6), (5, 3)), ((9, 5), (4, 3))])
def test_odd_sizes_and_any_number_of_levels(cls, sizes):
    head = cls([8 * 2**i for i in range(len(sizes))], 24, 2).eval()
    x = [torch.randn(1, 8 * 2**i, *size) for i, size in enumerate(sizes)]

    assert [(1, 24, *size) for size in sizes] == [tuple(level.shape) for level in head(x)]


@torch.no_grad()
def test_batch_norms_keep_the_statistics_of_each_level_apart():
    made, x = DyHeadBlock(16, norm="bn").train(), pyramid()
    for norm in (m for m in made.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.momentum = 1.0
    made([level * gain for level, gain in zip(x, (1, 10, 100), strict=True)])
    spread = [norm.running_var.mean().item() for norm in made.middle.norm]

    assert [3, 2, 2] == [len(branch.norm) for branch in (made.middle, made.finer, made.coarser)]
    assert spread[1] > 50 * spread[0]
    assert spread[2] > 50 * spread[1]


@torch.no_grad()
@pytest.mark.parametrize("deform", ["dense", "depthwise"])
def test_runs_with_half_weights_as_older_validators_do(deform):
    made, x = block(deform=deform), pyramid()
    half = copy.deepcopy(made).half()([level.half() for level in x])

    assert {torch.float16} == {level.dtype for level in half}
    assert largest_difference(made(x), [level.float() for level in half]) < 0.05


@torch.no_grad()
def test_an_image_that_is_not_a_number_neither_crashes_nor_hides():
    made, (x,) = block(), pyramid(sizes=((8, 16),), batch=1)

    assert torch.isnan(made([torch.full_like(x, float("nan"))])[0]).any()


class Unlisted(nn.Module):
    """A head whose levels are separate inputs, for the exporter."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, *x):
        return tuple(self.head(list(x)))


@torch.no_grad()
@pytest.mark.parametrize("norm", ["gn", "bn"])
@pytest.mark.parametrize("deform", ["dense", "depthwise"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_onnx_agrees_in_onnx_runtime_also_at_another_size(deform, norm, dynamic):
    head = Unlisted(trained(DyHead([16, 16, 16], 16, 1, deform, norm))).eval()
    names, file = ["P3", "P4", "P5"], io.BytesIO()
    axes = {name: {0: "batch", 2: f"{name} height", 3: f"{name} width"} for name in names} if dynamic else None
    register_deform_conv2d()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            head, tuple(pyramid()), file, opset_version=19, dynamo=False, input_names=names, dynamic_axes=axes
        )
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    x = pyramid(sizes=((8, 20), (4, 10), (2, 5)), batch=1) if dynamic else pyramid(seed=1)
    result = session.run(None, {name: level.numpy() for name, level in zip(names, x, strict=True)})

    assert largest_difference(head(*x), [torch.from_numpy(level) for level in result]) < 1e-4


def test_a_level_of_the_right_width_is_not_projected():
    head = DyHead([64, 128], 64)

    assert isinstance(head.project[0], nn.Identity)
    assert not isinstance(head.project[1], nn.Identity)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"deform": "depthwse"}, "deform 'depthwse', expected dense or depthwise. Did you mean depthwise?"),
        ({"norm": "ln"}, "norm 'ln', expected gn or bn."),
        ({"deform": 1}, "deform 1, expected dense or depthwise."),
    ],
)
def test_an_unknown_choice_is_refused_with_the_known_ones(arguments, expected):
    with pytest.raises(GraphError) as error:
        DyHead([64, 64], 64, **arguments)

    assert expected == str(error.value)


@torch.no_grad()
def test_lite_has_no_deformable_convolution_and_norms_that_fold():
    faithful, lite = ({type(m) for m in cls([64, 128, 256], 64).modules()} for cls in (DyHead, DyHeadLite))

    assert {DeformConv, nn.GroupNorm} <= faithful
    assert set() == {DeformConv, nn.GroupNorm} & lite
    assert nn.BatchNorm2d in lite
