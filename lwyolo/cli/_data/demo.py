"""`lwyolo data demo`: the demo set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lwyolo.cli._parser import add_command, positive
from lwyolo.reports.instances import instance_report


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "demo", run, "draw the demo set of power-line pins and insulators",
        "lwyolo data demo datasets/demo", "lwyolo data demo datasets/demo --images 500 --size 320 --seed 7",
    )  # fmt: skip
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write; new or empty")
    parser.add_argument(
        "--images", type=positive, default=160, metavar="N",
        help="how many, over all splits: 70 %% train, 20 %% test, 10 %% val; at least 10 (160)",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=positive, default=640, metavar="N", help="side of each image in pixels; at least 64 (640)"
    )
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="the same seed draws the same set (0)")


def run(args: argparse.Namespace) -> int:
    """Draw, and print what was drawn."""
    from lwyolo.data.demo import make_demo
    from lwyolo.data.summary import describe

    written = make_demo(args.out, images=args.images, size=args.size, seed=args.seed)
    print(f"{instance_report(describe(written))}\n\nData YAML: {written}")
    return 0


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; expected 0, 1, 2 or another whole number")
    return int(text)
