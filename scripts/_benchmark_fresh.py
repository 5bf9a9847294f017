"""One measurement in a fresh process, as JSON: `python scripts/_benchmark_fresh.py profile|info MODEL`.

- profile: seconds of the first and of the second full per-layer table of a model that is built, and the memory that the
  first one takes beside it (on Linux).
- info: seconds from the name of a model to what `lwyolo info` prints of it, imports apart.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")


def memory_bytes(field: str) -> int | None:
    """Return a line of the process's status: `VmRSS` is its memory, `VmHWM` the most that it ever was."""
    if not STATUS.exists():
        return None
    line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def reset_peak() -> None:
    """Let the process's peak memory start anew from what it is."""
    if STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def timed(function: Any, *args: Any) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def profile_twice(name: str) -> dict[str, float | None]:
    """Build a model, then count it twice."""
    from ultralytics.nn.tasks import DetectionModel

    from lwyolo.cost import profile
    from lwyolo.reports.layers import layer_table
    from lwyolo.reports.tables import render

    def table() -> str:
        return render(layer_table(name, profile(model)))

    model = DetectionModel(f"{name}.yaml", verbose=False).eval()
    reset_peak()
    before = memory_bytes("VmRSS")
    first = timed(table)
    peak = memory_bytes("VmHWM")
    extra = None if before is None or peak is None else peak - before
    return {"first_s": first, "second_s": timed(table), "extra_bytes": extra}


def info(name: str) -> dict[str, float]:
    """Print what a model costs, from its name, once."""
    import lwyolo.cost.upstream
    import lwyolo.engine.info  # noqa: F401  both are imported before the clock starts
    from lwyolo.cli._cost import CostRequest, cost_report

    return {"info_s": timed(cost_report, CostRequest([f"{name}.yaml"]))}


if __name__ == "__main__":
    print(json.dumps({"profile": profile_twice, "info": info}[sys.argv[1]](sys.argv[2])))
