"""Whether `bench` can be believed on a busy machine: `python scripts/benchmark.py speed [--pairs 20] [--no-load]`.

A model is compared with itself, and with a candidate that has 10 % more of every operation: the same model on an image
that is 10 % wider, 320 × 352 instead of 320 × 320. All three run in the same rounds, in new processes for each
comparison, while another process computes and copies in bursts of 0.2 to 1.5 s with pauses of 1 to 4 s.

- same: the 95 % interval of the ratio contains 1.00 in at least 18 of 20, and its median half-width is at most 3 %.
- dearer: called slower in 20 of 20.

A bar that is missed is marked MISSED, and the exit status is then 1. The last line is the result as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lwyolo import provenance
from lwyolo.engine.candidates import Setting, ready
from lwyolo.reports.tables import Table, number, render
from lwyolo.speed.fairness import versions
from lwyolo.speed.rounds import Candidate, Process, Stop, run_rounds
from lwyolo.speed.statistics import Ratio, compare

MODEL, RUNTIME, SIZE, WIDER = "yolov8n.yaml", "onnxruntime", (320, 320), (320, 352)
COVERED, HALF_WIDTH = 0.9, 0.03
LOAD = """
import random, sys, time
import numpy as np
drawn = random.Random(int(sys.argv[1]))
a, b = np.random.rand(600, 600), np.random.rand(4_000_000)
while True:
    ends = time.monotonic() + drawn.uniform(0.2, 1.5)
    while time.monotonic() < ends:
        a @ a
        b.copy()
    time.sleep(drawn.uniform(1.0, 4.0))
"""


def run(args: argparse.Namespace) -> int:
    """Measure, print and return the exit code; `args` has `pairs`, `budget`, `threads` and `load`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        same, dearer = (prepared(size, args.threads, folder / str(size[1])) for size in (SIZE, WIDER))
        if args.load:
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            load = subprocess.Popen([sys.executable, "-c", LOAD, "0"], env=environment)
            stack.callback(load.kill)
        found = [compared(same, dearer, args.budget, pair) for pair in tqdm(range(args.pairs), desc="comparing")]
    print(render(table(found)))
    return judged(found, args)


def prepared(size: tuple[int, int], threads: int, folder: Path) -> Candidate:
    """Export the model for one image size."""
    failures: list[Any] = []
    with ExitStack() as stack:
        found = list(ready(MODEL, Setting([RUNTIME], imgsz=size, threads=threads), folder, stack, failures, print))
    if failures:
        raise SystemExit(failures[0].reason)
    return found[0].candidate


def compared(same: Candidate, dearer: Candidate, budget_s: float, seed: int) -> dict[str, Any]:
    """Compare once, in processes of their own."""
    candidates = {"base": same, "same": replace(same, name="same"), "dearer": replace(dearer, name="dearer")}
    with ExitStack() as stack:
        processes = {name: stack.enter_context(Process(candidate)) for name, candidate in candidates.items()}
        for process in processes.values():
            process.load()
        bases = {"same": "base", "dearer": "base"}
        found = run_rounds(processes, Stop(budget_s=budget_s), bases, seed)
    base = found["base"].of("end_to_end")
    return {
        "clean": sum(sample.clean is True for sample in base),
        "samples": len(base),
        **{name: compare(found[name].of("end_to_end"), base) for name in bases},
    }


def table(found: list[dict[str, Any]]) -> Table:
    """Return a row for each comparison."""
    rows = [
        (str(pair), f"{one['clean']} of {one['samples']}", *_cells(one["same"]), *_cells(one["dearer"]))
        for pair, one in enumerate(found)
    ]
    header = ("Pair", "Clean", "Same", "95 %", "Rounds", "Verdict", "Dearer", "95 %", "Rounds", "Verdict")
    return Table(header, tuple(rows), title=f"Ratio of time to the base, end to end: {MODEL} in {RUNTIME}")


def _cells(one: Ratio) -> tuple[str, ...]:
    interval = "–" if one.low is None else f"{number(one.low, 3)} to {number(one.high, 3)}"
    return number(one.ratio, 3), interval, str(one.rounds), one.verdict


def judged(found: list[dict[str, Any]], args: argparse.Namespace) -> int:
    """Hold the results against the bars."""
    same = [one["same"] for one in found if one["same"].low is not None]
    covered = sum(one.low <= 1 <= one.high for one in same)
    width = statistics.median((one.high - one.low) / 2 for one in same) if same else float("inf")
    slower = sum(one["dearer"].verdict == "slower" for one in found)
    bars = {
        f"1.00 lies in {covered} of {len(found)} intervals": covered >= COVERED * len(found),
        f"the median half-width is {width:.2%}": width <= HALF_WIDTH,
        f"10 % more work is called slower in {slower} of {len(found)}": slower == len(found),
    }
    for text, met in bars.items():
        print(text if met else f"MISSED: {text}")
    machine = {"cpu": provenance.cpu_name(), "cores": provenance.usable_cores(), **versions()}
    result = {"covered": covered, "half_width": width, "slower": slower, "pairs": len(found), "threads": args.threads}
    print(json.dumps({**result, "load": args.load, "machine": machine}))
    return 0 if all(bars.values()) else 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run` reads."""
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=float, default=30.0, help="seconds for the rounds of one comparison (30)")
    parser.add_argument("--no-load", dest="load", action="store_false", help="leave the machine as it is")
