"""The interface to what runs an exported model; each runtime is a file in `runtimes/`, found by being there.

Importing a runtime's file imports nothing of the runtime: that happens in `load`, in the process that is timed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from lwyolo.errors import UsageError
from lwyolo.registry import discover

Array = NDArray[Any]


class Session(Protocol):
    """A loaded model.

    Args:
        device_ms: Time that the last pass took on a device with a clock of its own, `None` where the host's is all
            there is.
    """

    device_ms: float | None

    def run(self, image: Array) -> list[Array]:
        """Run the model, and return when its outputs are there.

        Shapes:
            image: [B, C, H, W], float32 in 0 to 1, contiguous
            returns: first the decoded boxes, [B, 4 + classes, anchors] or [B, boxes, 6], float32
        """
        ...


class Runtime(ABC):
    """What loads an artifact and runs it. It has no state: a model that is loaded is a `Session`."""

    name: ClassVar[str]
    extra: ClassVar[str | None] = None
    """Extra of lwyolo that installs it; `None` where it comes with lwyolo, or from elsewhere."""
    packages: ClassVar[tuple[str, ...]]
    """Import names that an export and a run need; the first tells the version."""
    format: ClassVar[str]
    """Of the artifact: `module`, a fused torch module, or an export format of Ultralytics."""
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    holds_end_to_end: ClassVar[bool] = True
    """Whether a head that needs no suppression of boxes survives the export."""
    holds_batch: ClassVar[bool] = True
    """Whether an artifact takes several images at once; without, they run one after another."""

    def version(self) -> str:
        """Return the version of the runtime's package."""
        return str(import_module(self.packages[0]).__version__)

    def missing(self) -> str | None:
        """Say why it cannot run here, and what to do; `None` where it can."""
        if reason := self.unsuitable():
            return reason
        absent = [name for name in self.packages if find_spec(name) is None]
        if not absent:
            return None
        install = f"pip install 'lwyolo[{self.extra}]'" if self.extra else f"pip install {' '.join(absent)}"
        verb = "is" if len(absent) == 1 else "are"
        return f"{self.name} needs {' and '.join(absent)}, which {verb} not installed: {install}"

    def unsuitable(self) -> str | None:
        """Say what this machine lacks, which no package of Python brings; `None` where nothing."""
        return None

    def check(self, precision: str = "fp32", device: str = "cpu") -> None:
        """Refuse what this runtime cannot do.

        Raises:
            UsageError: It is not installed, or has no such precision or device.
        """
        if reason := self.missing():
            raise UsageError(reason)
        if precision not in self.precisions:
            raise UsageError(f"{self.name} at {precision}: not supported; it runs {' and '.join(self.precisions)}.")
        if device.split(":")[0] not in self.devices:
            raise UsageError(f"{self.name} on {device}: not supported; it runs on {' and '.join(self.devices)}.")

    def refused_by_converter(self, said: str) -> list[str]:
        """Return the lines in which a converter says that it left out a part of the model, though it ended well."""
        return []

    @abstractmethod
    def load(self, artifact: Path, *, threads: int, precision: str = "fp32", device: str = "cpu") -> Session:
        """Load an artifact, to be run by so many threads.

        Raises:
            UsageError: The runtime cannot do what is asked for, or cannot read the artifact.
        """


def runtimes() -> dict[str, Runtime]:
    """Return every runtime by its name, those of torch first; also those that are not installed."""
    discover("lwyolo.speed.runtimes")
    found = {cls.name: cls() for cls in _concrete(Runtime)}  # type: ignore[type-abstract]  # a base, walked down
    return {name: found[name] for name in sorted(found, key=lambda name: (not name.startswith("torch"), name))}


def _concrete(cls: type[Runtime]) -> Iterator[type[Runtime]]:
    """Walk the subclasses that have a name of their own."""
    for sub in cls.__subclasses__():
        if "name" in vars(sub):
            yield sub
        yield from _concrete(sub)


def the_only(folder: Path, pattern: str) -> Path:
    """Return the file of a kind in an exported folder.

    Raises:
        UsageError: There is none, or more than one.
    """
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise UsageError(f"{folder}: expected one {pattern}, found {', '.join(f.name for f in found) or 'none'}.")
    return found[0]
