"""What Ultralytics will make of each image file, from its header: its size as it is loaded, or why it is dropped.

The rules are restated from Ultralytics 8.4.190 (`check_image`) and proven against the installed version on damaged
files; see `tests/data/test_images.py`. Two things that it does are told here and never done: a JPEG that does not end
as one is written anew over the original, and for a file that is no image a package may be installed. The latter hides
behind the name `PIL.Image.open`, which Ultralytics replaces; so files are opened by Pillow's plugins themselves.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from lwyolo.data._jpeg import plain_jpeg
from lwyolo.data.files import as_files
from lwyolo.data.instances import InstanceTable, Problem

SMALLEST = 10
KINDS = frozenset(("AVIF", "BMP", "DNG", "HEIC", "HEIF", "JP2", "JPEG", "JPEG2000", "JPG", "MPO", "PNG", "TIF", "TIFF",
                   "WEBP"))  # fmt: skip
TURNED = frozenset((5, 6, 7, 8))
"""EXIF orientations that swap width and height."""
TURNED_BY_HEADER = frozenset(("JPEG", "MPO", "PNG", "AVIF"))
DECODED_BY_PILLOW = (b".avif", b".heic", b".heif")
END_OF_JPEG = b"\xff\xd9"


class Header(NamedTuple):
    """One image: size in pixels as it is loaded, format, EXIF orientation, mode, why it is dropped.

    `rewritten` says that Ultralytics writes the file anew.
    """

    width: int = 0
    height: int = 0
    kind: str = ""
    orientation: int = 1
    mode: str = ""
    reason: str | None = None
    rewritten: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Headers:
    """The headers of many images.

    Args:
        sizes: [I, 2] width and height in pixels as the image is loaded; 0 where it cannot be.
        kinds: [I] names of formats, as Pillow writes them; empty where unknown.
        orientation: [I] EXIF orientation, 1 to 8; 1 where there is none.
        modes: [I] Pillow's modes, such as RGB or L.
        reasons: Why Ultralytics drops the image, by index.
        rewritten: Indices of the JPEG files that Ultralytics would write anew in place.
    """

    sizes: NDArray[np.int64]
    kinds: Sequence[str]
    orientation: NDArray[np.int64]
    modes: Sequence[str]
    reasons: dict[int, str]
    rewritten: tuple[int, ...]


def read_headers(files: Sequence[Path], *, processes: int | None = None) -> Headers:
    """Read the headers of images; only a JPEG that does not end as one is decoded.

    Args:
        files: The images.
        processes: How many processes read; by default one, and one a core where there are many files.
    """
    from lwyolo.data._header_pool import read_in_processes

    paths = as_files(files)
    return joined(read_in_processes(paths, processes))


def with_headers(table: InstanceTable, *, processes: int | None = None) -> InstanceTable:
    """Return the table with the sizes of its images, without the instances of those that Ultralytics drops.

    An image is looked at before its label, so that its own fault is the reason that is given.
    """
    headers = read_headers(table.images, processes=processes)
    before = {problem.image: problem for problem in table.problems}
    new = {
        at: Problem(at, table.images[at], reason)
        for at, reason in headers.reasons.items()
        if at not in before or before[at].file != table.images[at]
    }
    keep = ~np.isin(table.image, list(new))
    return replace(
        table,
        image=table.image[keep],
        cls=table.cls[keep],
        boxes=table.boxes[keep],
        lines=table.lines[keep],
        problems=tuple(problem for _, problem in sorted((before | new).items())),
        sizes=headers.sizes,
        remarks=(*table.remarks, *_remarks(table, headers)),
    )


def read_header(path: bytes) -> Header:
    """Read the header of one image."""
    try:
        plain = plain_jpeg(path)
        if plain and min(plain[:2]) >= SMALLEST and plain[0] * plain[1] <= (Image.MAX_IMAGE_PIXELS or 0):
            return Header(plain[0], plain[1], "JPEG", mode=plain[2])
        with open(path, "rb") as stream:  # noqa: PTH123 - the path is bytes
            return _judge(stream, path)
    except FileNotFoundError:
        return Header(reason="no such image")
    except IsADirectoryError:
        return Header(reason="a folder, not an image")
    except Exception as error:  # whatever Pillow raises on a damaged file is the reason that is given
        return Header(reason=f"not readable: {' '.join(str(error).split()) or type(error).__name__}")


def collect(paths: Iterable[bytes]) -> Headers:
    """Read the headers of images one after the other."""
    sizes: list[tuple[int, int]] = []
    kinds: list[str] = []
    orientation: list[int] = []
    modes: list[str] = []
    reasons: dict[int, str] = {}
    rewritten: list[int] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd headers; the verdict is what counts
        for at, path in enumerate(paths):
            header = read_header(path)
            sizes.append((header.width, header.height))
            kinds.append(header.kind)
            orientation.append(header.orientation)
            modes.append(header.mode)
            if header.reason:
                reasons[at] = header.reason
            if header.rewritten:
                rewritten.append(at)
    array = np.array(sizes, dtype=np.int64).reshape(-1, 2)
    return Headers(array, kinds, np.array(orientation, dtype=np.int64), modes, reasons, tuple(rewritten))


def joined(parts: Sequence[Headers]) -> Headers:
    """Put the headers of consecutive files together."""
    starts = np.cumsum([0, *(len(part.kinds) for part in parts)]).tolist()
    return Headers(
        np.concatenate([np.zeros((0, 2), np.int64), *(part.sizes for part in parts)]),
        [kind for part in parts for kind in part.kinds],
        np.concatenate([np.zeros(0, np.int64), *(part.orientation for part in parts)]),
        [mode for part in parts for mode in part.modes],
        {at + start: why for part, start in zip(parts, starts, strict=False) for at, why in part.reasons.items()},
        tuple(at + start for part, start in zip(parts, starts, strict=False) for at in part.rewritten),
    )


def _judge(stream: IO[bytes], path: bytes) -> Header:
    image = identified(stream, path)
    if image is None:
        return Header(reason="no image that Pillow can read; for such a file Ultralytics tries to install pi-heif")
    kind, mode, size = image.format or "", image.mode, image.size
    limit = Image.MAX_IMAGE_PIXELS
    if limit and size[0] * size[1] > 2 * limit:
        return Header(*size, kind, mode=mode, reason=f"{size[0]} x {size[1]} pixels, more than Pillow opens")
    image.verify()
    orientation = _orientation(image)
    if orientation in TURNED:
        size = size[::-1] if kind in TURNED_BY_HEADER else _decoded_size(stream, path) or size
    header = Header(*size, kind, orientation, mode)
    if min(size) < SMALLEST:
        return header._replace(reason=f"{size[0]} x {size[1]} pixels, expected at least {SMALLEST} on each side")
    if kind not in KINDS:
        return header._replace(reason=f"{kind} is no format that Ultralytics trains on")
    if kind == "JPEG":
        stream.seek(-len(END_OF_JPEG), os.SEEK_END)
        if stream.read() != END_OF_JPEG:
            again = identified(stream, path)
            if again is not None:
                ImageOps.exif_transpose(again)  # decodes: raises for a file that is cut
            return header._replace(rewritten=True)
    return header


def identified(stream: IO[bytes], path: bytes) -> ImageFile.ImageFile | None:
    """Return the image that the first of Pillow's plugins makes of a file, as `PIL.Image.open` does."""
    stream.seek(0)
    prefix = stream.read(16)
    tried: set[str] = set()
    for load_plugins in (Image.preinit, Image.init, _pi_heif):
        load_plugins()
        for kind in [kind for kind in Image.ID if kind not in tried]:
            tried.add(kind)
            factory, accepts = Image.OPEN[kind]
            try:
                accepted = accepts(prefix) if accepts else True
                if accepted and not isinstance(accepted, str):  # text: the plugin says why it cannot
                    stream.seek(0)
                    return factory(stream, path)
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
    return None


def _orientation(image: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation; where that cannot be read, Ultralytics takes the image as it stands."""
    try:
        tags = getattr(image, "tag_v2", None) if image.format == "TIFF" else image.getexif()
        value = tags.get(274) if tags is not None else None
    except Exception:  # damaged EXIF data raise anything; upstream goes on in the same way
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _decoded_size(stream: IO[bytes], path: bytes) -> tuple[int, int] | None:
    """Return the size after decoding, for formats whose turning depends on the decoder."""
    if path.lower().endswith(DECODED_BY_PILLOW) and (size := _turned_size(stream, path)):
        return size
    import cv2

    content = np.fromfile(os.fsdecode(path), np.uint8)
    picture = None
    if path.lower().endswith((b".tif", b".tiff")):
        read, frames = cv2.imdecodemulti(content, cv2.IMREAD_UNCHANGED)
        picture = frames[0] if read and frames[0].ndim == 3 else None
    if picture is None:
        picture = cv2.imdecode(content, cv2.IMREAD_COLOR)
    return None if picture is None else (int(picture.shape[1]), int(picture.shape[0]))


def _turned_size(stream: IO[bytes], path: bytes) -> tuple[int, int] | None:
    image = identified(stream, path)
    try:
        return None if image is None else ImageOps.exif_transpose(image).size
    except Exception:  # whatever a plugin raises, Ultralytics then leaves it to OpenCV
        return None


def _pi_heif() -> None:
    """Let Pillow read HEIC where pi-heif is installed, as Ultralytics does; where it is not, nothing is installed."""
    if find_spec("pi_heif"):
        import_module("pi_heif").register_heif_opener()


def _remarks(table: InstanceTable, headers: Headers) -> tuple[str, ...]:
    remarks = []
    if headers.rewritten:
        remarks.append(
            f"JPEG files with bytes behind their end, which Ultralytics writes anew in place when it scans the set: "
            f"{len(headers.rewritten)}, the first is {table.images[headers.rewritten[0]]}"
        )
    if table.sizes is not None:
        other = np.flatnonzero((table.sizes != headers.sizes).any(axis=1) & (headers.sizes > 0).all(axis=1))
        if len(other):
            remarks.append(
                f"images that are not of the size that their annotation says: {len(other)}, the first is "
                f"{table.images[int(other[0])]}"
            )
    return tuple(remarks)
