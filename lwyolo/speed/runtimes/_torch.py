"""What the runtimes of torch share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lwyolo.errors import UsageError
from lwyolo.speed.runtime import Array, Runtime

if TYPE_CHECKING:
    import torch


class TorchSession:
    """A torch module and where it runs.

    Args:
        call: The module, or what was compiled of it.
        channels_last: Lay the image out channels last, as the weights are.
    """

    def __init__(
        self, call: Any, device: torch.device, dtype: torch.dtype | None = None, channels_last: bool = False
    ) -> None:
        self.call, self.device, self.dtype, self.channels_last = call, device, dtype, channels_last
        self.device_ms: float | None = None

    def run(self, image: Array) -> list[Array]:
        """Run the module; reading its outputs back waits for the device."""
        import torch

        with torch.inference_mode():
            x = torch.from_numpy(image).to(self.device, self.dtype)
            if self.channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            if self.device.type != "cuda":
                return [decoded(self.call(x)).float().cpu().numpy()]
            return [self._timed(x).float().cpu().numpy()]

    def _timed(self, x: torch.Tensor) -> torch.Tensor:
        """Run the module between two events of the GPU; not run by us so far."""
        import torch

        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        output = decoded(self.call(x))
        end.record()
        end.synchronize()
        self.device_ms = begin.elapsed_time(end)
        return output


def decoded(output: Any) -> torch.Tensor:
    """Return the decoded boxes of a head; what it returns beside them is for a loss."""
    import torch

    while not isinstance(output, torch.Tensor):
        output = output[0]
    return output


class TorchRuntime(Runtime):
    """A runtime of torch. Half precision is for a GPU: on a CPU torch computes it slower than single."""

    packages = ("torch",)
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "fp16")
    devices = ("cpu", "cuda")

    def prepare(self, threads: int, precision: str, device: str) -> tuple[torch.device, torch.dtype]:
        """Set the number of threads, and return device and type.

        Raises:
            UsageError: There is no such device, or half precision was asked for on a CPU.
        """
        import torch

        self.check(precision, device)
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise UsageError(f"{self.name} on {device}: torch {torch.__version__} finds no GPU here.")
        if precision == "fp16" and device == "cpu":
            raise UsageError(f"{self.name} at fp16: needs a GPU (device cuda); use fp32 on a CPU.")
        torch.set_num_threads(threads)
        return torch.device(device), torch.float16 if precision == "fp16" else torch.float32


def load_module(artifact: Path, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    """Load a module that `engine.deploy` saved; it is a pickle, and only our own are read."""
    import torch

    module: torch.nn.Module = torch.load(artifact, map_location=device, weights_only=False)
    return module.to(device, dtype).eval()
