"""Is this installation fit for honest figures? Each check looks at one thing and returns findings.

A check is split: a function that looks, and a pure one that turns what was seen into a finding. None of them ends the
command: what a broken package raises is a finding too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from lwyolo.doctor import devices, folders, packages, seam, thop, threads, versions
from lwyolo.doctor.finding import FAILURES, NOTE, OK, PROBLEM, Finding, describe

__all__ = ["CHECKS", "NOTE", "OK", "PROBLEM", "Check", "Finding", "diagnose", "run_check"]

IMPORTS = ("torch", "torchvision", "numpy", "ultralytics")
"""In this order: Ultralytics sets `OMP_NUM_THREADS=1` where it is imported before torch, which lwyolo avoids too."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Args:
        name: Of the finding, where the check cannot be made.
        look: Takes the environment variables as they were before Ultralytics changed them.
        needs: Packages without which it is left out.
    """

    name: str
    look: Callable[[Mapping[str, str]], list[Finding]]
    needs: tuple[str, ...] = ()


CHECKS = (
    Check("versions", versions.look_at_versions),
    Check("copies of Ultralytics", versions.look_at_copies, ("ultralytics",)),
    Check("AP with this NumPy", versions.look_at_integration, ("numpy", "ultralytics")),
    Check("torchvision operators", versions.look_at_operators, ("torch", "torchvision")),
    Check("thop", thop.look),
    Check("seam", seam.look, ("torch", "ultralytics")),
    Check("devices", devices.look, ("torch",)),
    Check("threads", threads.look, ("torch", "ultralytics")),
    Check("shared memory", threads.look_at_shared_memory),
    Check("Ultralytics' folders", folders.look_at_settings, ("ultralytics",)),
    Check("folders", folders.look),
    Check("extras", packages.look_at_extras),
    Check("automatic installs", packages.look_at_automatic_installs, ("ultralytics",)),
)


def diagnose() -> list[Finding]:
    """Run all checks. Imports torch and Ultralytics; changes nothing but what importing Ultralytics does."""
    environment = dict(os.environ)
    broken = _import_errors()
    findings = [import_finding(name, error) for name, error in broken.items()]
    return findings + [finding for check in CHECKS for finding in run_check(check, environment, broken)]


def run_check(check: Check, environment: Mapping[str, str], broken: Mapping[str, str]) -> list[Finding]:
    """Return what a check finds; what it raises is a problem.

    Args:
        check: The check.
        environment: The environment variables.
        broken: Packages that cannot be imported, with the error.
    """
    missing = [name for name in check.needs if name in broken]
    if missing:
        return [Finding(check.name, NOTE, f"not checked, since {missing[0]} cannot be imported")]
    try:
        return check.look(environment)
    except FAILURES as error:
        return [Finding(check.name, PROBLEM, describe(error), "Reinstall the package that the message names.")]


def import_finding(name: str, error: str) -> Finding:
    """Word why a package cannot be imported."""
    remedy = f"python -m pip install --force-reinstall {name}"
    if name == "ultralytics":
        remedy += "\nIf the message names a folder: export YOLO_CONFIG_DIR=/a/folder/that/can/be/written"
    return Finding(f"import {name}", PROBLEM, error, remedy)


def _import_errors() -> dict[str, str]:
    errors = {}
    for name in IMPORTS:
        try:
            import_module(name)
        except FAILURES as error:
            errors[name] = describe(error)
    return errors
