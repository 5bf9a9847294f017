"""Perceptual hashes: 64 bits of an image that stay nearly the same when it is re-saved, resized or brightened.

Each bit is the sign of one of the 8 x 8 lowest frequencies of the image's discrete cosine transform, at 32 x 32 pixels
in grey (the idea is that of C. Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010;
there the bits are taken against the median). The first frequency is the brightness, and its bit is always 0. A mirrored
image has the signs of the odd horizontal frequencies turned: its hash needs no second transform.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lwyolo.data.images import identified
from lwyolo.data.processes import map_files

SIDE = 32
LOW = 8
MIRROR = np.uint64(0x5555555555555555)
"""The bits of odd horizontal frequencies."""

FLAT = 2.0
"""Standard deviation in grey levels below which an image shows nothing that could be told apart from another."""

NOTHING = 1e-6
"""A frequency that is not there comes out of the sum as this little, with either sign."""

BAR_TOLERANCE = 8
LEAST_BAR = 2
LEAST_CONTENT = 0.25

DCT = np.cos(np.pi * np.outer(np.arange(LOW), 2 * np.arange(SIDE) + 1) / (2 * SIDE))

Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Hashes:
    """Hashes of images: one each, and a second one where uniform bars were cut off.

    Args:
        image: [H] index of the image of each hash.
        bits: [H] the hashes.
        reasons: Images without a hash, by index, and why.
    """

    image: NDArray[np.int64]
    bits: NDArray[np.uint64]
    reasons: dict[int, str]


def hash_images(files: Sequence[Path], indices: NDArray[np.int64], processes: int | None = None) -> Hashes:
    """Decode and hash images, in as many processes as there are cores.

    Args:
        files: Images.
        indices: Which of them; the others have no hash, and no reason either.
        processes: How many; 1 stays in this process.
    """
    image: list[int] = []
    bits: list[int] = []
    reasons: dict[int, str] = {}
    chosen = [files[index] for index in indices]
    for index, found in zip(indices.tolist(), map_files(hashes_of, chosen, "Hashing", processes), strict=True):
        if isinstance(found, str):
            reasons[index] = found
        else:
            image += [index] * len(found)
            bits += found
    return Hashes(np.array(image, dtype=np.int64), np.array(bits, dtype=np.uint64), reasons)


def hashes_of(paths: Sequence[bytes]) -> list[list[int] | str]:
    """Return what `hash_file` gives for each path."""
    return [hash_file(Path(os.fsdecode(path))) for path in paths]


def hash_file(file: Path) -> list[int] | str:
    """Return the hash of an image, a second one of it without uniform bars where it has some, or why it has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd headers and of large images
            grey = small_grey(file)
    except Exception as error:  # whatever a decoder raises on a damaged file is the reason that is given
        return f"cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}"
    inner = without_bars(grey)
    hashes = [hash_grey(part) for part in ([grey] if inner is None else [grey, inner])]
    return [value for value in hashes if value is not None] or "shows nothing but one colour"


def small_grey(file: Path) -> Grey:
    """Decode an image in grey, turned upright as EXIF says, at 32 pixels or a little more on its shorter side.

    A JPEG is decoded at an eighth of its size where that suffices, which costs half the time.

    Raises:
        Exception: Of any kind, as the decoder of the format raises it.
    """
    with file.open("rb") as stream:
        image = identified(stream, os.fsencode(file))
        if image is None:
            raise ValueError("no image that Pillow can read")
        image.draft("L", (SIDE, SIDE))
        if image.width * image.height > 2 * (Image.MAX_IMAGE_PIXELS or np.inf):
            raise ValueError(f"{image.width} x {image.height} pixels, more than Pillow opens")
        grey = _eight_bits(ImageOps.exif_transpose(image)).convert("L")
        factor = min(grey.size) // (2 * SIDE)
        return np.asarray(grey.reduce(factor) if factor > 1 else grey, dtype=np.uint8)


def hash_grey(grey: Grey) -> int | None:
    """Return the hash of a picture in grey; `None` where it is flat."""
    picture = Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    values = np.asarray(picture, dtype=np.float64)
    if values.std() < FLAT:
        return None
    signs = DCT @ values @ DCT.T > NOTHING
    signs[0, 0] = False
    return int.from_bytes(np.packbits(signs).tobytes(), "big")


def without_bars(grey: Grey) -> Grey | None:
    """Cut off uniform bars at the edges, as letterboxing adds them; `None` where there are none.

    What looks like a bar may be a clear sky. So the hash of the whole picture is kept beside that of the rest.
    """
    top, bottom = _bars(grey)
    rows = grey[top : len(grey) - bottom]
    left, right = _bars(rows.T)
    inner = rows[:, left : rows.shape[1] - right]
    if max(top, bottom, left, right) < LEAST_BAR or min(np.divide(inner.shape, grey.shape)) < LEAST_CONTENT:
        return None
    return np.ascontiguousarray(inner)


def _bars(grey: Grey) -> tuple[int, int]:
    """Return how many rows at the upper and at the lower edge have but one grey."""

    def depth(rows: Grey) -> int:
        differs = np.abs(rows.astype(np.int16) - int(np.median(rows[0]))).max(axis=1) > BAR_TOLERANCE
        return int(np.argmax(differs)) if differs.any() else 0

    return depth(grey), depth(grey[::-1])


def _eight_bits(image: Image.Image) -> Image.Image:
    """Keep the upper byte of 16-bit pixels, as Ultralytics does; PIL would make all of them white."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
