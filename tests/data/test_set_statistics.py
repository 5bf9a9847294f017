"""Statistics of data sets; every expected figure is worked out by hand or by a loop."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwyolo.data.instances import InstanceTable, Problem
from lwyolo.data.statistics import (
    CELLS,
    RATIO_EDGES,
    SIDE_EDGES,
    boxes_per_image,
    centres,
    class_weights,
    data_record,
    histogram,
    max_over_min,
    normalised_entropy,
    pixel_statistics,
    plain,
    statistics,
    together,
)


def table_of(*instances, images=3, sizes=(640, 480), **more):
    """Make a table of instances (image, class, x, y, width, height); the last image is in val."""
    rows = np.array([one[2:] for one in instances], np.float64).reshape(-1, 4)
    return InstanceTable(
        **{
            "names": {0: "a", 1: "b", 2: "a"},
            "samples": {"first": (0, 2), "second": (1,)},
            "splits": ("train", "val"),
            "images": tuple(Path(f"{number}.jpg") for number in range(images)),
            "sources": tuple(Path(f"{number}.txt") for number in range(images)),
            "image_split": np.array([0] * (images - 1) + [1]),
            "image": np.array([one[0] for one in instances], np.int64),
            "cls": np.array([one[1] for one in instances], np.int64),
            "boxes": rows,
            "lines": np.arange(1, len(instances) + 1),
            "rows_written": len(instances),
            "sizes": None if sizes is None else np.tile(sizes, (images, 1)),
            **more,
        }
    )


def pixels(cls, width, height, size=(640, 480)):
    return (0, cls, 0.5, 0.5, width / size[0], height / size[1])


def test_sizes_are_half_open_so_that_a_box_counts_once():
    found = pixel_statistics(table_of(pixels(0, 31, 33), pixels(0, 32, 32), pixels(1, 96, 95), pixels(1, 96, 96)), 640)

    assert [[1, 1, 0], [0, 1, 1], [0, 0, 0]] == found.areas.tolist()


def test_sizes_at_the_training_size_shrink_with_the_longer_side():
    found = pixel_statistics(table_of(pixels(0, 96, 96), pixels(1, 192, 192), pixels(2, 40, 40)), 320)  # half of 640

    assert [[0, 1, 0], [0, 0, 1], [1, 0, 0]] == found.areas_at.tolist()


def test_a_box_with_one_side_under_two_pixels_in_training_is_told():
    found = pixel_statistics(table_of(pixels(0, 3.9, 200), pixels(0, 4, 200), pixels(2, 200, 3)), 320)

    assert [1, 0, 1] == found.tiny.tolist()


def test_a_six_decimal_label_does_not_lose_a_limit():
    found = pixel_statistics(table_of((0, 0, 0.5, 0.5, 0.083333, 0.111111), sizes=(1152, 864)), 640)  # 96 x 96

    assert [0, 0, 1] == found.areas[0].tolist()


def test_ratios_are_width_over_height_in_pixels():
    found = pixel_statistics(table_of((0, 0, 0.5, 0.5, 0.3, 0.2), sizes=(640, 480)), 640)  # 192 / 96

    assert [(2.0, 1)] == [(RATIO_EDGES[i], int(found.ratios[i])) for i in np.flatnonzero(found.ratios)]


def test_boxes_without_a_side_have_a_size_but_no_ratio():
    found = pixel_statistics(table_of(pixels(0, 0, 50), pixels(0, 50, 50)), 640)

    assert (1, 1, [1, 1, 0], [1, 0, 0]) == (
        found.flat,
        found.ratios.sum(),
        found.areas[0].tolist(),
        found.tiny.tolist(),
    )


def test_an_image_whose_size_is_unknown_is_in_no_figure_of_pixels():
    table = table_of(pixels(0, 50, 50), (1, 0, 0.5, 0.5, 0.1, 0.1))
    table = replace(table, sizes=np.array([[640, 480], [0, 0], [640, 480]]))

    found = pixel_statistics(table, 640)

    assert (1, 1, 1) == (found.areas.sum(), found.sides.sum(), found.ratios.sum())
    assert statistics(table).drift[0].sizes is None


def test_what_lies_beyond_the_edges_is_in_the_end_bins():
    edges = np.array([1.0, 2.0, 4.0, 8.0])

    assert [2, 1, 2] == histogram(np.array([0.1, 1.9, 2.0, 4.0, 99.0]), edges).tolist()
    assert all(low < high for low, high in pairwise(SIDE_EDGES))
    assert {32.0, 1.0} <= set(SIDE_EDGES)


def test_boxes_of_each_image_are_counted_by_split_without_dropped_images():
    table = table_of((0, 0, 0.5, 0.5, 0.1, 0.1), (0, 1, 0.5, 0.5, 0.1, 0.1), (3, 0, 0.5, 0.5, 0.1, 0.1), images=4)
    table = replace(table, problems=(Problem(1, Path("1.txt"), "broken"),))

    assert [[1, 0, 1], [0, 1, 0]] == boxes_per_image(table).tolist()  # image 1 is dropped, image 2 a background


def test_centres_are_counted_by_row_from_the_top():
    found = centres(table_of((0, 1, 0.99, 0.01, 0.1, 0.1), (0, 1, 1.01, 0.0, 0.1, 0.1), (0, 2, 0.0, 1.0, 0.1, 0.1)))

    assert [(1, 0, CELLS - 1, 2), (2, CELLS - 1, 0, 1)] == [
        (*map(int, place), int(found[tuple(place)])) for place in np.argwhere(found)
    ]


def test_classes_of_one_image_stand_together_once():
    boxes = [
        (image, cls, 0.5, 0.5, 0.1, 0.1) for image, cls in [(0, 0), (0, 1), (0, 0), (1, 0), (2, 2), (2, 1), (2, 0)]
    ]

    assert [[3, 2, 1], [2, 2, 1], [1, 1, 1]] == together(table_of(*boxes)).tolist()


@given(pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=20))
def test_classes_together_are_those_that_a_loop_finds(pairs):
    found = together(table_of(*((image, cls, 0.5, 0.5, 0.1, 0.1) for image, cls in pairs), images=5))
    held = [{cls for image, cls in pairs if image == number} for number in range(5)]

    assert [[sum({a, b} <= one for one in held) for b in range(3)] for a in range(3)] == found.tolist()


def test_imbalance_of_a_known_set():
    counts = np.array([6, 0, 2])

    assert 3.0 == max_over_min(counts)
    # shares 3/4 and 1/4: 0.811278 bits of log2(3) = 1.584963
    assert 0.511859 == pytest.approx(normalised_entropy(counts), abs=1e-6)
    assert (None, None, None) == (
        max_over_min(counts * 0),
        normalised_entropy(counts * 0),
        class_weights(counts * 0, 1),
    )
    assert 0.0 == normalised_entropy(np.array([5, 0]))


def test_a_class_without_instances_has_the_mean_weight():
    # 1/2, 1/8 and their mean 5/16; their mean is 5/16 again
    assert [1.6, 1.0, 0.4] == pytest.approx(class_weights(np.array([2, 0, 8]), 1.0).tolist())
    # 1/√4, 1/√16: 1/2 and 1/4 over 3/8
    assert [4 / 3, 2 / 3] == pytest.approx(class_weights(np.array([4, 16]), 0.5).tolist())


@given(
    counts=st.lists(st.integers(0, 5000), min_size=1, max_size=9).filter(any), power=st.sampled_from([0.25, 0.5, 1.0])
)
def test_weights_are_those_of_the_installed_ultralytics(counts, power):
    from ultralytics.models.yolo.detect import DetectionTrainer

    if not hasattr(DetectionTrainer, "compute_class_weights"):
        pytest.skip("this Ultralytics has no method that computes cls_pw alone")
    trainer = SimpleNamespace(args=SimpleNamespace(cls_pw=power))
    weights = DetectionTrainer.compute_class_weights(trainer, np.array(counts, np.float32))

    assert (weights / weights.mean()).tolist() == pytest.approx(
        class_weights(np.array(counts), power).tolist(), rel=1e-5
    )


def test_a_set_is_counted_by_split_and_class():
    found = statistics(table_of((0, 0, 0.5, 0.5, 0.1, 0.1), (0, 0, 0.3, 0.5, 0.1, 0.1), (2, 1, 0.5, 0.5, 0.1, 0.1)))

    assert ([[2, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]]) == (found.instances.tolist(), found.images.tolist())
    assert ("train", [2, 0, 0]) == (found.weighed[0], found.weighed[1].tolist())
    assert [("train", "val", (2, 1), True)] == [(d.first, d.second, d.instances, d.too_few) for d in found.drift]


def test_without_sizes_there_is_nothing_in_pixels():
    found = statistics(table_of((0, 0, 0.5, 0.5, 0.1, 0.1), (2, 0, 0.5, 0.5, 0.2, 0.2), sizes=None))

    assert found.pixels is None
    assert 1.0 == found.drift[0].sizes


def test_an_empty_set_has_figures():
    found = statistics(table_of())

    assert (0, 0, 3) == (found.instances.sum(), found.together.sum(), found.per_image.sum())
    assert (0, None) == (found.pixels.areas.sum(), found.drift[0].jensen_shannon)


def test_figures_are_plain_json():
    import json

    content = json.loads(json.dumps(plain(statistics(table_of((0, 0, 0.5, 0.5, 0.1, 0.1)))), allow_nan=False))

    assert [[1, 0, 0], [0, 0, 0]] == content["instances"]
    assert {"0": "a", "1": "b", "2": "a"} == content["names"]
    assert "too_few" not in content["drift"][0]


def test_a_record_of_a_table_holds_its_counts():
    record = data_record(table_of((0, 0, 0.5, 0.5, 0.1, 0.1)), "set")

    assert ("set", "", 1, 1) == (record.yaml, record.fingerprint, record.rows_written, record.instances_trained)
    assert 1 == sum(count.instances for count in record.classes)


@pytest.mark.slow
def test_a_million_boxes_take_seconds():
    from time import perf_counter

    rng, number = np.random.default_rng(0), 1_000_000
    table = table_of(
        images=170_000,
        names={cls: str(cls) for cls in range(80)},
        samples={str(cls): (cls,) for cls in range(80)},
        image=np.sort(rng.integers(0, 170_000, number)),
        cls=rng.integers(0, 80, number),
        boxes=rng.uniform(0.05, 0.4, (number, 4)),
        lines=np.ones(number, np.int64),
    )
    start = perf_counter()
    found = statistics(table)

    assert 8 > perf_counter() - start
    assert number == found.instances.sum()
