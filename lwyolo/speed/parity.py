"""Whether a runtime computes what torch computes: decoded boxes and scores, compared box by box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TOLERANCE = {"fp32": 1e-3, "fp16": 3e-2}
"""Largest difference of a box, as a share of its longer side, and of a score, as a share of the highest one.

int8 has none: it differs by what it saves, and whether too much is told by an accuracy.
"""
SMALLEST_SIDE = 1.0
"""Pixels; a shorter box is measured against this."""
SMALLEST_SCORE = 1e-3
"""Where the highest score is lower, differences are measured against this: a sigmoid is computed to about 1e-7."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two sets of decoded outputs lie apart.

    Args:
        max_box_px: Largest difference of a coordinate, in the outputs' unit; `None` where nothing could be compared.
        max_score: Largest difference of a score.
        ok: Whether all boxes and scores lie within the tolerance.
        reason: In words, also where they agree.
    """

    max_box_px: float | None
    max_score: float | None
    ok: bool
    reason: str


@dataclass(slots=True)
class _Found:
    """Largest differences, how many boxes or scores differ by too much, and how many were compared."""

    box: float = 0.0
    score: float = 0.0
    boxes_off: int = 0
    scores_off: int = 0
    compared: int = 0


def probe(shape: tuple[int, int, int, int], seed: int = 0) -> Array:
    """Draw images to compare outputs on: patches of every size over each other, so that no layer sees a flat picture.

    White noise would not do: the deeper a layer, the more of it is averaged away, and a batch norm that was given its
    statistics magnifies what is left, with the rounding in it.

    Args:
        shape: [B, C, H, W]
        seed: Of the draw.

    Shapes:
        returns: [B, C, H, W], float32 in 0 to 1, in steps of 1/255 as an image of 8 bits has them
    """
    drawn, (batch, channels, height, width) = np.random.default_rng(seed), shape
    sides = [side for side in (1, 4, 16, 64, 256) if side <= max(height, width)]
    total = np.zeros(shape)
    for side in sides:
        patches = drawn.random((batch, channels, -(-height // side), -(-width // side)))
        total += patches.repeat(side, axis=2).repeat(side, axis=3)[..., :height, :width]
    return np.asarray(np.rint(total * 255 / len(sides)) / 255, dtype=np.float32)


def agreement(reference: Sequence[Array], outputs: Sequence[Array], precision: str = "fp32") -> Agreement:
    """Compare the first output of a runtime with that of torch, for the same image.

    Boxes are compared where they stand. Rows of a head that needs no suppression come in the order of their scores,
    where two of nearly the same score may change places, and the last ones with some that were left out: each row is
    compared with the nearest of its class among those whose score lies within the tolerance, and one whose own score
    lies within it of the lowest needs no such partner.

    Shapes:
        reference: [B, 4 + classes, anchors], centre, width, height and scores; or [B, boxes, 6], corners, score, class
        outputs: likewise
    """
    expected, found = (np.asarray(arrays[0], dtype=np.float64) for arrays in (reference, outputs))
    if expected.shape != found.shape:
        return Agreement(None, None, False, f"the shape is {list(found.shape)} instead of {list(expected.shape)}")
    if not np.isfinite(found).all():
        return Agreement(None, None, False, f"{np.count_nonzero(~np.isfinite(found))} values are not finite")
    tolerance = TOLERANCE.get(precision, math.inf)
    seen = (_rows if expected.shape[-1] == 6 else _grid)(expected, found, tolerance)
    largest = f"boxes by up to {seen.box:.2g} px, scores by up to {seen.score:.2g}"
    if seen.boxes_off or seen.scores_off:
        off = f"{seen.boxes_off} boxes and the scores of {seen.scores_off}, of {seen.compared}, differ by more than"
        return Agreement(seen.box, seen.score, False, f"{off} {tolerance:g} ({largest})")
    if not seen.compared:
        return Agreement(None, None, False, "no box could be compared: none has a score of its own")
    return Agreement(seen.box, seen.score, True, f"differs from torch: {largest}")


def _grid(expected: Array, found: Array, tolerance: float) -> _Found:
    """Compare boxes anchor by anchor."""
    difference = np.abs(expected - found)
    boxes, scores = difference[:, :4].max(axis=1), difference[:, 4:].max(axis=1)
    sides, highest = np.maximum(expected[:, 2:4].max(axis=1), SMALLEST_SIDE), max(expected[:, 4:].max(), SMALLEST_SCORE)
    boxes_off, scores_off = (boxes > tolerance * sides).sum(), (scores > tolerance * highest).sum()
    return _Found(float(boxes.max()), float(scores.max()), int(boxes_off), int(scores_off), boxes.size)


def _rows(expected: Array, found: Array, tolerance: float) -> _Found:
    """Compare rows image by image, each with its partner."""
    seen = _Found()
    near = tolerance * max(expected[..., 4].max(), SMALLEST_SCORE)
    for one, other in zip(expected, found, strict=True):
        lowest = max(one[:, 4].min(), other[:, 4].min())
        for row in one:
            may_be_left_out = row[4] - lowest <= near
            partners = other[(other[:, 5] == row[5]) & (np.abs(other[:, 4] - row[4]) <= near)]
            if not len(partners):
                seen.scores_off += not may_be_left_out
                continue
            distances = np.abs(partners[:, :4] - row[:4]).max(axis=1)
            nearest, side = distances.argmin(), max(row[2] - row[0], row[3] - row[1], SMALLEST_SIDE)
            if may_be_left_out and distances[nearest] > tolerance * side:
                continue
            seen.compared += 1
            seen.boxes_off += bool(distances[nearest] > tolerance * side)
            seen.box = max(seen.box, float(distances[nearest]))
            seen.score = max(seen.score, float(abs(partners[nearest, 4] - row[4])))
    return seen
