from __future__ import annotations

import os
import shutil
from pathlib import Path

from lwyolo.speed.runtime import Session
from lwyolo.speed.runtimes._torch import TorchRuntime, TorchSession, load_module

COMPILERS = ("g++", "clang++", "cl")


class TorchCompile(TorchRuntime):
    """`torch.compile`. Its first call compiles, which takes a minute or two where nothing is cached."""

    name = "torch-compile"
    format = "module"

    def unsuitable(self) -> str | None:
        """Ask for a C++ compiler, which the code for a CPU is made by."""
        chosen = os.environ.get("CXX")
        if any(shutil.which(name) for name in ((chosen,) if chosen else COMPILERS)):
            return None
        return f"torch-compile needs a C++ compiler, and {chosen or ' or '.join(COMPILERS)} is not on PATH: install g++"

    def load(self, artifact: Path, *, threads: int, precision: str = "fp32", device: str = "cpu") -> Session:
        """Load a fused module; it is compiled when it first runs."""
        import torch

        where, dtype = self.prepare(threads, precision, device)
        module = load_module(artifact, where, dtype)
        return TorchSession(torch.compile(module, dynamic=False), where, dtype)
