"""What is wrong with a data set, as a text by rule, a table, CSV and JSON; and the table of all rules."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from lwyolo.reports.tables import Align, Table, render, wrap

if TYPE_CHECKING:
    from lwyolo.data.checks.rule import Finding, Rule
    from lwyolo.data.repair import Repaired

SHOWN = 20
HEADER = ("severity", "rule", "file", "line", "what is wrong", "what Ultralytics does")


def check_report(findings: Sequence[Finding], rules: Sequence[Rule], images: int, fmt: str = "table") -> str:
    """Write findings.

    Args:
        findings: Sorted by rule, as `run_checks` returns them.
        rules: The rules that ran.
        images: How many images were looked at.
        fmt: `table` and `md` show the first 20 of each rule, `csv` and `json` hold all.
    """
    by_name = {rule.name: rule for rule in rules}
    if fmt == "json":
        return _json(findings, by_name, images)
    if fmt == "csv":
        return render(_table(findings, by_name, ""), "csv")
    root = _common_folder(findings)
    summary = _summary(findings, by_name, images)
    below = [f"Files are below {root}."] if root else []
    if fmt == "md":
        shown, notes = [], [*below, summary]
        for name, group in _groups(findings):
            shown += group[:SHOWN]
            notes += [f"{name}: … and {len(group) - SHOWN:,} more."] if len(group) > SHOWN else []
        return render(_table(shown, by_name, root, tuple(notes)), "markdown") if findings else summary
    blocks = [_block(by_name[name], group, root) for name, group in _groups(findings)]
    return "\n\n".join([*below, *blocks, summary])


def rules_report(rules: Sequence[Rule], fmt: str = "table") -> str:
    """Write all rules; as text a paragraph each, for their sentences are long."""
    from lwyolo.data.checks.rule import REPAIRS

    if fmt == "json":
        keys = ("rule", "severity", "what", "ultralytics", "fix")
        rows = [(one.name, one.severity, one.what, one.upstream, REPAIRS[one.repair]) for one in rules]
        return json.dumps([dict(zip(keys, row, strict=True)) for row in rows], ensure_ascii=False, indent=1)
    if fmt != "table":
        return render(rules_table(rules), "csv" if fmt == "csv" else "markdown")
    return "\n\n".join(
        f"{one.severity}  {one.name}\n"
        + "\n".join(wrap(line) for line in (one.what, f"Ultralytics: {one.upstream}", f"--fix: {REPAIRS[one.repair]}."))
        for one in rules
    )


def rules_table(rules: Sequence[Rule]) -> Table:
    """Return a row for each rule: what it finds, what Ultralytics does, what `--fix` does."""
    from lwyolo.data.checks.rule import REPAIRS

    return Table(
        header=("rule", "severity", "what it finds", "what Ultralytics does", "what --fix does"),
        rows=tuple(
            (
                f"`{one.name}`",
                one.severity,
                f"{one.what}{' With `--deep`.' * one.deep}",
                one.upstream,
                REPAIRS[one.repair],
            )
            for one in rules
        ),
        align=("left",) * 5,
    )


def repair_report(repaired: Repaired, images: int) -> str:
    """Say what a repaired copy holds, and what was left as it is."""
    log = repaired.data_yaml.parent / "fixes.csv"
    counts = f"{repaired.images:,} images (the set lists {images:,}), {len(repaired.changes):,} changes in {log}."
    lines = [f"Repaired copy: {repaired.data_yaml}, {counts}"]
    if repaired.kept:
        kept = ", ".join(f"{name} {count:,}" for name, count in repaired.kept.items())
        lines.append(f"Not repaired, since only you can know what is meant: {kept}.")
    return "\n".join(wrap(line) for line in lines)


def _block(rule: Rule, findings: Sequence[Finding], root: str) -> str:
    lines = [wrap(f"{rule.severity}  {rule.name}  ({len(findings):,})  Ultralytics: {rule.upstream}")]
    lines += [f"  {_place(finding, root)}  {finding.what}" for finding in findings[:SHOWN]]
    hidden = len(findings) - SHOWN
    return "\n".join([*lines, *([f"  … and {hidden:,} more"] if hidden > 0 else [])])


def _place(finding: Finding, root: str) -> str:
    line = f":{finding.line}" if finding.line else ""
    return f"{_short(finding.file, root)}{line}"


def _table(findings: Sequence[Finding], rules: dict[str, Rule], root: str, notes: tuple[str, ...] = ()) -> Table:
    rows = [
        (
            rules[one.rule].severity,
            one.rule,
            _short(one.file, root),
            str(one.line) if one.line else "",
            one.what,
            rules[one.rule].upstream,
        )
        for one in findings
    ]
    align: tuple[Align, ...] = ("left", "left", "left", "right", "left", "left")
    return Table(header=HEADER, rows=tuple(rows), align=align, notes=notes)


def _json(findings: Sequence[Finding], rules: dict[str, Rule], images: int) -> str:
    content = {
        "images": images,
        "counts": _counts(findings, rules),
        "findings": [
            {
                "severity": rules[one.rule].severity,
                "rule": one.rule,
                "file": str(one.file),
                "line": one.line or None,
                "what": one.what,
                "ultralytics": rules[one.rule].upstream,
            }
            for one in findings
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=1)


def _summary(findings: Sequence[Finding], rules: dict[str, Rule], images: int) -> str:
    counts = _counts(findings, rules)
    said = (
        ", ".join(_count(counts[severity], severity) for severity in ("error", "warning"))
        + f", {counts['info']:,} info"
    )
    return f"{_count(images, 'image')}, {_count(len(rules), 'rule')}: {said if findings else 'nothing found'}."


def _counts(findings: Sequence[Finding], rules: dict[str, Rule]) -> dict[str, int]:
    counts = {"error": 0, "warning": 0, "info": 0}
    for one in findings:
        counts[rules[one.rule].severity] += 1
    return counts


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _groups(findings: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    return [(name, list(group)) for name, group in groupby(findings, key=lambda one: one.rule)]


def _common_folder(findings: Sequence[Finding]) -> str:
    """Return the folder that holds all files, so that it is written once; empty where it is short anyway."""
    folders = {os.path.dirname(one.file) for one in findings}  # noqa: PTH120 - of a million paths
    try:
        common = os.path.commonpath(folders) if folders else ""
    except ValueError:  # relative and absolute paths, or two drives
        return ""
    return common if len(common) > 1 else ""


def _short(file: Path, root: str) -> str:
    return os.path.relpath(file, root) if root else str(file)
