"""Costs of ONNX files: closed formulas on graphs made here, and equality with the torch models that were exported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from lwyolo.cost import profile
from lwyolo.cost.lint import lint
from lwyolo.cost.onnx.file import onnx_cost
from lwyolo.errors import CostError

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402  after the skip

ROOT = Path(__file__).resolve().parents[2]
FLOAT = TensorProto.FLOAT
X = ("x", FLOAT, (1, 8, 16, 16))
N = 8 * 16 * 16
TOTALS = ("macs", "flops", "memory_access_bytes", "memory_access_fused_bytes", "activation_bytes")


@pytest.fixture
def cost_of(tmp_path):
    """Write a graph to a file and return its cost; weights are given as `name=(type, shape)` or as numbers."""

    def build(nodes, inputs=(X,), outputs=("y",), options=(), opset=18, value_info=(), **weights):
        tensors = [
            helper.make_tensor(name, TensorProto.INT64, [len(w)], w)
            if isinstance(w, list)
            else TensorProto(
                name=name, data_type=w[0], dims=w[1], raw_data=bytes(torch.Size(w[1]).numel() * size(w[0]))
            )
            for name, w in weights.items()
        ]
        values = [helper.make_tensor_value_info(*i) for i in inputs]
        results = [helper.make_tensor_value_info(*(o if isinstance(o, tuple) else (o, FLOAT, None))) for o in outputs]
        infos = [helper.make_tensor_value_info(*v) for v in value_info]
        graph = helper.make_graph(nodes, "made here", values, results, tensors, value_info=infos)
        imports = [
            helper.make_opsetid("", opset),
            helper.make_opsetid("com.microsoft", 1),
            helper.make_opsetid("my", 1),
        ]
        onnx.save(helper.make_model(graph, opset_imports=imports), tmp_path / "made.onnx")
        return onnx_cost(tmp_path / "made.onnx", **dict(options))

    return build


def size(elem_type):
    return helper.tensor_dtype_to_np_dtype(elem_type).itemsize


node = helper.make_node


@pytest.mark.parametrize(
    ("attributes", "weight", "macs", "side"),
    [
        ({"kernel_shape": [1, 1]}, (12, 8, 1, 1), 256 * 12 * 8, 16),
        ({"pads": [1] * 4, "strides": [2, 2]}, (12, 8, 3, 3), 64 * 12 * 8 * 9, 8),
        ({"pads": [2] * 4, "dilations": [2, 2]}, (12, 8, 3, 3), 256 * 12 * 8 * 9, 16),
        ({"pads": [1] * 4, "group": 4}, (12, 2, 3, 3), 256 * 12 * 2 * 9, 16),
        ({"pads": [1] * 4, "group": 8}, (8, 1, 3, 3), 256 * 8 * 9, 16),
    ],
    ids=["1x1", "strided", "dilated", "grouped", "depthwise"],
)
def test_convolution(cost_of, attributes, weight, macs, side):
    cost = cost_of([node("Conv", ["x", "w", "b"], ["y"], **attributes)], w=(FLOAT, weight), b=(FLOAT, (weight[0],)))
    (row,), n_weights = cost.layers, torch.Size(weight).numel() + weight[0]
    (convolution,) = row.convolutions

    assert (macs, 2 * macs, n_weights) == (cost.macs, cost.flops, cost.params)
    assert 4 * (N + n_weights + weight[0] * side**2) == cost.memory_access_bytes == cost.memory_access_fused_bytes
    assert (8, weight[0], weight[2:], attributes.get("group", 1)) == (
        convolution.c1,
        convolution.c2,
        convolution.kernel,
        convolution.groups,
    )
    assert (256, side**2, macs) == (convolution.positions_in, convolution.positions_out, convolution.macs)


def test_transposed_convolution_spreads_each_input_position(cost_of):
    cost = cost_of(
        [node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], kernel_shape=[2, 2], group=2)],
        w=(FLOAT, (8, 6, 2, 2)),
    )
    (convolution,) = cost.layers[0].convolutions
    assert N * 6 * 4 == cost.macs
    assert (8, 12, 256, 1024) == (convolution.c1, convolution.c2, convolution.positions_in, convolution.positions_out)


@pytest.mark.parametrize(
    ("operator", "attributes", "a", "b", "macs"),
    [
        ("Gemm", {}, (4, 6), (6, 5), 4 * 6 * 5),
        ("Gemm", {"transA": 1, "transB": 1}, (6, 4), (5, 6), 4 * 6 * 5),
        ("MatMul", {}, (2, 3, 4, 6), (6, 5), 2 * 3 * 4 * 6 * 5),
        ("MatMul", {}, (2, 1, 4, 6), (3, 6, 5), 2 * 3 * 4 * 6 * 5),
        ("MatMul", {}, (6,), (6,), 6),
        ("Einsum", {"equation": "bhqd,bhkd->bhqk"}, (2, 3, 4, 6), (2, 3, 5, 6), 2 * 3 * 4 * 6 * 5),
        ("Einsum", {"equation": "...ij,jk->...ik"}, (2, 4, 6), (6, 5), 2 * 4 * 6 * 5),
    ],
)
def test_product_of_two(cost_of, operator, attributes, a, b, macs):
    inputs = [("a", FLOAT, a), ("b", FLOAT, b)]
    cost = cost_of([node(operator, ["a", "b"], ["y"], **attributes)], inputs, options={"batch": a[0]})
    assert (macs, 0, {}) == (cost.macs, cost.params, cost.uncounted)


def test_einsum_of_three_contracts_two_at_a_time(cost_of):
    shapes = {"a": (2, 3), "b": (3, 4), "c": (4, 5)}
    inputs = [(name, FLOAT, shape) for name, shape in shapes.items()]
    cost = cost_of([node("Einsum", list(shapes), ["y"], equation="ij,jk,kl->il")], inputs=inputs)
    assert 2 * 3 * 4 + 2 * 4 * 5 == cost.macs


def test_a_bias_after_a_product_is_part_of_it(cost_of):
    nodes = [node("MatMul", ["x", "w"], ["p"]), node("Add", ["b", "p"], ["l"]), node("Relu", ["l"], ["y"])]
    cost = cost_of(nodes, [("x", FLOAT, (7, 6))], w=(FLOAT, (6, 5)), b=(FLOAT, (5,)))

    assert {"MatMul+Add", "Relu"} == {operator.name for operator in cost.operators}
    assert (7 * 30, 2 * 7 * 30 + 35, 35) == (cost.macs, cost.flops, cost.params)
    assert 4 * ((42 + 30 + 5 + 35) + 2 * 35) == cost.memory_access_bytes
    assert 4 * (42 + 30 + 5 + 35) == cost.memory_access_fused_bytes


@pytest.mark.parametrize("operator", ["LSTM", "GRU"])
def test_recurrent_layer_uses_both_matrices_at_each_step(cost_of, operator):
    gates = {"LSTM": 4, "GRU": 3}[operator]
    cost = cost_of(
        [node(operator, ["x", "w", "r"], ["y"], hidden_size=5)],
        inputs=[("x", FLOAT, (7, 2, 3))],
        w=(FLOAT, (1, gates * 5, 3)),
        r=(FLOAT, (1, gates * 5, 5)),
    )
    macs, work = 7 * 2 * gates * 5 * (3 + 5), {"LSTM": 3 * 4 + 2 + 3 + 5, "GRU": 2 * 4 + 1 + 2 + 5}[operator]
    assert (macs, gates * 5 * (3 + 5)) == (cost.macs, cost.params)
    assert 2 * macs + work * 7 * 2 * 5 == cost.flops


def test_packed_attention(cost_of):
    inputs = [("q", FLOAT, (2, 10, 16)), ("k", FLOAT, (2, 20, 16)), ("v", FLOAT, (2, 20, 32))]
    attention = node("Attention", ["q", "k", "v"], ["y"], q_num_heads=4, kv_num_heads=4)
    assert 2 * 10 * 20 * (16 + 32) == cost_of([attention], inputs, opset=23).macs


def silu(x, y, name="s"):
    return [node("Sigmoid", [x], [name]), node("Mul", [x, name], [y])]


def test_silu_is_one_operator_and_joins_its_convolution(cost_of):
    conv = node("Conv", ["x", "w"], ["c"], kernel_shape=[1, 1])
    cost = cost_of([conv, *silu("c", "y")], w=(FLOAT, (8, 8, 1, 1)))

    assert ["Conv", "Sigmoid+Mul"] == [operator.name for operator in cost.operators]
    assert 4 * ((2 * N + 64) + 2 * N) == cost.memory_access_bytes
    assert 4 * (2 * N + 64) == cost.memory_access_fused_bytes
    assert 2 * 256 * 64 + 5 * N == cost.flops


def test_gelu_written_with_erf_is_one_operator(cost_of):
    nodes = [
        node("Div", ["x", "root"], ["a"]),
        node("Erf", ["a"], ["b"]),
        node("Add", ["b", "one"], ["c"]),
        node("Mul", ["x", "c"], ["d"]),
        node("Mul", ["d", "half"], ["y"]),
    ]
    cost = cost_of(nodes, root=(FLOAT, ()), one=(FLOAT, ()), half=(FLOAT, ()))
    assert ({"Div+Erf+Add+Mul", "Mul"}, 5 * N) == ({operator.name for operator in cost.operators}, cost.flops)
    assert (4 * 4 * N, 4 * 2 * N, 0) == (cost.memory_access_bytes, cost.memory_access_fused_bytes, cost.params)


def test_a_factor_that_others_read_is_an_operator_of_its_own(cost_of):
    cost = cost_of([*silu("x", "z"), node("Add", ["s", "z"], ["y"])])
    assert {"Sigmoid", "Mul", "Add"} == {operator.name for operator in cost.operators}
    assert 4 * (2 * N + 3 * N + 3 * N) == cost.memory_access_bytes


def test_batch_norm_folds_into_its_convolution(cost_of):
    vectors = dict.fromkeys(("gain", "offset", "mean", "var"), (FLOAT, (8,)))
    nodes = [node("Conv", ["x", "w"], ["c"]), node("BatchNormalization", ["c", *vectors], ["y"])]
    cost = cost_of(nodes, w=(FLOAT, (8, 8, 1, 1)), **vectors)

    assert 64 + 16 == cost.params
    assert 4 * (2 * N + 64) + 4 * (2 * N + 4 * 8) == cost.memory_access_bytes
    assert 4 * (2 * N + 64 + 8) == cost.memory_access_fused_bytes


def test_views_are_free_and_copied_where_torch_copies(cost_of):
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        node("Split", ["t"], ["a", "b"], axis=3, num_outputs=2),
        node("Slice", ["a", "start", "end", "axis"], ["s"]),
        node("Unsqueeze", ["s", "start"], ["u"]),
        node("Relu", ["u"], ["y"]),
        node("Reshape", ["t", "flat"], ["z"]),
    ]
    cost = cost_of(nodes, outputs=["y", "z"], start=[0], end=[8], axis=[1], flat=[256 * 8])
    assert {"Relu": 8 * (8 * 16 * 4), "Reshape": 8 * N} == {o.name: o.memory_access_bytes for o in cost.operators}


def test_what_depends_on_shapes_and_weights_alone_costs_nothing(cost_of):
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"]),
        node("Concat", ["batch", "rest"], ["target"], axis=0),
        node("Exp", ["w"], ["v"]),
        node("Reshape", ["x", "target"], ["flat"]),
        node("MatMul", ["flat", "v"], ["y"]),
    ]
    cost = cost_of(nodes, zero=[0], rest=[-1], w=(FLOAT, (N, 5)))
    assert (5 * N, 5 * N, ["MatMul"]) == (cost.macs, cost.params, [operator.name for operator in cost.operators])
    assert 4 * (N + 5 * N + 5) == cost.memory_access_bytes


def quantised(name, value, zero="zero"):
    return [
        node("QuantizeLinear", [value, "scale", zero], [f"{name}_q"]),
        node("DequantizeLinear", [f"{name}_q", "scale", zero], [name]),
    ]


def test_quantised_convolution_moves_stored_integers(cost_of):
    """The input is read as floats once, by its own quantisation; convolutions read and write one byte an element."""
    scale = {"scale": (FLOAT, ()), "zero": (TensorProto.INT8, ())}
    nodes = [
        *quantised("a", "x"),
        node("DequantizeLinear", ["w", "scale", "zero"], ["wf"]),
        node("Conv", ["a", "wf"], ["c"]),
        *quantised("b", "c"),
        node("Conv", ["b", "wf"], ["d"]),
        *quantised("y", "d"),
    ]
    cost = cost_of(nodes, **scale, w=(TensorProto.INT8, (8, 8, 1, 1)))

    assert (2 * 256 * 64, 64, "int8", {}) == (cost.macs, cost.params, cost.dtype, cost.uncounted)
    assert (4 + 1) * N + 2 * (N + 64 + N) == cost.memory_access_fused_bytes
    assert (4 + 1) * N + 2 * (N + 64 + 4 * N + 5 * N) == cost.memory_access_bytes
    assert 2 * cost.macs + 3 * (5 + 2) * N == cost.flops


def test_integer_contractions(cost_of):
    u8, i8, scalar = TensorProto.UINT8, TensorProto.INT8, (FLOAT, ())
    conv = ["x", "s", "z", "w", "s", "zw", "s", "z", "bias"]
    weights = {"s": scalar, "z": (u8, ()), "zw": (i8, ()), "bias": (TensorProto.INT32, (12,))}
    cost = cost_of(
        [node("QLinearConv", conv, ["y"])], [("x", u8, X[2])], [("y", u8, None)], w=(i8, (12, 8, 1, 1)), **weights
    )
    assert (256 * 96, 96 + 12, N + 96 + 4 * 12 + 256 * 12) == (cost.macs, cost.params, cost.memory_access_bytes)

    cost = cost_of(
        [node("ConvInteger", ["x", "w"], ["y"])],
        [("x", u8, X[2])],
        [("y", TensorProto.INT32, None)],
        w=(i8, (12, 8, 1, 1)),
    )
    assert (256 * 96, N + 96 + 4 * 256 * 12) == (cost.macs, cost.memory_access_bytes)

    cost = cost_of(
        [node("MatMulInteger", ["x", "w"], ["y"])],
        [("x", u8, (4, 6))],
        [("y", TensorProto.INT32, None)],
        w=(i8, (6, 5)),
    )
    assert (120, 24 + 30 + 4 * 20) == (cost.macs, cost.memory_access_bytes)


def test_fused_operators_of_onnxruntime(cost_of):
    conv = node("FusedConv", ["x", "w"], ["c"], domain="com.microsoft", activation="Relu")
    nodes = [
        conv,
        node("QuickGelu", ["c"], ["g"], domain="com.microsoft"),
        node("FusedMatMul", ["g", "v"], ["y"], domain="com.microsoft"),
    ]
    cost = cost_of(nodes, w=(FLOAT, (8, 8, 1, 1)), v=(FLOAT, (16, 4)))
    assert (256 * 64 + N * 4, 64 + 64, {}) == (cost.macs, cost.params, cost.uncounted)
    assert 2 * cost.macs + N + 5 * N == cost.flops


def test_an_unknown_operator_is_named_with_its_bytes(cost_of):
    nodes = [node("Relu", ["x"], ["r"]), node("Scan9", ["r"], ["y"], domain="my")]
    known = [("y", FLOAT, X[2])]
    cost = cost_of(nodes, outputs=known)

    assert ({"my::Scan9": 1}, 4 * 4 * N) == (cost.uncounted, cost.memory_access_bytes)
    with pytest.raises(CostError, match=r"made.onnx: operators without a formula: my::Scan9 \(1 calls\)"):
        cost_of(nodes, outputs=known, options={"strict": True})


def test_a_branch_is_named_as_uncounted(cost_of):
    branch = helper.make_graph(
        [node("Relu", ["x"], ["z"])], "branch", [], [helper.make_tensor_value_info("z", FLOAT, X[2])]
    )
    nodes = [node("If", ["condition"], ["y"], then_branch=branch, else_branch=branch)]
    cost = cost_of(nodes, [X, ("condition", TensorProto.BOOL, ())], [("y", FLOAT, X[2])])
    assert {"If": 1} == cost.uncounted


def test_dynamic_axes_take_the_size_that_is_asked_for(cost_of):
    image = ("x", FLOAT, ("batch", 3, "height", "width"))
    nodes, weight = [node("Conv", ["x", "w"], ["y"])], (FLOAT, (4, 3, 1, 1))

    assert 12 * 640 * 640 == cost_of(nodes, [image], w=weight).macs
    cost = cost_of(nodes, [image], w=weight, options={"imgsz": (32, 64), "batch": 2})
    assert (2 * 12 * 32 * 64, ((2, 3, 32, 64),)) == (cost.macs, cost.input_shapes)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"imgsz": 32}, "a batch of 1 of 32×32 pixels"),
        ({"imgsz": (16, 8)}, "a batch of 1 of 16×8"),
        ({"batch": 4}, "a batch of 4 was"),
    ],
)
def test_a_fixed_size_is_named_where_another_is_asked_for(cost_of, options, asked):
    with pytest.raises(CostError, match=rf"made.onnx: input x is fixed to 1×8×16×16 .*{asked}.*dynamic=True"):
        cost_of([node("Relu", ["x"], ["y"])], options=options)


def test_a_shape_that_depends_on_numbers_is_named(cost_of):
    nodes = [node("NonZero", ["x"], ["y"], name="find")]
    with pytest.raises(
        CostError, match=r"the shape of y, a result of find \(NonZero\), is unknown\. Export with fixed"
    ):
        cost_of(nodes, outputs=[("y", TensorProto.INT64, None)])


def test_shapes_that_do_not_fit_are_named(cost_of):
    with pytest.raises(CostError, match=r"y \(MatMul\) does not fit its inputs"):
        cost_of([node("MatMul", ["a", "b"], ["y"])], inputs=[("a", FLOAT, (2, 3)), ("b", FLOAT, (4, 5))])


def test_a_tensor_that_nothing_makes_is_named(cost_of):
    with pytest.raises(CostError, match=r"y \(Add\) reads lost, which nothing in the file makes"):
        cost_of([node("Add", ["x", "lost"], ["y"])])


def test_an_attribute_that_an_operator_lacks_is_named(cost_of):
    with pytest.raises(CostError, match=r"made.onnx is a damaged ONNX file: ValidationError: .*wings"):
        cost_of([node("Conv", ["x", "w"], ["y"], wings=2)], w=(FLOAT, (8, 8, 1, 1)))


def test_files_that_are_none(tmp_path, monkeypatch):
    (tmp_path / "text.onnx").write_text("this is no graph")
    (tmp_path / "empty.onnx").write_bytes(b"")
    for name, message in {
        "missing.onnx": "does not exist; expected an ONNX file",
        "": "is a folder; expected an ONNX file",
        "text.onnx": "is no ONNX file, or a damaged one",
        "empty.onnx": "is no ONNX file, or a damaged one",
    }.items():
        with pytest.raises(CostError, match=message):
            onnx_cost(tmp_path / name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(CostError, match=r"pip install 'lwyolo\[onnx\]'"):
        onnx_cost(tmp_path / "text.onnx")


def test_the_package_does_not_import_onnx():
    code = "import lwyolo.cost, lwyolo.cost.onnx.file, sys; sys.exit('onnx' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode


def test_rows_come_from_the_names_of_nodes(cost_of):
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="/model.0/conv/Conv"),
        node("Relu", ["a"], ["b"], name="/model.0/act/Relu"),
        node("Relu", ["b"], ["c"], name="/model.10/cv2.1/cv2.1.0/Relu"),
        node("Relu", ["c"], ["d"], name="/model.2/Relu"),
        node("Add", ["c", "d"], ["y"], name="Add_7"),
    ]
    cost = cost_of(nodes, w=(FLOAT, (8, 8, 1, 1)))

    assert [
        (0, "model.0", "Conv+Relu"),
        (2, "model.2", "Relu"),
        (10, "model.10", "Relu"),
        (None, "", "(outside of layers)"),
    ] == [(row.index, row.path, row.type) for row in cost.layers]
    assert ["model.10", "model.10.cv2.1", "model.10.cv2.1.0"] == [call.path for call in cost.layers[2].walk()]
    assert [((1, 8, 16, 16),)] * 3 == [row.output_shapes for row in cost.layers[:3]]
    assert (64, 0, 0, 0) == tuple(row.params for row in cost.layers)


class Block(nn.Module):
    """One operator after the other that exporters write in several ways."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU())
        self.up = nn.ConvTranspose2d(8, 8, 2, 2, groups=2)
        self.norm = nn.LayerNorm(8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8), nn.Hardswish())

    def forward(self, x):
        x = nn.functional.interpolate(self.up(self.stem(x)), scale_factor=2.0, mode="bilinear")
        a, b = nn.functional.max_pool2d(x, 3, 2, 1).chunk(2, 1)
        x = torch.cat((a, b.relu()), 1).flatten(2).transpose(1, 2)
        x = self.mlp(self.norm(x)) + x
        return (x @ x.transpose(1, 2)).softmax(-1).mean(1)


@pytest.mark.parametrize("dynamo", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")
def test_an_exported_module_costs_what_torch_says(tmp_path, dynamo):
    torch.manual_seed(0)
    model = Block().eval()
    torch.onnx.export(model, (torch.zeros(1, 3, 16, 16),), tmp_path / "block.onnx", dynamo=dynamo, verbose=False)
    expected, actual = profile(model, 16), onnx_cost(tmp_path / "block.onnx")

    assert {name: getattr(expected, name) for name in ("params", *TOTALS)} == {
        name: getattr(actual, name) for name in ("params", *TOTALS)
    }
    assert {"stem", "up", "norm", "mlp"} <= {row.path for row in actual.layers}
    assert {row.path: row.macs for row in expected.layers} == {row.path: row.macs for row in actual.layers}


def exported(source, folder, imgsz, **options):
    """Export a model with distinct weights, as training makes them; return the file and the graph that it holds."""
    from lwyolo.engine.model import YOLO

    model = YOLO(source)
    torch.manual_seed(0)
    for parameter in model.model.parameters():
        parameter.data = torch.randn_like(parameter) / 100 + 1e-3
    for module in model.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn_like(module.running_mean)
    model.model.pt_path = str(folder / f"{Path(source).stem}.pt")
    file = Path(model.export(format="onnx", imgsz=imgsz, device="cpu", **options))
    model.model.model[-1].export, model.model.model[-1].format = True, "onnx"  # without the raw maps beside the result
    return file, profile(model.model, imgsz, fused=True)


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("yolov8n.yaml", {}),
        pytest.param("yolov8n.yaml", {"simplify": False}, marks=pytest.mark.slow),
        pytest.param("yolov8n.yaml", {"dynamic": True}, marks=pytest.mark.slow),
        pytest.param("yolo11n.yaml", {}, marks=pytest.mark.slow),
        pytest.param("yolo26n.yaml", {}, marks=pytest.mark.slow),
    ],
)
def test_an_exported_detector_costs_what_its_deployed_graph_costs(tmp_path, source, options):
    """Equal in everything, layer by layer."""
    file, expected = exported(source, tmp_path, 128, **options)
    actual = onnx_cost(file, 128)

    assert {name: getattr(expected, name) for name in ("params", *TOTALS)} == {
        name: getattr(actual, name) for name in ("params", *TOTALS)
    }
    rows = [
        (row.index, row.path, row.params, row.macs, row.memory_access_bytes)
        for row in expected.layers
        if row.n_operators
    ]
    assert rows == [
        (row.index, row.path, row.params, row.macs, row.memory_access_bytes) for row in actual.layers if row.n_operators
    ]
    assert [finding.found for finding in lint(expected)] == [finding.found for finding in lint(actual)]


def bytes_of(cost, *names):
    return sum(operator.memory_access_bytes for operator in cost.operators if operator.name in names)


@pytest.mark.slow
def test_copies_that_an_export_leaves_out_are_all_that_attention_lacks(tmp_path):
    """Area attention calls contiguous(), which ONNX cannot express."""
    file, expected = exported("yolo12n.yaml", tmp_path, 128)
    actual = onnx_cost(file)
    left_out = bytes_of(expected, "aten::clone") - bytes_of(actual, "Transpose", "Reshape")

    assert (expected.params, expected.macs, expected.flops) == (actual.params, actual.macs, actual.flops)
    assert left_out == expected.memory_access_bytes - actual.memory_access_bytes
    assert left_out == expected.memory_access_fused_bytes - actual.memory_access_fused_bytes
    assert left_out < 0.02 * expected.memory_access_fused_bytes


@pytest.mark.slow
def test_dyhead_contracts_what_torch_contracts(tmp_path):
    """Beside the contractions, exports drop nan_to_num and write a group norm as three nodes, which fusing undoes."""
    file, expected = exported(str(ROOT / "cfg" / "yolov8n-dyhead.yaml"), tmp_path, 128)
    actual = onnx_cost(file)
    dropped = bytes_of(expected, "aten::nan_to_num", "aten::new_zeros")
    merged = bytes_of(expected, "aten::sigmoid") - bytes_of(actual, "Sigmoid")

    assert (expected.params, expected.macs, {}) == (actual.params, actual.macs, actual.uncounted)
    assert {"Conv", "DeformConv"} == {operator.name for operator in actual.operators if operator.macs}
    assert 0 <= expected.memory_access_fused_bytes - actual.memory_access_fused_bytes <= dropped + merged
