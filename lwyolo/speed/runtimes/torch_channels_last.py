from __future__ import annotations

from pathlib import Path

from lwyolo.speed.runtime import Session
from lwyolo.speed.runtimes._torch import TorchRuntime, TorchSession, load_module


class TorchChannelsLast(TorchRuntime):
    """torch operator by operator, with weights and image laid out channels last; laying out the image is timed."""

    name = "torch-channels-last"
    format = "module"

    def load(self, artifact: Path, *, threads: int, precision: str = "fp32", device: str = "cpu") -> Session:
        """Load a fused module and lay its weights out anew."""
        import torch

        where, dtype = self.prepare(threads, precision, device)
        module = load_module(artifact, where, dtype)
        module = module.to(memory_format=torch.channels_last)
        return TorchSession(module, where, dtype, channels_last=True)
