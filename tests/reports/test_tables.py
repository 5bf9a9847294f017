from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from lwyolo.reports.tables import Table, change, number, render, wrap

CELL = st.text(st.sampled_from("ab |&_%锈蚀\\–\n"), max_size=6)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.builds(
        Table,
        header=st.tuples(*[CELL.map(lambda c: f"h{c}")] * width),
        rows=st.lists(st.tuples(*[CELL] * width), max_size=4).map(tuple),
    )
)


@given(table=TABLES)
def test_columns_of_text_stand_under_their_rule(table):
    lines = render(table).split("\n")
    rule = next(line for line in lines if line and set(line) <= {"-", " "})

    assert max(wcswidth(line) for line in lines) <= wcswidth(rule)


@given(table=TABLES)
def test_csv_holds_every_cell(table):
    rows = list(csv.reader(io.StringIO(render(table, "csv"))))

    assert [[" ".join(cell.split()) for cell in row] for row in (table.header, *table.rows)] == [
        row or [""] for row in rows
    ]


@given(table=TABLES)
def test_markdown_has_as_many_cells_in_every_line(table):
    lines = render(table, "markdown").split("\n")

    assert len(table.rows) + 2 == len(lines)
    assert {len(table.header) + 1} == {line.replace(r"\|", "").count("|") for line in lines}


def test_latex_escapes_what_it_reserves():
    assert [r"a\_b \& 50 \% & \#1\textbackslash{}x \\"] == render(
        Table(("h", "i"), (("a_b & 50 %", "#1\\x"),)), "latex"
    ).split("\n")[4:5]


def test_a_table_too_wide_goes_on_below_with_what_says_which_row_it_is():
    wide = [f"{letter}{'.' * 29}" for letter in "bcde"]
    table = Table(("name", "graph", *wide), (("x", "fused", "1", "2", "3", "4"),), stub=2)
    lines = render(table).split("\n")

    assert 7 == len(lines)
    assert [["name", "graph", *wide[:2]], ["x", "fused", "1", "2"]] == [lines[i].split() for i in (0, 2)]
    assert [["name", "graph", *wide[2:]], ["x", "fused", "3", "4"]] == [lines[i].split() for i in (4, 6)]


def test_lines_of_a_cell_stay_under_each_other():
    table = Table(("Model", "GFLOPs\n(Ultralytics)"), (("yolov8n\nat 64", "8.9"),))

    assert [
        "Model           GFLOPs",
        "         (Ultralytics)",
        "-------  -------------",
        "yolov8n            8.9",
        "at 64",
    ] == render(table).split("\n")


def test_facts_have_no_header_in_text():
    assert "name  dyhead" == render(Table(("", ""), (("name", "dyhead"),), align=("left", "left")))


def test_title_and_notes_surround_the_table():
    table = Table(("a",), (("1",),), title="T", notes=("N", "M"))

    assert "T\na\n-\n1\nN\nM" == render(table)
    assert "T\n\n| a |\n| :--- |\n| 1 |\n\nN\n\nM" == render(table, "markdown")


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"header, rows and alignment differ in length: \[1, 2\]"):
        Table(("a", "b"), (("1",),))


def test_a_path_is_not_broken():
    path = "/data/" + "x-" * 80

    assert f"Data:\n{path}" == wrap(f"Data: {path}")


@pytest.mark.parametrize(("value", "printed"), [(0, "0"), (None, "–"), (12.5, "12"), (13.5, "14")])
def test_numbers(value, printed):
    assert printed == number(value)


@pytest.mark.parametrize(
    ("value", "base", "printed"),
    [(3.3, 3, "+10.0 %"), (2.7, 3, "-10.0 %"), (1.0001, 1, "0.0 %"), (0.9999, 1, "0.0 %"), (1, 0, "–"), (None, 1, "–")],
)
def test_changes(value, base, printed):
    assert printed == change(value, base)
