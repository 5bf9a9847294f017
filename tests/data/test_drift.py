"""Distances between splits, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwyolo.data.drift import compare_splits, cramers_v, jensen_shannon, kolmogorov_smirnov

counts = st.lists(st.integers(0, 50), min_size=3, max_size=3).map(np.array)


def test_jensen_shannon_of_a_half_and_a_whole():
    # p = (1/2, 1/2), q = (1, 0), middle (3/4, 1/4): 0.811278 - (1 + 0) / 2
    assert 0.311278 == pytest.approx(jensen_shannon(np.array([3, 3]), np.array([8, 0])), abs=1e-6)


def test_jensen_shannon_needs_instances_in_both():
    assert None is jensen_shannon(np.array([3, 3]), np.array([0, 0]))


def test_cramers_v_of_a_table():
    # expected 12 18 / 28 42, χ² = 4 (1/12 + 1/18 + 1/28 + 1/42) = 0.793651, over 100
    assert 0.0890871 == pytest.approx(cramers_v(np.array([[10, 20], [30, 40]])), abs=1e-6)


def test_cramers_v_of_three_splits_is_scaled_by_the_smaller_side():
    assert 1.0 == pytest.approx(cramers_v(np.array([[5, 0, 0], [0, 5, 0], [0, 0, 5]])))


def test_cramers_v_leaves_out_classes_that_no_split_has():
    assert cramers_v(np.array([[10, 20], [30, 40]])) == cramers_v(np.array([[10, 0, 20], [30, 0, 40]]))
    assert None is cramers_v(np.array([[7, 0], [9, 0]]))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3, 4], [3, 4, 5, 6], 0.5),  # at 2: two of four against none
        ([1, 2], [1, 2], 0.0),
        ([1], [2, 3], 1.0),
        ([1, 1, 2], [1, 2, 2], 1 / 3),  # at 1: two of three against one
        ([], [1], None),
    ],
)
def test_kolmogorov_smirnov(first, second, expected):
    assert expected == pytest.approx(kolmogorov_smirnov(np.array(first, float), np.array(second, float)))


@given(first=counts, second=counts)
def test_distances_are_symmetric_and_between_0_and_1(first, second):
    for there, back in (
        (jensen_shannon(first, second), jensen_shannon(second, first)),
        (cramers_v(np.stack([first, second])), cramers_v(np.stack([second, first]))),
    ):
        assert there == pytest.approx(back)
        assert there is None or -1e-9 <= there <= 1 + 1e-9


@given(first=counts, factor=st.integers(2, 5))
def test_a_split_that_is_a_multiple_does_not_differ(first, factor):
    assert not jensen_shannon(first, factor * first)
    assert pytest.approx(0) == (cramers_v(np.stack([first, factor * first])) or 0)


def test_every_pair_of_splits_is_compared_and_few_instances_are_told():
    split = np.repeat([0, 1, 2], [40, 30, 29])
    found = compare_splits(("train", "val", "test"), np.array([[40], [30], [29]]), split, np.ones(99))

    assert [("train", "val", False), ("train", "test", True), ("val", "test", True)] == [
        (one.first, one.second, one.too_few) for one in found
    ]
    assert {0.0} == {one.sizes for one in found}
    assert {None} == {one.cramers_v for one in found}


def test_sides_that_are_unknown_are_left_out():
    sides = np.array([1.0, np.nan, 2.0, np.nan])
    found = compare_splits(("train", "val"), np.array([[2], [2]]), np.array([0, 0, 1, 1]), sides)

    assert 1.0 == found[0].sizes
