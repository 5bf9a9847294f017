"""Versions, and what depends on two packages fitting each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from lwyolo.doctor.finding import FAILURES, NOTE, OK, PROBLEM, Finding, describe
from lwyolo.doctor.packages import requirements
from lwyolo.engine.parser import NEWEST, OLDEST
from lwyolo.provenance import ultralytics_copies, versions

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

PACKAGES = ("torch", "torchvision", "ultralytics", "numpy")


def look_at_versions(_: Mapping[str, str]) -> list[Finding]:
    """Compare Python and each package with what lwyolo declares."""
    from packaging.specifiers import SpecifierSet

    needed = {one.name: one.specifier for one in requirements("lwyolo")}
    needed |= {"python": SpecifierSet(_needed_python()), "ultralytics": SpecifierSet(f">={OLDEST}")}
    here = versions()
    return [version_finding(n, here[n], needed.get(n, SpecifierSet())) for n in ("python", *PACKAGES) if n in here]


def _needed_python() -> str:
    try:
        return metadata.metadata("lwyolo")["Requires-Python"] or ""
    except metadata.PackageNotFoundError:
        return ""


def version_finding(name: str, version: str, needed: SpecifierSet) -> Finding:
    """Judge one version; only Ultralytics has a newest one that was tested."""
    from packaging.version import Version

    if not needed.contains(version, prereleases=True):
        wanted = f"ultralytics>={OLDEST},<={NEWEST}" if name == "ultralytics" else f"{name}{needed}"
        remedy = f"Use Python {needed}." if name == "python" else f"python -m pip install '{wanted}'"
        return Finding(name, PROBLEM, f"{version}; lwyolo needs {needed}", remedy)
    if name == "ultralytics" and Version(version) > Version(NEWEST):
        found = f"{version}; newer than what was tested, {OLDEST} to {NEWEST}"
        return Finding(name, NOTE, found, f"python -m pip install 'ultralytics<={NEWEST}', if anything looks odd.")
    if name == "ultralytics":
        return Finding(name, OK, f"{version}; tested from {OLDEST} to {NEWEST}")
    return Finding(name, OK, f"{version}; lwyolo needs {needed}" if needed else version)


def look_at_copies(_: Mapping[str, str]) -> list[Finding]:
    """Look for further copies of Ultralytics on the path."""
    return [copies_finding(ultralytics_copies())]


def copies_finding(copies: Sequence[Path]) -> Finding:
    """Judge the copies, of which the first is the one that runs."""
    if len(copies) < 2:
        return Finding("copies of Ultralytics", OK, f"one: {copies[0]}" if copies else "one, not in a folder")
    others = ", ".join(str(copy) for copy in copies[1:])
    return Finding(
        "copies of Ultralytics",
        NOTE,
        f"{copies[0]} runs; there are others: {others}. Which one runs depends on the folder a command is started in",
        "Remove or rename the copies that you do not mean.",
    )


def look_at_integration(_: Mapping[str, str]) -> list[Finding]:
    """Integrate a precision-recall curve, for which older versions call a function that NumPy 2.4 has no more."""
    from ultralytics.utils.metrics import compute_ap

    try:
        compute_ap([0.5, 1.0], [1.0, 0.5])
    except AttributeError as error:
        return [integration_finding(describe(error), versions())]
    return [integration_finding("", versions())]


def integration_finding(error: str, here: Mapping[str, str]) -> Finding:
    """Judge whether AP can be computed.

    Args:
        error: What NumPy said, empty where AP was computed.
        here: Versions of the packages.
    """
    check = "AP with this NumPy"
    if not error:
        return Finding(check, OK, "average precision is computed")
    return Finding(
        check,
        PROBLEM,
        f"Ultralytics {here['ultralytics']} cannot compute AP with NumPy {here['numpy']}, so every validation fails: "
        f"{error}",
        f"python -m pip install 'ultralytics>=8.4,<={NEWEST}'\nOr: python -m pip install 'numpy<2.4'",
    )


def look_at_operators(_: Mapping[str, str]) -> list[Finding]:
    """Run the compiled operators of torchvision that Ultralytics and our modules call."""
    needed = next((str(r.specifier) for r in requirements("torchvision") if r.name == "torch"), "")
    try:
        return [operators_finding(versions(), needed, devices=_run_operators())]
    except FAILURES as error:
        return [operators_finding(versions(), needed, error=describe(error))]


def _run_operators() -> tuple[str, ...]:
    import torch
    from torchvision.ops import deform_conv2d, nms

    devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    for device in devices:
        nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=device), torch.ones(1, device=device), 0.5)
        x, offset = torch.ones(1, 1, 1, 1, device=device), torch.zeros(1, 2, 1, 1, device=device)
        deform_conv2d(x, offset, torch.ones(1, 1, 1, 1, device=device))
    return devices


def operators_finding(here: Mapping[str, str], needed: str, devices: Sequence[str] = (), error: str = "") -> Finding:
    """Judge whether torchvision fits torch.

    Args:
        here: Versions of the packages.
        needed: The versions of torch that torchvision declares, empty where it declares none.
        devices: Where the operators ran.
        error: Why they did not, else empty.
    """
    from packaging.specifiers import SpecifierSet

    check = "torchvision operators"
    pair = f"torchvision {here['torchvision']} with torch {here['torch']}"
    remedy = (
        "python -m pip install --force-reinstall torch torchvision\nBoth from one index: for the CPU, or for one CUDA."
    )
    if error:
        return Finding(
            check, PROBLEM, f"{pair}: nms or deform_conv2d fails, so nothing can be predicted: {error}", remedy
        )
    if not SpecifierSet(needed).contains(here["torch"], prereleases=True):
        return Finding(check, PROBLEM, f"{pair}, but it is built for torch{needed}", remedy)
    return Finding(check, OK, f"nms and deform_conv2d run on {' and '.join(devices)}")
