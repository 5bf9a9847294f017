"""`lwyolo data split`: a data set split anew."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lwyolo.cli._data.leaks import GROUP_HELP, add_source
from lwyolo.cli._parser import add_command

NAMES = {2: ("train", "val"), 3: ("train", "val", "test")}


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "split", run, "split a data set by ratio: classes stratified, groups and near-duplicates kept whole",
        "lwyolo data split my.yaml --ratios 0.7 0.1 0.2 --group prefix:_ --out datasets/mine-split",
        "lwyolo data split my.yaml --ratios 0.8 0.2 --group flights.csv --seed 1 --out datasets/mine-split",
        "lwyolo data split voc_folder --ratios 0.7 0.1 0.2 --group folder --images link --out datasets/mine",
    )  # fmt: skip
    parser.add_argument("data", metavar="DATA", type=Path, help="data YAML, COCO JSON, or folder")
    parser.add_argument("--ratios", type=float, nargs="+", required=True, metavar="R", help="shares that sum to 1")
    parser.add_argument(
        "--names", nargs="+", metavar="SPLIT", help="of the splits, in the order of the ratios (train val test)"
    )
    parser.add_argument("--group", metavar="RULE", help=GROUP_HELP)
    parser.add_argument(
        "--near", action=argparse.BooleanOptionalAction, default=True,
        help="keep equal images and near-duplicates together; decodes every image (on)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed splits in the same way (0)")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder to write; new or empty")
    parser.add_argument(
        "--images", choices=("link", "copy"),
        help="write a whole YOLO set, with links to the images or copies; else only lists of images and a data YAML",
    )  # fmt: skip
    add_source(parser)


def run(args: argparse.Namespace) -> int:
    """Split, write, and print how well the ratios are met."""
    from lwyolo.data.convert import refuse_out, write_yolo
    from lwyolo.data.formats.base import read
    from lwyolo.data.groups import check_rule
    from lwyolo.data.images import with_headers
    from lwyolo.data.splitting import check_labels, check_ratios, plan_split, write_split
    from lwyolo.reports.data_split import split_table
    from lwyolo.reports.tables import render

    names = args.names or NAMES.get(len(args.ratios), NAMES[3])
    check_ratios(args.ratios, names)
    if args.group:
        check_rule(args.group)
    table = read(args.data, source_format=args.source_format, splits=args.splits)
    refuse_out(args.data, table, args.out)
    if not args.images:
        check_labels(table)
    plan = plan_split(table, args.ratios, names, group=args.group, near=args.near, seed=args.seed)
    if args.images:
        written = write_yolo(with_headers(plan.table), args.out, images=args.images)
    else:
        written = write_split(plan, args.out, args.data if args.data.suffix in (".yaml", ".yml") else None)
    print(f"{render(split_table(plan))}\n")
    if args.group is None:
        print("No --group: neighbouring shots of one scene may stand in several splits.")
    print(f"Data YAML: {written}")
    return 0
