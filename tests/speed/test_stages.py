from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ultralytics.data.augment import LetterBox

from lwyolo.speed import stages

SIDES = st.integers(20, 400)


@settings(max_examples=40, deadline=None)
@given(height=SIDES, width=SIDES, size=st.sampled_from([(64, 64), (96, 160), (160, 96)]))
def test_letterboxing_is_ultralytics_own(height, width, size):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = LetterBox(size, auto=False, stride=32)(image=image)

    assert np.array_equal(expected, stages.letterbox(image, size))


def test_a_batch_is_rgb_in_0_to_1_with_channels_first():
    blue = np.zeros((32, 32, 3), np.uint8)
    blue[..., 0] = 255
    batch = stages.preprocess([blue, blue], (32, 32))

    assert ((2, 3, 32, 32), np.float32, True) == (batch.shape, batch.dtype, batch.flags["C_CONTIGUOUS"])
    assert [0, 0, 1] == batch[0, :, 5, 5].tolist()


def test_frames_are_the_same_for_the_same_seed():
    assert (*stages.FRAME, 3) == stages.frame().shape
    assert np.array_equal(stages.frame(1), stages.frame(1))
    assert not np.array_equal(stages.frame(1), stages.frame(2))


def test_boxes_above_the_confidence_are_candidates_and_overlapping_ones_are_suppressed():
    output = np.zeros((1, 4 + 2, 4), np.float32)  # centre, width, height; two classes; four anchors
    output[0, :4] = np.array([[50, 50, 20, 20], [51, 50, 20, 20], [150, 150, 20, 20], [200, 50, 20, 20]]).T
    output[0, 4] = [0.9, 0.8, 0.7, 0.1]

    assert (3, 2) == stages.postprocess(output, 2, end_to_end=False)


def test_a_head_that_needs_no_suppression_is_only_cut_at_the_confidence():
    output = np.zeros((1, 300, 6), np.float32)
    output[0, :5, 4] = 0.5

    assert (5, 5) == stages.postprocess(output, 80, end_to_end=True)


def test_the_code_that_suppresses_boxes_is_named(monkeypatch):
    import torchvision

    assert torchvision is not None
    assert "torchvision" == stages.suppression_path()
    monkeypatch.delitem(stages.sys.modules, "torchvision")
    assert "Python loop" == stages.suppression_path()


@pytest.mark.parametrize("conf", [0.2, 0.3])
def test_the_confidence_is_that_of_ultralytics_prediction(conf):
    from ultralytics.cfg import DEFAULT_CFG

    assert (0.25, DEFAULT_CFG.iou, DEFAULT_CFG.max_det) == (stages.CONF, stages.IOU, stages.MAX_DET)
    output = torch.zeros(1, 6, 1)
    output[0, :5, 0] = torch.tensor([10, 10, 5, 5, conf])
    assert (conf > stages.CONF) == stages.postprocess(output.numpy(), 2, end_to_end=False)[0]
