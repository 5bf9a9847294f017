"""What stands around a forward pass in a deployment: the image before it, the boxes after it."""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

FRAME = (1080, 1920)
"""Height and width of the image that preprocessing starts from: a camera's full HD frame."""
COLOURS = "RGB"
PADDING = 114
CONF, IOU, MAX_DET = 0.25, 0.7, 300
"""Thresholds and limit of Ultralytics' own prediction."""

Array = NDArray[Any]


def frame(seed: int = 0) -> Array:
    """Return a frame [H, W, 3] of smooth noise, BGR as a camera's."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, FRAME[::-1], interpolation=cv2.INTER_CUBIC))


def preprocess(images: list[Array], size: tuple[int, int], channels: int = 3) -> Array:
    """Letterbox frames, turn BGR into RGB, and scale to 0 to 1; other numbers of channels repeat these three.

    Shapes:
        images: [H, W, 3] each
        returns: [B, channels, size[0], size[1]], float32
    """
    batch = np.stack([letterbox(image, size) for image in images])[..., ::-1].transpose(0, 3, 1, 2)
    if channels != len(COLOURS):
        batch = batch[:, np.arange(channels) % len(COLOURS)]
    return np.asarray(np.ascontiguousarray(batch, dtype=np.float32) / np.float32(255))


def letterbox(image: Array, size: tuple[int, int]) -> Array:
    """Resize an image into `size` with its own proportions, centred on grey."""
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = round(image.shape[0] * scale), round(image.shape[1] * scale)
    if (height, width) != image.shape[:2]:
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))
    top, left = round((size[0] - height) / 2 - 0.1), round((size[1] - width) / 2 - 0.1)
    edges = (top, size[0] - height - top, left, size[1] - width - left)
    return np.asarray(cv2.copyMakeBorder(image, *edges, cv2.BORDER_CONSTANT, value=(PADDING,) * 3))


def postprocess(output: Array, n_classes: int, end_to_end: bool) -> tuple[int, int]:
    """Turn the first output of a detector into boxes; return candidates above the confidence, and boxes that are left.

    Shapes:
        output: [B, 4 + classes, anchors], or [B, boxes, 6] from a head that needs no suppression
    """
    prediction = torch.from_numpy(np.ascontiguousarray(output))
    if end_to_end:
        kept = int((prediction[..., 4] > CONF).sum())
        return kept, kept
    candidates = int((prediction[:, 4 : 4 + n_classes].amax(1) > CONF).sum())
    boxes = _suppression()(prediction, conf_thres=CONF, iou_thres=IOU, max_det=MAX_DET, nc=n_classes)
    return candidates, sum(len(one) for one in boxes)


def suppression_path() -> str:
    """Say which code suppresses boxes: Ultralytics takes torchvision's only where something has imported it."""
    return "torchvision" if "torchvision" in sys.modules else "Python loop"


def _suppression() -> Any:
    try:
        from ultralytics.utils.nms import non_max_suppression
    except ImportError:  # before 8.3.200 it stood in ops
        from ultralytics.utils.ops import non_max_suppression
    return non_max_suppression
