"""How fast a data set is read: `python scripts/benchmark.py data [--quick] [--rounds 5]`.

Two sets are made from a seed in a temporary folder, of 20,000 and 100,000 images of 64 x 64 pixels with about six boxes
each in twelve classes, 3 % of them backgrounds, 70/10/20 in three splits. On the same files, in turn, each in a fresh
process, with a warm cache of the system, and without the time to start Python and import what is needed; of each
the least of three is taken:

- labels: all counts from the label files, with all rules that Ultralytics has for them, in one process.
- headers: the same and the header of every image, on as many cores as our reader takes by itself.
- cat: `find labels -type f -print0 | xargs -0 cat`.
- Ultralytics: its own scan (`YOLODataset` of every split) without a cache file of labels.

The bars: labels are read at least 20 times as fast as Ultralytics scans, and in at most 1.5 times the time of cat;
five times the files take at most 6 times as long and less than 200 MiB; with headers at least 5 times as fast as
Ultralytics; and `lwyolo data stats` of a tiny set takes at most 0.6 s, start included. A bar that is missed is marked
MISSED, and the exit status is then 1. The last line is the result as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

SEED, CLASSES, BOXES, EMPTY, BASES = 0, 12, 6, 0.03, 16
SPLITS = (("train", 0.7), ("val", 0.8), ("test", 1.0))
FASTER, OF_CAT, GROWTH, PEAK_MIB, FASTER_WITH_HEADERS, START_S = 20.0, 1.5, 6.0, 200.0, 5.0, 0.6
REPEATS = 3
CAT = 'find "$1" -type f -print0 | xargs -0 cat > /dev/null'


def run(args: argparse.Namespace) -> int:
    """Measure, print and return the exit code; `args` has `quick`, `rounds` and `upstream_rounds`."""
    small, large = (2_000, 10_000) if args.quick else (20_000, 100_000)
    with tempfile.TemporaryDirectory() as folder:
        tiny, first, second = (make_set(Path(folder) / str(count), count) for count in (20, small, large))
        seconds: dict[str, list[float]] = {}
        for number in tqdm(range(args.rounds), desc="rounds", leave=False):
            measure(seconds, "start", lambda: started(tiny))
            measure(seconds, "labels", lambda: child("labels", first)["s"])
            measure(seconds, "cat", lambda: timed(["sh", "-c", CAT, "sh", str(first.parent / "labels")]))
            measure(seconds, "headers", lambda: child("headers", first)["s"])
            measure(seconds, "labels, large", lambda: child("labels", second)["s"])
            if number < args.upstream_rounds:
                measure(seconds, "Ultralytics", lambda: child("upstream", first)["s"])
        same, peak = counts_agree(first), child("labels", second)["peak_mib"] or 0.0
    return report(seconds, peak, same, small, large, judged=not args.quick)


def measure(seconds: dict[str, list[float]], name: str, take: Callable[[], float]) -> None:
    """Take one more sample, the least of some, since a busy machine may double a short one."""
    seconds.setdefault(name, []).append(min(take() for _ in range(REPEATS)))


def make_set(folder: Path, count: int) -> Path:
    """Write a set and return its data YAML; the images are links to a few files, their labels are not."""
    drawn = np.random.default_rng([SEED, count])
    bases = [folder / f"base{number}.jpg" for number in range(BASES)]
    weights = 1 / np.arange(1, CLASSES + 1)
    for split, _ in SPLITS:
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
    for base in bases:
        Image.fromarray(drawn.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(base)
    for number in tqdm(range(count), desc=f"writing {count} images", leave=False):
        split = next(name for name, upto in SPLITS if (number * 0.618034) % 1 < upto)
        boxes = 0 if drawn.random() < EMPTY else int(drawn.poisson(BOXES))
        classes = drawn.choice(CLASSES, boxes, p=weights / weights.sum())
        sides = drawn.uniform(0.02, 0.3, (boxes, 2))
        rows = np.hstack([drawn.uniform(sides / 2, 1 - sides / 2), sides]).tolist()
        text = "".join(f"{c} {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for c, (x, y, w, h) in zip(classes, rows, strict=True))
        (folder / "labels" / split / f"{number:06d}.txt").write_text(text, encoding="utf-8")
        os.link(bases[number % BASES], folder / "images" / split / f"{number:06d}.jpg")
    names = "".join(f"  {cls}: class {cls}\n" for cls in range(CLASSES))
    paths = "".join(f"{split}: images/{split}\n" for split, _ in SPLITS)
    (folder / "data.yaml").write_text(f"{paths}names:\n{names}", encoding="utf-8")
    return folder / "data.yaml"


def child(task: str, data: Path) -> dict[str, Any]:
    """Measure one task in a fresh process."""
    for cache in (data.parent / "labels").glob("*.cache"):
        cache.unlink()
    result = subprocess.run(
        [sys.executable, __file__, task, str(data)],
        capture_output=True,
        text=True,
        env={**os.environ, "YOLO_VERBOSE": "false"},
    )
    if result.returncode:
        raise SystemExit(result.stderr)
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def timed(command: list[str]) -> float:
    """Return the seconds of a command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def started(data: Path) -> float:
    """Return the seconds of the whole command on a set that takes no time."""
    return timed([sys.executable, "-m", "lwyolo", "data", "stats", str(data)])


def counts_agree(data: Path) -> bool:
    """Return whether both read the same number of boxes and images; the command's exit status depends on it."""
    ours, theirs = (child(task, data) for task in ("headers", "upstream"))
    return bool(ours["instances"] == theirs["instances"] and ours["images"] == theirs["images"])


def report(seconds: dict[str, list[float]], peak: float, same: bool, small: int, large: int, *, judged: bool) -> int:
    """Print times and ratios, and hold them against the bars."""
    from lwyolo import provenance
    from lwyolo.reports.tables import Table, number, render

    ratios = {
        "Ultralytics / labels": ratio(seconds["Ultralytics"], seconds["labels"]),
        "labels / cat": ratio(seconds["labels"], seconds["cat"]),
        f"labels of {large} / of {small}": ratio(seconds["labels, large"], seconds["labels"]),
        "Ultralytics / headers": ratio(seconds["Ultralytics"], seconds["headers"]),
    }
    rows = [(name, *(number(value, 3) for value in spread(taken)), str(len(taken))) for name, taken in seconds.items()]
    print(
        render(Table(("Seconds", "Median", "Least", "Most", "Runs"), tuple(rows), title=f"{small} and {large} images"))
    )
    rows = [(name, *(number(value, 2) for value in spread(taken)), str(len(taken))) for name, taken in ratios.items()]
    print(render(Table(("Ratio in one round", "Median", "Least", "Most", "Rounds"), tuple(rows))))
    faster, of_cat, growth, with_headers = (statistics.median(taken) for taken in ratios.values())
    start = statistics.median(seconds["start"])
    bars = {
        f"labels are read {faster:.1f} times as fast as Ultralytics scans, at least {FASTER:g}": faster >= FASTER,
        f"labels take {of_cat:.2f} times as long as cat, at most {OF_CAT:g}": of_cat <= OF_CAT,
        f"five times the files take {growth:.2f} times as long, at most {GROWTH:g}": growth <= GROWTH,
        f"{large} label files take {peak:.0f} MiB, less than {PEAK_MIB:g}": peak < PEAK_MIB,
        f"with headers {with_headers:.1f} times as fast as Ultralytics, at least {FASTER_WITH_HEADERS:g}": (
            with_headers >= FASTER_WITH_HEADERS
        ),
        f"the command starts in {start:.2f} s, at most {START_S:g}": start <= START_S,
        "both count the same boxes and images": same,
    }
    for text, met in bars.items():
        print(text if met or not judged else f"MISSED: {text}")
    machine = {"cpu": provenance.cpu_name(), "cores": provenance.usable_cores(), **provenance.versions()}
    print(
        json.dumps({"seconds": seconds, "peak_mib": peak, "same": same, "images": [small, large], "machine": machine})
    )
    return 0 if all(bars.values()) or not judged else 1


def ratio(dividend: list[float], divisor: list[float]) -> list[float]:
    """Return the ratio in each round that has both."""
    return [one / other for one, other in zip(dividend, divisor, strict=False)]


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return the median, the least and the most."""
    return statistics.median(values), min(values), max(values)


def task_of_ours(data: Path, *, headers: bool) -> dict[str, Any]:
    """Read a set and count it."""
    from lwyolo.data.formats import yolo  # noqa: F401 - imported before the clock starts, as all that it needs is
    from lwyolo.data.formats.base import detect_formats, read
    from lwyolo.data.images import with_headers
    from lwyolo.data.instances import class_counts, sample_counts, split_counts

    detect_formats(data)
    start = time.perf_counter()
    table = with_headers(read(data)) if headers else read(data)
    for count in (class_counts, sample_counts, split_counts):
        count(table)
    seconds = time.perf_counter() - start
    return {"s": seconds, "instances": len(table), "images": len(table.images), "peak_mib": peak_mib()}


def task_of_ultralytics(data: Path) -> dict[str, Any]:
    """Scan all splits of a set."""
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    start = time.perf_counter()
    config = check_det_dataset(str(data), autodownload=False)
    sets = [YOLODataset(img_path=config[split], data=config, task="detect", augment=False) for split, _ in SPLITS]
    seconds = time.perf_counter() - start
    instances = sum(len(label["cls"]) for one in sets for label in one.labels)
    return {"s": seconds, "instances": instances, "images": sum(map(len, sets)), "peak_mib": peak_mib()}


def peak_mib() -> float | None:
    """Return the most memory that this process ever had, on Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run` reads."""
    parser.add_argument("--quick", action="store_true", help="2,000 and 10,000 images; nothing is judged")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--upstream-rounds", type=int, default=2, help="of these, how many with Ultralytics (2)")


if __name__ == "__main__":
    task, path = sys.argv[1], Path(sys.argv[2])
    print(
        json.dumps(task_of_ultralytics(path) if task == "upstream" else task_of_ours(path, headers=task == "headers"))
    )
