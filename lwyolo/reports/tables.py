"""One table, four ways to write it: text for a terminal, Markdown, CSV, LaTeX.

Written here rather than by `tabulate`, which pads every header by two columns (22 in our widest table) and every
Markdown cell, so that one changed cell changes all lines of a table in a repository.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wcwidth import wcswidth

from lwyolo.units import MISSING

Align = Literal["left", "center", "right"]
Format = Literal["text", "markdown", "csv", "latex"]

WIDTH = 100
"""Columns of a terminal that text is wrapped to."""

LATEX = str.maketrans(
    {
        **{character: rf"\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
    }
)


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as they are printed; a line break in one is kept in text and becomes a space elsewhere.

    Args:
        header: Names of the columns, with their units; text prints none where all are empty.
        rows: As many cells each as the header.
        align: Alignment of each column; by default the first left, the others right.
        title: What the table shows, and under which conditions.
        notes: Sentences to be read with it.
        stub: Leading columns that say what a row is; text repeats them where a table too wide goes on below.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: tuple[Align, ...] = ()
    title: str = ""
    notes: tuple[str, ...] = ()
    stub: int = 1

    def __post_init__(self) -> None:
        lengths = {len(self.header), *(len(row) for row in self.rows), len(self.align) or len(self.header)}
        if len(lengths) > 1:
            raise ValueError(f"header, rows and alignment differ in length: {sorted(lengths)}")

    @property
    def sides(self) -> tuple[Align, ...]:
        """The alignment of each column."""
        words: list[Align] = ["left"] * self.stub
        numbers: list[Align] = ["right"] * (len(self.header) - self.stub)
        return self.align or (*words, *numbers)


def render(table: Table, fmt: Format = "text") -> str:
    """Write a table, without a line break at the end. CSV holds the cells alone, for programs.

    Example:
        >>> print(render(Table(("class", "AP50"), (("绝缘子", "0.374"), ("pin", "0.41")))))
        class    AP50
        ------  -----
        绝缘子  0.374
        pin      0.41
    """
    return {"text": _text, "markdown": _markdown, "csv": _csv, "latex": _latex}[fmt](table)


def _text(table: Table) -> str:
    rows = [[cell.split("\n") for cell in row] for row in (table.header, *table.rows)]
    widths = [max(_width(part) for row in rows for part in row[column]) for column in range(len(table.header))]
    title, *notes = (wrap(part) for part in (table.title, *table.notes))
    blocks = (_block(rows, columns, widths, table) for columns in _fitting(widths, table.stub))
    return "\n".join(part for part in (title, "\n\n".join(blocks), *notes) if part)


def _block(rows: list[list[list[str]]], columns: list[int], widths: list[int], table: Table) -> str:
    """Write some columns of a table."""
    chosen, sides = [widths[c] for c in columns], [table.sides[c] for c in columns]
    lines = [_pad_row([row[c] for c in columns], chosen, sides) for row in rows]
    lines[:1] = [lines[0], ["  ".join("-" * width for width in chosen)]] if any(table.header) else []
    return "\n".join(line.rstrip() for group in lines for line in group)


def _fitting(widths: list[int], stub: int) -> list[list[int]]:
    """Share columns among blocks of at most `WIDTH`, each with the stub; one column at least stands beside it."""
    blocks = [list(range(stub))]
    for column in range(stub, len(widths)):
        used = sum(widths[c] + 2 for c in blocks[-1])
        if len(blocks[-1]) > stub and used + widths[column] > WIDTH:
            blocks.append(list(range(stub)))
        blocks[-1].append(column)
    return blocks


def wrap(text: str, width: int = WIDTH) -> str:
    """Break a text into lines between words; a path is never broken."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def _pad_row(row: list[list[str]], widths: list[int], sides: Sequence[Align]) -> list[str]:
    height = max(len(cell) for cell in row)
    return [
        "  ".join(_pad(cell[i] if i < len(cell) else "", w, s) for cell, w, s in zip(row, widths, sides, strict=True))
        for i in range(height)
    ]


def _pad(text: str, width: int, side: Align) -> str:
    space = width - _width(text)
    left = {"left": 0, "center": space // 2, "right": space}[side]
    return " " * left + text + " " * (space - left)


def _width(text: str) -> int:
    """Return the columns that a text takes in a terminal: two for each Chinese character."""
    width = wcswidth(text)
    return width if width >= 0 else len(text)


def _markdown(table: Table) -> str:
    rule = tuple({"left": ":---", "center": ":----:", "right": "---:"}[side] for side in table.sides)
    rows = [[cell.replace("|", r"\|") for cell in _flat(row)] for row in (table.header, rule, *table.rows)]
    body = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return "\n\n".join(part for part in (table.title, body, *table.notes) if part)


def _csv(table: Table) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(_flat(row) for row in (table.header, *table.rows))
    return file.getvalue().rstrip("\n")


def _latex(table: Table) -> str:
    head, *rows = (" & ".join(c.translate(LATEX) for c in _flat(row)) + r" \\" for row in (table.header, *table.rows))
    return "\n".join(
        [
            *(f"% {line}" for line in (table.title, *table.notes) if line),
            rf"\begin{{tabular}}{{{''.join(side[0] for side in table.sides)}}}",
            *(r"\toprule", head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}"),
        ]
    )


def _flat(cells: Sequence[str]) -> list[str]:
    return [" ".join(cell.split()) for cell in cells]


def number(value: float | None, digits: int = 0) -> str:
    """Format a number whose unit stands in the header; `None` is what was not measured.

    Example:
        >>> number(2.8564, 2), number(None)
        ('2.86', '–')
    """
    return MISSING if value is None else f"{value:.{digits}f}"


def change(value: float | None, baseline: float | None) -> str:
    """Format the difference from a baseline in percent of it.

    Example:
        >>> change(2.0, 1.6), change(1.6, 1.6), change(2.0, None)
        ('+25.0 %', '0.0 %', '–')
    """
    if value is None or not baseline:
        return MISSING
    percent = f"{100 * (value - baseline) / baseline:+.1f} %"
    return "0.0 %" if percent in {"+0.0 %", "-0.0 %"} else percent
