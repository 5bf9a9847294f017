"""mAP by Ultralytics' validator with a process that answers what the test wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lwyolo.data.demo import make_demo
from lwyolo.data.index import image_files, label_file, require_images
from lwyolo.engine.accuracy import accuracy, check_classes
from lwyolo.errors import UsageError
from lwyolo.speed.rounds import Candidate

SIZE = 64


class Oracle:
    """Answers with the boxes of the labels, all moved to the right by so many pixels."""

    def __init__(self, data, batch, shift=0.0, imgsz=(SIZE, SIZE)):
        config = require_images(data)
        self.candidate = Candidate("oracle", "none", Path(), imgsz, batch=batch, end_to_end=True)
        self.labels = [np.loadtxt(label_file(image), ndmin=2) for image in image_files(config, "val")]
        self.shift, self.names, self.shapes = shift, config.names, []

    def ask(self, do, image, to):
        assert "outputs" == do
        images = np.load(image)
        self.shapes.append(images.shape)
        rows = np.zeros((len(images), 300, 6), np.float32)
        for one in rows:
            labels = self.labels.pop(0) if self.labels else np.zeros((0, 5))
            centre, half = labels[:, 1:3] * SIZE, labels[:, 3:5] * SIZE / 2
            top = (images.shape[2] - SIZE) / 2
            moved = np.array([self.shift, top])
            one[: len(labels), :4] = np.hstack([centre - half + moved, centre + half + moved])
            one[: len(labels), 4], one[: len(labels), 5] = 0.9, labels[:, 0]
        np.savez(to, rows)
        return {}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_demo(tmp_path_factory.mktemp("data") / "demo", images=20, size=SIZE)


def test_perfect_boxes_have_a_perfect_map_also_in_a_last_batch_that_is_not_full(data, tmp_path):
    n_images = len(image_files(require_images(data), "val"))
    oracle = Oracle(data, batch=n_images - 1)

    found = accuracy(oracle, tmp_path, oracle.names, 32, data)

    assert (n_images, "data.yaml") == (found.images, found.data)
    assert 0.995 == pytest.approx(found.map50_95, abs=1e-3)  # the highest that interpolation reaches upstream
    assert [(n_images - 1, 3, SIZE, SIZE)] * 2 == oracle.shapes


def test_boxes_far_away_have_none(data, tmp_path):
    oracle = Oracle(data, batch=4, shift=SIZE)

    assert 0.0 == accuracy(oracle, tmp_path, oracle.names, 32, data).map50


def test_images_have_the_height_and_width_of_the_candidate(data, tmp_path):
    oracle = Oracle(data, batch=2, imgsz=(SIZE + 32, SIZE))

    assert 0.995 == pytest.approx(accuracy(oracle, tmp_path, oracle.names, 32, data).map50, abs=1e-3)
    assert {(2, 3, SIZE + 32, SIZE)} == set(oracle.shapes)


def test_a_data_set_of_other_classes_is_refused(data):
    with pytest.raises(UsageError, match=r"data\.yaml: it names 6 classes, and the model predicts 80"):
        check_classes(dict.fromkeys(range(80), "x"), require_images(data))
