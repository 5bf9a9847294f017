"""The parser that all commands share: errors are ours, help shows examples, options are written out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from lwyolo.errors import UsageError


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UsageError`, and does not guess shortened options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise instead of leaving the process."""
        raise UsageError(f"{message}. See {self.prog} --help.")


def add_command(
    subparsers: Any, name: str, run: Callable[[argparse.Namespace], int], summary: str, *lines: str, **settings: Any
) -> Parser:
    """Add a command.

    Args:
        subparsers: Of the parser above.
        name: What the user types.
        run: Takes the parsed arguments and returns the exit code.
        summary: One sentence for both helps.
        lines: Examples.
        settings: Further ones of `argparse.ArgumentParser`.
    """
    parser: Parser = subparsers.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", epilog=examples(*lines), **settings
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def add_plugins(parser: Parser) -> None:
    """Add the option `--plugins`."""
    parser.add_argument(
        "--plugins",
        action="append",
        default=[],
        metavar="FILE|NAME",
        help="load your own modules: a .py file or an importable name; may be repeated",
    )


def positive(text: str) -> int:
    """Read a count of one or more."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no count; expected 1 or more")
    return int(text)


def examples(*lines: str) -> str:
    """Return the text of a help's examples."""
    return "\n  ".join(["examples:", *lines])
