"""What pip knows of: the requirements of a package, our extras, and installs that Ultralytics makes by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from lwyolo.doctor.finding import NOTE, OK, Finding

if TYPE_CHECKING:
    from packaging.requirements import Requirement

FOR_DEVELOPERS = {"test", "dev"}


def requirements(package: str, extra: str = "") -> list[Requirement]:
    """Return what a package requires here, with `extra` what that extra adds; nothing where it is not installed.

    Args:
        package: Name of the distribution.
        extra: One of its extras.
    """
    from packaging.requirements import Requirement

    try:
        every = [Requirement(line) for line in metadata.requires(package) or ()]
    except metadata.PackageNotFoundError:
        return []
    core = [one for one in every if one.marker is None or one.marker.evaluate({"extra": ""})]
    if not extra:
        return core
    return [one for one in every if one not in core and one.marker and one.marker.evaluate({"extra": extra})]


def look_at_extras(_: Mapping[str, str]) -> list[Finding]:
    """Look which extras of lwyolo are installed."""
    try:
        extras = metadata.metadata("lwyolo").get_all("Provides-Extra") or ()
    except metadata.PackageNotFoundError:
        return [
            Finding(
                "extras",
                NOTE,
                "lwyolo runs from a folder without being installed, so neither the versions that it needs nor its "
                "extras are known",
                "In that folder: python -m pip install -e .",
            )
        ]
    return [extra_finding(e, _states(requirements("lwyolo", e))) for e in extras if e not in FOR_DEVELOPERS]


def _states(needed: Sequence[Requirement]) -> dict[str, tuple[str, bool]]:
    """Return of each required package the version, empty where it is missing, and whether it fits."""
    states = {}
    for one in needed:
        try:
            version = metadata.version(one.name)
            states[str(one).split(";")[0]] = version, one.specifier.contains(version, prereleases=True)
        except metadata.PackageNotFoundError:
            states[str(one).split(";")[0]] = "", False
    return states


def extra_finding(extra: str, states: Mapping[str, tuple[str, bool]]) -> Finding:
    """Judge one extra.

    Args:
        extra: Its name.
        states: Of each requirement (`onnx>=1.16`) the installed version, empty where missing, and whether it fits.
    """
    missing = [name for name, (version, _) in states.items() if not version]
    old = [f"{name} (here: {version})" for name, (version, fits) in states.items() if version and not fits]
    if not missing and not old:
        return Finding(f"extra {extra}", OK, "installed")
    parts = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"does not fit: {', '.join(old)}"] * bool(old)
    return Finding(f"extra {extra}", NOTE, "; ".join(parts), f"python -m pip install 'lwyolo[{extra}]'")


def look_at_automatic_installs(environment: Mapping[str, str]) -> list[Finding]:
    """Look whether Ultralytics may change the environment by itself."""
    from ultralytics.utils import AUTOINSTALL, ONLINE

    return [automatic_installs_finding(AUTOINSTALL, ONLINE, environment)]


def automatic_installs_finding(allowed: bool, online: bool, environment: Mapping[str, str]) -> Finding:
    """Judge what Ultralytics does where a package is missing.

    Args:
        allowed: Whether it may call `pip install`.
        online: Whether it found a network, or was told that there is none.
        environment: The environment variables.
    """
    check = "automatic installs"
    set_to = [f"{n}={environment[n]}" for n in ("YOLO_AUTOINSTALL", "YOLO_OFFLINE") if n in environment]
    settings = f" ({', '.join(set_to)})" if set_to else " (neither YOLO_AUTOINSTALL nor YOLO_OFFLINE is set)"
    if not allowed:
        return Finding(check, OK, f"off: Ultralytics names a missing package and installs nothing{settings}")
    network = "it finds a network" if online else "without a network it cannot"
    return Finding(
        check,
        NOTE,
        f"on: Ultralytics may pip-install packages in the middle of a run, over versions that you chose; {network} now"
        f"{settings}",
        "export YOLO_AUTOINSTALL=false\nexport YOLO_OFFLINE=true  (also: no search for a network or updates)",
    )
