"""Our shape rules answer as torch's own kernels do: shape, type and order of axes in memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from lwyolo.cost.shapes import ShapeMode, tensors_in

META = "meta"


def layout(value):
    """Shape, type, and strides of the axes that have more than one element."""
    return [
        (tuple(t.shape), t.dtype, [stride for stride, size in zip(t.stride(), t.shape, strict=True) if size > 1])
        for t in tensors_in(value)
    ]


def agree(function, *tensors):
    with torch.inference_mode():
        expected = layout(function(*(t.clone() if t.is_contiguous() else t for t in tensors)))
        with ShapeMode():
            assert expected == layout(function(*tensors))


@st.composite
def operands(draw, n=2, min_dims=1, max_dims=5):
    """Tensors of shapes that broadcast, each perhaps permuted, sliced or expanded."""
    full = draw(st.lists(st.integers(1, 4), min_size=min_dims, max_size=max_dims))
    return [_variant(draw, full) for _ in range(n)]


def _variant(draw, full):
    shape = [draw(st.sampled_from([size, 1])) if len(full) > 1 else size for size in full]
    order = draw(st.permutations(range(len(full))))
    stored = [shape[axis] for axis in order]
    extra = draw(st.integers(0, 1))
    tensor = torch.empty([stored[0] + extra, *stored[1:]], device=META)[extra:]
    tensor = tensor.permute([order.index(axis) for axis in range(len(full))])
    return tensor.expand(full) if draw(st.booleans()) else tensor


@given(operands())
def test_sum_keeps_the_order_of_axes_that_torch_keeps(pair):
    agree(torch.add, *pair)


@given(operands())
def test_comparison_gives_truth_values(pair):
    agree(torch.lt, *pair)


@given(operands(n=3))
def test_three_operands(triple):
    agree(torch.addcmul, *triple)


@given(operands(n=1))
def test_activation(single):
    agree(functional.silu, *single)


@given(operands(n=1), st.integers(0, 4), st.booleans())
def test_reduction(single, axis, keepdim):
    (x,) = single
    if x.is_contiguous():
        agree(lambda t: t.mean(axis % t.dim(), keepdim=keepdim), x)
        agree(lambda t: t.amax(axis % t.dim(), keepdim=keepdim), x)


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(5, 12), st.integers(5, 12), st.integers(1, 5), st.integers(1, 3),
    st.integers(0, 2), st.integers(1, 2), st.booleans(),
)  # fmt: skip
def test_convolution(groups, per_group, h, w, k, s, p, d, transposed):
    channels = groups * per_group
    x = torch.empty(2, channels, h, w, device=META)
    if d * (k - 1) + 1 > min(h, w) + 2 * p:
        return
    if transposed:
        weight = torch.empty(channels, 3, k, k, device=META)
        options = {"stride": s, "padding": min(p, d * (k - 1) // 2), "groups": groups, "dilation": d}
        agree(lambda a, b: functional.conv_transpose2d(a, b, **options), x, weight)
    else:
        weight = torch.empty(3 * groups, per_group, k, k, device=META)
        agree(lambda a, b: functional.conv2d(a, b, stride=s, padding=p, dilation=d, groups=groups), x, weight)


@given(st.integers(4, 15), st.integers(4, 15), st.integers(1, 4), st.integers(1, 3), st.booleans(), st.booleans())
def test_pooling(h, w, k, s, ceil, average):
    x = torch.empty(2, 3, h, w, device=META)
    pool = functional.avg_pool2d if average else functional.max_pool2d
    agree(lambda t: pool(t, k, s, padding=k // 2, ceil_mode=ceil), x)


X = torch.empty(2, 6, 4, 5, device=META)
PERMUTED = X.permute(0, 2, 3, 1)
INDEX = torch.zeros(3, dtype=torch.long, device=META)
CASES = {
    "linear": lambda: functional.linear(X, X[0, 0]),
    "linear of a permuted operand": lambda: functional.linear(PERMUTED, X[0, :, 0, :1].T.expand(7, 6)),
    "mm": lambda: X[0, 0] @ X[0, 0].T,
    "bmm": lambda: torch.bmm(X[0], X[0].mT),
    "addmm": lambda: torch.addmm(X[0, 0, 0, :4], X[0, 0], X[0, 0].T),
    "baddbmm": lambda: torch.baddbmm(X[0, :, :, :1], X[0], X[0].mT),
    "matmul": lambda: X @ X.mT,
    "cat": lambda: torch.cat([X, X[:, 2:]], 1),
    "cat of permuted sequences": lambda: torch.cat([X[0].mT, X[0].mT], 1),
    "stack": lambda: torch.stack([X, X], -1),
    "stack of permuted and expanded": lambda: torch.stack(
        [PERMUTED, X[:, :1, :, :1].expand(2, 4, 4, 6)[:, :, :1].expand(2, 4, 5, 6)], 1
    ),
    "softmax": lambda: X.softmax(1),
    "softmax of a permuted operand": lambda: X.transpose(1, 2).softmax(1),
    "batch norm": lambda: functional.batch_norm(X, *[torch.empty(6, device=META)] * 2),
    "layer norm": lambda: functional.layer_norm(X, (5,)),
    "group norm": lambda: functional.group_norm(X, 2),
    "global mean": lambda: functional.adaptive_avg_pool2d(X, 1),
    "nearest": lambda: functional.interpolate(X, scale_factor=2),
    "bilinear to a size": lambda: functional.interpolate(X, size=(9, 7), mode="bilinear"),
    "grid sample": lambda: functional.grid_sample(X, X[..., :2].permute(0, 2, 1, 3), align_corners=False),
    "topk": lambda: X.topk(2, 1),
    "gather": lambda: X[0, 0].gather(0, torch.zeros(2, 5, dtype=torch.long, device=META)),
    "index of the first axis": lambda: X[INDEX],
    "index of a later axis": lambda: X[:, INDEX],
    "index of two axes": lambda: X[INDEX, INDEX],
    "masked": lambda: X.masked_fill(X[:, :1] > 0, 0.0),
    "truth value times number": lambda: (X[:, :1] > 0) * X,
    "conjunction": lambda: ((X > 0) & (X < 1)).all(1),
    "integer product": lambda: INDEX * 2 + 1,
    "integer division": lambda: INDEX // 2,
    "true division of integers": lambda: INDEX / 2,
    "integer times fraction": lambda: INDEX * 0.5,
    "half and single": lambda: X.half() + X,
    "zeros like": lambda: torch.zeros_like(X),
    "in place": lambda: torch.empty_like(X).add_(X[:, :1]),
    "gated": lambda: functional.glu(X, 1),
    "parametric relu": lambda: functional.prelu(X, torch.empty(6, device=META)),
    "parametric relu of as many columns as channels": lambda: functional.prelu(
        X[..., :4, :], torch.empty(6, device=META)
    ),
    "channels last": lambda: functional.silu(X.contiguous(memory_format=torch.channels_last)),
    "attention": lambda: functional.scaled_dot_product_attention(X, X, X),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_operator(case):
    agree(lambda: case())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: X + X[:, :2],
        lambda: torch.cat([X, X[:, :, :2]], 1),
        lambda: torch.mm(X[0, 0], X[0, 0]),
        lambda: functional.linear(X, X[0, :, 0, :4]),
        lambda: functional.conv2d(X, torch.empty(4, 5, 3, 3, device=META)),
        lambda: functional.max_pool2d(X, 9),
        lambda: torch.empty(1, device=META).add_(X),
        lambda: X.topk(9, 1),
    ],
    ids=["sum", "cat", "mm", "linear", "convolution", "pooling", "in place", "topk"],
)
def test_operands_that_do_not_fit_fail_with_the_message_of_torch(wrong):
    def message():
        with pytest.raises((RuntimeError, IndexError)) as error, torch.inference_mode():
            wrong()
        return str(error.value)

    expected = message()
    with ShapeMode():
        assert expected == message()


def test_first_profile_of_a_detector_imports_neither_compiler_nor_algebra():
    """torch._dynamo and sympy take 1.7 s to import, twenty times what a profile takes."""
    program = (
        "import sys; from lwyolo.cost import profile; from ultralytics.nn.tasks import DetectionModel\n"
        "model = DetectionModel('yolov8n.yaml', verbose=False)\n"
        "before = set(sys.modules); profile(model, 640, fused=True)\n"
        "print(sorted({'torch._dynamo', 'sympy'} & (set(sys.modules) - before)))"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == run.stdout.strip().splitlines()[-1]
