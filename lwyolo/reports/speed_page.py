"""One HTML page, in one file, of what models take on a clock: pictures, all tables, and what they depend on."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from lwyolo.reports.document import asset, document, table_html
from lwyolo.reports.speed import STAGES, comparison_table, resource_table, runtime_of, stage_table
from lwyolo.reports.speed_picture import SHAPES, STACK, marker, ratio_picture, time_picture
from lwyolo.reports.tables import Table
from lwyolo.units import MISSING

if TYPE_CHECKING:
    from lwyolo.speed.fairness import Conditions
    from lwyolo.speed.result import Comparison, Failure, Result

EACH_ITS_OWN = ("load",)
"""Conditions that are never the same twice."""


def speed_page(results: Sequence[Result], comparisons: Sequence[Comparison], failures: Sequence[Failure]) -> str:
    """Return an HTML document that needs nothing beside it: no other file, no network.

    Args:
        results: At least one.
        comparisons: Of them with their base, or with results of an earlier day.
        failures: What was not measured.
    """
    stages, resources = stage_table(results), resource_table(results)
    title = f"What models cost on a clock: {', '.join(dict.fromkeys(result.name for result in results))}"
    body = "\n".join(
        [
            f'<header><h1>{html.escape(title)}</h1><p class="conditions">{html.escape(stages.title)}</p></header>',
            "<main>",
            _section("End to end", _times(results)),
            _section(_against(comparisons), _ratios(comparisons)) if comparisons else "",
            _section("Not measured", _failures(failures)) if failures else "",
            _section("Stages", table_html(_filled(replace(stages, title="Time by stage, in ms")), sortable=True)),
            _section("Besides time", table_html(replace(resources, title="Load, size and throughput"), sortable=True)),
            _section("Conditions", _conditions(results)),
            "</main>",
        ]
    )
    return document(title, body, css=asset("speed_page.css"))


def conditions_table(results: Sequence[Result]) -> tuple[Table, list[int]]:
    """Return a row for each condition and value, with the results that have it, and which rows differ."""
    rows: list[tuple[str, ...]] = []
    differing: list[int] = []
    named = [(f"{result.name} in {runtime_of(result)}", _flat(result.conditions)) for result in results]
    for name in dict.fromkeys(name for _, entries in named for name in entries):
        having: dict[str, list[str]] = {}
        for result, entries in named:
            having.setdefault(entries.get(name, MISSING), []).append(result)
        for value, who in having.items():
            if len(having) > 1 and name not in EACH_ITS_OWN:
                differing.append(len(rows))
            rows.append((name, value, "all" if len(having) == 1 else "≠ " + "\n".join(who)))
    note = "≠: not the same for all results. Load: mean number of runnable threads over the minute before."
    header = ("Condition", "Value", "Of")
    return Table(header, tuple(rows), ("left",) * 3, "What the figures depend on", (note,), stub=3), differing


def _flat(conditions: Conditions) -> dict[str, str]:
    """Word each entry; one that holds several becomes several."""
    entries: dict[str, str] = {}
    plain = asdict(conditions)
    plain["runtime"] = f"{plain['runtime']} {plain.pop('runtime_version')}"
    for name, value in plain.items():
        words = name.replace("_", " ")
        if isinstance(value, Mapping):
            entries |= {f"{words.removesuffix('s')}: {key}": str(one) for key, one in value.items()}
        else:
            entries[words] = _worded(name, value)
    return entries


def _worded(name: str, value: object) -> str:
    if isinstance(value, (tuple, list)):
        return " × ".join(map(str, value))
    if value is None:
        return "no limit" if name == "quota" else MISSING
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{html.escape(heading)}</h2>\n{content}\n</section>"


def _times(results: Sequence[Result]) -> str:
    marks = '<li class="dot">median of the whole, with its 95 % interval</li><li class="tall">p90</li>'
    keys = "".join(f'<li class="{stage}">{STAGES[stage]}</li>' for stage in STACK)
    return (
        f'<figure>{time_picture(results)}<figcaption>ms of one pass<ul class="legend">{keys}{marks}</ul>'
        "Bars are medians of the stages, each its own; their sum need not be the median of the whole.</figcaption>"
        "</figure>"
    )


def _against(comparisons: Sequence[Comparison]) -> str:
    bases = {one.base for one in comparisons}
    return f"Against {bases.pop() if len(bases) == 1 else 'the base'}"


def _ratios(comparisons: Sequence[Comparison]) -> str:
    keys = "".join(f"<li>{marker(verdict)} {verdict}</li>" for verdict in SHAPES)
    picture = ratio_picture(comparisons)
    caption = f'End-to-end time over that of the base, with its 95 % interval<ul class="legend verdicts">{keys}</ul>'
    table = table_html(replace(comparison_table(comparisons), title="Ratios of time"), sortable=True)
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>\n{table}"


def _failures(failures: Sequence[Failure]) -> str:
    return f'<ul class="failures">{"".join(_failure_items(failures))}</ul>'


def _failure_items(failures: Sequence[Failure]) -> Iterator[str]:
    for failure in failures:
        what = html.escape(f"{failure.name} in {failure.runtime}")
        yield f"<li><strong>{what}</strong>: {html.escape(failure.reason.removeprefix(f'{failure.runtime}: '))}</li>"


def _filled(table: Table) -> Table:
    """Repeat what a row takes from the one above it: rows that are sorted stand alone."""
    rows: list[tuple[str, ...]] = []
    for row in table.rows:
        above = rows[-1] if rows else row
        stub = (" ".join((cell or above[i]).split()) for i, cell in enumerate(row[: table.stub]))
        rows.append((*stub, *row[table.stub :]))
    return replace(table, rows=tuple(rows))


def _conditions(results: Sequence[Result]) -> str:
    table, differing = conditions_table(results)
    return f'<div class="record">{table_html(table, sortable=True, marked=differing)}</div>'
