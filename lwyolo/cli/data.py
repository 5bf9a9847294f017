"""`lwyolo data`: what data sets hold, what is wrong with them, and how to change their form; without torch."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

from lwyolo.cli import _data
from lwyolo.cli._parser import Parser, add_command


def add_parser(subparsers: Any) -> None:
    """Add the command and its own."""
    parser = add_command(
        subparsers,
        "data",
        lambda args: print(args.parser.format_help(), end="") or 2,
        "count, check, split, convert and make data sets",
        "lwyolo data stats my.yaml --out report",
        "lwyolo data check my.yaml",
        "lwyolo data leaks my.yaml",
        "lwyolo data split my.yaml --ratios 0.7 0.1 0.2 --out splits",
        "lwyolo data convert voc_folder datasets/mine",
        "lwyolo data diff v1/data.yaml v2/data.yaml",
    )
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", parser_class=Parser)
    for info in pkgutil.iter_modules(_data.__path__):
        import_module(f"{_data.__name__}.{info.name}").add_parser(commands)
