import json
import sys
from importlib import util

import numpy as np
import pytest
import torch

from lwyolo.errors import UsageError
from lwyolo.speed import runtime as interface
from lwyolo.speed.runtime import runtimes, the_only
from lwyolo.speed.runtimes import tensorrt

NAMES = [
    "torch",
    "torch-channels-last",
    "torch-compile",
    "torchscript",
    "coreml",
    "ncnn",
    "onnxruntime",
    "openvino",
    "tensorrt",
]


class Tiny(torch.nn.Module):
    """A module with outputs as a head has them: decoded boxes, then what a loss needs."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 6, 1)

    def forward(self, x):
        return self.conv(x).flatten(2), {"feats": x}


@pytest.fixture
def module(tmp_path):
    torch.manual_seed(0)
    torch.save(Tiny(), tmp_path / "tiny.module")
    return tmp_path / "tiny.module"


@pytest.fixture(autouse=True)
def same_threads_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


IMAGE = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)


def test_every_file_is_a_runtime_and_those_of_torch_come_first():
    assert NAMES == list(runtimes())


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_package_is_named_with_what_installs_it(name, monkeypatch):
    runtime = runtimes()[name]
    monkeypatch.setattr(interface, "find_spec", lambda package: None)
    monkeypatch.setattr(type(runtime), "unsuitable", lambda self: None)

    reason = runtime.missing()

    assert all(package in reason for package in runtime.packages)
    install = f"pip install 'lwyolo[{runtime.extra}]'" if runtime.extra else f"pip install {runtime.packages[0]}"
    assert reason.endswith(install)


def test_packages_are_asked_for_one_by_one(monkeypatch):
    monkeypatch.setattr(interface, "find_spec", lambda package: None if package == "pnnx" else object())

    assert "ncnn needs pnnx, which is not installed: pip install 'lwyolo[ncnn]'" == runtimes()["ncnn"].missing()


@pytest.mark.skipif(torch.cuda.is_available() or sys.platform == "darwin", reason="about a machine without either")
@pytest.mark.parametrize(("name", "word"), [("tensorrt", "NVIDIA GPU"), ("coreml", "macOS")])
def test_what_the_machine_lacks_comes_before_packages(name, word):
    assert word in runtimes()[name].missing()


def test_compiling_needs_a_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)

    assert "C++ compiler" in runtimes()["torch-compile"].missing()


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("torch", {"precision": "int8"}, "torch at int8: not supported; it runs fp32 and fp16."),
        ("torch", {"precision": "fp16"}, "torch at fp16: needs a GPU (device cuda); use fp32 on a CPU."),
        ("torchscript", {"precision": "fp16"}, "torchscript at fp16: not supported; it runs fp32."),
        ("torch", {"device": "npu"}, "torch on npu: not supported; it runs on cpu and cuda."),
    ],
)
def test_what_a_runtime_cannot_do_is_refused(module, name, asked, message):
    with pytest.raises(UsageError) as error:
        runtimes()[name].load(module, threads=1, **asked)

    assert message == str(error.value)


@pytest.mark.parametrize("name", ["torch", "torch-channels-last"])
def test_torch_returns_the_decoded_boxes_alone(module, name):
    (found,) = runtimes()[name].load(module, threads=1).run(IMAGE)

    expected = torch.load(module, weights_only=False)(torch.from_numpy(IMAGE))[0].detach().numpy()
    assert np.allclose(expected, found, atol=1e-6)
    assert np.float32 == found.dtype


def test_channels_last_lays_out_weights_and_image(module):
    session = runtimes()["torch-channels-last"].load(module, threads=1)
    seen = []
    session.call.conv.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    session.run(IMAGE)

    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert not seen[0].is_contiguous()


@pytest.mark.parametrize("threads", [1, 2])
def test_torch_uses_the_threads_it_is_given(module, threads):
    runtimes()["torch"].load(module, threads=threads)

    assert threads == torch.get_num_threads()


@pytest.fixture
def onnx_file(tmp_path):
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    shape = [2, 3, 8, 8]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Neg", ["images"], ["out"])],
        "tiny",
        [value("images", onnx.TensorProto.FLOAT, shape)],
        [value("out", onnx.TensorProto.FLOAT, shape)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "tiny.onnx")
    return tmp_path / "tiny.onnx"


@pytest.mark.skipif(util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
@pytest.mark.parametrize("threads", [1, 2])
def test_onnxruntime_uses_the_threads_it_is_given_and_they_do_not_spin(onnx_file, threads):
    session = runtimes()["onnxruntime"].load(onnx_file, threads=threads)
    options = session.session.get_session_options()

    assert (threads, 1) == (options.intra_op_num_threads, options.inter_op_num_threads)
    assert "0" == options.get_session_config_entry("session.intra_op.allow_spinning")
    assert np.array_equal(-IMAGE, session.run(IMAGE)[0])


@pytest.mark.skipif(util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
def test_onnxruntime_without_its_gpu_package_says_so(onnx_file):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is installed")
    with pytest.raises(UsageError, match="onnxruntime on cuda: .*onnxruntime-gpu"):
        runtimes()["onnxruntime"].load(onnx_file, threads=1, device="cuda")


@pytest.mark.parametrize("threads", [1, 2])
def test_openvino_uses_threads_and_precision_it_is_given(onnx_file, tmp_path, threads, monkeypatch):
    openvino = pytest.importorskip("openvino")
    monkeypatch.setenv("CI", "true")  # its converter sends telemetry elsewhere
    openvino.save_model(openvino.convert_model(onnx_file), tmp_path / "ir" / "tiny.xml", compress_to_fp16=False)
    session = runtimes()["openvino"].load(tmp_path / "ir", threads=threads)

    assert threads == session.compiled.get_property("INFERENCE_NUM_THREADS")
    assert 1 == session.compiled.get_property("NUM_STREAMS")
    assert openvino.Type.f32 == session.compiled.get_property("INFERENCE_PRECISION_HINT")
    first = session.run(IMAGE)[0]
    session.run(IMAGE * 2)
    assert np.array_equal(-IMAGE, first)  # a copy: the next run does not write into it


@pytest.fixture
def ncnn_folder(tmp_path):
    pytest.importorskip("ncnn")
    (tmp_path / "net").mkdir()
    layers = ["7767517", "2 2", "Input in0 0 1 in0", "UnaryOp neg 1 1 in0 out0 0=1"]
    (tmp_path / "net" / "tiny.param").write_text("\n".join(layers) + "\n")
    (tmp_path / "net" / "tiny.bin").write_bytes(b"")
    return tmp_path / "net"


needs_ncnn = pytest.mark.skipif(runtimes()["ncnn"].missing() is not None, reason="ncnn is not installed")


@needs_ncnn
@pytest.mark.parametrize("threads", [1, 2])
def test_ncnn_uses_threads_and_precision_it_is_given(ncnn_folder, threads):
    options = runtimes()["ncnn"].load(ncnn_folder, threads=threads).net.opt

    assert threads == options.num_threads
    assert [False] * 4 == [
        options.use_fp16_storage,
        options.use_fp16_arithmetic,
        options.use_fp16_packed,
        options.use_bf16_storage,
    ]


@needs_ncnn
def test_ncnn_runs_a_batch_image_by_image(ncnn_folder):
    image = IMAGE.copy()

    (found,) = runtimes()["ncnn"].load(ncnn_folder, threads=1).run(image)

    assert np.array_equal(-IMAGE, found)
    assert np.array_equal(IMAGE, image)  # though the layer works in place


@needs_ncnn
def test_ncnn_refuses_a_layer_that_it_does_not_know(ncnn_folder):
    param = ncnn_folder / "tiny.param"
    param.write_text(param.read_text().replace("UnaryOp", "NoSuchLayer"))

    with pytest.raises(UsageError, match="cannot load it"):
        runtimes()["ncnn"].load(ncnn_folder, threads=1)


def test_ncnn_reads_what_its_converter_left_out():
    said = "pass_level5\nmean along batch axis is not supported yet\nmean along batch axis is not supported yet\nFLOPS = 1\n"

    assert ["mean along batch axis is not supported yet"] == runtimes()["ncnn"].refused_by_converter(said)
    assert [] == runtimes()["openvino"].refused_by_converter(said)


def test_a_folder_without_the_file_or_with_two_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"expected one \*.xml, found none"):
        the_only(tmp_path, "*.xml")
    (tmp_path / "a.xml").touch()
    (tmp_path / "b.xml").touch()
    with pytest.raises(UsageError, match=r"found a.xml, b.xml"):
        the_only(tmp_path, "*.xml")


def test_the_header_before_an_engine_is_skipped():
    header = json.dumps({"stride": 32}).encode()
    engine = b"\xf0\x01ptrt\x00\xff" * 4

    assert engine == tensorrt.plan(len(header).to_bytes(4, "little") + header + engine)
    assert engine == tensorrt.plan(engine)


@pytest.mark.slow
def test_compiled_code_agrees_with_torch(module):
    if reason := runtimes()["torch-compile"].missing():
        pytest.skip(reason)
    (found,) = runtimes()["torch-compile"].load(module, threads=1).run(IMAGE)

    assert np.allclose(runtimes()["torch"].load(module, threads=1).run(IMAGE)[0], found, atol=1e-5)
