"""Whether rooflines hold: `python scripts/benchmark.py roofline [--imgsz 640] [--budget 60]`.

Three detectors in ONNX Runtime, with one thread and with two. Fails where a group of operators is faster than its bound
by more than 5 %, where the groups do not add up to the whole within 10 %, where FLOPs are in no group, or where the
machine was too busy to tell.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

MODELS = ("yolov8n.yaml", "yolo11n.yaml", "yolo12n.yaml")
THREADS = (1, 2)
SUM_BAR = 0.10


def run(args: argparse.Namespace) -> int:
    """Measure, print a row for each model and number of threads, and return the exit code.

    Args:
        args: With `imgsz`, and `budget`: seconds for the runs of a model.
    """
    from lwyolo import provenance
    from lwyolo.engine.roofline import export, measure_roofs, raised, roofline
    from lwyolo.errors import UsageError
    from lwyolo.reports.roofline import roofs_table
    from lwyolo.reports.tables import render
    from lwyolo.speed.profiling import profile

    found: list[Any] = []
    misses: list[str] = []
    for threads in (n for n in THREADS if n <= provenance.usable_cores()):
        with tempfile.TemporaryDirectory(prefix="lwyolo-roofline-") as folder:
            artifacts = {source: export(source, Path(folder, source), imgsz=args.imgsz) for source in MODELS}
            try:
                roofs, _ = measure_roofs(threads)
            except UsageError as error:
                misses.append(str(error))
                continue
            for source, artifact in artifacts.items():
                try:
                    measured = profile(artifact.path, artifact.imgsz, threads=threads, seconds=args.budget)
                except UsageError as error:
                    misses.append(f"{source}: {error}")
                    continue
                roofs = raised(roofs)
                found.append(one := roofline(Path(source).stem, artifact, measured, roofs))
                misses += missed(one)
                print(f"{source}, {threads} threads: {', '.join(figures(one))}", flush=True)
        print(render(roofs_table(roofs, provenance.cpu_name())), flush=True)
    print("\n" + "\n".join(misses or ["every group is within its bound, and all sums are the whole within 10 %"]))
    print(json.dumps({"models": [plain(one) for one in found], "misses": misses, "cpu": provenance.cpu_name()}))
    return 1 if misses else 0


def figures(one: Any) -> list[str]:
    """Word what was found."""
    nearest = max(one.groups, key=lambda group: group.share or 0.0)
    return [
        f"{len(one.groups)} groups sum to {one.sum_ms:.2f} ms of {one.whole_ms:.2f} ms ({one.sum_ratio:.3f})",
        f"bounds {one.bound_ms:.2f} ms",
        f"nearest to its bound {nearest.name} ({100 * (nearest.share or 0.0):.1f} %)",
        f"{len(one.exceeding)} above 105 %",
        f"{one.clean} of {one.runs} runs undisturbed",
    ]


def missed(one: Any) -> list[str]:
    """Name the bars that a model misses."""
    where = f"{one.name}, {one.roofs.threads} threads"
    misses = [
        f"{where}: {group.name} ({group.kind}) takes {group.ms:.3f} ms, its bound is {group.bound_ms:.3f} ms"
        for group in one.exceeding
    ]
    if abs(one.sum_ratio - 1) > SUM_BAR:
        misses.append(f"{where}: groups sum to {one.sum_ratio:.3f} of the whole")
    if one.unmapped_macs:
        misses.append(f"{where}: {one.unmapped_macs} MACCs are in no group")
    return misses


def plain(one: Any) -> dict[str, Any]:
    """Return what a program reads."""
    names = ("name", "sum_ms", "whole_ms", "sum_ratio", "bound_ms", "runs", "clean", "unmapped_macs")
    return {
        **{name: getattr(one, name) for name in names},
        "threads": one.roofs.threads,
        "exceeding": [group.name for group in one.exceeding],
        "largest_share": max(group.share or 0.0 for group in one.groups),
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run` reads."""
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for each model (60)")
