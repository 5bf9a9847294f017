"""The command `lwyolo`: one file a subcommand, found by being there.

A file offers `add_parser(subparsers)`, and its parser's default `run` takes the parsed arguments and returns the exit
code. Nothing heavy is imported before a command runs, so that help starts at once.
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import re
import sys
from collections.abc import Sequence
from importlib import import_module

import lwyolo
from lwyolo.cli._parser import Parser, examples
from lwyolo.errors import LwyoloError, UsageError, did_you_mean

USAGE_ERROR = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 2 for an error that is explained, 130 after Ctrl-C.

    Args:
        argv: The arguments, by default those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        args = parse([argument for argument in arguments if argument != "--debug"])
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except LwyoloError as error:
        if debug:
            raise
        print(f"lwyolo: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("lwyolo: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line.

    Raises:
        UsageError: An option or a command is unknown, or a value does not fit.
    """
    parser = build_parser()
    args, rest = parser.parse_known_args(_join_sides(arguments))
    if "run" not in args:
        args.run = lambda _: print(parser.format_help(), end="") or USAGE_ERROR
        return args
    unknown = [argument for argument in rest if argument.startswith("-") or "rest" not in args]
    if unknown:
        option = unknown[0].split("=")[0]
        known = re.findall(r"--[a-z][\w-]*", args.parser.format_help())
        what = "option" if option.startswith("-") else "argument"
        raise UsageError(f"unknown {what} {option}.{did_you_mean(option, known)} See {args.parser.prog} --help.")
    args.rest = rest
    return args


def _join_sides(arguments: Sequence[str]) -> list[str]:
    """Write `--imgsz 480 640` as `--imgsz 480x640`: one token, whatever follows it."""
    joined: list[str] = []
    for argument in arguments:
        if argument.isdecimal() and joined[-2:-1] == ["--imgsz"] and joined[-1].isdecimal():
            joined[-1] += f"x{argument}"
        else:
            joined.append(argument)
    return joined


def build_parser() -> Parser:
    """Build the parser of all commands."""
    parser = Parser(
        prog="lwyolo",
        description="Lightweight-detector experiments on Ultralytics YOLO.",
        epilog=examples(
            "lwyolo demo",
            "lwyolo modules DyHead",
            "lwyolo info cfg/yolov8n-dyhead.yaml yolov8n.yaml",
            "lwyolo train --yaml cfg/yolov8n-dyhead.yaml --data my.yaml --epochs 100",
        ),
    )
    parser.add_argument("--version", action="version", version=f"lwyolo {lwyolo.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    for info in pkgutil.iter_modules(__path__):
        if not info.name.startswith("_"):
            import_module(f"{__name__}.{info.name}").add_parser(subparsers)
    return parser
