"""The lines of list files: which of them Ultralytics takes for images, and which it loses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lwyolo.data.index import IMAGE_SUFFIXES


@dataclass(frozen=True, slots=True)
class ListLine:
    """One line of a list that is neither blank nor a comment.

    Args:
        number: Counted from 1.
        text: As Ultralytics takes it: with its blanks, but for those at both ends of the file.
        path: The image that it names, without blanks.
        kept: Whether Ultralytics takes it for an image.
    """

    number: int
    text: str
    path: str
    kept: bool


def read_list(file: Path) -> list[ListLine]:
    """Read a list of images; one line a path, `./` stands for the folder of the list."""
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    skipped = text[: len(text) - len(text.lstrip())].count("\n")
    lines = []
    for number, line in enumerate(text.strip().splitlines(), skipped + 1):
        path = line.strip()
        if not path or path.startswith("#"):
            continue
        kept = line.rpartition(".")[2].lower() in IMAGE_SUFFIXES
        named = line if kept else path
        full = named.replace("./", f"{file.parent}{os.sep}", 1) if named.startswith("./") else named
        lines.append(ListLine(number, line, full, kept))
    return lines
