from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lwyolo.data.verdict import judge

GOOD = "0 0.5 0.5 0.2 0.2"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (GOOD, 1),
        (f"{GOOD}\n1 0.25 0.25 0.1 0.1\n", 2),
        ("", 0),
        ("  \n\n", 0),
        (f"\ufeff{GOOD}", 1),
        (f"{GOOD}\r\n1\t0.25 0.25 0.1 0.1\r\n", 2),
        (f"{GOOD}\n{GOOD}", 1),
        (f"{GOOD}\n1 0.5 0.5 0.2 0.2", 2),
        ("1.0 0.5 0.5 0.2 0.2", 1),
        ("0 1.005 0.5 0.2 0.2", 1),
        ("0 -0.005 0.5 0.2 0.2", 1),
        ("0 0.5 0.5 0 0", 1),
        ("0 0.95 0.5 0.4 0.2", 1),
        ("0 0.1 0.1 0.4 0.1 0.4 0.5", 1),
        ("0 0.1 0.1 0.4 0.1 0.4 0.5 0.1 0.5", 1),
    ],
)
def test_what_is_trained_on(content, expected):
    verdict = judge(content.encode(), 3)

    assert (None, expected) == (verdict.reason, len(verdict.rows))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"{GOOD}\n3 0.5 0.5 0.2 0.2", "line 2: class 3, but the data set has classes 0 to 2"),
        ("-1 0.5 0.5 0.2 0.2", "line 1: a negative value"),
        ("1.5 0.5 0.5 0.2 0.2", "line 1: a class that is no whole number"),
        ("0 1.02 0.5 0.2 0.2", "line 1: a coordinate over 1; coordinates are divided by the image's size"),
        ("0 320 240 64 64", "line 1: a coordinate over 1; coordinates are divided by the image's size"),
        ("0 -0.02 0.5 0.2 0.2", "line 1: a negative value"),
        ("0 0.5 0.5 -0.005 0.2", "line 1: a negative width or height"),
        ("0 nan 0.5 0.2 0.2", "line 1: a value that is not finite"),
        ("inf 0.5 0.5 0.2 0.2", "line 1: a value that is not finite"),
        ("nan 0.5 0.5 0.2 0.2", "line 1: a value that is not finite"),
        ("0 1e400 0.5 0.2 0.2", "line 1: a value that is not finite"),
        ("0 0,5 0.5 0.2 0.2", "line 1: '0,5' is not a number"),
        ("# made by a tool", "line 1: '#' is not a number"),
        ("0 0.1 0.1 0.4 0.1 0.4 0.5\n0", "line 2: a polygon without points"),
        (f"{GOOD} 0.9", "line 1: 6 columns, expected 5: class x y width height"),
        ("0 0.5 0.5 0.2", "line 1: 4 columns, expected 5: class x y width height"),
        ("pin 0.5 0.5 0.2 0.2", "line 1: 'pin' is not a number"),
        (
            f"{GOOD}\n\n0 0.1 0.1 0.4 0.1 0.4 0.5",
            "line 1: a box among polygons; all rows of a file must be of one kind",
        ),
        ("0 0.1 0.1 0.4 0.1 0.4 0.5 0.1", "line 1: a polygon with 7 coordinates, expected an even number"),
    ],
)
def test_why_an_image_is_dropped(content, reason):
    verdict = judge(content.encode(), 3)

    assert (reason, 0) == (verdict.reason, len(verdict.rows))


def test_rows_with_key_points_are_cut_to_their_boxes_where_the_set_has_them():
    row = f"{GOOD} 0.5 0.5 2"

    assert (1, "poses") == (len(judge(row.encode(), 3, 8).rows), judge(row.encode(), 3, 8).kind)
    assert "line 1: a polygon with 7 coordinates, expected an even number" == judge(row.encode(), 3).reason


def test_utf16_is_dropped():
    assert "not UTF-8: byte 0" == judge(GOOD.encode("utf-16"), 3).reason


def test_lines_are_those_of_an_editor():
    assert [2, 4] == judge(f"\n{GOOD}\n\n1 0.3 0.3 0.1 0.1".encode(), 3).lines.tolist()


def test_rows_as_written_are_counted_beside_those_trained_on():
    verdict = judge(f"{GOOD}\n{GOOD}\n1 0.3 0.3 0.1 0.1".encode(), 3)

    assert (3, 2) == (verdict.written, len(verdict.rows))


def test_of_equal_rows_the_first_is_kept_in_the_order_of_the_file():
    verdict = judge(b"2 .5 .5 .2 .2\n1 .3 .3 .1 .1\n2 0.5 0.50 .2 .2\n0 .1 .1 .1 .1", 3)

    assert ([2, 1, 0], [1, 2, 4]) == (verdict.rows[:, 0].tolist(), verdict.lines.tolist())


def test_polygons_of_one_box_are_kept_and_equal_ones_are_not():
    corner = "0 .1 .1 .5 .1 .5 .5"
    assert 2 == len(judge(f"{corner}\n0 .1 .1 .1 .5 .5 .5".encode(), 1).rows)
    assert 1 == len(judge(f"{corner}\n{corner}".encode(), 1).rows)


number = st.one_of(
    st.floats(-0.1, 1.1).map(lambda value: f"{value:.4g}"),
    st.sampled_from(
        ["0", "1", "0.5", "1.01", "1.0101", "-0.01", "-0.0101", "-0", "nan", "-inf", "1e-3", "x", "0,5", "1e400"]
    ),
)
row = st.builds(
    lambda cls, values: " ".join([cls, *values]),
    st.sampled_from(["0", "1", "2", "3", "-1", "1.0", "1.5", "-0.005", "inf", "a"]),
    st.lists(number, min_size=0, max_size=9),
)
values = st.sampled_from(["0", "0.5", "1", "1.01", "1.0101", "-0.01", "-0.0101", "-0", "0.1", "0.2", "0.3", "0.30"])
corner = st.sampled_from(["0.1", "0.5"])


def rows_of(value: st.SearchStrategy[str], *lengths: int) -> st.SearchStrategy[str]:
    """Rows of mostly legal values, few enough of them that equal rows and equal boxes of polygons are common."""
    return st.sampled_from(lengths).flatmap(
        lambda n: st.builds(
            lambda cls, drawn: f"{cls} " + " ".join(drawn), st.integers(0, 2), st.lists(value, min_size=n, max_size=n)
        )
    )


def file_of(line: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Files in which lines may repeat."""
    repeated = st.lists(line, max_size=5).flatmap(
        lambda lines: st.lists(st.sampled_from([*lines, ""]), min_size=len(lines), max_size=len(lines) + 2)
    )
    return st.builds(
        lambda lines, end, mark: mark + end.join(lines),
        repeated,
        st.sampled_from(["\n", "\r\n"]),
        st.sampled_from(["", "\ufeff"]),
    )


file = st.one_of(
    file_of(rows_of(values, 4)),
    file_of(rows_of(corner, 6, 8)),
    file_of(st.one_of(row, rows_of(values, 4), rows_of(values, 6))),
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    Image.new("RGB", (32, 32)).save(folder / "a.jpg")
    return folder / "a.jpg", folder / "a.txt"


def sorted_rows(rows):
    return sorted(map(tuple, rows.tolist()))


def assert_agrees(pair, content, points):
    from ultralytics.data.utils import verify_image_label

    pair[1].write_bytes(content.encode())
    result = verify_image_label((str(pair[0]), str(pair[1]), "", False, 3, *points, False))
    verdict = judge(content.encode(), 3, 5 + points[0] * points[1] if points[0] else 0)

    assert (result[0] is None) == (verdict.reason is not None)
    if result[0] is not None:
        assert sorted_rows(result[1]) == sorted_rows(verdict.rows)


key_points = st.sampled_from([(0, 2), (0, 2), (1, 2), (2, 2), (1, 3)])
"""Mostly none; else their number and the numbers a point, so that a row of 7, 8 or 9 columns is cut to its box."""


@settings(max_examples=2000)
@given(content=file, points=key_points)
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_the_installed_ultralytics(pair, content, points):
    assert_agrees(pair, content, points)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(content=file, points=key_points)
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_the_installed_ultralytics_on_ten_thousand_files(pair, content, points):
    assert_agrees(pair, content, points)
