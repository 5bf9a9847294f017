"""Pictures of a data set as inline SVG; lengths across are shares of the width, so that texts keep their size.

Each mark holds a `<title>` with its value: browsers show it, and `data_page.js` lets it be read by pointer and by key.
Colours come from `data_page.css`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lwyolo.reports.data import shown_splits
from lwyolo.reports.data_words import ENGLISH, Words

if TYPE_CHECKING:
    from lwyolo.data.statistics import Statistics

ROW, BAR, TEXT = 17, 11, 13
"""Pixels: height of a class's name, of a bar, and the baseline of a text in its line."""
TOP, HEIGHT, AXIS = 28, 170, 22
"""Pixels: where the highest bar ends, where all begin, and the room of the numbers below them."""
MOST_CLASSES, MOST_CELLS, MOST_BOXES = 30, 16, 40
"""Classes that are drawn as bars, classes that a matrix holds, bars of boxes in an image."""
VALUE_ROOM = 84.0
"""Percent of the width that the longest bar takes; its value needs the rest."""
Counts = NDArray[np.int64]


def class_picture(found: Statistics, say: Words = ENGLISH) -> str:
    """Draw the instances of each class, a bar for each split."""
    splits = shown_splits(found)
    chosen = largest(found, MOST_CLASSES)
    most = max(1, int(found.instances[:, chosen].max(initial=0)))
    parts, y = [], 0
    for cls in chosen:
        name = f"{cls} {found.names[cls]}"
        parts.append(f'<text class="name" x="0" y="{y + TEXT}">{escape(name)}</text>')
        y += ROW
        for split, place in splits:
            count, images = int(found.instances[place, cls]), int(found.images[place, cls])
            title = say("{name}, {split}: {count} instances in {images} images", name=name, split=split, count=count,
                        images=images)  # fmt: skip
            width = VALUE_ROOM * count / most
            parts.append(_mark(f"split-{_kind(split)}", 0, y, width, BAR - 1, title))
            parts.append(f'<text class="tick" x="{width:.2f}%" dx="4" y="{y + BAR - 2}">{count}</text>')
            y += BAR
        y += 6
    names = " / ".join(split for split, _ in splits)
    return _svg(say("Instances of each class in {splits}, in this order", splits=names), y, parts)


def split_legend(found: Statistics) -> str:
    """Return what the colours of splits mean."""
    items = (f'<li class="split-{_kind(split)}">{escape(split)}</li>' for split, _ in shown_splits(found))
    return f'<ul class="legend">{"".join(items)}</ul>'


def histogram_picture(
    edges: NDArray[np.float64], counts: Counts, label: str, limits: Sequence[float] = (), say: Words = ENGLISH
) -> str:
    """Draw counts between edges that grow by a constant factor; a bar is as high as its count.

    Args:
        edges: [B + 1].
        counts: [B].
        label: What the picture shows.
        limits: Values at which a line is drawn and named.
        say: The language of the values.
    """
    filled = np.flatnonzero(counts)
    first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (0, len(counts) - 1)
    bins, most = last - first + 1, max(1, int(counts.max(initial=0)))
    parts = []
    for place in range(first, last + 1):
        count = int(counts[place])
        title = say("{label}: {low} to {high}: {count} boxes", label=label, low=f"{edges[place]:.3g}",
                    high=f"{edges[place + 1]:.3g}", count=count)  # fmt: skip
        x, high = 100 * (place - first) / bins, (HEIGHT - TOP) * count / most
        parts.append(_mark("bar", x, HEIGHT - high, 100 / bins, high, title))
        if count == most:
            parts.append(_above(x + 50 / bins, count))
    whole = [place for place in range(first, last + 2) if np.log2(edges[place]).is_integer()]
    places = whole if len(whole) > 1 else range(first, last + 2)
    parts += _axis([(100 * (place - first) / bins, f"{edges[place]:.3g}") for place in places])
    steps = np.log(edges[1] / edges[0])
    for limit in limits:
        x = 100 * (np.log(limit / edges[0]) / steps - first) / bins
        if 0 <= x <= 100:
            parts.append(f'<line class="limit" x1="{x:.2f}%" x2="{x:.2f}%" y1="4" y2="{HEIGHT}"/>')
            parts.append(f'<text class="tick" x="{x:.2f}%" dx="3" y="10">{limit:g}</text>')
    return _svg(label, HEIGHT + AXIS, parts)


def per_image_picture(found: Statistics, say: Words = ENGLISH) -> str:
    """Draw the images by the number of boxes in them; the last bar also holds those with more."""
    whole = found.per_image
    counts = whole[:, : MOST_BOXES + 1].copy()
    counts[:, -1] += whole[:, MOST_BOXES + 1 :].sum(axis=1)
    bins, most = counts.shape[1], max(1, int(counts.sum(axis=0).max(initial=0)))
    names = [f"{boxes}+" if boxes == MOST_BOXES and whole.shape[1] > bins else str(boxes) for boxes in range(bins)]
    parts = []
    for boxes in range(bins):
        top = float(HEIGHT)
        for split, place in shown_splits(found):
            count = int(counts[place, boxes])
            title = say("{split}: {count} images with {boxes} boxes", split=split, count=count, boxes=names[boxes])
            high = (HEIGHT - TOP) * count / most
            top -= high
            if count:
                parts.append(_mark(f"split-{_kind(split)}", 100 * boxes / bins, top, 100 / bins, high, title))
        if counts[:, boxes].sum() == most:
            parts.append(_above(100 * (boxes + 0.5) / bins, most))
    parts += _axis([(100 * (boxes + 0.5) / bins, name) for boxes, name in enumerate(names)])
    return _svg(say("Images by the number of boxes"), HEIGHT + AXIS, parts)


def heat_picture(cells: Counts, label: str, say: Words = ENGLISH) -> str:
    """Draw where the centres of boxes lie; a cell is as strong as its count. Shapes: cells: [rows, columns]."""
    rows, columns = cells.shape
    most = max(1, int(cells.max(initial=0)))
    parts = []
    for row, column in np.argwhere(cells):
        count = int(cells[row, column])
        across, down = (
            f"{100 * place / n:.0f}–{100 * (place + 1) / n:.0f} %" for place, n in ((column, columns), (row, rows))
        )
        title = say("across {x}, down {y}: {count} boxes", x=across, y=down, count=count)
        style = f'style="--heat:{max(0.08, count / most):.2f}"'
        parts.append(
            f'<rect class="cell" x="{column}" y="{row}" width="1" height="1" {style}><title>{title}</title></rect>'
        )
    head = (
        f'<svg class="plot heat" viewBox="0 0 {columns} {rows}" role="img" tabindex="0" aria-label="{escape(label)}">'
    )
    return "\n".join([head, f'<rect class="frame" width="{columns}" height="{rows}"/>', *parts, "</svg>"])


def matrix_picture(found: Statistics, say: Words = ENGLISH) -> str:
    """Draw in how many images two classes stand together; on the diagonal, those that hold the one."""
    chosen = largest(found, MOST_CELLS)
    counts = found.together[np.ix_(chosen, chosen)]
    off = counts - np.diag(np.diag(counts))
    most, cell, side = max(1, int(off.max(initial=0))), 100 / (len(chosen) + 1), 26
    parts = []
    for row, first in enumerate(chosen):
        y = side * (row + 1)
        parts.append(_label(0, cell, y, side, str(first)))
        parts.append(_label(cell * (row + 1), cell, 0, side, str(first)))
        for column, second in enumerate(chosen):
            count, own = int(counts[row, column]), row == column
            names = [f"{cls} {found.names[cls]}" for cls in (first, second)]
            title = (
                say("{name}: {count} images", name=names[0], count=count)
                if own
                else say("{first} and {second}: {count} images", first=names[0], second=names[1], count=count)
            )
            heat = 0.0 if own else count / most
            x = cell * (column + 1)
            place = f'x="{x:.2f}%" y="{y}" width="{cell:.2f}%" height="{side}" style="--heat:{heat:.2f}"'
            kind = "own" if own else "cell"
            parts.append(f'<rect class="{kind}" {place}><title>{escape(title)}</title></rect>')
            strong = "strong" if heat > 0.55 else "weak"
            parts.append(_label(x, cell, y, side, str(count), strong) if count else "")
    return _svg(say("Images that hold both classes"), side * (len(chosen) + 1), parts, "matrix")


def largest(found: Statistics, most: int) -> list[int]:
    """Return the ids of the classes with the most instances, by id."""
    totals = found.instances.sum(axis=0)
    return sorted(np.argsort(-totals, kind="stable")[:most].tolist())


def _kind(split: str) -> str:
    return split if split in ("train", "test", "val") else "other"


def _mark(kind: str, x: float, y: float, width: float, height: float, title: str) -> str:
    place = f'x="{x:.2f}%" y="{y:.1f}" width="{width:.2f}%" height="{height:.1f}"'
    return f'<rect class="{kind}" {place}><title>{escape(title)}</title></rect>'


def _label(x: float, width: float, y: float, height: float, text: str, kind: str = "weak") -> str:
    return f'<text class="{kind}" x="{x + width / 2:.2f}%" y="{y + height / 2 + 4}" text-anchor="middle">{text}</text>'


def _above(x: float, count: int) -> str:
    """Write the count of the highest bar above it."""
    side = "start" if x < 4 else "end" if x > 96 else "middle"
    return f'<text class="name" x="{x:.2f}%" y="{TOP - 5}" text-anchor="{side}">{count}</text>'


def _axis(places: Sequence[tuple[float, str]]) -> Iterator[str]:
    """Name up to 8 places below the bars, evenly chosen."""
    step = max(1, -(-len(places) // 8))
    for x, text in places[::step]:
        side = "start" if x < 4 else "end" if x > 96 else "middle"
        yield f'<text class="tick" x="{x:.2f}%" y="{HEIGHT + 15}" text-anchor="{side}">{text}</text>'
    yield f'<line class="base" x1="0" x2="100%" y1="{HEIGHT}" y2="{HEIGHT}"/>'


def _svg(label: str, height: float, parts: Sequence[Any], kind: str = "") -> str:
    head = f'<svg class="plot {kind}" width="100%" height="{height:g}" role="img" tabindex="0"'
    return "\n".join([f'{head} aria-label="{escape(label)}">', *(part for part in parts if part), "</svg>"])
