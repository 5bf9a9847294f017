"""`lwyolo demo`: everything once, on a set that is drawn on the spot, in a few minutes on a CPU."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lwyolo.cli._parser import add_command
from lwyolo.errors import UsageError

MODEL = "cfg/yolov8n-dyhead.yaml"


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "demo",
        run,
        f"draw a small data set, train {MODEL} on it on the CPU, and print what a run leaves behind",
        "lwyolo demo",
        "lwyolo demo --epochs 30 --imgsz 320 --images 400",
    )
    parser.add_argument("--epochs", type=int, default=12, metavar="N", help="epochs (12)")
    parser.add_argument("--imgsz", type=int, default=160, metavar="N", help="image size in training, in pixels (160)")
    parser.add_argument("--images", type=int, default=200, metavar="N", help="images to draw, over all splits (200)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="folder to write (runs/demo)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the drawing and the training (0)")


def run(args: argparse.Namespace) -> int:
    """Draw, train, report."""
    data = _data(args)
    from lwyolo.engine.run import train
    from lwyolo.record import read
    from lwyolo.reports.run import run_report

    overrides = {
        "data": str(data), "epochs": args.epochs, "imgsz": args.imgsz, "batch": 8, "device": "cpu", "seed": args.seed,
        "optimizer": "AdamW", "lr0": 0.002, "warmup_epochs": 1, "mosaic": 0.0,
        "project": str(args.out), "name": "train",
    }  # fmt: skip
    folder = train(MODEL, overrides=overrides)
    print(f"\n{run_report(read(folder), folder)}")
    print("A few epochs of a few drawings show that everything works, not how good a model is.")
    return 0


def _data(args: argparse.Namespace) -> Path:
    """Draw the set once for each number of images and seed; a later demo uses it again."""
    folder: Path = args.out / f"data-{args.images}-{args.seed}"
    if (folder / "data.yaml").is_file():
        return folder / "data.yaml"
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: a file stands where the demo set is written; choose another --out.")
    from lwyolo.data.demo import make_demo

    print(f"Drawing {args.images} images into {folder}")
    return make_demo(folder, images=args.images, size=320, seed=args.seed)
