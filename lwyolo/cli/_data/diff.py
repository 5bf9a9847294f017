"""`lwyolo data diff`: what changed between two versions of a data set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lwyolo.cli._parser import add_command

FORMATS = ("table", "md", "csv", "json")


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "diff", run,
        "tell what changed between two versions of a data set: images, instances, boxes; exit code 1 if anything did",
        "lwyolo data diff v1/data.yaml v2/data.yaml", "lwyolo data diff voc_folder coco_folder --tolerance 1",
        "lwyolo data diff v1/data.yaml v2/data.yaml --format csv > changes.csv",
    )  # fmt: skip
    parser.add_argument("before", metavar="A", type=Path, help="the first version: data YAML, COCO JSON, or folder")
    parser.add_argument("after", metavar="B", type=Path, help="the second")
    parser.add_argument(
        "--tolerance", type=_pixels, default=0.5, metavar="PX",
        help="pixels by which an edge of a box may differ before it has moved (0.5)",
    )  # fmt: skip
    for version in ("A", "B"):
        parser.add_argument(
            f"--from-{version.lower()}", metavar="FORMAT",
            help=f"yolo, coco or voc: of {version}, where the files do not tell",
        )  # fmt: skip
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="csv and json hold every change, table and md the first"
    )


def run(args: argparse.Namespace) -> int:
    """Print what changed; return 0 where nothing did, else 1."""
    from lwyolo.data.diff import diff
    from lwyolo.reports.data_diff import diff_report

    found = diff(args.before, args.after, formats=(args.from_a, args.from_b), tolerance_px=args.tolerance)
    print(diff_report(found, args.format))
    return 0 if found.is_empty else 1


def _pixels(text: str) -> float:
    try:
        pixels = float(text)
    except ValueError:
        pixels = -1.0
    if not 0 <= pixels < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of pixels; expected 0 or more")
    return pixels
