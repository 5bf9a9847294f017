"""`lwyolo data`: what a data set holds, and how to get one into the form that Ultralytics trains on; without torch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lwyolo.cli._parser import Parser, add_command
from lwyolo.reports.instances import instance_report

FORMATS = {"table": "text", "md": "markdown", "latex": "latex"}


def add_parser(subparsers: Any) -> None:
    """Add the command and its own."""
    parser = add_command(
        subparsers,
        "data",
        lambda args: print(args.parser.format_help(), end="") or 2,
        "count, convert and make data sets",
        "lwyolo data stats my.yaml",
        "lwyolo data convert voc_folder datasets/mine --from voc",
        "lwyolo data demo datasets/demo --images 200 --seed 1",
    )
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", parser_class=Parser)
    stats = add_command(
        commands, "stats", run_stats, "print the instance table: classes, samples and splits",
        "lwyolo data stats my.yaml", "lwyolo data stats my.yaml --format md",
    )  # fmt: skip
    stats.add_argument("data", metavar="DATA", type=Path, help="data YAML")
    stats.add_argument("--format", choices=FORMATS, default="table", help="how the tables are written")
    _add_convert(commands)
    _add_demo(commands)


def _add_convert(commands: Any) -> None:
    parser = add_command(
        commands, "convert", run_convert, "write a data set as a YOLO set; the source is not changed",
        "lwyolo data convert voc_folder datasets/mine --from voc",
        "lwyolo data convert voc_folder datasets/mine --from voc --splits voc_folder/splits --images copy",
    )  # fmt: skip
    parser.add_argument("source", metavar="SOURCE", type=Path, help="the set to read")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write; new or empty")
    parser.add_argument(
        "--from", dest="source_format", default="voc", metavar="FORMAT", help="voc (the default) or yolo"
    )
    parser.add_argument("--splits", type=Path, metavar="DIR", help="folder with train.txt, val.txt, test.txt of stems")
    parser.add_argument("--images", choices=("link", "copy"), default="link", help="link to the images, or copy them")


def _add_demo(commands: Any) -> None:
    parser = add_command(
        commands, "demo", run_demo, "draw the demo set of power-line pins and insulators",
        "lwyolo data demo datasets/demo", "lwyolo data demo datasets/demo --images 500 --size 320 --seed 7",
    )  # fmt: skip
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write; new or empty")
    parser.add_argument("--images", type=int, default=160, metavar="N", help="how many, over all splits (160)")
    parser.add_argument("--size", type=int, default=640, metavar="N", help="side in pixels (640)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed draws the same set (0)")


def run_stats(args: argparse.Namespace) -> int:
    """Print the instance table."""
    from lwyolo.data.summary import describe

    print(instance_report(describe(args.data), FORMATS[args.format]))  # type: ignore[arg-type]
    return 0


def run_convert(args: argparse.Namespace) -> int:
    """Convert, and print what was written."""
    from lwyolo.data.convert import convert
    from lwyolo.data.summary import describe

    written = convert(args.source, args.out, source_format=args.source_format, splits=args.splits, images=args.images)
    print(f"{instance_report(describe(written))}\n\nData YAML: {written}")
    return 0


def run_demo(args: argparse.Namespace) -> int:
    """Draw, and print what was drawn."""
    from lwyolo.data.demo import make_demo
    from lwyolo.data.summary import describe

    written = make_demo(args.out, images=args.images, size=args.size, seed=args.seed)
    print(f"{instance_report(describe(written))}\n\nData YAML: {written}")
    return 0
