from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from lwyolo.speed.runtime import Array, Runtime, Session


class CoreMl(Runtime):
    """Core ML on a Mac's CPU. Written from its documentation, and not run by us so far.

    Core ML decides on the number of threads itself, and its exported model takes an image of 8 bits a channel.
    """

    name = "coreml"
    packages = ("coremltools",)
    format = "coreml"

    def unsuitable(self) -> str | None:
        """Ask for macOS, the only system where Core ML runs."""
        return None if sys.platform == "darwin" else f"coreml runs on macOS alone, and this is {sys.platform}"

    def load(self, artifact: Path, *, threads: int, precision: str = "fp32", device: str = "cpu") -> Session:
        """Load an ML package, for the CPU alone."""
        self.check(precision, device)
        tools = import_module("coremltools")
        return CoreMlSession(tools.models.MLModel(str(artifact), compute_units=tools.ComputeUnit.CPU_ONLY))


class CoreMlSession:
    """A loaded ML package."""

    device_ms: float | None = None

    def __init__(self, model: Any) -> None:
        self.model = model
        self.input = model.get_spec().description.input[0].name

    def run(self, image: Array) -> list[Array]:
        """Run it, one image after another."""
        from PIL import Image

        frames = (image.transpose(0, 2, 3, 1) * 255).round().astype(np.uint8)
        rows = [self.model.predict({self.input: Image.fromarray(frame)}) for frame in frames]
        return [np.concatenate([row[name] for row in rows]) for name in rows[0]]
