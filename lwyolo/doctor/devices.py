"""The processor, and the accelerators that torch can use."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lwyolo.doctor.finding import FAILURES, NOTE, OK, PROBLEM, Finding, State, describe
from lwyolo.provenance import cpu_name, ram_mib, usable_cores
from lwyolo.units import MISSING

GIB = 2**30
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Device:
    """A CUDA device, and what its first operation raised (empty: it ran)."""

    name: str
    memory_bytes: int
    free_bytes: int
    capability: tuple[int, int]
    error: str = ""


def look(environment: Mapping[str, str]) -> list[Finding]:
    """Look at the processor, CUDA or ROCm, and on a Mac at MPS."""
    import torch

    ram = ram_mib()
    memory = MISSING if ram is None else f"{ram / 1024:.1f} GiB"
    cpu = f"{cpu_name()}, {usable_cores()} of {os.cpu_count()} cores usable, {memory} of memory"
    findings = [Finding("CPU", OK, cpu), *_look_at_cuda(environment)]
    if sys.platform == "darwin":
        found = "usable" if torch.backends.mps.is_available() else "not usable on this Mac"
        findings.append(Finding("MPS", OK, found))
    return findings


def _look_at_cuda(environment: Mapping[str, str]) -> list[Finding]:
    import torch

    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else ""
    build = build or (f"ROCm {torch.version.hip}" if torch.version.hip else "")
    if torch.cuda.is_available():
        return [device_finding(_try(index), build) for index in range(torch.cuda.device_count())]
    error = ""
    if build:
        try:
            torch.zeros(1, device="cuda")
        except RuntimeError as raised:
            error = describe(raised)
    nvidia = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
    driver = Path("/dev/kfd").exists() if torch.version.hip else nvidia
    return [no_device_finding(build, driver, environment.get(VISIBLE), error)]


def _try(index: int) -> Device:
    """Run one operation on a device: only that shows whether this build of torch has code for it."""
    import torch

    properties = torch.cuda.get_device_properties(index)
    error, free = "", 0
    try:
        torch.ones(1, device=f"cuda:{index}").add(1).item()
        free = torch.cuda.mem_get_info(index)[0]
    except FAILURES as raised:
        error = describe(raised)
    capability = properties.major, properties.minor
    return Device(properties.name, properties.total_memory, free, capability, error)


def device_finding(device: Device, build: str) -> Finding:
    """Judge a device that torch lists.

    Args:
        device: The device.
        build: What torch is built for, as `CUDA 12.8`.
    """
    capability = ".".join(map(str, device.capability))
    found = f"{device.name}, {device.memory_bytes / GIB:.1f} GiB, compute capability {capability}, {build}"
    if device.error:
        remedy = "Free the device, or install a build of torch that has code for its compute capability."
        return Finding("CUDA", PROBLEM, f"{found}: a first operation fails: {device.error}", remedy)
    return Finding("CUDA", OK, f"{found}, {device.free_bytes / GIB:.1f} GiB free")


def no_device_finding(build: str, driver: bool, visible: str | None, error: str) -> Finding:
    """Say why torch sees no CUDA device; without a driver there is nothing to repair.

    Args:
        build: What torch is built for, empty for the CPU alone.
        driver: Whether the driver that this build needs is installed; for the CPU alone, whether NVIDIA's is.
        visible: `CUDA_VISIBLE_DEVICES`, `None` where it is not set.
        error: What torch said when it looked for devices.
    """
    state: State = OK
    remedy = ""
    if not build:
        found = "none: this torch is built for the CPU alone"
        if driver:
            state, remedy = NOTE, "python -m pip install --force-reinstall torch torchvision  (from an index for CUDA)"
            found += ", although an NVIDIA driver is installed"
    elif not driver:
        found = f"none: torch is built for {build}, but its driver is not installed"
    elif visible is not None and visible.strip() in ("", "-1"):
        state, found, remedy = NOTE, f"none: hidden by {VISIBLE}={visible!r}", f"unset {VISIBLE}"
    else:
        state = PROBLEM
        shown = "" if visible is None else f" ({VISIBLE}={visible})"
        found = f"none, although torch is built for {build} and its driver is installed{shown}: {error}"
        remedy = "nvidia-smi or rocm-smi must list the device.\nUpdate the driver, or install torch for an older one."
    return Finding("CUDA", state, found, remedy)
