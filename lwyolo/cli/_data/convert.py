"""`lwyolo data convert`: a data set in another format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lwyolo.cli._parser import add_command

if TYPE_CHECKING:
    from lwyolo.data.instances import InstanceTable


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "convert", run, "write a data set in another format; the source is not changed",
        "lwyolo data convert voc_folder datasets/mine",
        "lwyolo data convert voc_folder datasets/mine --splits voc_folder/splits --images copy",
        "lwyolo data convert datasets/mine/data.yaml coco_folder --to coco",
        "lwyolo data convert annotations/instances_train.json voc_folder --to voc --from coco",
    )  # fmt: skip
    parser.add_argument("source", metavar="DATA", type=Path, help="the set to read: data YAML, COCO JSON, or folder")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write; new or empty")
    parser.add_argument("--to", default="yolo", metavar="FORMAT", help="yolo (the default), coco or voc")
    parser.add_argument(
        "--from", dest="source_format", metavar="FORMAT",
        help="yolo, coco or voc; needed only where the files do not tell",
    )  # fmt: skip
    parser.add_argument("--splits", type=Path, metavar="DIR", help="folder with train.txt, val.txt, test.txt of stems")
    parser.add_argument("--samples", type=Path, metavar="FILE", help="YAML with samples:, for formats that have none")
    parser.add_argument(
        "--images", choices=("link", "copy", "none"), default="link",
        help="link to the images (the default), copy them, or write annotations alone",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Say what is lost, convert, and print what was written."""
    from lwyolo.data.convert import check_set, load, refuse_out, write_set
    from lwyolo.data.writers.base import find_writer
    from lwyolo.reports.tables import wrap

    find_writer(args.to)
    table = load(args.source, source_format=args.source_format, splits=args.splits, samples=args.samples)
    refuse_out(args.source, table, args.out)
    notes = [*table.remarks, *check_set(table, args.to)]
    print("".join(f"{wrap(f'Note: {note}').rstrip('.')}.\n" for note in notes), end="", flush=True)
    written = write_set(table, args.out, to=args.to, images=args.images)
    print(f"{_report(table, str(written))}\n")
    if args.images == "none":
        print(f"No images were written; the annotations expect them in {_expected(args.to)}.")
    print(f"{'Data YAML' if written.is_file() else f'{args.to.upper()} set'}: {written}")
    return 0


def _report(table: InstanceTable, written: str) -> str:
    from dataclasses import replace

    from lwyolo.data.instances import class_counts, sample_counts, split_counts
    from lwyolo.record import DataRecord
    from lwyolo.reports.instances import instances_table, splits_table
    from lwyolo.reports.tables import render

    counts = class_counts(table), sample_counts(table), split_counts(table)
    record = DataRecord(written, "", table.names, *counts)
    return "\n\n".join(render(t) for t in (instances_table(record), replace(splits_table(record), notes=())))


def _expected(to: str) -> str:
    return "JPEGImages" if to == "voc" else "images/<split>"
