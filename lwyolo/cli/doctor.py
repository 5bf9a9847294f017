"""`lwyolo doctor`: what is wrong with this installation, and how it is put right."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lwyolo.cli._parser import add_command
from lwyolo.reports.tables import WIDTH, Format, Table, render

if TYPE_CHECKING:
    from lwyolo.doctor import Finding

FORMATS: dict[str, Format] = {"table": "text", "md": "markdown"}
PROBLEM_FOUND = 1


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "doctor",
        run,
        "check this installation: versions, thop, devices, threads, folders, extras",
        "lwyolo doctor",
        "lwyolo doctor --format md",
        "lwyolo doctor --format json",
    )
    parser.add_argument("--format", choices=(*FORMATS, "json"), default="table", help="how it is written (table)")


def run(args: argparse.Namespace) -> int:
    """Print what was found; 1 where there is a problem."""
    with contextlib.redirect_stdout(sys.stderr):  # what Ultralytics says while it is imported
        from lwyolo.doctor import PROBLEM, diagnose

        findings = diagnose()
    if args.format == "json":
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}, ensure_ascii=False, indent=1))
    else:
        print(report(findings, FORMATS[args.format]))
    return PROBLEM_FOUND if any(finding.state == PROBLEM for finding in findings) else 0


def report(findings: Sequence[Finding], fmt: Format) -> str:
    """Return the table of findings, the remedies below it, and one line that sums up.

    Args:
        findings: In the order of the rows.
        fmt: `text` or `markdown`.
    """
    lead = max(len(finding.check) for finding in findings) + len("  problem  ")
    width = WIDTH - lead if fmt == "text" else sys.maxsize
    rows = tuple((f.check, f.state, textwrap.fill(f.found, width, break_on_hyphens=False)) for f in findings)
    table = Table(header=("Check", "State", "Found"), rows=rows, align=("left", "left", "left"))
    parts = [render(table, fmt), *_remedies(findings, "   " if fmt == "text" else "   - "), _sum(findings)]
    return "\n\n".join(parts)


def _remedies(findings: Sequence[Finding], lead: str) -> list[str]:
    remedies = [finding for finding in findings if finding.remedy]
    if not remedies:
        return []
    lines = ["What to do:"]
    for number, finding in enumerate(remedies, 1):
        lines.append(f"{number}. {finding.check} ({finding.state})")
        lines += [f"{lead}{line}" for line in finding.remedy.splitlines()]
    return ["\n".join(lines)]


def _sum(findings: Sequence[Finding]) -> str:
    counts = [(sum(finding.state == state for finding in findings), state) for state in ("problem", "note")]
    return ", ".join(f"{count} {state}{'s' * (count != 1)}" for count, state in counts) + "."
