"""Who owns the import name `thop`, with which Ultralytics counts its GFLOPs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec

from lwyolo.doctor.finding import FAILURES, OK, PROBLEM, Finding, State
from lwyolo.provenance import THOP

OURS = THOP[0]
REINSTALL = f"python -m pip install --force-reinstall --no-deps {OURS}"
ZERO = "Ultralytics prints 0.0 GFLOPs for every model, without an error"


def look(_: Mapping[str, str]) -> list[Finding]:
    """Look at the distributions, the importable module, and what Ultralytics counts for one convolution."""
    spec = find_spec("thop")
    return [finding(owners(), spec.origin or "a folder without __init__.py" if spec else "", live_gflops())]


def owners() -> dict[str, str]:
    """Return name and version of each distribution that brings a module `thop`."""
    names = {*metadata.packages_distributions().get("thop", ()), *THOP}
    found = {}
    for name in sorted(names):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def live_gflops() -> float | None:
    """Return what Ultralytics counts for a convolution, in G; `None` where it cannot be imported."""
    try:
        from ultralytics.nn.modules import Conv
        from ultralytics.utils.torch_utils import get_flops

        return float(get_flops(Conv(3, 16, 3, 2), 64))
    except FAILURES:
        return None


def finding(owners: Mapping[str, str], imported: str, gflops: float | None) -> Finding:
    """Judge what was seen.

    Args:
        owners: Version of each distribution that brings a module `thop`.
        imported: The file that `import thop` runs, empty where there is none.
        gflops: Ultralytics' count of a convolution, `None` where it was not made.
    """
    named = " and ".join(f"{name} {version}" for name, version in owners.items())
    counted = "not tried, since Ultralytics cannot be imported" if gflops is None else f"{gflops:.6f} GFLOPs"
    live = f"Its count of one convolution: {counted}."
    others = [name for name in owners if name != OURS]
    if others:
        effect = ZERO if gflops == 0 else "a newer Ultralytics then prints 0.0 GFLOPs for every model, without an error"
        return Finding(
            "thop",
            PROBLEM,
            f"The import name thop belongs to {named}, and is read from {imported}: {effect}. {live}",
            "\n".join(
                [
                    *(f"python -m pip uninstall -y {name}" for name in others),
                    REINSTALL,
                    "Both, in this order: uninstalling the first deletes files that the two share.",
                ]
            ),
        )
    if not imported:
        return Finding("thop", PROBLEM, f"There is no module thop: {ZERO}.", REINSTALL)
    if gflops == 0:
        remedy = f"{REINSTALL}\nIf {imported} is not the file of that package, rename it."
        return Finding("thop", PROBLEM, f"thop is read from {imported}, and fails there: {ZERO}. {live}", remedy)
    state: State = OK if owners else PROBLEM
    who = f"{named} alone owns the import name." if owners else f"No package owns {imported}, which hides {OURS}."
    return Finding("thop", state, f"{who} {live}", "" if owners else f"Rename that file or folder.\n{REINSTALL}")
