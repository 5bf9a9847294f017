from __future__ import annotations

from pathlib import Path

from lwyolo.speed.runtime import Session
from lwyolo.speed.runtimes._torch import TorchRuntime, TorchSession, load_module


class TorchEager(TorchRuntime):
    """torch as it is, operator by operator."""

    name = "torch"
    format = "module"

    def load(self, artifact: Path, *, threads: int, precision: str = "fp32", device: str = "cpu") -> Session:
        """Load a fused module."""
        where, dtype = self.prepare(threads, precision, device)
        return TorchSession(load_module(artifact, where, dtype), where, dtype)
