from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from lwyolo.errors import UsageError
from lwyolo.speed.runtime import Array, Runtime, Session

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxRuntime(Runtime):
    """ONNX Runtime with all its graph optimisations.

    Its idle threads do not spin: spinning ones would take time from whatever runs next.
    """

    name = "onnxruntime"
    extra = "onnx"
    packages = ("onnxruntime", "onnx")
    format = "onnx"
    precisions = ("fp32", "int8")
    devices = ("cpu", "cuda")

    def load(self, artifact: Path, *, threads: int, precision: str = "fp32", device: str = "cpu") -> Session:
        """Load an ONNX file."""
        ort = import_module("onnxruntime")
        self.check(precision, device)
        kind = device.split(":")[0]
        if PROVIDERS[kind] not in ort.get_available_providers():
            raise UsageError(
                f"onnxruntime on {device}: the installed package has {', '.join(ort.get_available_providers())}; "
                f"{PROVIDERS[kind]} comes with onnxruntime-gpu."
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors
        return OnnxSession(ort.InferenceSession(str(artifact), options, providers=[PROVIDERS[kind]]))


class OnnxSession:
    """A loaded ONNX file."""

    device_ms: float | None = None

    def __init__(self, session: Any) -> None:
        self.session = session
        self.input = session.get_inputs()[0].name

    def run(self, image: Array) -> list[Array]:
        """Run it."""
        outputs: list[Array] = self.session.run(None, {self.input: image})
        return outputs
