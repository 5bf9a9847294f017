"""`lwyolo data leaks`: what the splits of a data set share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lwyolo.cli._parser import add_command
from lwyolo.errors import UsageError

FORMATS = {"table": "text", "md": "markdown", "csv": "csv", "json": "json"}
SUFFIXES = (".html", ".csv", ".json")
LEAKING = 1


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "leaks", run,
        "find equal and near-duplicate images, and groups, in more than one split; exit code 1 where there are some",
        "lwyolo data leaks my.yaml",
        "lwyolo data leaks my.yaml --group prefix:_ --save leaks.html",
        "lwyolo data leaks voc_folder --splits voc_folder/splits --group groups.csv:tower",
        "lwyolo data leaks my.yaml --exact --format json",
    )  # fmt: skip
    parser.add_argument("data", metavar="DATA", type=Path, help="data YAML, COCO JSON, or folder")
    parser.add_argument(
        "--distance",
        type=int,
        metavar="N",
        help="bits of 64 in which hashes of near-duplicates may differ, 0 to 16 (8)",
    )
    parser.add_argument("--exact", action="store_true", help="look for equal files only; takes a second, not minutes")
    parser.add_argument("--group", metavar="RULE", help=GROUP_HELP)
    parser.add_argument("--format", choices=FORMATS, default="table", help="how it is printed; csv holds the pairs")
    parser.add_argument("--save", type=Path, metavar="FILE", help=f"write to a file as well: {' '.join(SUFFIXES)}")
    add_source(parser)


GROUP_HELP = (
    "images that belong together: folder; prefix:12 (the first 12 characters of the name); prefix:_ (the name up to "
    "its last _); near (near-duplicates of near-duplicates); or a CSV file with columns image and group: FILE.csv, "
    "FILE.csv:COLUMN"
)


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how the set is read."""
    parser.add_argument(
        "--from", dest="source_format", metavar="FORMAT",
        help="yolo, coco or voc; needed only where the files do not tell",
    )  # fmt: skip
    parser.add_argument("--splits", type=Path, metavar="DIR", help="folder with train.txt, val.txt, test.txt of stems")


def run(args: argparse.Namespace) -> int:
    """Look, print, and save; 1 where something leaks."""
    _check(args)
    from lwyolo.data.formats.base import read
    from lwyolo.data.leaks import DISTANCE, find_leaks
    from lwyolo.reports.data_leaks import leak_report, leaks_json

    distance = None if args.exact else DISTANCE if args.distance is None else args.distance
    table = read(args.data, source_format=args.source_format, splits=args.splits)
    leaks = find_leaks(table, distance=distance, group=args.group)
    print(leaks_json(leaks) if args.format == "json" else leak_report(leaks, FORMATS[args.format]))  # type: ignore[arg-type]
    if args.save:
        _save(leaks, args.save, args.data)
    return LEAKING if leaks.leaking else 0


def _check(args: argparse.Namespace) -> None:
    if args.exact and args.distance is not None:
        raise UsageError("--exact looks for equal files only, --distance is of near-duplicates; leave one out.")
    if args.save and args.save.suffix not in SUFFIXES:
        raise UsageError(f"--save {args.save}: unknown suffix; expected one of {' '.join(SUFFIXES)}.")
    if args.save and not args.save.parent.is_dir():
        raise UsageError(f"--save {args.save}: there is no folder {args.save.parent}.")


def _save(leaks: Any, file: Path, data: Path) -> None:
    import sys

    from lwyolo.record import write_text
    from lwyolo.reports.data_leaks import leak_report, leaks_json, leaks_page

    if file.suffix == ".html":
        text = leaks_page(leaks, data.name)
    else:
        text = leaks_json(leaks) if file.suffix == ".json" else leak_report(leaks, "csv")
    try:
        write_text(file, f"{text}\n")
    except OSError as error:
        raise UsageError(f"--save {file}: cannot be written: {error.strerror}.") from error
    print(f"Saved: {file}", file=sys.stderr)
