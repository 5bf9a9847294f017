"""Kernels of ONNX Runtime beside our own count of the file: nothing is lost, nothing is counted twice."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from lwyolo.cost.onnx.file import onnx_cost
from lwyolo.cost.onnx.listing import list_operators
from lwyolo.engine.deploy import prepare
from lwyolo.engine.roofline import group_kernels
from lwyolo.speed.profiling import Kernel, profile
from lwyolo.speed.roofline import Level, Roofs

ROOFS = Roofs(1, 100.0, "a product", (Level("memory", None, 10.0),))
MODELS = ("yolov8n.yaml", "yolo12n.yaml")


@pytest.fixture(scope="module", params=MODELS)
def measured(request, tmp_path_factory):
    """The file of a small model, its profile, and its groups."""
    folder = tmp_path_factory.mktemp("roofline")
    _, [artifact] = prepare(request.param, folder, runtimes=["onnxruntime"], imgsz=64)
    found = profile(artifact.path, (64, 64), seconds=0.0, force=True)
    groups, unmapped = group_kernels(list_operators(artifact.path), found.kernels, ROOFS)
    return artifact.path, found, groups, unmapped


def test_each_kernel_is_in_exactly_one_group(measured):
    _, found, groups, _ = measured
    assert Counter(kernel.operator for kernel in found.kernels) == Counter(k for group in groups for k in group.kernels)


def test_time_of_all_kernels_is_in_the_groups(measured):
    path, found, _, _ = measured
    once = [Kernel(one.name, one.operator, one.makes, one.ms[:1]) for one in found.kernels]  # medians of one run add up
    groups, _ = group_kernels(list_operators(path), once, ROOFS)
    assert sum(one.ms[0] for one in once) == pytest.approx(sum(group.ms for group in groups), rel=1e-12)


def test_maccs_of_groups_are_those_of_the_file(measured):
    path, _, groups, unmapped = measured
    assert (onnx_cost(path).macs, 0) == (sum(group.macs for group in groups), unmapped)


def test_only_kernels_that_compute_nothing_are_layout(measured):
    _, _, groups, _ = measured
    layout = {kernel for group in groups if group.kind == "layout" for kernel in group.kernels}
    assert layout <= {"ReorderInput", "ReorderOutput", "Split", "Reshape", "Transpose"}


def test_convolutions_are_groups_of_their_own(measured):
    path, _, groups, _ = measured
    n_convolutions = sum(operator.convolution is not None for operator in list_operators(path).operators)
    assert n_convolutions == sum("convolution" in group.kind or "depthwise" in group.kind for group in groups)


def test_listing_adds_up_to_the_cost_of_the_file(measured):
    path, *_ = measured
    cost, listing = onnx_cost(path), list_operators(path)
    n_bytes = sum(listing.bytes_of([one.group for one in listing.operators]).values())
    totals = (sum(one.macs for one in listing.operators), sum(one.flops for one in listing.operators), n_bytes)
    assert (cost.macs, cost.flops, cost.memory_access_fused_bytes) == totals


def _file(tmp_path, nodes, weights):
    """Write a graph from x [1, 4, 8, 8]."""
    import onnx
    from onnx import TensorProto, helper

    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    inits = [helper.make_tensor(name, TensorProto.FLOAT, dims, [1.0] * size) for name, dims, size in weights]
    graph = helper.make_graph(nodes, "g", [image], [result], inits)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.fixture
def listing(tmp_path):
    """Two 1×1 convolutions of 4 channels with a soft maximum between: 4 · 4 · 64 = 1024 MACCs each."""
    from onnx import helper

    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="/first/Conv"),
        helper.make_node("Softmax", ["a"], ["b"], name="/middle/Softmax", axis=1),
        helper.make_node("Conv", ["b", "v"], ["y"], name="/last/Conv"),
    ]
    return list_operators(_file(tmp_path, nodes, [("w", [4, 4, 1, 1], 16), ("v", [4, 4, 1, 1], 16)]))


def test_each_operator_is_a_group_where_each_has_a_kernel(listing):
    kernels = [Kernel(name, "K", (name,), (1.0, 3.0)) for name in ("a", "b", "y")]
    groups, unmapped = group_kernels(listing, kernels, ROOFS)
    each = 4 * (256 + 256 + 16)
    assert [("first", 1024, each), ("middle", 0, 4 * 512), ("last", 1024, each)] == [
        (group.name, group.macs, group.n_bytes) for group in groups
    ]
    assert ([2.0, 2.0, 2.0], 0) == ([group.ms for group in groups], unmapped)


def test_kernel_that_makes_two_operators_joins_them_and_what_lies_between_moves_no_bytes(listing):
    kernels = [Kernel("ab", "Fused", ("a", "b"), (1.0,)), Kernel("y", "Conv", ("y",), (1.0,))]
    groups, _ = group_kernels(listing, kernels, ROOFS)
    assert [(1024, 4 * (256 + 256 + 16)), (1024, 4 * (256 + 256 + 16))] == [(g.macs, g.n_bytes) for g in groups]


def test_operator_without_a_kernel_was_folded_into_its_reader(listing):
    groups, unmapped = group_kernels(listing, [Kernel("y", "Everything", ("y",), (1.0,))], ROOFS)
    assert ([(2048, 4 * (256 + 256 + 32))], 0) == ([(group.macs, group.n_bytes) for group in groups], unmapped)


def test_operators_without_any_kernel_are_reported(listing):
    groups, unmapped = group_kernels(listing, [Kernel("r", "ReorderInput", (), (0.5,))], ROOFS)
    assert ([("layout", 0.5)], 2048) == ([(group.kind, group.ms) for group in groups], unmapped)
