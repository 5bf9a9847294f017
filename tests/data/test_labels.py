"""The fast way of many label files against `judge`, which is proven against Ultralytics in `test_verdict.py`."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_verdict import file as any_file

from lwyolo.data._decimals import read_decimals
from lwyolo.data.files import Files
from lwyolo.data.labels import CHUNK, parse_numbers, read_labels
from lwyolo.data.verdict import judge

number = st.one_of(
    st.floats(0, 1).map(lambda value: f"{value:.6f}"),
    st.floats(0, 1).map(repr),
    st.floats(0, 1, width=32).map(repr),
    st.sampled_from(["0", "1", "1.01", "1.0100001", "1.0100000000001", "-0", "5e-324", "1e-50", "0.1", "+.5", "1."]),
)
plain_row = st.builds(
    lambda cls, values: f"{cls} {' '.join(values)}", st.integers(0, 3), st.lists(number, min_size=4, max_size=4)
)
plain_file = st.lists(plain_row, max_size=4).map(lambda rows: "".join(f"{row}\n" for row in rows))
odd_file = st.sampled_from(
    [
        "", "\n", "    \n", "0 0.5 0.5 0.5 0.5", "0 0.5 0.5 0.5 0.5\r\n", "0 0.5 0.5 0.5 0.5\r", "0  0.5 0.5 0.5\n",
        " 0 .5 .5 .5 .5\n", "0 0.1.2 0.3 0.4 \n", "0 1e 0.5 0.5 0.5\n", "0 0.5 0.5 0.5 0.5\n\n", "0\v.5 .5 .5 .5\n",
        "0 .5 .5 .5 .5\n0 .5 .5 .5 .50\n", "1e999 .5 .5 .5 .5\n", "1 .5 .5 .5 1e999\n", "0 .5 .5 .5 -0\n0 .5 .5 .5 0\n",
        "0 1_0 .5 .5 .5\n", "0 0.5 0.5 0.5 0.5\x00\n", "0 .5 .5 .5 .5 0 .5 .5 .5 .5\n\n",
    ]
)  # fmt: skip


def assert_as_judged(folder, contents, pose_columns=0):
    paths = [folder / f"{at}.txt" for at in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    labels = read_labels(Files.of(paths), 3, pose_columns)
    verdicts = [judge(content, 3, pose_columns) for content in contents]

    assert {at: verdict.reason for at, verdict in enumerate(verdicts) if verdict.reason} == labels.reasons
    assert sum(verdict.written for verdict in verdicts) == labels.written
    assert [at for at, verdict in enumerate(verdicts) for _ in verdict.rows] == labels.file.tolist()
    assert [line for verdict in verdicts for line in verdict.lines.tolist()] == labels.lines.tolist()
    assert b"".join(verdict.rows.tobytes() for verdict in verdicts) == labels.rows.tobytes()  # bit for bit


@settings(max_examples=400)
@given(contents=st.lists(st.one_of(plain_file, odd_file, any_file), max_size=6))
def test_says_what_judge_says(tmp_path_factory, contents):
    assert_as_judged(tmp_path_factory.mktemp("labels"), [content.encode() for content in contents])


@settings(max_examples=300)
@given(contents=st.lists(plain_file, max_size=6))
def test_plain_files_need_no_judge(tmp_path_factory, contents):
    text = "".join(contents).encode()
    rows = parse_numbers(text, text.count(b"\n"))

    assert rows is not None
    assert np.array([row.split() for row in text.decode().splitlines()], np.float32).tobytes() == rows.tobytes()


token = st.one_of(st.text("0123456789.", max_size=17), st.floats(0, 1).map(repr), st.integers(0, 10**17).map(str))


@settings(max_examples=500)
@given(rows=st.lists(st.lists(token, min_size=3, max_size=3), max_size=3))
def test_decimals_are_read_as_python_reads_them(rows):
    text = "".join(" ".join(row) + "\n" for row in rows)
    found = read_decimals(text.encode(), 3)
    try:
        expected = [[float(number) for number in row] for row in rows]
    except ValueError:
        expected = None

    assert found is None or expected == found.tolist()
    if expected and all(len(number) <= 15 and "e" not in number for row in rows for number in row):
        assert found is not None


def test_digits_that_a_double_cannot_hold_are_left_to_another_parser():
    assert [[9007199254740992.0]] == read_decimals(b"9007199254740992\n", 1).tolist()  # 2 ** 53
    assert read_decimals(b"9007199254740993\n", 1) is None


def test_says_what_judge_says_of_random_bytes(tmp_path):
    drawn = np.random.default_rng(0)
    alphabet = np.frombuffer(b"0000111222555....       \n\n\r\t-e#,\xff\x00", np.uint8)
    assert_as_judged(tmp_path, [drawn.choice(alphabet, drawn.integers(0, 40)).tobytes() for _ in range(3000)])


def test_key_points_are_cut_off_and_counted(tmp_path):
    pose = b"0 .5 .5 .2 .2 .5 .5 2 .6 .6 2\n"
    assert_as_judged(tmp_path, [pose, b"0 .5 .5 .2 .2\n", b"0 .1 .1 .2 .2 .3 .3\n"], pose_columns=11)
    labels = read_labels(Files.of([tmp_path / f"{at}.txt" for at in range(3)]), 3, 11)

    assert (1, 1, 3) == (labels.poses, labels.polygons, len(labels.rows))


def test_files_are_read_over_the_bounds_of_chunks(tmp_path):
    (tmp_path / "a.txt").write_text("0 .5 .5 .5 .5\n1 .5 .5 .5 .5\n")
    (tmp_path / "b.txt").write_text("0 .5 .5 .5 .5\n9 .5 .5 .5 .5\n")
    files = Files.of([tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "none.txt"] * CHUNK)
    labels = read_labels(files, 3)

    assert list(range(1, 3 * CHUNK, 3)) == list(labels.reasons)
    assert np.repeat(np.arange(0, 3 * CHUNK, 3), 2).tolist() == labels.file.tolist()
    assert 4 * CHUNK == labels.written


def test_a_file_longer_than_a_block_is_read_whole(tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"0 0.5 0.5 0.5 {number / 10000:.4f}\n" for number in range(9999)))

    assert 9999 == len(read_labels(Files.of([tmp_path / "a.txt"]), 1).rows)


@pytest.mark.skipif(os.name == "nt", reason="no named pipes")
def test_a_pipe_without_a_writer_is_empty_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    done = threading.Thread(target=read_labels, args=(Files.of([tmp_path / "a.txt"]), 1), daemon=True)
    done.start()
    done.join(5)

    assert not done.is_alive()
