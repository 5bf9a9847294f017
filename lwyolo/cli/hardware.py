"""`lwyolo hardware`: what this machine is, and what it can do, measured."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from lwyolo import provenance
from lwyolo.cli._parser import add_command, positive
from lwyolo.errors import UsageError
from lwyolo.reports.hardware import hardware_tables
from lwyolo.reports.tables import Format, render

if TYPE_CHECKING:
    from lwyolo.speed.machine import Machine

FORMATS: dict[str, Format] = {"table": "text", "md": "markdown"}
DTYPES = ("float32", "bfloat16", "float16", "int8", "float64")


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "hardware",
        run,
        "measure what this machine can do: peak FLOPS, memory bandwidth, ridge point",
        "lwyolo hardware",
        "lwyolo hardware --quick",
        "lwyolo hardware --threads 1 4 8 --dtype float32 bfloat16",
        "lwyolo hardware --save machine.json",
    )
    parser.add_argument(
        "--threads", type=positive, nargs="+", default=[], metavar="N", help="CPU threads (1, and all that are usable)"
    )
    parser.add_argument("--quick", action="store_true", help="float32, the last cache and the memory, in a few seconds")
    parser.add_argument(
        "--dtype", choices=DTYPES, nargs="+", default=[], metavar="T", help=f"of products: {' '.join(DTYPES)} (first 4)"
    )
    parser.add_argument("--format", choices=(*FORMATS, "json"), default="table", help="how it is written (table)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write all as JSON, for other commands: machine.json")


def run(args: argparse.Namespace) -> int:
    """Measure and print; the last line of a table is JSON."""
    usable = provenance.usable_cores()
    threads = list(dict.fromkeys(args.threads)) or sorted({1, usable})
    if max(threads) > usable:
        cores = f"{usable} core{'s' * (usable != 1)}"
        raise UsageError(f"--threads {max(threads)}: this process may use {cores}; more threads wait for each other.")
    if args.save is not None and (args.save.suffix != ".json" or not args.save.parent.is_dir()):
        what = "unknown suffix; expected .json" if args.save.suffix != ".json" else "its folder does not exist"
        raise UsageError(f"--save {args.save}: {what}.")
    machine = _measure(threads, args.dtype, args.quick)
    if args.save is not None:
        from lwyolo.speed.machine import save

        save(machine, args.save)
    print(_text(machine, args.format, args.save))
    return 0


def _measure(threads: list[int], dtypes: list[str], quick: bool) -> Machine:
    from dataclasses import replace

    from lwyolo.speed.machine import QUICK, Effort, measure

    effort = QUICK if quick else Effort()
    if dtypes:
        effort = replace(effort, dtypes=tuple(dict.fromkeys(dtypes)))
    with tqdm(bar_format="{desc} {elapsed}", disable=None, leave=False) as bar:
        return measure(threads, effort, bar.set_description)


def _text(machine: Machine, fmt: str, saved: Path | None) -> str:
    """Write a machine; a table ends with one line of JSON, for programs."""
    from lwyolo.speed.machine import to_json

    if fmt == "json":
        return to_json(machine, indent=1)
    parts = [render(table, FORMATS[fmt]) for table in hardware_tables(machine)]
    parts += [f"Saved: {saved}"] if saved is not None else []
    return "\n\n".join([*parts, to_json(machine)] if fmt == "table" else parts)
