import numpy as np
import pytest

from lwyolo.speed.parity import agreement, probe


def grid(*boxes):
    """Boxes as [1, 4 + 2 classes, N]: centre, width, height, two scores."""
    return np.array(boxes, dtype=np.float32).T[None]


def rows(*boxes):
    """Boxes as [1, N, 6]: corners, score, class."""
    return np.array([boxes], dtype=np.float32)


GRID = grid((50, 50, 100, 20, 0.9, 0.1), (10, 10, 4, 4, 0.2, 0.8))
ROWS = rows((0, 0, 100, 50, 0.9, 1), (20, 20, 40, 60, 0.6, 0), (5, 5, 15, 15, 0.3, 1))


@pytest.mark.parametrize("reference", [GRID, ROWS])
def test_outputs_agree_with_themselves(reference):
    found = agreement([reference], [reference.copy()])

    assert (True, 0.0, 0.0) == (found.ok, found.max_box_px, found.max_score)


@pytest.mark.parametrize(("shift", "ok"), [(0.09, True), (0.11, False)])
def test_a_box_may_differ_by_a_thousandth_of_its_longer_side(shift, ok):
    other = GRID.copy()
    other[0, 0, 0] += shift  # of a box 100 px wide

    found = agreement([GRID], [other])

    assert ok == found.ok
    assert shift == pytest.approx(found.max_box_px, abs=1e-4)


def test_a_small_box_is_held_to_its_own_size():
    other = GRID.copy()
    other[0, 0, 1] += 0.09  # of a box 4 px wide

    assert "1 boxes and the scores of 0, of 2, differ" in agreement([GRID], [other]).reason


@pytest.mark.parametrize(("shift", "ok"), [(0.0008, True), (0.001, False)])
def test_a_score_may_differ_by_a_thousandth_of_the_highest(shift, ok):
    other = GRID.copy()
    other[0, 5, 1] += shift  # the highest is 0.9

    assert ok == agreement([GRID], [other]).ok


def test_low_scores_are_held_to_a_millionth():
    low = grid((50, 50, 100, 20, 2e-5, 1e-5))
    other = grid((50, 50, 100, 20, 1e-5, 2e-5))

    assert not agreement([low], [other]).ok


def test_rows_of_nearly_the_same_score_may_change_places():
    near = rows((0, 0, 100, 50, 0.6002, 1), (20, 20, 40, 60, 0.6, 1), (5, 5, 15, 15, 0.3, 0))

    assert agreement([near], [near[:, [1, 0, 2]]]).ok


def test_the_lowest_row_may_be_another_box():
    other = ROWS.copy()
    other[0, 2] = (70, 70, 90, 90, 0.3, 0)

    assert agreement([ROWS], [other]).ok


def test_a_row_that_is_not_the_lowest_may_not():
    other = ROWS.copy()
    other[0, 1] = (70, 70, 90, 90, 0.6, 0)

    found = agreement([ROWS], [other])

    assert (False, "1 boxes and the scores of 0, of 3, differ") == (found.ok, found.reason[:41])


def test_a_row_of_another_class_has_no_partner():
    other = ROWS.copy()
    other[0, 0, 5] = 0

    assert not agreement([ROWS], [other]).ok


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (GRID[:, :5], "the shape is [1, 5, 2] instead of [1, 6, 2]"),
        (np.full_like(GRID, np.nan), "12 values are not finite"),
    ],
)
def test_what_cannot_be_compared_is_told(other, reason):
    found = agreement([GRID], [other])

    assert (False, None, reason) == (found.ok, found.max_box_px, found.reason)


def test_half_precision_may_differ_more_and_int8_by_anything():
    other = GRID.copy()
    other[0, 0, 0] += 2  # 2 % of the side

    assert [False, True, True] == [agreement([GRID], [other], p).ok for p in ("fp32", "fp16", "int8")]


def test_a_probe_is_an_image_of_8_bits_that_varies_at_every_size():
    image = probe((2, 3, 64, 96), seed=1)

    assert ((2, 3, 64, 96), np.float32) == (image.shape, image.dtype)
    assert np.allclose(np.rint(image * 255), image * 255, atol=1e-4)
    blocks = image.reshape(2, 3, 4, 16, 6, 16).mean(axis=(3, 5))  # white noise would be flat here: 0.29 / 16 = 0.018
    assert blocks.std() > 0.05


def test_a_probe_depends_on_its_seed_alone():
    assert np.array_equal(probe((1, 3, 32, 32), 4), probe((1, 3, 32, 32), 4))
    assert not np.array_equal(probe((1, 3, 32, 32), 4), probe((1, 3, 32, 32), 5))
