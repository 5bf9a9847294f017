"""`lwyolo data stats`: what a data set holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lwyolo.cli._parser import add_command
from lwyolo.reports.instances import instance_report

FORMATS = {"table": "text", "md": "markdown", "latex": "latex"}


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "stats", run, "print the instance table: classes, samples and splits",
        "lwyolo data stats my.yaml", "lwyolo data stats my.yaml --format md",
    )  # fmt: skip
    parser.add_argument("data", metavar="DATA", type=Path, help="data YAML")
    parser.add_argument("--format", choices=FORMATS, default="table", help="how the tables are written")


def run(args: argparse.Namespace) -> int:
    """Print the instance table."""
    from lwyolo.data.summary import describe

    print(instance_report(describe(args.data), FORMATS[args.format]))  # type: ignore[arg-type]
    return 0
