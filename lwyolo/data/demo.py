"""The demo set: power-line pins and insulators, drawn by a program, with six classes and exact boxes.

It stands in for inspection photographs that cannot be given away: real enough for every command to have work to do,
small enough to train on a CPU in minutes. It proves nothing about real images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from tqdm import tqdm

from lwyolo.data import sketch
from lwyolo.data.folder import new_folder
from lwyolo.data.formats.yolo import format_row
from lwyolo.data.instances import Box
from lwyolo.errors import UsageError

NAMES = {0: "defect", 1: "rust", 2: "uninstalled", 3: "burn", 4: "defect", 5: "dirty"}
SAMPLES = {"pin": [0, 1, 2], "insulator": [3, 4, 5]}
SHARES = {"train": 0.7, "test": 0.2, "val": 0.1}
BACKGROUND_SHARE = 0.06
HEALTHY_SHARE = 0.05
PIN_SIDE = (0.12, 0.25)
STRING_LENGTH = (0.22, 0.36)
OVERSAMPLE = 2


def make_demo(out: Path, *, images: int = 120, size: int = 640, seed: int = 0) -> Path:
    """Draw the demo set.

    Args:
        out: The folder to write; it must not exist, or be empty.
        images: How many images, over all splits.
        size: Side of each image in pixels.
        seed: The same seed draws the same set.

    Returns:
        The data YAML.

    Raises:
        UsageError: `out` is not empty, or there are too few images for three splits.
    """
    if images < 10 or size < 64:
        raise UsageError(f"{images} images of {size} pixels: the demo set needs at least 10 images of 64 pixels.")
    with new_folder(out) as folder:
        _draw_all(folder, images, size, seed)
        paths = {split: f"images/{split}" for split in ("train", "val", "test")}
        text = yaml.safe_dump({**paths, "names": NAMES, "samples": SAMPLES}, sort_keys=False)
        (folder / "data.yaml").write_text(text, encoding="utf-8")
    return out / "data.yaml"


def _draw_all(folder: Path, images: int, size: int, seed: int) -> None:
    import cv2

    for number, split in enumerate(tqdm(list(_splits(images)), desc="Drawing", unit="img", delay=1, leave=False)):
        picture, objects = draw_scene(np.random.default_rng([seed, number]), size)
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        (folder / "images" / split / f"{number:05d}.jpg").write_bytes(jpeg.tobytes())
        text = "".join(format_row(cls, box) for cls, box in objects)
        (folder / "labels" / split / f"{number:05d}.txt").write_text(text, encoding="utf-8")


def _splits(images: int) -> Iterator[str]:
    """Yield the split of each image, 70/20/10, spread evenly so that every split sees every kind of scene."""
    done = dict.fromkeys(SHARES, 0)
    for number in range(1, images + 1):
        split = max(SHARES, key=lambda name: SHARES[name] * number - done[name])
        done[split] += 1
        yield split


@dataclass(frozen=True, slots=True)
class _Placed:
    """An object to draw; `cls` is `None` for a healthy one, which has no label. Lengths in pixels, angle in degrees."""

    is_pin: bool
    cls: int | None
    centre: tuple[float, float]
    length: float
    angle: float


def draw_scene(rng: np.random.Generator, size: int) -> tuple[sketch.Image, list[tuple[int, Box]]]:
    """Draw one image and return it with its objects: class and box (centre x, y, width, height; normalised).

    Shapes:
        returns: [size, size, 3] BGR
    """
    picture = sketch.landscape(rng, size)
    if rng.random() < 0.8:
        sketch.tower(picture, rng)
    placed = [] if rng.random() < BACKGROUND_SHARE else _arrange(rng, size)
    _hang(picture, rng, placed)
    boxes: list[tuple[int, Box]] = []
    for item in placed:
        fault = None if item.cls is None else NAMES[item.cls]
        draw = sketch.pin if item.is_pin else sketch.insulator
        patch = draw(rng, fault, int(item.length * OVERSAMPLE))
        left, top, right, bottom = sketch.paste(picture, patch, item.centre, 1 / OVERSAMPLE, item.angle) / size
        if item.cls is not None and right > left:
            boxes.append((item.cls, ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)))
    return sketch.photograph(picture, rng), boxes


def _arrange(rng: np.random.Generator, size: int) -> list[_Placed]:
    """Choose two to six objects that do not touch."""
    zoom = rng.uniform(0.8, 1.25)
    placed: list[_Placed] = []
    wanted = int(rng.integers(2, 7))
    for _ in range(12 * wanted):
        is_pin = bool(rng.random() < 0.5)
        low, high = PIN_SIDE if is_pin else STRING_LENGTH
        length = size * float(np.clip(zoom * rng.uniform(low, high), low, high))
        x, y = rng.uniform(0.4 * length, size - 0.4 * length, 2)
        if all(np.hypot(x - o.centre[0], y - o.centre[1]) > 0.55 * (length + o.length) for o in placed):
            cls = None if rng.random() < HEALTHY_SHARE else int(rng.integers(3)) + (0 if is_pin else 3)
            placed.append(_Placed(is_pin, cls, (float(x), float(y)), length, float(rng.uniform(0, 360))))
        if len(placed) == wanted:
            break
    return placed


def _hang(picture: sketch.Image, rng: np.random.Generator, placed: list[_Placed]) -> None:
    """Draw what the objects hang on, behind all of them: a conductor through a string, a steel member under a pin."""
    import cv2

    size = len(picture)
    for item in placed:
        middle, turn = np.array(item.centre), np.radians(item.angle)
        along = np.array([np.cos(turn), np.sin(turn)])
        if item.is_pin:
            start, end = middle - along * item.length * rng.uniform(0.7, 1.2), middle + along * 1.5 * size
            sketch.beam(picture, start, end, 1.1 * item.length, rng.uniform(0.7, 1.0))
        else:
            ends = [np.rint(middle + along * far * size).astype(int).tolist() for far in (-1.5, 1.5)]
            cv2.line(picture, ends[0], ends[1], (62.0, 62.0, 64.0), max(1, size // 240), cv2.LINE_AA)
