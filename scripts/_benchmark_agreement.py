"""Whether our medians are those of the runtimes' own tools: `python scripts/benchmark.py agreement [--turns 8]`.

In turn, in the same minutes and with the same threads: our worker's forward pass, and for ONNX Runtime the events
`model_run` of a session that profiles, for OpenVINO the median that `benchmark_app` prints. A turn is one observation;
the ratio is the median over turns. Fails where it is further than 5 % from 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lwyolo import provenance
from lwyolo.engine.candidates import Ready, Setting, ready
from lwyolo.speed.fairness import versions
from lwyolo.speed.rounds import Samples
from lwyolo.speed.runtime import the_only
from lwyolo.speed.worker import ENVIRONMENT, THREAD_VARIABLES

MODEL, BAR = "yolov8n.yaml", 0.05
PASSES, SECONDS = 30, 4
PROFILED = """
import json, sys
import numpy as np
import onnxruntime as ort
file, threads, passes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
options = ort.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
options.enable_profiling = True
session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
given = session.get_inputs()[0]
image = np.random.default_rng(0).random(given.shape, dtype=np.float32)
for _ in range(passes):
    session.run(None, {given.name: image})
events = json.load(open(session.end_profiling()))
print(json.dumps([event["dur"] / 1e3 for event in events if event["name"] == "model_run"]))
"""


def onnxruntime_ms(artifact: Path, threads: int, folder: Path) -> float:
    """Return the median of a profiling session, without its first three passes."""
    command = [sys.executable, "-c", PROFILED, str(artifact), str(threads), str(PASSES)]
    told = _said(command, threads, folder)
    return statistics.median(json.loads(told.splitlines()[-1])[3:])


def openvino_ms(artifact: Path, threads: int, folder: Path) -> float:
    """Return the median that benchmark_app prints."""
    tool = shutil.which("benchmark_app", path=sysconfig.get_path("scripts")) or "benchmark_app"
    command = [
        tool, "-m", str(the_only(artifact, "*.xml")), "-d", "CPU", "-api", "sync", "-hint", "none", "-nstreams", "1",
        "-nthreads", str(threads), "-infer_precision", "f32", "-t", str(SECONDS),
    ]  # fmt: skip
    found = re.search(r"Median:\s+([\d.]+) ms", _said(command, threads, folder))
    if found is None:
        raise SystemExit("benchmark_app printed no median")
    return float(found[1])


TOOLS = {"onnxruntime": onnxruntime_ms, "openvino": openvino_ms}


def _said(command: list[str], threads: int, folder: Path) -> str:
    """Run a tool with the environment that our own processes have, and return what it printed."""
    environment = {**os.environ, **ENVIRONMENT, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def run(args: argparse.Namespace) -> int:
    """Measure, print and return the exit code; `args` has `turns`, `threads` and `imgsz`."""
    found, failures = {}, list[Any]()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        setting = Setting(list(TOOLS), imgsz=args.imgsz, threads=args.threads)
        for one in ready(MODEL, setting, folder, stack, failures, print):
            found[one.candidate.runtime] = turns(one, args, folder)
    for failure in failures:
        print(f"MISSED: {failure.runtime}: {failure.reason}")
    missed = [judged(name, pairs) for name, pairs in found.items()]
    machine = {"cpu": provenance.cpu_name(), "cores": provenance.usable_cores(), **versions()}
    print(json.dumps({"ms": found, "threads": args.threads, "imgsz": args.imgsz, "machine": machine}))
    return 1 if failures or any(missed) else 0


def turns(one: Ready, args: argparse.Namespace, folder: Path) -> list[tuple[float, float]]:
    """Measure with our timer and with the runtime's tool in turn; the order changes from turn to turn."""
    pairs = []
    for turn in tqdm(range(args.turns), desc=one.candidate.runtime):
        tool = None if turn % 2 else TOOLS[one.candidate.runtime](one.artifact.path, args.threads, folder)
        samples = Samples()
        for index in range(PASSES // 5):
            samples.add(index, one.process.ask("round", samples=5)["samples"])
        if tool is None:
            tool = TOOLS[one.candidate.runtime](one.artifact.path, args.threads, folder)
        ours = samples.summary("forward").median_ms
        if ours is not None:
            pairs.append((ours, tool))
    return pairs


def judged(name: str, pairs: list[tuple[float, float]]) -> bool:
    """Print the ratio of a runtime, and say whether it misses the bar."""
    if not pairs:
        print(f"MISSED: {name}: no turn had a clean sample")
        return True
    ratios = [ours / tool for ours, tool in pairs]
    ratio = statistics.median(ratios)
    missed = abs(ratio - 1) > BAR
    print(
        f"{'MISSED: ' * missed}{name}: ours {statistics.median(a for a, _ in pairs):.2f} ms, its tool "
        f"{statistics.median(b for _, b in pairs):.2f} ms; ratio {ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f}, "
        f"{len(pairs)} turns)"
    )
    return missed


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run` reads."""
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--imgsz", type=int, default=640)
