"""Which process trains, and whether it still does: a process number alone says little, since numbers are reused."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from lwyolo.record.sections import ProcessRecord, RunRecord

PROC = Path("/proc")


def this_process() -> ProcessRecord:
    """Return what identifies the process that asks."""
    return ProcessRecord(pid=os.getpid(), host=platform.node(), started=process_start(os.getpid()) or "")


def current_state(record: RunRecord) -> str:
    """Return the state of a run, telling one that died without a word from one that still runs.

    A run of another machine cannot be checked from here, and the answer says so.

    Example:
        >>> current_state(RunRecord(state="finished"))
        'finished'
        >>> gone = ProcessRecord(pid=1, host=platform.node(), started="long ago")
        >>> current_state(RunRecord(state="running", process=gone, epochs_run=3))
        'died after epoch 3'
    """
    process = record.process
    if record.state != "running":
        return record.state
    if process is not None and process.host != platform.node():
        return f"running on {process.host} when it last wrote, not checked from here"
    if process is not None and process_start(process.pid) == process.started:
        return "running"
    return f"died after epoch {record.epochs_run}" if record.epochs_run else "died before the first epoch ended"


def process_start(pid: int) -> str | None:
    """Return when a process started, in its system's own words.

    `None` when there is no such process or it has ended and waits to be collected; an empty string where the system
    does not tell.
    """
    if (PROC / "self" / "stat").exists():
        return _linux_start(pid)
    if os.name == "posix":
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, env={**os.environ, "LC_ALL": "C"})
        return found.stdout.strip() or None
    return ""


def _linux_start(pid: int) -> str | None:
    """Return the boot's id and the clock tick, from proc(5): fields 3 (state) and 22 (start) of `stat`."""
    try:
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].decode().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in "ZX":
        return None
    boot = PROC / "sys/kernel/random/boot_id"
    return f"{boot.read_text().strip() if boot.exists() else ''} {fields[19]}"
