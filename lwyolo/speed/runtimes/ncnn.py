from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from lwyolo.errors import UsageError
from lwyolo.speed.runtime import Array, Runtime, Session, the_only


class Ncnn(Runtime):
    """ncnn on a CPU. It knows no batch: images run one after another.

    Half and bfloat16, which it would use by itself, are off.
    """

    name = "ncnn"
    extra = "ncnn"
    packages = ("ncnn", "pnnx")
    format = "ncnn"
    holds_end_to_end = False
    holds_batch = False

    def refused_by_converter(self, said: str) -> list[str]:
        """Read what pnnx printed: it converts what it can, and such a net ends the process that runs it."""
        return sorted({line.strip() for line in said.splitlines() if "not supported" in line})

    def load(self, artifact: Path, *, threads: int, precision: str = "fp32", device: str = "cpu") -> Session:
        """Load the folder of a `.param` and a `.bin` file."""
        ncnn = import_module("ncnn")
        self.check(precision, device)
        param = the_only(artifact, "*.param")
        net = ncnn.Net()
        net.opt.num_threads = threads
        net.opt.use_vulkan_compute = False
        for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            if hasattr(net.opt, f"use_{option}"):
                setattr(net.opt, f"use_{option}", False)
        if net.load_param(str(param)) or net.load_model(str(param.with_suffix(".bin"))):
            raise UsageError(f"{param}: ncnn {ncnn.__version__} cannot load it; a layer may be unknown to it.")
        return NcnnSession(ncnn, net)


class NcnnSession:
    """A loaded net."""

    device_ms: float | None = None

    def __init__(self, ncnn: Any, net: Any) -> None:
        self.ncnn, self.net = ncnn, net
        self.input, self.outputs = net.input_names()[0], sorted(net.output_names())

    def run(self, image: Array) -> list[Array]:
        """Run it image by image."""
        rows = [self._one(sample) for sample in image]
        return [np.stack(output) for output in zip(*rows, strict=True)]

    def _one(self, sample: Array) -> list[Array]:
        """Run one image [C, H, W], as a copy of its own.

        A `Mat` of an array neither keeps it alive nor owns it, and a net whose first layer works in place then ends the
        process. A C++ program would own the image too.
        """
        extractor = self.net.create_extractor()
        extractor.input(self.input, self.ncnn.Mat(sample).clone())
        found = [extractor.extract(name) for name in self.outputs]
        if any(code for code, _ in found):
            raise UsageError(f"ncnn fails on an image of {sample.shape}: it returned {[code for code, _ in found]}.")
        return [np.array(mat) for _, mat in found]
