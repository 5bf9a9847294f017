"""What counting costs, and whether it is right: `python scripts/benchmark.py cost [--quick] [--pairs 5]`.

- accuracy: every counter that is installed against multiply-accumulates derived by hand, on the same models. The others
  run on the CPU, ours on the meta device.
- speed: our full per-layer table against a total of fvcore and torchinfo on the CPU, in turn; then yolov8x alone, in
  this process and in fresh ones.

A bar that is missed is marked MISSED, and the exit status is then 1. The last line is the result as JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel

from lwyolo import provenance
from lwyolo.cost import profile
from lwyolo.cost.copying import fuse, real_copy
from lwyolo.cost.counter_adapters import COUNTERS, Counter, installed_version
from lwyolo.cost.counters import OtherCount, other_counts
from lwyolo.cost.reference import REFERENCES
from lwyolo.reports.layers import layer_table
from lwyolo.reports.tables import Table, render
from lwyolo.units import MISSING

IMGSZ = 640
DETECTORS = (  # by hand, from the widths and depths of the YAMLs, at 640 × 640 with 80 classes
    ("yolov8n", False, 4_371_993_600),
    ("yolo11n", False, 3_271_251_200),
    ("yolo12n", False, 3_735_481_600),
    ("yolo26n", False, 3_040_627_200),
    ("yolo26n", True, 2_740_153_600),
    ("rtdetr-l", False, 54_768_076_800),
    ("rtdetr-l", True, 52_801_996_800),
)
CLASSIFIER = ("mobilenetv4_conv_small", 1_500_441_600)  # of timm, at 640 × 640
TIMED = ("yolov8n", "yolo12n", "yolov8x", "rtdetr-l")
RIVALS = ("fvcore", "torchinfo")
LARGE = "yolov8x"
TABLE_S, INFO_S, EXTRA_BYTES, TIMES_FASTER = 0.5, 1.0, 15e6, 3.0
"""The bars: a table of the large model, the command for it, memory, and speed against each rival."""


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def build(name: str) -> nn.Module:
    """Build a stock model with random weights."""
    model: nn.Module = (RTDETRDetectionModel if "rtdetr" in name else DetectionModel)(f"{name}.yaml", verbose=False)
    return model.eval()


def fused_copy(model: nn.Module) -> nn.Module:
    """Return the deployed graph of a model."""
    twin = real_copy(model, torch.float32, "cpu")
    fuse(twin)
    return twin


def subjects(quick: bool) -> Iterator[tuple[str, nn.Module, int]]:
    """Yield name, model and multiply-accumulates by hand."""
    for name, fused, macs in DETECTORS[: 1 if quick else None]:
        yield (f"{name}, fused", fused_copy(build(name)), macs) if fused else (name, build(name), macs)
    if not quick and installed_version("timm"):
        import timm

        yield CLASSIFIER[0], timm.create_model(CLASSIFIER[0]).eval(), CLASSIFIER[1]
    for reference in REFERENCES:
        yield reference.name, reference.build().eval(), reference.macs


def accuracy(quick: bool) -> list[dict[str, Any]]:
    """Ask all counters about all models."""
    found = []
    for name, model, macs in subjects(quick):
        say(f"counting {name}")
        counts = other_counts(model, IMGSZ)
        found.append({"model": name, "by_hand": macs, "ours": profile(model, IMGSZ).macs, "counts": counts})
    return found


def accuracy_table(found: list[dict[str, Any]]) -> Table:
    """Show the error of each counter on each model, in percent of the hand count."""
    header = ("Model", "By hand\n(MMACCs)", "lwyolo", *(counter.name.replace(" ", "\n") for counter in COUNTERS))
    rows, notes = [], {}
    for one in found:
        errors = [error(one["ours"], one["by_hand"])]
        for count in one["counts"]:
            errors.append(error(count.macs, one["by_hand"]))
            notes.update(failure(count, one["model"]))
        rows.append((one["model"], f"{one['by_hand'] / 1e6:.1f}", *errors))
    conventions = (f"{counter.name}: {counter.convention}" for counter in COUNTERS)
    title = f"Error of each counter in percent of multiply-accumulates by hand; {IMGSZ} × {IMGSZ}; 0 is exact"
    return Table(header, tuple(rows), title=title, notes=(*notes, *conventions), stub=2)


def error(macs: float | None, by_hand: int) -> str:
    """Format an error in percent; a plain 0 is exact."""
    if macs is None:
        return MISSING
    return "0" if macs == by_hand else f"{100 * (macs - by_hand) / by_hand:+.2f}"


def failure(count: OtherCount, model: str) -> dict[str, None]:
    """Return why a counter has no figure: once for all models where it is missing."""
    if count.reason is None:
        return {}
    missing = count.version is None or count.reason.startswith("needs ")
    return {f"{MISSING} {count.counter}{'' if missing else f' on {model}'}: {count.reason}.": None}


def seconds(function: Callable[[], Any]) -> float:
    """Return the time of one call, on a heap without garbage: what others left is not collected in it."""
    gc.collect()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def rivals() -> list[Counter]:
    """Return the counters that ours is timed against, as far as they are installed."""
    return [counter for counter in COUNTERS if counter.name in RIVALS and installed_version(counter.distribution)]


def pairs(name: str, n: int) -> dict[str, list[float]]:
    """Time ours and its rivals in turn, `n` times, after one call of each that is not timed."""
    model, image = build(name), torch.zeros(1, 3, IMGSZ, IMGSZ)
    calls: dict[str, Callable[[], Any]] = {"lwyolo": lambda: profile(model, IMGSZ)}
    for rival in rivals():
        twin = real_copy(model, torch.float32, "cpu")
        calls[rival.name] = lambda rival=rival, twin=twin: rival.measure(twin, image)  # type: ignore[misc]
    times: dict[str, list[float]] = {who: [] for who in calls}
    with torch.no_grad():
        for i in range(n + 1):
            say(f"timing {name}, round {i} of {n}")
            for who, call in calls.items():
                times[who].append(seconds(call))
    return {who: each[1:] for who, each in times.items()}


def speed(quick: bool, n: int) -> dict[str, Any]:
    """Time ours against its rivals, and the large model alone."""
    timed = {name: pairs(name, n) for name in TIMED[: 1 if quick else None]}
    say(f"timing tables of {LARGE}")
    model = build(LARGE)
    tables = [seconds(lambda: render(layer_table(LARGE, profile(model, IMGSZ)))) for _ in range(2 * n)]
    say(f"timing {LARGE} in fresh processes")
    return {"pairs": timed, "table_s": tables, **fresh("profile"), **fresh("info")}


def fresh(what: str) -> dict[str, float | None]:
    """Measure in a fresh process."""
    script = Path(__file__).with_name("_benchmark_fresh.py")
    done = subprocess.run([sys.executable, str(script), what, LARGE], check=True, capture_output=True, text=True)
    result: dict[str, float | None] = json.loads(done.stdout.splitlines()[-1])
    return result


def ratios(times: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return how many times faster ours was than each rival, round by round."""
    ours = times["lwyolo"]
    return {who: [t / o for t, o in zip(times[who], ours, strict=True)] for who in times if who != "lwyolo"}


def bars(found: list[dict[str, Any]], timed: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was measured, how much, the bar, and whether it holds."""
    exact = sum(one["ours"] == one["by_hand"] for one in found)
    rows = [("models that equal the hand count", f"{exact} of {len(found)}", "all", exact == len(found))]
    for name, times in timed["pairs"].items():
        for who, each in ratios(times).items():
            holds = statistics.median(each) >= TIMES_FASTER
            rows.append((f"{name}: times faster than {who}", spread(each), f"at least {TIMES_FASTER:.0f}", holds))
    tables = timed["table_s"]
    limit = f"at most {TABLE_S} s"
    rows.append((f"{LARGE}: a table", f"{spread(tables, 3)} s", limit, statistics.median(tables) <= TABLE_S))
    for call in ("first", "second"):
        took = timed[f"{call}_s"]
        rows.append((f"{LARGE}: {call} table of a process", f"{took:.3f} s", limit, took <= TABLE_S))
    took, extra = timed["info_s"], timed["extra_bytes"]
    rows.append((f"{LARGE}: info, from its name", f"{took:.3f} s", f"at most {INFO_S:.0f} s", took <= INFO_S))
    memory = "not measured here" if extra is None else f"{extra / 1e6:.1f} MB"
    limit = f"at most {EXTRA_BYTES / 1e6:.0f} MB"
    rows.append((f"{LARGE}: peak memory beside it", memory, limit, extra is None or extra <= EXTRA_BYTES))
    return rows


def spread(values: list[float], digits: int = 1) -> str:
    """Format the median with the range."""
    median, low, high = statistics.median(values), min(values), max(values)
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def run(args: argparse.Namespace) -> int:
    """Measure and print; return 1 where a bar is missed."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    timed = speed(args.quick, args.pairs)  # first: some counters import packages that slow all that follows down
    found = accuracy(args.quick)
    print(render(accuracy_table(found)))
    rows = bars(found, timed)
    cells = tuple((what, value, bar, "" if holds else "MISSED") for what, value, bar, holds in rows)
    title = f"Speed and memory, median (range) of {args.pairs} rounds, {torch.get_num_threads()} CPU threads"
    print(f"\n{render(Table(('Measured', 'Value', 'Bar', ''), cells, title=title))}\n")
    missed = [what for what, _, _, holds in rows if not holds]
    print(json.dumps({"accuracy": plain(found), "speed": timed, "missed": missed, "machine": machine()}))
    return 1 if missed else 0


def plain(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what was counted as plain data."""
    return [
        {**one, "counts": {c.counter: c.macs if c.reason is None else c.reason for c in one["counts"]}} for one in found
    ]


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    others = {counter.distribution: installed_version(counter.distribution) for counter in COUNTERS}
    return {
        "cpu": provenance.cpu_name(),
        "threads": torch.get_num_threads(),
        "versions": {**provenance.versions(), **others},
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run` reads."""
    parser.add_argument("--quick", action="store_true", help="one detector and the small nets only")
    parser.add_argument("--pairs", type=int, default=5)
