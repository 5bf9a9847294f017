"""Images of a data set made small, with their boxes drawn over them as SVG."""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lwyolo.data.instances import Box, InstanceTable
from lwyolo.reports.data import Finding
from lwyolo.reports.data_words import ENGLISH, Words

SIDE = 320
"""Pixels of the longer side."""
QUALITY = 72
MOST_EXAMPLES, MOST_PROBLEMS, MOST_OF_RULE = 18, 30, 6
"""Images of classes, of problems, and of one rule."""
COLOURS, DASHES = 8, ("", "7 3", "2 3")
"""Of classes: `--class-0` to `--class-7` of `data_page.css`, then the same again dashed and dotted."""
MOST_BOXES = 60
"""Boxes that are drawn on one image; the caption tells how many there are."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A box on a thumbnail.

    Args:
        cls: Its class id.
        name: Its class name; empty where the id has none.
        box: Centre x, y, width, height; normalised.
        state: `kept`; `dropped`: not trained on; `marked`: what a finding is about.
    """

    cls: int
    name: str
    box: Box
    state: str = "kept"


def thumbnail(file: Path, longer: int = 0) -> str | None:
    """Return an image as a small JPEG in a `data:` address; `None` where it cannot be read.

    Args:
        file: The image; turned as its EXIF says, as it is in training.
        longer: Its longer side in pixels, 0 where unknown: a large one is then read at a fraction of its size.
    """
    import cv2

    reduced = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
    flag = next((flag for times, flag in reduced.items() if longer >= times * SIDE), cv2.IMREAD_COLOR)
    try:
        content = np.fromfile(file, np.uint8)
        picture = cv2.imdecode(content, flag) if len(content) else None
    except (OSError, cv2.error):  # no such file; sides beyond what OpenCV reads
        return None
    if picture is None:
        return None
    scale = SIDE / max(picture.shape[:2])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"


def example_figures(table: InstanceTable, root: Path, say: Words = ENGLISH) -> Iterator[str]:
    """Draw an image for each class, the rarest first; one that shows several stands for all of them."""
    chosen: list[int] = []
    shown: set[int] = set()
    order = np.argsort(table.cls, kind="stable")
    starts = np.searchsorted(table.cls[order], np.arange(len(table.names) + 1))
    for cls in np.argsort(np.diff(starts), kind="stable").tolist():
        if cls not in shown and starts[cls] < starts[cls + 1] and len(chosen) < MOST_EXAMPLES:
            image = int(table.image[order[starts[cls]]])
            chosen.append(image)
            shown |= set(table.cls[table.image == image].tolist())
    for image in tqdm(chosen, desc="Examples", unit="img", delay=1, leave=False):
        caption = f"{_short(table.images[image], root)} · {table.splits[table.image_split[image]]}"
        yield _figure(table, image, _kept(table, image), escape(caption), say)


def problem_figures(
    table: InstanceTable, findings: Sequence[Finding], root: Path, say: Words = ENGLISH
) -> Iterator[str]:
    """Draw images that findings are about, each once, with what is said of it; a few of each rule."""
    said: dict[int, list[Finding]] = {}
    of_rule: Counter[str] = Counter()
    dropped = {problem.image for problem in table.problems}
    for image, finding in _located(table, findings):
        if image not in said and (len(said) >= MOST_PROBLEMS or of_rule[finding[0]] >= MOST_OF_RULE):
            continue
        of_rule[finding[0]] += image not in said
        said.setdefault(image, []).append(finding)
    for image, about in tqdm(said.items(), desc="Images with problems", unit="img", delay=1, leave=False):
        lines = {line for _, _, _, line, _ in about if line}
        drawn = _written(table, image) if image in dropped else _kept(table, image, lines)
        words = "".join(
            f'<li><b class="{escape(level)}">{escape(rule)}</b> {escape(text)}</li>'
            for rule, level, _, _, text in about[:4]
        )
        caption = f"{escape(_short(table.images[image], root))}<ul>{words}</ul>"
        yield _figure(table, image, drawn, caption, say)


def class_legend(names: dict[int, str]) -> str:
    """Return the colour of each class, with its id and name."""
    items = (f'<li class="{_colour(cls)}">{cls} {escape(name)}</li>' for cls, name in names.items())
    return f'<ul class="legend classes">{"".join(items)}</ul>'


def _located(table: InstanceTable, findings: Sequence[Finding]) -> Iterator[tuple[int, Finding]]:
    """Yield each finding with the first image that its file is, or is the source of."""
    wanted = {file for _, _, file, _, _ in findings}
    images: dict[str, int] = {}
    for files in (table.images, table.sources):
        for index, path in enumerate(files):
            if (file := str(path)) in wanted:
                images.setdefault(file, index)
    for finding in findings:
        if finding[2] in images:
            yield images[finding[2]], finding


def _figure(table: InstanceTable, image: int, drawn: Sequence[Drawn], caption: str, say: Words) -> str:
    longer = 0 if table.sizes is None else int(table.sizes[image].max())
    address = thumbnail(table.images[image], longer)
    classes = ", ".join(dict.fromkeys(f"{one.cls} {one.name}".strip() for one in drawn))
    alt = escape(f"{table.images[image].name}: {say('{count} boxes', count=len(drawn))}. {classes}")
    picture = f'<img src="{address}" alt="{alt}">' if address else f'<p class="absent">{say("not readable")}</p>'
    boxes = "\n".join(_rect(one) for one in drawn[:MOST_BOXES]) if address else ""
    return (
        f'<figure class="shot"><div class="frame">{picture}<svg aria-hidden="true">{boxes}</svg></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _rect(one: Drawn) -> str:
    """Draw a box inside the image, dark under its colour so that it shows on any picture, and its class above it."""
    x, y, width, height = one.box
    left, top, right, bottom = (
        100 * min(max(edge, 0.0), 1.0) for edge in (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    )
    place = f'x="{left:.2f}%" y="{top:.2f}%" width="{right - left:.2f}%" height="{bottom - top:.2f}%"'
    dash = "4 4" if one.state == "dropped" else DASHES[one.cls // COLOURS % len(DASHES)]
    style = f' stroke-dasharray="{dash}"' if dash else ""
    words = escape(f"{one.cls} {one.name}" if right - left > 30 else str(one.cls))
    side, at = ("end", right) if left > 75 else ("start", left)
    above = f'y="{top:.2f}%" dy="-4"' if top > 8 else f'y="{min(bottom, 92):.2f}%" dy="12"'
    return (
        f'<g class="{_colour(one.cls)} {one.state}"><rect class="under" {place}/><rect {place}{style}/>'
        f'<text x="{at:.2f}%" {above} text-anchor="{side}">{words}</text></g>'
    )


def _colour(cls: int) -> str:
    return f"class-{cls % COLOURS}"


def _kept(table: InstanceTable, image: int, lines: Iterable[int] = ()) -> list[Drawn]:
    """Return the boxes of an image; those that stand on one of some lines of its source are marked."""
    marked = set(lines)
    return [
        Drawn(cls, table.names[cls], _box(table.boxes[row]), "marked" if int(table.lines[row]) in marked else "kept")
        for row in np.flatnonzero(table.image == image)
        for cls in [int(table.cls[row])]
    ]


def _written(table: InstanceTable, image: int) -> list[Drawn]:
    """Return the boxes of a dropped image as a YOLO label file writes them; rows that hold no box are passed over."""
    source = table.sources[image]
    try:
        text = source.read_text(encoding="utf-8-sig", errors="replace") if source.suffix == ".txt" else ""
    except OSError:
        text = ""
    rows = (_numbers(line) for line in text.splitlines())
    return [
        Drawn(int(row[0]), table.names.get(int(row[0]), ""), _box(_around(row[1:])), "dropped")
        for row in rows
        if len(row) >= 5 and np.isfinite(row[:5]).all() and row[0] >= 0
    ]


def _numbers(line: str) -> NDArray[np.float64]:
    try:
        return np.array([float(word) for word in line.split()])
    except ValueError:
        return np.zeros(0)


def _around(figures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the box of a row: its first four figures, or what is around the points of a polygon."""
    if len(figures) < 6 or len(figures) % 2:
        return figures[:4]
    low, high = figures.reshape(-1, 2).min(axis=0), figures.reshape(-1, 2).max(axis=0)
    return np.concatenate([(low + high) / 2, high - low])


def _box(row: Any) -> Box:
    return (float(row[0]), float(row[1]), float(row[2]), float(row[3]))


def _short(path: Path, root: Path) -> str:
    """Return a path below a folder relative to it, any other as it is."""
    text, top = str(path), f"{root}{os.sep}"
    return text.removeprefix(top)
