"""The conditions of a measurement, kept with it, and what differs between two of them."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lwyolo import provenance

PACKAGES = ("torch", "torchvision", "ultralytics", "numpy", "onnxruntime", "openvino", "ncnn")
VARIABLES = ("OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES", "KMP_AFFINITY", "KMP_BLOCKTIME", "LD_PRELOAD")
MUST_AGREE = ("imgsz", "batch", "threads", "precision", "graph", "runtime", "device", "cpu")
"""What makes two figures incomparable where it differs; the rest is told."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a figure depends on, besides the model.

    Args:
        graph: `fused`, with batch norms folded; what an export holds.
        usable_cores: That this process may run on.
        quota: Cores that the control group grants, `None` without a limit.
        governor: Of the processor's frequency, `None` where it cannot be read.
        load: Mean number of runnable threads over the minute before.
        suppression: Code that suppresses boxes.
    """

    imgsz: tuple[int, int]
    batch: int
    threads: int
    precision: str
    runtime: str
    runtime_version: str
    device: str
    graph: str
    suppression: str
    cpu: str
    usable_cores: int
    quota: float | None
    governor: str | None
    load: float | None
    platform: str
    python: str
    versions: dict[str, str]
    variables: dict[str, str]


def conditions(
    imgsz: tuple[int, int],
    batch: int,
    threads: int,
    precision: str,
    runtime: str,
    runtime_version: str,
    device: str,
    suppression: str,
    environment: Mapping[str, str],
) -> Conditions:
    """Collect the conditions of a measurement on this machine, now."""
    return Conditions(
        imgsz=imgsz,
        batch=batch,
        threads=threads,
        precision=precision,
        runtime=runtime,
        runtime_version=runtime_version,
        device=device,
        graph="fused",
        suppression=suppression,
        cpu=provenance.cpu_name(),
        usable_cores=provenance.usable_cores(),
        quota=provenance.cpu_quota(),
        governor=_read(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        platform=platform.platform(),
        python=platform.python_version(),
        versions=versions(),
        variables={name: environment[name] for name in VARIABLES if name in environment},
    )


def versions() -> dict[str, str]:
    """Return the versions of what may be measured, of those packages that are installed."""
    return {name: found for name in PACKAGES if (found := _version(name))}


def differences(a: Conditions, b: Conditions) -> tuple[list[str], list[str]]:
    """Return what forbids a comparison, and what else differs, each as `threads: 1 against 2`.

    The load is left out: it is never the same.
    """
    changed = {
        field.name: f"{field.name}: {getattr(a, field.name)} against {getattr(b, field.name)}"
        for field in fields(Conditions)
        if field.name != "load" and getattr(a, field.name) != getattr(b, field.name)
    }
    forbidding = [text for name, text in changed.items() if name in MUST_AGREE]
    return forbidding, [text for name, text in changed.items() if name not in MUST_AGREE]


def from_plain(content: Mapping[str, object]) -> Conditions:
    """Build conditions from parsed JSON.

    Raises:
        KeyError: A key is missing.
    """
    values = {field.name: content[field.name] for field in fields(Conditions)}
    return Conditions(**{**values, "imgsz": tuple(values["imgsz"])})  # type: ignore[arg-type]  # as `asdict` wrote it


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
