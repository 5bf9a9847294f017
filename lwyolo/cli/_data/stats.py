"""`lwyolo data stats`: what a data set holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lwyolo.cli._parser import add_command, positive
from lwyolo.record import DataRecord, write_text
from lwyolo.reports.data_words import LANGUAGES, Words
from lwyolo.reports.instances import instance_report, tidy_table
from lwyolo.reports.tables import render

if TYPE_CHECKING:
    from lwyolo.data.instances import InstanceTable
    from lwyolo.data.statistics import Statistics
    from lwyolo.reports.data import Finding

TABLES = {"table": "text", "md": "markdown", "latex": "latex"}
SHOWN_PAIRS = 20
FILES = ("report.md", "instances.csv", "report.json", "index.html")


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "stats", run, "print the instance table: classes, samples and splits; write a report of all there is",
        "lwyolo data stats my.yaml", "lwyolo data stats voc_folder --samples samples.yaml --per-split --format md",
        "lwyolo data stats instances_train.json --format csv", "lwyolo data stats my.yaml --out report --lang zh",
    )  # fmt: skip
    parser.add_argument(
        "data", metavar="DATA", type=Path, help="data YAML, YOLO folder, COCO JSON or Pascal VOC folder"
    )
    parser.add_argument("--samples", type=Path, metavar="FILE", help="YAML with samples:, the classes of each sample")
    parser.add_argument("--splits", type=Path, metavar="DIR", help="folder of split lists, for Pascal VOC")
    parser.add_argument(
        "--from", dest="source_format", metavar="FORMAT", help="yolo, coco or voc, where files do not tell"
    )
    parser.add_argument("--per-split", action="store_true", help="instances in train/test/val in each cell")
    parser.add_argument(
        "--imgsz", type=positive, default=640, metavar="N", help="training size, for sizes of boxes (640)"
    )
    parser.add_argument(
        "--format",
        choices=(*TABLES, "csv", "json", "html"),
        help="what is printed (table); csv has a row for each class and split",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"folder to write, new or empty: {', '.join(FILES)}")
    parser.add_argument("--lang", choices=LANGUAGES, default="en", help="language of tables and page (en)")
    parser.add_argument(
        "--near", action="store_true", help="in a report, look for near-duplicates too; decodes every image"
    )
    parser.add_argument("--no-images", action="store_true", help="open no image: no sizes in pixels, no thumbnails")


def run(args: argparse.Namespace) -> int:
    """Print the table, and write the report where one is asked for."""
    from lwyolo.data.formats.base import read
    from lwyolo.data.statistics import data_record

    say, reported = Words(args.lang), bool(args.out) or args.format in {"json", "html"}
    table, fingerprint = read(args.data, source_format=args.source_format, splits=args.splits, samples=args.samples), ""
    if args.out:
        from lwyolo.data.convert import refuse_out

        refuse_out(args.data, table, args.out)
    if reported:
        from lwyolo.data.fingerprint import table_fingerprint

        fingerprint = table_fingerprint(table)
    opened = reported and not args.no_images
    if opened:
        from lwyolo.data.images import with_headers

        table = with_headers(table)
    unread = say("Images were not opened: one that is damaged counts as good here.")
    remarks = (*table.remarks, *([] if opened else [unread]))
    record = data_record(table, str(args.data), fingerprint)
    texts = _report(args, record, table, remarks, say) if reported else {}
    if args.out:
        _write(args.out, texts)
    print(_printed(args, record, texts, remarks, say))
    return 0


def _write(out: Path, texts: dict[str, str]) -> None:
    """Write the report folder, whole or not at all."""
    from lwyolo.data.folder import new_folder

    with new_folder(out) as folder:
        for name, text in texts.items():
            write_text(folder / name, text)


def _printed(
    args: argparse.Namespace, record: DataRecord, texts: dict[str, str], remarks: tuple[str, ...], say: Words
) -> str:
    if args.format in {"json", "html"}:
        return texts["report.json" if args.format == "json" else "index.html"].rstrip("\n")
    if args.format == "csv":
        return render(tidy_table(record), "csv")
    fmt = TABLES[args.format or "table"]
    text = instance_report(record, fmt, per_split=args.per_split, remarks=remarks, say=say)  # type: ignore[arg-type]
    return f"{text}\n\n{args.out / 'index.html'}" if args.out else text


def _report(
    args: argparse.Namespace, record: DataRecord, table: InstanceTable, remarks: tuple[str, ...], say: Words
) -> dict[str, str]:
    """Return the text of each file of the report."""
    from lwyolo.data.statistics import statistics
    from lwyolo.reports.data import data_report
    from lwyolo.reports.data_page import data_page

    found = statistics(table, args.imgsz)
    findings = [] if args.no_images else _findings(args, table)
    leaks = "" if args.no_images else _leaks(args, table)
    report = data_report(record, found, per_split=args.per_split, remarks=remarks, say=say)
    return {
        "report.md": f"# {args.data}\n\n{report}\n",
        "instances.csv": render(tidy_table(record), "csv") + "\n",
        "report.json": _json(record, found, findings, remarks),
        "index.html": data_page(
            record, table, found, findings, leaks, args.lang, per_split=args.per_split, remarks=remarks
        ),
    }


def _json(record: DataRecord, found: Statistics, findings: list[Finding], remarks: tuple[str, ...]) -> str:
    from lwyolo.data.statistics import RATIO_EDGES, SIDE_EDGES, class_weights, plain

    keys = ("rule", "severity", "file", "line", "message")
    weights = class_weights(found.weighed[1], 1.0)
    content = {
        "data": plain(record),
        "statistics": {
            **plain(found),
            "side_edges": SIDE_EDGES.tolist(),
            "ratio_edges": RATIO_EDGES.tolist(),
            "class_weights": None if weights is None else weights.tolist(),
        },
        "findings": [dict(zip(keys, finding, strict=True)) for finding in findings],
        "remarks": remarks,
    }
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _findings(args: argparse.Namespace, table: InstanceTable) -> list[Finding]:
    """Return what the checks say, as the page takes it."""
    from lwyolo.data.checks.context import config_for, make_context, run_checks
    from lwyolo.data.checks.rule import find_rule

    context = make_context(table, config_for(args.data, args.source_format), imgsz=args.imgsz)
    return [(one.rule, find_rule(one.rule).severity, str(one.file), one.line, one.what) for one in run_checks(context)]


def _leaks(args: argparse.Namespace, table: InstanceTable) -> str:
    """Return what a search for equal images finds, or for near ones, as HTML."""
    from lwyolo.data.leaks import DISTANCE, find_leaks
    from lwyolo.reports.data_leaks import EXACT, ROBUST, leak_pairs_html, shared_table
    from lwyolo.reports.document import table_html

    leaks = find_leaks(table, distance=DISTANCE if args.near else None)
    pairs = leak_pairs_html(leaks, SHOWN_PAIRS) if len(leaks.pairs) else ""
    told = EXACT if leaks.distance is None else ROBUST.format(distance=leaks.distance)
    return f'{table_html(shared_table(leaks))}\n<p class="note">{told}</p>\n{pairs}'
