"""What the HTML pages share: one file that needs no other, in light and dark, and its tables."""

from __future__ import annotations

import html
from collections.abc import Collection
from importlib import resources
from string import Template

from lwyolo.reports.tables import Table
from lwyolo.units import MISSING


def document(title: str, body: str, css: str = "", js: str = "", lang: str = "en") -> str:
    """Return an HTML document that needs nothing beside it: no other file, no network.

    Args:
        title: Plain text.
        body: HTML.
        css: Rules of this page, beside those that all share.
        js: A script, beside the one that sorts and filters tables.
        lang: Of its words, as HTML names it.
    """
    return Template(asset("document.html")).substitute(
        title=html.escape(title), body=body, css=asset("document.css") + css, js=asset("document.js") + js, lang=lang
    )


def asset(name: str) -> str:
    """Read a file of this package."""
    return resources.files("lwyolo.reports").joinpath(name).read_text(encoding="utf-8")


def table_html(table: Table, sortable: bool = False, marked: Collection[int] = (), filtered: str = "") -> str:
    """Write a table; a column named `%` holds shares of the one before it, and gets bars.

    Args:
        table: The cells.
        sortable: Let its columns be sorted.
        marked: Rows that stand out.
        filtered: The name of a field that filters its rows; empty: none.
    """
    columns = list(zip(table.header, table.sides, strict=True))
    most = [
        max((float(row[i]) for row in table.rows if head == "%" and row[i] != MISSING), default=0.0)
        for i, (head, _) in enumerate(columns)
    ]
    heads = []
    for i, (head, side) in enumerate(columns):
        hidden = f'<span class="hidden">{html.escape(table.header[i - 1])}, </span>' if head == "%" else ""
        heads.append(f'<th scope="col" class="{side}">{hidden}{_cell(head)}</th>')
    rows = []
    for n, row in enumerate(table.rows):
        cells = [f'<th scope="row" class="{table.sides[0]}">{_cell(row[0])}</th>']
        cells += [
            f'<td class="{side} share" style="--share:{float(cell) / top:.3f}">{cell}</td>'
            if top and cell != MISSING
            else f'<td class="{side}">{_cell(cell)}</td>'
            for cell, (_, side), top in zip(row[1:], columns[1:], most[1:], strict=True)
        ]
        rows.append(f'<tr class="{"marked" if n in marked else ""}">{"".join(cells)}</tr>')
    title = html.escape(table.title)
    field = f'<label class="filter" hidden>{html.escape(filtered)} <input type="search"><output></output></label>'
    return "\n".join(
        [
            *([field] if filtered else []),
            f'<div class="scroll" role="region" tabindex="0" aria-label="{title}">',
            f'<table class="{"sortable" if sortable else ""}"><caption>{title}</caption>',
            f"<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>",
            *rows,
            "</tbody></table></div>",
            *(f'<p class="note">{html.escape(note)}</p>' for note in table.notes),
        ]
    )


def _cell(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")
