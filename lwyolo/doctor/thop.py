"""Who owns the import name `thop`, with which Ultralytics counts its GFLOPs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec

from lwyolo.doctor.finding import FAILURES, OK, PROBLEM, Finding
from lwyolo.provenance import THOP

OURS = THOP[0]
REINSTALL = f"python -m pip install --force-reinstall --no-deps {OURS}"
ZERO = "prints 0.0 GFLOPs for every model, without an error"


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
    counted = "cannot be asked" if gflops is None else f"counts {gflops:.3g} GFLOPs for one convolution"
    live = f"Ultralytics {counted}"
    others = [name for name in owners if name != OURS]
    if others:
        effect = f"Ultralytics {ZERO}" if gflops == 0 else f"{live}, but a newer one {ZERO}"
        return Finding(
            "thop",
            PROBLEM,
            f"the import name belongs to {named}, and is read from {imported or 'nowhere'}: {effect}",
            "\n".join(
                [
                    *(f"python -m pip uninstall -y {name}" for name in others),
                    REINSTALL,
                    "Both, in this order: uninstalling the first deletes files that the two share.",
                ]
            ),
        )
    if not imported:
        return Finding("thop", PROBLEM, f"there is no module of that name: Ultralytics {ZERO}", REINSTALL)
    rename = f"{REINSTALL}\nIf {imported} is no file of that package, rename or remove it."
    if gflops == 0:
        return Finding("thop", PROBLEM, f"read from {imported}, which fails: Ultralytics {ZERO}", rename)
    if not owners:
        return Finding("thop", PROBLEM, f"read from {imported}, which no package owns; {live}", rename)
    return Finding("thop", OK, f"{named} alone owns the import name; {live}")
