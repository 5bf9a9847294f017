"""`lwyolo data convert`: a data set in another format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lwyolo.cli._parser import add_command
from lwyolo.reports.instances import instance_report


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "convert", run, "write a data set as a YOLO set; the source is not changed",
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


def run(args: argparse.Namespace) -> int:
    """Convert, and print what was written."""
    from lwyolo.data.convert import convert
    from lwyolo.data.summary import describe

    written = convert(args.source, args.out, source_format=args.source_format, splits=args.splits, images=args.images)
    print(f"{instance_report(describe(written))}\n\nData YAML: {written}")
    return 0
