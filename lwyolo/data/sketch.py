"""Drawing of the demo set: landscapes, lattice towers, insulator strings and bolts with their split pins.

An object is a patch: a BGR picture with its colours multiplied by their opacity, and the opacity as fourth channel.
It is drawn upright, then turned and pasted, so that its box is that of the pixels which it really covers.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Patch = NDArray[np.uint8]
Colour = tuple[float, float, float]

OPAQUE = 255.0
SKIES: tuple[tuple[Colour, Colour], ...] = (  # BGR at the zenith and at the horizon
    ((205, 150, 85), (232, 214, 190)),
    ((190, 160, 120), (225, 215, 205)),
    ((185, 182, 178), (222, 220, 217)),
    ((150, 146, 142), (196, 194, 192)),
    ((180, 140, 110), (190, 205, 228)),
)
GROUNDS: tuple[Colour, ...] = ((48, 82, 58), (60, 112, 88), (86, 128, 140), (98, 132, 156), (70, 98, 84))
GLAZES: tuple[Colour, ...] = ((226, 226, 218), (178, 186, 132), (196, 150, 96), (92, 84, 168))
STEEL: Colour = (158, 160, 158)
RUST: Colour = (28, 82, 178)
MUD: Colour = (62, 84, 100)
BRASS: Colour = (92, 190, 214)


def noise(rng: np.random.Generator, height: int, width: int, cells: int = 4, octaves: int = 5) -> NDArray[np.float32]:
    """Return smooth noise of zero mean and about unit spread: random grids of finer and finer cells, weaker and weaker.

    Shapes:
        returns: [height, width]
    """
    import cv2

    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        grid = rng.standard_normal((cells << octave, cells << octave), np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    return total


def landscape(rng: np.random.Generator, size: int) -> Image:
    """Draw sky with clouds over terrain; the horizon may lie outside, as in a view from above.

    Shapes:
        returns: [size, size, 3] BGR
    """
    zenith, haze = (np.array(colour) for colour in SKIES[rng.integers(len(SKIES))])
    height = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    sky = zenith + (haze - zenith) * height
    cloud = np.clip(noise(rng, size, size, 2) - rng.uniform(0.2, 1.5), 0, 1)[..., None] * 0.7
    sky = sky + (np.array([236.0, 234.0, 232.0]) - sky) * cloud
    texture = noise(rng, size, size, 6, 6)[..., None]
    ground = np.array(GROUNDS[rng.integers(len(GROUNDS))]) * (1 + 0.16 * texture)
    ridge = rng.uniform(-0.6, 1.15) + 0.05 * noise(rng, 1, size, 3, 4)[..., None]
    below = np.clip((height - ridge) * size / 3, 0, 1)
    far = 0.6 * np.exp(-6 * np.maximum(height - ridge, 0))
    picture = sky * (1 - below) + (ground * (1 - far) + haze * far) * below
    return as_bytes(picture)


def tower(picture: Image, rng: np.random.Generator) -> None:
    """Draw a lattice tower with two cross arms."""
    import cv2

    size = len(picture)
    steel, thick = scaled(STEEL, rng.uniform(0.55, 1.0))[:3], max(1, size // 240)
    base, half, top = rng.uniform(-0.1, 1.1) * size, rng.uniform(0.05, 0.14) * size, rng.uniform(-0.3, 0.3) * size
    levels = np.linspace(top, size * 1.1, 9)
    corners = [((base - w, y), (base + w, y)) for y, w in zip(levels, half * np.linspace(0.3, 1, 9), strict=True)]
    for (a, b), (c, d) in itertools.pairwise(corners):
        for start, end in ((a, c), (b, d), (a, d), (b, c), (a, b)):
            cv2.line(picture, _point(*start), _point(*end), steel, thick, cv2.LINE_AA)
    for level in (1, 3):
        (left, y), (right, _) = corners[level]
        for root, tip in ((left, left - 3.5 * half), (right, right + 3.5 * half)):
            for lift in (0.0, 0.35 * half):
                cv2.line(picture, _point(root, y - lift), _point(tip, y), steel, thick, cv2.LINE_AA)


def beam(picture: Image, start: NDArray[Any], end: NDArray[Any], width: float, light: float) -> None:
    """Draw a steel member with a dark edge on either side."""
    import cv2

    along = (end - start) / np.linalg.norm(end - start)
    across = np.array([-along[1], along[0]]) * width / 2
    corners = np.array([start + across, end + across, end - across, start - across])
    cv2.fillPoly(picture, [np.rint(corners).astype(np.int32)], scaled(STEEL, light)[:3], cv2.LINE_AA)
    for side in (across, -across, across * 0.72):
        cv2.line(
            picture, _point(*(start + side)), _point(*(end + side)), scaled(STEEL, light * 0.6)[:3], 1, cv2.LINE_AA
        )


def insulator(rng: np.random.Generator, fault: str | None, length: int) -> Patch:
    """Draw a string of discs along x; the fault is `burn` (soot), `defect` (a disc broken off), `dirty` (mud) or none.

    Shapes:
        returns: [about length / 2, length, 4]
    """
    import cv2

    discs = int(rng.integers(7, 10))
    radius, pitch = length * rng.uniform(0.15, 0.2), length * 0.84 / discs
    patch, middle = np.zeros((int(2 * radius) + 5, length, 4), np.uint8), radius + 2
    rod = scaled(STEEL, 0.5)
    cv2.line(patch, _point(2, middle), _point(length - 3, middle), rod, max(2, int(radius / 4)), cv2.LINE_AA)
    glaze = GLAZES[rng.integers(len(GLAZES))]
    gone = int(rng.integers(2, discs - 3)) if fault == "defect" else -9
    for number in range(discs):
        x, shade = length * 0.08 + (number + 0.5) * pitch, rng.uniform(0.92, 1.05)
        if number in (gone, gone + 1):
            continue
        axes = max(1, int(pitch * 0.46)), int(radius)
        cv2.ellipse(patch, _point(x, middle), axes, 0, 0, 360, scaled(glaze, 0.62 * shade), -1, cv2.LINE_AA)
        inner = max(1, int(axes[0] * 0.7)), int(axes[1] * 0.86)
        cv2.ellipse(patch, _point(x - axes[0] * 0.2, middle), inner, 0, 0, 360, scaled(glaze, shade), -1, cv2.LINE_AA)
    if fault == "burn":
        along = (np.arange(length) / length - rng.uniform(0.35, 0.65)) / rng.uniform(0.14, 0.2)
        soot = np.exp(-(along**4)) * np.clip(0.95 + 0.06 * noise(rng, len(patch), length), 0.8, 0.97)
        _stain(patch, (18.0, 18.0, 20.0), soot)
    if fault == "dirty":
        _stain(patch, MUD, np.clip(0.78 + 0.16 * noise(rng, len(patch), length), 0.45, 0.95))
    return patch


def pin(rng: np.random.Generator, fault: str | None, length: int) -> Patch:
    """Draw a washer, a nut and a split pin; the fault is `defect` (legs torn open), `rust`, `uninstalled` or none.

    Shapes:
        returns: [length, length, 4]
    """
    import cv2

    patch, centre, r = np.zeros((length, length, 4), np.uint8), length / 2, length * 0.4
    light = rng.uniform(0.9, 1.2)
    edge = max(1, length // 40)
    cv2.circle(patch, _point(centre, centre), int(r), scaled(STEEL, 0.75 * light), -1, cv2.LINE_AA)
    cv2.circle(patch, _point(centre, centre), int(r), scaled(STEEL, 0.4), edge, cv2.LINE_AA)
    if fault == "uninstalled":
        cv2.circle(patch, _point(centre, centre), int(r * 0.66), scaled(STEEL, 1.3 * light), -1, cv2.LINE_AA)
        cv2.circle(patch, _point(centre, centre), int(r * 0.56), (16.0, 15.0, 14.0, OPAQUE), -1, cv2.LINE_AA)
        return patch
    turn = rng.uniform(0, np.pi / 3) + np.arange(6) * np.pi / 3
    nut = np.rint(centre + 0.78 * r * np.stack([np.cos(turn), np.sin(turn)], axis=1)).astype(np.int32)
    cv2.fillPoly(patch, [nut], scaled(STEEL, 1.15 * light), cv2.LINE_AA)
    cv2.polylines(patch, [nut], True, scaled(STEEL, 0.45), edge, cv2.LINE_AA)
    cv2.circle(patch, _point(centre, centre), int(r * 0.42), scaled(STEEL, 0.7 * light), -1, cv2.LINE_AA)
    _split_pin(patch, rng, centre, r, torn=fault == "defect")
    if fault == "rust":
        _stain(patch, RUST, np.clip(0.75 + 0.2 * noise(rng, length, length, 3), 0.35, 0.95))
    return patch


def paste(picture: Image, patch: Patch, centre: tuple[float, float], scale: float, angle: float) -> NDArray[np.float64]:
    """Turn and shrink a patch, lay it on the picture, and return the edges of the pixels that it covers.

    Args:
        picture: Changed in place.
        patch: The object.
        centre: Where its middle goes, in pixels of the picture.
        scale: Pixels of the picture for one of the patch.
        angle: Clockwise, in degrees.

    Shapes:
        returns: [4] left, top, right, bottom in pixels; all 0 when nothing is visible
    """
    import cv2

    height, width = patch.shape[:2]
    reach = int(np.hypot(height, width) * scale / 2) + 2
    x, y = _point(*centre)
    left, top = max(0, x - reach), max(0, y - reach)
    window = picture[top : max(0, y + reach), left : max(0, x + reach)]
    if not window.size:
        return np.zeros(4)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, scale)
    turn[:, 2] += (centre[0] - left - width / 2, centre[1] - top - height / 2)
    laid = cv2.warpAffine(patch, turn, window.shape[1::-1], flags=cv2.INTER_LINEAR).astype(np.float32)
    window[:] = as_bytes(laid[..., :3] + window * (1 - laid[..., 3:] / OPAQUE))
    rows, columns = (np.flatnonzero((laid[..., 3] > OPAQUE / 2).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return np.zeros(4)
    return np.array([left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1], dtype=np.float64)


def photograph(picture: Image, rng: np.random.Generator) -> Image:
    """Add what a camera adds: light from one side, exposure, white balance, a soft focus, and noise."""
    import cv2

    size = len(picture)
    x, y = np.meshgrid(np.linspace(-1, 1, size, dtype=np.float32), np.linspace(-1, 1, size, dtype=np.float32))
    light = 1 + 0.08 * (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1))
    blurred = cv2.GaussianBlur(picture, (0, 0), float(size / 640 * rng.uniform(0.3, 1.2)) + 0.1).astype(np.float32)
    lit = blurred * light[..., None] * rng.uniform(0.78, 1.15) * rng.uniform(0.95, 1.05, 3)
    grain = rng.standard_normal(picture.shape, np.float32) * rng.uniform(1.5, 5)
    return as_bytes(lit + grain + rng.uniform(-8, 8))


def scaled(colour: Colour, light: float) -> tuple[float, float, float, float]:
    """Return a colour under more or less light, opaque."""
    blue, green, red = (min(255.0, channel * light) for channel in colour)
    return blue, green, red, OPAQUE


def as_bytes(picture: NDArray[Any]) -> Image:
    """Clip to what a picture can hold."""
    return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)


def _split_pin(patch: Patch, rng: np.random.Generator, centre: float, r: float, torn: bool) -> None:
    """Draw the pin through the bolt: an eye and two legs; torn, the legs spread and one is bent back."""
    import cv2

    thick = max(2, int(r / 6))
    if torn:
        paths = [[(0, 0), (0.55, -0.35), (0.75, -1.1)], [(0, 0), (0.5, 0.4), (1.15, 0.45)], [(0, 0), (-0.9, 0.75)]]
    else:
        paths = [[(-1.0, 0), (1.1, -0.14)], [(-1.0, 0), (1.1, 0.14)]]
        cv2.circle(patch, _point(centre - 1.02 * r, centre), int(r * 0.16), scaled(BRASS, 1), thick, cv2.LINE_AA)
    spread = rng.uniform(0.85, 1.15)
    for path in paths:
        points = np.rint(centre + r * np.array(path) * (1, spread)).astype(np.int32)
        cv2.polylines(patch, [points], False, scaled(BRASS, 0.45), thick + max(2, thick // 2), cv2.LINE_AA)
        cv2.polylines(patch, [points], False, scaled(BRASS, 1.1), thick, cv2.LINE_AA)


def _stain(patch: Patch, colour: Colour, strength: NDArray[Any]) -> None:
    """Blend the covered pixels towards a colour; strength is 0 to 1, per pixel."""
    amount = strength[..., None]
    target = np.array(colour) * (patch[..., 3:] / OPAQUE)
    patch[..., :3] = as_bytes(patch[..., :3] * (1 - amount) + target * amount)


def _point(x: float, y: float) -> tuple[int, int]:
    return round(float(x)), round(float(y))
