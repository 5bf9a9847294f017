"""The code, versions and hardware behind a run. Imports neither torch nor Ultralytics; asks them if they are loaded."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lwyolo.record import GitRecord, ProvenanceRecord

MODULES = ("lwyolo", "ultralytics", "torch", "torchvision", "numpy", "timm", "onnx")
"""Packages that have a say in the figures, and are imported under the name that they are installed by."""

THOP = ("ultralytics-thop", "thop")
"""Both are imported as `thop`: installed side by side, one hides the other, and the counts of a run depend on which."""


def collect(command: Sequence[str] = ()) -> ProvenanceRecord:
    """Collect what is known of the machine and of the working folder; what is not known is `None` or empty.

    Args:
        command: The command line, as it was given.
    """
    return ProvenanceRecord(
        git=git_state(),
        versions=versions(),
        ultralytics_path=str(next(iter(ultralytics_copies()), "")),
        platform=platform.platform(),
        cpu=cpu_name(),
        cores=os.cpu_count() or 0,
        ram_mib=ram_mib(),
        gpus=gpus(),
        command=tuple(command),
    )


def git_state(folder: Path | None = None) -> GitRecord | None:
    """Return commit, branch and counts of a working tree, or `None` where git does not tell within 5 s.

    That is outside a repository, before its first commit, and without git. Deleted, renamed and unmerged files count
    as modified. `branch` is `HEAD` where none is checked out.

    Args:
        folder: A folder of the tree, by default the current one.
    """
    head = _git(folder, "rev-parse", "HEAD", "--abbrev-ref", "HEAD")
    status = _git(folder, "status", "--porcelain=v1")
    if head is None or status is None:
        return None
    commit, branch = head.split()
    codes = [line[:2] for line in status.splitlines()]
    added = sum(code in ("A ", "AM", "AD", " A") for code in codes)
    untracked = codes.count("??")
    return GitRecord(
        commit=commit, branch=branch, added=added, modified=len(codes) - added - untracked, untracked=untracked
    )


def _git(folder: Path | None, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def versions() -> dict[str, str]:
    """Return the version of Python and of each package that is there: the loaded copy's, else the installed one's."""
    found = {"python": platform.python_version()}
    for name in (*MODULES, *THOP):
        loaded = getattr(sys.modules.get(name), "__version__", None) if name in MODULES else None
        version = loaded or _installed(name)
        if version:
            found[name] = str(version)
    return found


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def ultralytics_copies() -> list[Path]:
    """Return the folders of all copies of Ultralytics on the path, the one that is imported first.

    More than one is worth a warning: which one runs depends on the folder that a command is started in.
    """
    loaded = getattr(sys.modules.get("ultralytics"), "__file__", None)
    spec = find_spec("ultralytics") if loaded is None else None
    used = loaded or (spec.origin if spec else None)
    files = [Path(used)] if used else []
    files += [Path(entry or ".") / "ultralytics" / "__init__.py" for entry in sys.path]
    return list(dict.fromkeys(file.resolve().parent for file in files if file.is_file()))


def cpu_name(root: Path = Path("/")) -> str:
    """Return the name of the processor; of the board, where Linux names that instead, as on a Jetson."""
    info, board = root / "proc/cpuinfo", root / "proc/device-tree/model"
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    if not names and board.exists():
        names = [board.read_text(errors="replace").strip("\0\n ")]
    return next(iter(names), "") or platform.processor() or platform.machine()


def usable_cores() -> int:
    """Return the cores that this process may use: its affinity, and the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return threads_within(cores, cpu_quota())


def threads_within(cores: int, quota: float | None) -> int:
    """Return how many threads can run at once on some cores, under a quota of their time.

    Example:
        >>> threads_within(8, None), threads_within(8, 2.5), threads_within(8, 0.5)
        (8, 3, 1)
    """
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def cpu_quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float | None:
    """Return the cores' worth of time that control groups allow, the least of all groups above; `None`: no limit.

    Args:
        root: Where control groups are mounted.
        own: The file that names this process's groups, one `id:controllers:path` a line.
    """
    quotas = [_quota(folder) for folder in control_groups("cpu", root, own)]
    return min((quota for quota in quotas if quota is not None), default=None)


def control_groups(controller: str, root: Path, own: Path) -> list[Path]:
    """Return the folders of the control groups, of both versions, that this process and its limits belong to."""
    folders: list[Path] = []
    for line in own.read_text().splitlines() if own.is_file() else ():
        _, controllers, path = line.split(":", 2)
        base = root / controller if controller in controllers.split(",") else root
        if controllers and base == root:
            continue
        group = base / path.lstrip("/")
        folders += [folder for folder in (group, *group.parents) if folder.is_relative_to(base)]
    return folders


def _quota(folder: Path) -> float | None:
    """Read one group, of version 2 (`cpu.max`) or 1 (`cpu.cfs_quota_us`)."""
    both, quota, period = (folder / f"cpu.{name}" for name in ("max", "cfs_quota_us", "cfs_period_us"))
    if both.is_file():
        words = both.read_text().split()
    elif quota.is_file() and period.is_file():
        words = [quota.read_text().strip(), period.read_text().strip()]
    else:
        return None
    return None if words[0] in ("max", "-1") else int(words[0]) / int(words[1])


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
