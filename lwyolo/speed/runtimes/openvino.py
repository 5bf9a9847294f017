from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from lwyolo.speed.runtime import Array, Runtime, Session, the_only


class OpenVino(Runtime):
    """OpenVINO on a CPU, tuned for latency.

    The precision is asked for: by itself OpenVINO computes in bfloat16 or half where a processor has it.
    """

    name = "openvino"
    extra = "openvino"
    packages = ("openvino",)
    format = "openvino"
    precisions = ("fp32", "int8")

    def version(self) -> str:
        """Return the version without the build that follows it."""
        return super().version().split("-")[0]

    def load(self, artifact: Path, *, threads: int, precision: str = "fp32", device: str = "cpu") -> Session:
        """Load the folder of an intermediate representation."""
        openvino = import_module("openvino")
        self.check(precision, device)
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        return OpenVinoSession(openvino.Core().compile_model(str(the_only(artifact, "*.xml")), "CPU", settings))


class OpenVinoSession:
    """A compiled model, with one request."""

    device_ms: float | None = None

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled
        self.request = compiled.create_infer_request()

    def run(self, image: Array) -> list[Array]:
        """Run it; the outputs are copies, since a request's own are overwritten by the next run."""
        return list(self.request.infer([image], share_inputs=True).values())
