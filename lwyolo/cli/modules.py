"""`lwyolo modules`: what modules there are, and one of them in full; read from source, without torch."""

from __future__ import annotations

import argparse
from typing import Any

from lwyolo.catalogue import CatalogueEntry, find, read_catalogue, source_files
from lwyolo.cli._parser import add_command, add_plugins
from lwyolo.reports.tables import Table, render
from lwyolo.spec import KINDS
from lwyolo.units import MISSING


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "modules",
        run,
        "list the registered modules, or show one",
        "lwyolo modules",
        "lwyolo modules DyHead",
        "lwyolo modules --kind neck",
        "lwyolo modules MyBlock --plugins my_modules.py",
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="show this one: signature, shapes, paper, a row to paste"
    )
    parser.add_argument("--kind", choices=KINDS, help="list only this kind")
    add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    """Print the list, or one module."""
    files = [file for plugin in args.plugins for file in source_files(plugin)]
    entries = read_catalogue(files)
    if args.name:
        print(describe(find(args.name, entries)))
        return 0
    print(render(list_table([entry for entry in entries if args.kind in (None, entry.kind)])))
    return 0


def list_table(entries: list[CatalogueEntry]) -> Table:
    """Return a row for each module."""
    return Table(
        header=("Module", "Kind", "Venue", "Paper"),
        rows=tuple((e.name, e.kind, _venue(e), e.paper.title if e.paper else MISSING) for e in entries),
        align=("left", "left", "left", "left"),
        notes=("lwyolo modules NAME shows one with its signature, shapes and a row to paste.",),
    )


def _venue(entry: CatalogueEntry) -> str:
    return f"{entry.paper.venue} {entry.paper.year}" if entry.paper else MISSING


def describe(entry: CatalogueEntry) -> str:
    """Return all that a user needs to put the module into a YAML."""
    paper = f"{entry.paper}\n           {entry.paper.url}" if entry.paper else MISSING
    export = "".join(f"\n  {fmt}: {reason}" for fmt, reason in entry.no_export)
    opset = f"\nONNX:      opset {entry.onnx_opset} or newer" if entry.onnx_opset else ""
    return (
        f"{entry.name} ({entry.kind})\n{entry.summary}\n\n"
        f"Signature: {entry.signature}\n"
        f"           {entry.forward}\n"
        f"Paper:     {paper}\n"
        f"YAML row:  - {entry.row}\n"
        f"Shapes:\n"
        + "\n".join(f"  {line}" for line in entry.shapes.splitlines())
        + opset
        + (f"\nCannot be exported to:{export}" if export else "")
        + f"\nSource:    {entry.file}, line {entry.line}"
    )
