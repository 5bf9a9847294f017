from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwyolo.data.files import Files, as_files

name = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=5)


@given(names=st.lists(name, max_size=20), at=st.integers(-25, 25), start=st.integers(-25, 25))
def test_is_the_sequence_of_its_paths(names, at, start):
    paths = [Path("images") / each for each in names]
    files = Files.of(names and paths)

    assert paths == list(files)
    assert len(paths) == len(files)
    assert paths[start:at] == list(files[start:at])
    assert paths[::2] == list(files[::2])
    if -len(paths) <= at < len(paths):
        assert paths[at] == files[at]
    else:
        with pytest.raises(IndexError):
            files[at]


@given(names=st.lists(name, max_size=20), cut=st.integers(0, 20))
def test_parts_that_are_joined_are_the_whole(names, cut):
    whole = Files.of(names)

    assert whole == Files.joined([whole[:cut], whole[cut:]])
    assert whole == Files.joined([Files.of([]), whole, Files.of([])])


@given(names=st.lists(name, max_size=20))
def test_are_sorted_as_text_is(names):
    files = Files.of(names).in_order()

    assert sorted(names) == [os.fsdecode(path) for path in files.raw(0, len(files))]


def test_bytes_that_are_no_text_come_back(tmp_path):
    assert [b"images/\xff.jpg"] == Files.of([b"images/\xff.jpg"]).raw(0, 1)
    assert Files.of([b"images/\xff.jpg"]) == Files.of(list(Files.of([b"images/\xff.jpg"])))


def test_is_equal_to_any_sequence_of_the_same_paths():
    assert Files.of(["a", "b"]) == (Path("a"), Path("b"))
    assert Files.of(["a", "b"]) != (Path("a"),)
    assert Files.of(["a"]) != 1
    assert as_files(files := Files.of(["a"])) is files


def test_a_hundred_thousand_paths_are_few_objects():
    files = Files.of(f"images/train/{number:06d}.jpg" for number in range(100_000))

    assert "images/train/099999.jpg" == files[-1].as_posix()
    assert sum(sys.getsizeof(getattr(files, slot)) for slot in files.__slots__) < 4_000_000
