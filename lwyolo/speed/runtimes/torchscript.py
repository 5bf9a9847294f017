from __future__ import annotations

from pathlib import Path

from lwyolo.speed.runtime import Session
from lwyolo.speed.runtimes._torch import TorchRuntime, TorchSession


class TorchScript(TorchRuntime):
    """TorchScript, traced by Ultralytics' exporter and run as loaded."""

    name = "torchscript"
    format = "torchscript"
    precisions = ("fp32",)

    def load(self, artifact: Path, *, threads: int, precision: str = "fp32", device: str = "cpu") -> Session:
        """Load a traced module."""
        import torch

        where, _ = self.prepare(threads, precision, device)
        return TorchSession(torch.jit.load(str(artifact), map_location=where), where)  # type: ignore[no-untyped-call]
