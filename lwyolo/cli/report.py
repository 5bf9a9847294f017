"""`lwyolo report`: the report of a run, from its record alone; without torch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lwyolo.cli._parser import add_command

FORMATS = {"table": "text", "md": "markdown"}


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "report",
        run,
        "print the report of a run, also of one that is running or died",
        "lwyolo report runs/train/dyhead",
        "lwyolo report runs/train/dyhead --format md",
    )
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="run folder, or its record.json")
    parser.add_argument("--format", choices=FORMATS, default="table", help="how the report is written")


def run(args: argparse.Namespace) -> int:
    """Read the record and print the report."""
    from lwyolo.record import read
    from lwyolo.reports.run import run_report

    folder = args.run_folder if args.run_folder.is_dir() else args.run_folder.parent
    print(run_report(read(args.run_folder), folder, FORMATS[args.format]), end="")  # type: ignore[arg-type]
    return 0
