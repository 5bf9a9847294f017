"""The demo set: power-line pins and insulators, drawn by a program, with six classes and exact boxes.

It stands in for inspection photographs that cannot be given away: real enough for every command to have work to do,
small enough to train on a CPU in minutes. It proves nothing about real images.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from lwyolo.data.formats.yolo import format_row
from lwyolo.errors import UsageError

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]

NAMES = {0: "defect", 1: "rust", 2: "uninstalled", 3: "burn", 4: "defect", 5: "dirty"}
SAMPLES = {"pin": [0, 1, 2], "insulator": [3, 4, 5]}
SHARES = {"train": 0.7, "test": 0.2, "val": 0.1}
BACKGROUND_SHARE = 0.06
OVERSAMPLE = 2


def make_demo(out: Path, *, images: int = 160, size: int = 640, seed: int = 0) -> Path:
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
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: exists and is not empty; choose another folder.")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        _draw_all(temporary, images, size, seed)
        content = {**{split: f"images/{split}" for split in ("train", "val", "test")}, "names": NAMES, "samples": SAMPLES}
        (temporary / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        temporary.chmod(0o755)
        if out.exists():
            out.rmdir()
        temporary.rename(out)
    except BaseException:
        shutil.rmtree(temporary)
        raise
    return out / "data.yaml"


def _draw_all(folder: Path, images: int, size: int, seed: int) -> None:
    import cv2

    for number, split in enumerate(tqdm(list(_splits(images)), desc="Drawing", unit="img", delay=1, leave=False)):
        picture, objects = draw_scene(np.random.default_rng([seed, number]), size)
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / split / f"{number:05d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        text = "".join(format_row(cls, np.array(box)) + "\n" for cls, box in objects)
        (folder / "labels" / split / f"{number:05d}.txt").write_text(text, encoding="utf-8")


def _splits(images: int) -> Iterator[str]:
    """Yield the split of each image, 70/20/10, spread evenly so that every split sees every kind of scene."""
    done = dict.fromkeys(SHARES, 0)
    for number in range(1, images + 1):
        split = max(SHARES, key=lambda name: SHARES[name] * number - done[name])
        done[split] += 1
        yield split


def draw_scene(rng: np.random.Generator, size: int) -> tuple[Image, list[tuple[int, Box]]]:
    """Draw one image and return it with its objects: class and box (centre x, y, width, height; normalised).

    Shapes:
        returns: [size, size, 3] BGR
    """
    import cv2

    side = size * OVERSAMPLE
    picture = _background(rng, side)
    boxes: list[tuple[int, Box]] = []
    if rng.random() >= BACKGROUND_SHARE:
        cells = [(x, y) for x in range(2) for y in range(2)]
        rng.shuffle(cells)
        for column, row in cells[: rng.integers(1, 5)]:
            draw, cls = (_draw_insulator, int(rng.integers(3, 6))) if rng.random() < 0.5 else (_draw_pin, int(rng.integers(0, 3)))
            centre = ((np.array([column, row]) + rng.uniform(0.42, 0.58, 2)) * side / 2).astype(float)
            boxes.append((cls, draw(picture, rng, cls, centre, side * rng.uniform(0.13, 0.21))))
    picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return _photograph(picture, rng), [(cls, _normalised(box, side)) for cls, box in boxes]


def _normalised(edges: Box, side: int) -> Box:
    left, top, right, bottom = np.clip(np.array(edges) / side, 0, 1)
    return float((left + right) / 2), float((top + bottom) / 2), float(right - left), float(bottom - top)


def _background(rng: np.random.Generator, side: int) -> Image:
    """Sky over terrain, a lattice tower and conductors."""
    import cv2

    sky = np.array([rng.uniform(190, 245), rng.uniform(170, 220), rng.uniform(140, 205)])
    ground = np.array([rng.uniform(40, 90), rng.uniform(80, 140), rng.uniform(60, 120)])
    horizon = rng.uniform(0.45, 1.2)
    t = np.clip((np.linspace(0, 1, side) - horizon) / 0.12 + 0.5, 0, 1)[:, None, None]
    picture = np.broadcast_to(sky * (1 - t) + ground * t, (side, side, 3)).copy()
    coarse = rng.normal(0, 1, (24, 24, 1)).astype(np.float32)
    picture += cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)[:, :, None] * (6 + 14 * t)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    steel = tuple(float(v) for v in rng.uniform(90, 150) + rng.uniform(-8, 8, 3))
    base, lean, thick = rng.uniform(0.1, 0.9) * side, rng.uniform(0.05, 0.18) * side, max(2, side // 220)
    steps = np.linspace(0, side, 9).astype(int)
    for top, bottom in zip(steps[:-1], steps[1:], strict=True):
        widths = lean * (0.4 + 0.6 * np.array([top, bottom]) / side)
        left, right = (base - widths).astype(int), (base + widths).astype(int)
        for a, b in (((left[0], top), (right[1], bottom)), ((right[0], top), (left[1], bottom)),
                     ((left[0], top), (left[1], bottom)), ((right[0], top), (right[1], bottom))):
            cv2.line(picture, _point(a), _point(b), steel, thick, cv2.LINE_AA)
    for _ in range(rng.integers(1, 4)):
        y0, y1 = rng.uniform(0, side, 2)
        cv2.line(picture, (0, int(y0)), (side, int(y1)), (60.0, 60.0, 62.0), thick, cv2.LINE_AA)
    return picture


def _point(point: Any) -> tuple[int, int]:
    return int(point[0]), int(point[1])


def _placed(picture: Image, rng: np.random.Generator, centre: NDArray[Any]) -> tuple[Callable[[float, float], tuple[int, int]], float]:
    """Return the map from an object's own axes to the picture, and the angle in degrees."""
    angle = float(rng.uniform(0, 360))
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return (lambda x, y: (int(centre[0] + c * x - s * y), int(centre[1] + s * x + c * y))), angle


def _edges(points: list[tuple[int, int]], margin: float) -> Box:
    x, y = np.array(points).T
    return float(x.min() - margin), float(y.min() - margin), float(x.max() + margin), float(y.max() + margin)


def _draw_insulator(picture: Image, rng: np.random.Generator, cls: int, centre: NDArray[Any], length: float) -> Box:
    """A string of discs. burn: scorched over several discs; defect: one disc gone; dirty: a brown crust."""
    import cv2

    place, angle = _placed(picture, rng, centre)
    discs = int(rng.integers(7, 10))
    radius = length * rng.uniform(0.36, 0.44)
    porcelain = np.array([[200.0, 120.0, 60.0], [225.0, 225.0, 215.0], [60.0, 90.0, 160.0]][rng.integers(3)])
    positions = np.linspace(-length, length, discs)
    gone = int(rng.integers(2, discs - 2)) if cls == 4 else -1
    scorched = set(range(s := int(rng.integers(1, discs - 3)), s + 3)) if cls == 3 else set()
    cv2.line(picture, place(-length * 1.15, 0), place(length * 1.15, 0), (70.0, 70.0, 70.0), max(3, int(radius / 4)), cv2.LINE_AA)
    for number, x in enumerate(positions):
        if number == gone:
            continue
        shade = porcelain * rng.uniform(0.92, 1.05)
        if number in scorched:
            shade = np.array([18.0, 18.0, 24.0])
        elif cls == 5:
            shade = 0.25 * shade + 0.75 * np.array([45.0, 85.0, 120.0])
        axes = (max(2, int(length / discs * 0.8)), int(radius))
        colour = tuple(float(v) for v in np.clip(shade, 0, 255))
        cv2.ellipse(picture, place(float(x), 0), axes, angle, 0, 360, colour, -1, cv2.LINE_AA)
        rim = tuple(float(v) for v in np.clip(shade * 0.6, 0, 255))
        cv2.ellipse(picture, place(float(x), 0), axes, angle, 0, 360, rim, max(1, int(radius / 22)), cv2.LINE_AA)
        if cls == 5:
            for _ in range(6):
                spot = place(float(x) + rng.uniform(-0.5, 0.5) * axes[0], rng.uniform(-0.8, 0.8) * radius)
                cv2.circle(picture, spot, max(1, int(radius / 14)), (28.0, 50.0, 72.0), -1, cv2.LINE_AA)
    corners = [place(x, y) for x in (-length * 1.12, length * 1.12) for y in (-radius, radius)]
    return _edges(corners, 0)


def _draw_pin(picture: Image, rng: np.random.Generator, cls: int, centre: NDArray[Any], length: float) -> Box:
    """A bolt with its split pin on a plate. defect: the pin bent and half out; rust: orange; uninstalled: a bare hole."""
    import cv2

    place, _ = _placed(picture, rng, centre)
    r = length * 0.55
    steel = np.array([165.0, 165.0, 160.0]) * rng.uniform(0.85, 1.1)
    rust = np.array([30.0, 85.0, 185.0])
    body = 0.15 * steel + 0.85 * rust if cls == 1 else steel
    plate = np.array([place(x * r * 1.5, y * r * 1.5) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))], dtype=np.int32)
    cv2.fillPoly(picture, [plate], (120.0, 122.0, 124.0), cv2.LINE_AA)
    cv2.polylines(picture, [plate], True, (75.0, 75.0, 78.0), max(2, int(r / 14)), cv2.LINE_AA)
    nut = np.array([place(r * np.cos(a), r * np.sin(a)) for a in np.arange(6) * np.pi / 3], dtype=np.int32)
    cv2.fillPoly(picture, [nut], tuple(float(v) for v in np.clip(body, 0, 255)), cv2.LINE_AA)
    cv2.polylines(picture, [nut], True, tuple(float(v) for v in body * 0.5), max(2, int(r / 10)), cv2.LINE_AA)
    if cls == 1:
        for _ in range(14):
            spot = place(rng.uniform(-0.8, 0.8) * r, rng.uniform(-0.8, 0.8) * r)
            cv2.circle(picture, spot, max(1, int(r * rng.uniform(0.05, 0.14))), (15.0, 45.0, 110.0), -1, cv2.LINE_AA)
    if cls == 2:
        cv2.circle(picture, place(0, 0), int(r * 0.48), (12.0, 12.0, 14.0), -1, cv2.LINE_AA)
    else:
        cv2.circle(picture, place(0, 0), int(r * 0.42), tuple(float(v) for v in body * 0.75), -1, cv2.LINE_AA)
        _draw_split_pin(picture, place, r, bent=cls == 0)
    corners = [place(x * r * 1.5, y * r * 1.5) for x in (-1, 1) for y in (-1, 1)]
    return _edges(corners, r / 14)


def _draw_split_pin(picture: Image, place: Callable[[float, float], tuple[int, int]], r: float, bent: bool) -> None:
    import cv2

    thick = max(2, int(r / 6))
    brass = (70.0, 190.0, 225.0)
    if bent:
        joints = [place(x * r, y * r) for x, y in ((-0.2, 0.0), (0.5, -0.2), (1.0, -0.9), (1.35, -1.3))]
        cv2.polylines(picture, [np.array(joints, dtype=np.int32)], False, (40.0, 40.0, 215.0), thick, cv2.LINE_AA)
        return
    for y in (-0.12, 0.12):
        cv2.line(picture, place(-1.25 * r, y * r), place(1.25 * r, y * 3 * r), brass, thick, cv2.LINE_AA)
    cv2.circle(picture, place(-1.25 * r, 0), int(r * 0.22), brass, thick, cv2.LINE_AA)


def _photograph(picture: Image, rng: np.random.Generator) -> Image:
    """What a camera adds: exposure, a soft focus, and noise."""
    import cv2

    blurred = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 1.0)))
    exposed = blurred.astype(np.float32) * rng.uniform(0.8, 1.15) + rng.uniform(-12, 12)
    noise = rng.normal(0, rng.uniform(1.5, 5), picture.shape).astype(np.float32)
    result: Image = np.clip(exposed + noise, 0, 255).astype(np.uint8)
    return result
