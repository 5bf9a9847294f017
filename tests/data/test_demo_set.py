from __future__ import annotations

import cv2
import numpy as np
import pytest

from lwyolo.data import sketch
from lwyolo.data.demo import NAMES, draw_scene, make_demo
from lwyolo.data.index import read_data_yaml
from lwyolo.data.summary import describe
from lwyolo.errors import UsageError


def test_the_same_seed_draws_the_same_set(tmp_path):
    folders = [
        make_demo(tmp_path / name, images=12, size=96, seed=seed).parent
        for name, seed in (("first", 1), ("second", 1), ("other", 2))
    ]
    pixels = [[cv2.imread(str(file)).tobytes() for file in sorted(f.rglob("*.jpg"))] for f in folders]
    labels = [[file.read_bytes() for file in sorted(f.rglob("*.txt"))] for f in folders]

    assert pixels[0] == pixels[1] != pixels[2]
    assert labels[0] == labels[1] != labels[2]


def test_six_classes_in_two_samples_and_70_20_10(tmp_path):
    record = describe(make_demo(tmp_path / "demo", images=60, size=96))

    assert NAMES == record.names
    assert {"pin": (0, 1, 2), "insulator": (3, 4, 5)} == read_data_yaml(tmp_path / "demo/data.yaml").samples
    assert {"train": 42, "val": 6, "test": 12} == {s.split: s.images for s in record.splits}
    assert all(sum(c.instances for c in record.classes if c.cls_id == cls) > 0 for cls in NAMES)
    assert 0 < sum(s.background for s in record.splits) < 30
    assert () == record.problems
    assert record.rows_written == record.instances_trained


def test_objects_are_large_enough_to_learn_in_a_few_epochs():
    scenes = [draw_scene(np.random.default_rng([7, number]), 640)[1] for number in range(30)]
    sides = np.array([max(box[2:]) * 640 for boxes in scenes for _, box in boxes])

    assert 48 <= sides.min()
    assert sides.max() <= 240


@pytest.mark.parametrize("angle", [0, 30, 90])
def test_a_box_is_that_of_the_pixels_that_changed(angle):
    before = np.full((200, 200, 3), 90, np.uint8)
    picture = before.copy()
    patch = sketch.insulator(np.random.default_rng(0), "burn", 160)
    left, top, right, bottom = sketch.paste(picture, patch, (60, 110), 0.5, angle)
    rows, columns = np.nonzero((picture != before).any(axis=2))

    assert (
        np.abs(
            np.array([left, top, right, bottom]) - [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        ).max()
        <= 2
    )


def test_a_patch_outside_the_picture_has_no_box():
    picture = np.zeros((50, 50, 3), np.uint8)
    patch = sketch.pin(np.random.default_rng(0), None, 20)

    assert [0, 0, 0, 0] == sketch.paste(picture, patch, (200.0, 25.0), 0.5, 0).tolist()
    assert not picture.any()


@pytest.mark.parametrize(("images", "size"), [(3, 640), (10, 32)])
def test_too_little_to_draw_is_refused(tmp_path, images, size):
    with pytest.raises(UsageError) as error:
        make_demo(tmp_path / "demo", images=images, size=size)

    assert f"{images} images of {size} pixels: the demo set needs at least 10 images of 64 pixels." == str(error.value)
    assert [] == list(tmp_path.iterdir())
