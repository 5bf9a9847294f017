"""The code, versions and hardware behind a run. Imports neither torch nor Ultralytics; asks torch if it is loaded."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lwyolo.record import GitRecord, ProvenanceRecord

DISTRIBUTIONS = ("lwyolo", "ultralytics", "ultralytics-thop", "thop", "torch", "torchvision", "numpy", "timm", "onnx")


def collect(command: Sequence[str] = ()) -> ProvenanceRecord:
    """Collect what is known of the machine and of the working folder.

    Args:
        command: The command line, as it was given.
    """
    return ProvenanceRecord(
        git=git_state(Path.cwd()),
        versions=versions(),
        ultralytics_path=str(next(iter(ultralytics_copies()), "")),
        platform=platform.platform(),
        cpu=cpu_name(),
        cores=os.cpu_count() or 0,
        ram_mib=ram_mib(),
        gpus=gpus(),
        command=tuple(command),
    )


def git_state(folder: Path) -> GitRecord | None:
    """Return commit, branch and the number of added, modified and untracked files; `None` outside a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain=v1")
    if commit is None or status is None:
        return None
    codes = [line[:2] for line in status.splitlines()]
    untracked, added = codes.count("??"), sum("A" in code for code in codes)
    return GitRecord(
        commit=commit.strip(),
        branch=(_git(folder, "rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        added=added,
        modified=len(codes) - untracked - added,
        untracked=untracked,
    )


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def versions() -> dict[str, str]:
    """Return the version of Python and of each distribution that has a say in the figures and is installed."""
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    loaded = sys.modules.get("ultralytics")
    return found | ({"ultralytics": loaded.__version__} if loaded is not None else {})


def ultralytics_copies() -> list[Path]:
    """Return the folders of all copies of Ultralytics on the path; the first is the one that is imported."""
    loaded = sys.modules.get("ultralytics")
    spec = None if loaded is not None else find_spec("ultralytics")
    used = Path(str(loaded.__file__ if loaded is not None else spec.origin if spec else "")).resolve().parent
    copies = [Path(entry or ".").resolve() / "ultralytics" for entry in sys.path]
    others = [folder for folder in copies if (folder / "__init__.py").is_file()]
    return list(dict.fromkeys([used, *others])) if (used / "__init__.py").is_file() else list(dict.fromkeys(others))


def cpu_name() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def ram_mib() -> float | None:
    """Return the physical memory in MiB, `None` where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    except (AttributeError, ValueError, OSError):
        return None


def gpus() -> tuple[str, ...]:
    """Return the names of the CUDA devices, empty where torch is not loaded or sees none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return ()
    return tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
