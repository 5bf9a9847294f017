from __future__ import annotations

import numpy as np
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
        ("0 nan 0.5 0.2 0.2", "line 1: a coordinate over 1; coordinates are divided by the image's size"),
        (f"{GOOD} 0.9", "line 1: 6 columns, expected 5: class x y width height"),
        ("0 0.5 0.5 0.2", "line 1: 4 columns, expected 5: class x y width height"),
        ("pin 0.5 0.5 0.2 0.2", "line 1: 'pin' is not a number"),
        (f"{GOOD}\n\n0 0.1 0.1 0.4 0.1 0.4 0.5", "line 1: a box among polygons; all rows of a file must be of one kind"),
        ("0 0.1 0.1 0.4 0.1 0.4 0.5 0.1", "line 1: a polygon with 7 coordinates, expected an even number"),
    ],
)
def test_why_an_image_is_dropped(content, reason):
    verdict = judge(content.encode(), 3)

    assert (reason, 0) == (verdict.reason, len(verdict.rows))


def test_utf16_is_dropped():
    assert "not UTF-8: byte 0" == judge(GOOD.encode("utf-16"), 3).reason


def test_lines_are_those_of_an_editor():
    assert [2, 4] == judge(f"\n{GOOD}\n\n1 0.3 0.3 0.1 0.1".encode(), 3).lines.tolist()


def test_rows_as_written_are_counted_beside_those_trained_on():
    verdict = judge(f"{GOOD}\n{GOOD}\n1 0.3 0.3 0.1 0.1".encode(), 3)

    assert (3, 2) == (verdict.written, len(verdict.rows))


number = st.one_of(
    st.floats(-0.1, 1.1).map(lambda v: f"{v:.4g}"),
    st.sampled_from(["0", "1", "0.5", "1.01", "1.0101", "-0.01", "-0.0101", "nan", "inf", "1e-3", "x", "0,5", "1e400"]),
)
row = st.builds(
    lambda cls, values: " ".join([cls, *values]),
    st.sampled_from(["0", "1", "2", "3", "-1", "1.0", "1.5", "a"]),
    st.lists(number, min_size=3, max_size=9),
)
box = st.builds(lambda c, v: f"{c} " + " ".join(v), st.sampled_from("0123"), st.lists(number, min_size=4, max_size=4))
good = st.builds(lambda c, v: f"{c} " + " ".join(f"{x:.1f}" for x in v), st.integers(0, 2), st.lists(st.floats(0, 1), min_size=4, max_size=4))
file = st.lists(st.one_of(row, box, good, good, st.just("")), max_size=5).map("\n".join)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    Image.new("RGB", (32, 32)).save(folder / "a.jpg")
    return folder / "a.jpg", folder / "a.txt"


def upstream(pair, content):
    from ultralytics.data.utils import verify_image_label

    pair[1].write_text(content, encoding="utf-8")
    result = verify_image_label((str(pair[0]), str(pair[1]), "", False, 3, 0, 2, False))
    return None if result[0] is None else result[1]


def agrees(pair, content):
    expected, verdict = upstream(pair, content), judge(content.encode(), 3)
    if expected is None:
        return verdict.reason is not None
    return verdict.reason is None and np.allclose(expected, verdict.rows.reshape(-1, 5), atol=1e-6)


@settings(max_examples=600)
@given(content=file)
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_the_installed_ultralytics(pair, content):
    assert agrees(pair, content)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(content=file)
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_the_installed_ultralytics_on_ten_thousand_files(pair, content):
    assert agrees(pair, content)
