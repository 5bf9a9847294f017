from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from lwyolo.errors import UsageError
from lwyolo.speed.runtime import Array, Runtime, Session
from lwyolo.speed.runtimes._torch import decoded


class TensorRt(Runtime):
    """TensorRT 10 or newer on an NVIDIA GPU. Written from its documentation, and not run by us so far.

    The number of threads means nothing here: the GPU does the work.
    """

    name = "tensorrt"
    packages = ("tensorrt",)
    format = "engine"
    devices = ("cuda",)

    def unsuitable(self) -> str | None:
        """Ask for a GPU."""
        import torch

        return None if torch.cuda.is_available() else "tensorrt needs an NVIDIA GPU, and torch finds none here"

    def load(self, artifact: Path, *, threads: int, precision: str = "fp32", device: str = "cpu") -> Session:
        """Read an engine, after the header that Ultralytics' exporter puts before it."""
        self.check(precision, device)
        tensorrt = import_module("tensorrt")
        runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.WARNING))
        engine = runtime.deserialize_cuda_engine(plan(artifact.read_bytes()))
        if engine is None:
            raise UsageError(
                f"{artifact}: TensorRT {tensorrt.__version__} cannot read it; an engine fits the version "
                "and the GPU that it was built on, so export it here."
            )
        return TensorRtSession(tensorrt, engine, device)


def plan(content: bytes) -> bytes:
    """Return an engine without the header: a length in four bytes, then so much JSON."""
    length = int.from_bytes(content[:4], "little")
    try:
        json.loads(content[4 : 4 + length].decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        return content
    return content[4 + length :]


class TensorRtSession:
    """An engine whose inputs and outputs are torch tensors on the GPU."""

    device_ms: float | None = None

    def __init__(self, tensorrt: Any, engine: Any, device: str) -> None:
        import torch

        self.context, self.tensors, self.input = engine.create_execution_context(), {}, ""
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        for name in names:
            dtype = torch.from_numpy(_zeros(tensorrt.nptype(engine.get_tensor_dtype(name)))).dtype
            self.tensors[name] = torch.empty(tuple(engine.get_tensor_shape(name)), dtype=dtype, device=device)
            self.context.set_tensor_address(name, self.tensors[name].data_ptr())
            if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT:
                self.input = name
        self.outputs = [name for name in names if name != self.input]

    def run(self, image: Array) -> list[Array]:
        """Copy the image to the GPU, run the engine, and wait for its outputs."""
        import torch

        with torch.cuda.stream(self.stream):
            self.tensors[self.input].copy_(torch.from_numpy(image))
            if not self.context.execute_async_v3(self.stream.cuda_stream):
                raise UsageError("tensorrt: the engine refused to run.")
            return [decoded(self.tensors[name]).float().cpu().numpy() for name in self.outputs]


def _zeros(dtype: Any) -> Array:
    import numpy as np

    return np.zeros(1, dtype)
