"""`lwyolo data check`: what is wrong with a data set, and what Ultralytics does about it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lwyolo.cli._parser import add_command, positive
from lwyolo.errors import UsageError
from lwyolo.reports.data_check import check_report, repair_report

if TYPE_CHECKING:
    from lwyolo.data.checks.context import Context

SEVERITIES = ("error", "warning", "info")


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "check", run, "name every problem of a data set, and what Ultralytics does about it",
        "lwyolo data check my.yaml", "lwyolo data check my.yaml --deep --fail-on warning",
        "lwyolo data check my.yaml --rule box-outside --format csv",
        "lwyolo data check my.yaml --fix datasets/repaired",
    )  # fmt: skip
    parser.add_argument("data", metavar="DATA", type=Path, nargs="?", help="data YAML, folder or COCO JSON")
    parser.add_argument("--deep", action="store_true", help="decode every image: finds what headers do not tell")
    parser.add_argument("--imgsz", type=positive, default=640, metavar="N", help="training size, for tiny boxes (640)")
    parser.add_argument(
        "--fail-on", choices=SEVERITIES, default="error", help="exit with 1 from this severity on (error)"
    )
    parser.add_argument("--rule", action="append", metavar="NAME", help="only this rule; may be repeated")
    parser.add_argument("--list-rules", action="store_true", help="print the table of rules instead")
    parser.add_argument("--format", choices=("table", "md", "csv", "json"), default="table", help="how it is written")
    parser.add_argument("--fix", type=Path, metavar="OUT", help="write a repaired copy with a log; new or empty folder")
    parser.add_argument(
        "--from", dest="source_format", metavar="FORMAT", help="yolo, coco or voc, where files do not tell"
    )
    parser.add_argument("--splits", type=Path, metavar="DIR", help="folder of split lists, for VOC")


def run(args: argparse.Namespace) -> int:
    """Check, print what was found, repair where asked; 1 where something is as bad as `--fail-on`, else 0."""
    from lwyolo.data.checks.context import run_checks
    from lwyolo.data.checks.rule import SEVERITIES as ORDER
    from lwyolo.data.checks.rule import all_rules, find_rule

    if args.list_rules:
        return _list_rules(args.format)
    if args.data is None:
        raise UsageError("which data set? Give a data YAML, a folder or a COCO JSON. See lwyolo data check --help.")
    named = [find_rule(name) for name in args.rule or ()]
    rules = [rule for rule in all_rules() if rule in named or (not named and (args.deep or not rule.deep))]
    context = _context(args, deep=any(rule.deep for rule in rules))
    findings = run_checks(context, rules)
    images = len(context.distinct)
    print(check_report(findings, rules, images, args.format))
    if args.fix:
        _fix(args, context)
    limit = ORDER.index(args.fail_on)
    return int(any(ORDER.index(find_rule(finding.rule).severity) <= limit for finding in findings))


def _list_rules(fmt: str) -> int:
    from lwyolo.data.checks.rule import all_rules
    from lwyolo.reports.data_check import rules_report

    print(rules_report(all_rules(), fmt))
    return 0


def _context(args: argparse.Namespace, deep: bool) -> Context:
    from lwyolo.data.checks.context import config_for, make_context
    from lwyolo.data.formats.base import read

    table = read(args.data, source_format=args.source_format, splits=args.splits)
    return make_context(table, config_for(args.data, args.source_format), imgsz=args.imgsz, deep=deep)


def _fix(args: argparse.Namespace, context: Context) -> None:
    import sys

    from lwyolo.data.repair import repair

    # beside a table for programs, the sentence about the copy would be in the way
    stream = sys.stderr if args.format in ("csv", "json") else sys.stdout
    print(f"\n{repair_report(repair(context, args.fix), len(context.distinct))}", file=stream)
