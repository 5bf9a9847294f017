"""What our hooks add to a training: `python scripts/benchmark.py hooks [--pairs 5] [--epochs 4] [--imgsz 160]`.

A record that slows the training down would not be kept. Two figures answer, on the demo set on this machine:

- share: seconds that our hooks ran, of the seconds of the epochs that they ran in. Each call is timed, so this holds on
  a noisy machine too.
- ratio: seconds an epoch with lwyolo's trainer over seconds an epoch with the stock trainer, the two in turn, as the
  median of the pairs and their range. What runs once before the first epoch (cost, latency, instances) is listed apart.

The last line is the result as JSON.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

ONCE = ("on_pretrain_routine_start", "on_pretrain_routine_end", "on_train_start", "on_train_end")


def timed(trainer: Any, spent: dict[str, float]) -> None:
    """Add the time of each of our callbacks to `spent`, by event."""
    for event, functions in trainer.callbacks.items():
        for i, function in enumerate(functions):
            if "lwyolo" in getattr(function, "__module__", ""):
                functions[i] = functools.partial(call, function, event, spent)


def call(function: Any, event: str, spent: dict[str, float], trainer: Any) -> None:
    """Call and take the time."""
    start = time.perf_counter()
    function(trainer)
    spent[event] = spent.get(event, 0.0) + time.perf_counter() - start


def seconds_an_epoch(trainer_class: type, settings: dict[str, Any], spent: dict[str, float]) -> tuple[float, float]:
    """Train once; return the median seconds of an epoch without the first, and the seconds of all epochs."""
    trainer = trainer_class(overrides=dict(settings))
    timed(trainer, spent)
    epochs: list[float] = []
    trainer.add_callback("on_fit_epoch_end", lambda t: epochs.append(t.epoch_time))
    trainer.train()
    return statistics.median(epochs[1 : settings["epochs"]]), sum(epochs[: settings["epochs"]])


def run(args: argparse.Namespace) -> int:
    """Measure and print what our hooks cost."""
    import torch
    import ultralytics
    from ultralytics.models.yolo.detect import DetectionTrainer as Stock

    from lwyolo.data.demo import make_demo
    from lwyolo.engine.trainer import DetectionTrainer as Ours

    ultralytics.settings.update(mlflow=False, tensorboard=False)
    with tempfile.TemporaryDirectory() as folder:
        data = make_demo(Path(folder) / "demo", images=args.images, size=320)
        settings = {
            "model": "yolov8n.yaml", "data": str(data), "epochs": args.epochs, "imgsz": args.imgsz, "batch": 16,
            "device": "cpu", "workers": 0, "plots": False, "project": folder, "name": "run", "exist_ok": True,
        }  # fmt: skip
        ratios, shares, once = [], [], []
        for pair in range(args.pairs):
            stock, _ = seconds_an_epoch(Stock, settings, {})
            spent: dict[str, float] = {}
            ours, whole = seconds_an_epoch(Ours, settings, spent)
            ratios.append(ours / stock)
            shares.append(sum(s for event, s in spent.items() if event not in ONCE) / whole)
            once.append(sum(s for event, s in spent.items() if event in ONCE))
            print(
                f"pair {pair + 1}: stock {stock:.2f} s, ours {ours:.2f} s, ratio {ratios[-1]:.3f}, "
                f"share {shares[-1]:.2%}"
            )
    print(
        f"\nshare of the epochs spent in our hooks: median {statistics.median(shares):.2%}, at most {max(shares):.2%}"
    )
    print(f"ratio ours / stock: median {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    print(f"once a training, before and after: median {statistics.median(once):.1f} s")
    versions = f"{platform.machine()}, torch {torch.__version__}, ultralytics {ultralytics.__version__}"
    print(versions)
    settings = {name: value for name, value in vars(args).items() if isinstance(value, int)}
    print(json.dumps({"ratio": ratios, "share": shares, "once_s": once, "settings": settings, "machine": versions}))
    return 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run` reads."""
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--images", type=int, default=120)
