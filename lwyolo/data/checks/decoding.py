"""Whether an image can be decoded to its end, and the same of many, in as many processes as there are cores.

A JPEG with a broken middle decodes: what is lost becomes grey, and the decoder says so on the standard error of the
process, which is read here. It is OpenCV's, the one that Ultralytics trains with.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from lwyolo.data.images import identified
from lwyolo.data.processes import map_files

JPEG = b"\xff\xd8"
LOSSES = ("Corrupt JPEG data", "Premature end of JPEG")
HARMLESS = "extraneous bytes before marker 0xd9"
"""Bytes between the picture and its end, as some cameras write them; nothing is lost."""
STANDARD_ERROR = 2


def decode_errors(files: Sequence[Path]) -> list[str]:
    """Return what goes wrong in decoding each image, empty where nothing does."""
    return map_files(errors_of, files, "Decoding")


def errors_of(paths: Sequence[bytes]) -> list[str]:
    """Return the same in this process."""
    return [decode_error(Path(os.fsdecode(path))) for path in paths]


def decode_error(file: Path) -> str:
    """Decode an image and return what went wrong, empty where nothing did."""
    try:
        content = file.read_bytes()
        return _error_of_jpeg(content) if content.startswith(JPEG) else _error_of_other(file)
    except Exception as error:  # whatever a decoder raises on a damaged file is the reason that is given
        return f"cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}"


def _error_of_jpeg(content: bytes) -> str:
    import cv2

    with _standard_error() as said:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    if picture is None:
        return "cannot be decoded"
    return next((f"decoded in part: {line}" for line in lines if line.startswith(LOSSES) and HARMLESS not in line), "")


def _error_of_other(file: Path) -> str:
    with file.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd headers and of large images
        image = identified(stream, os.fsencode(file))
        if image is None:
            return "no image that Pillow can read"
        image.load()
    return ""


@contextmanager
def _standard_error() -> Iterator[IO[bytes]]:
    """Lead what libraries write on the standard error of the process to a file that is yielded."""
    with tempfile.TemporaryFile() as said:
        kept = os.dup(STANDARD_ERROR)
        try:
            os.dup2(said.fileno(), STANDARD_ERROR)
            yield said
        finally:
            os.dup2(kept, STANDARD_ERROR)
            os.close(kept)
