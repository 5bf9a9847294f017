"""Memory that an artifact takes to run, in a process that does nothing else: `python -m lwyolo.speed.footprint`.

The processes that are timed also hold torch, which suppresses boxes; a deployment in another runtime does not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lwyolo.errors import UsageError
from lwyolo.speed.runtime import runtimes

if TYPE_CHECKING:
    from lwyolo.speed.rounds import Candidate

PASSES = 3


def footprint(candidate: Candidate) -> int | None:
    """Return the largest resident memory of a candidate in bytes, Python included; `None` where the system is silent.

    Raises:
        UsageError: The process ended before it told; with its last words.
    """
    from lwyolo.speed.worker import THREAD_VARIABLES  # it imports torch, which the process must not

    request = {**asdict(candidate), "artifact": str(candidate.artifact)}
    done = subprocess.run(
        [sys.executable, "-m", __name__, json.dumps(request)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(candidate.threads))},
    )
    if done.returncode:
        last = " ".join(done.stderr.split())[-300:]
        raise UsageError(f"{candidate.key}: measuring its memory ended with {done.returncode}. {last}")
    peak: int | None = json.loads(done.stdout.splitlines()[-1])
    return peak


def run(request: dict[str, Any]) -> int | None:
    """Load and run in this process."""
    runtime = runtimes()[request["runtime"]]
    session = runtime.load(
        Path(request["artifact"]),
        threads=request["threads"],
        precision=request["precision"],
        device=request["device"],
    )
    image = np.zeros((request["batch"], request["channels"], *request["imgsz"]), np.float32)
    for _ in range(PASSES):
        session.run(image)
    return peak_resident_bytes()


def peak_resident_bytes() -> int | None:
    """Return the largest resident memory of this process so far.

    Linux hands the maximum that `getrusage` tells on to a child that is started from a larger process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(json.loads(sys.argv[1]))))
