"""Where the layers of a model stand in a picture, and which way the lines between them take.

A row of the picture is a level: all layers of one stride. A column is a stretch of depth in which the stride only
grows or only shrinks, so backbone, FPN and PAN become columns that go down, up and down. A layer over several levels,
such as DyHead or Detect, spans their rows. Lines run straight inside a column, and in the gutters between columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

ROW, ROW_GAP, BAND_GAP = 40, 18, 12
"""Height of a box; space between boxes; space at either end of a band of rows."""
APART = 5
"""Least distance between lines of different layers, and between a line and a box that it passes."""
LANE, GUTTER = 7, 13
"""Distance of lines in a gutter; space on either side of them."""
OUT = 26
"""Where lines leave a box; they enter above it."""


@dataclass(slots=True, eq=False)
class Box:
    """A layer, or the input, and where it is drawn.

    Args:
        key: What the picture calls it: `input`, its index, or its position where it has none.
        strides: Levels that it stands on, finest first; several where it emits several, or joins them.
        sources: What it reads.
        width: As wide as its text.
    """

    key: str
    strides: tuple[float, ...]
    sources: tuple[Box, ...]
    width: float
    column: int = 0
    x: float = 0
    y: float = 0
    height: float = ROW

    @property
    def spans(self) -> bool:
        """Whether it stands on several levels."""
        return len(self.strides) > 1

    def holds(self, y: float, margin: float) -> bool:
        """Whether a line at a height ends on its side, `margin` away from its corners."""
        return self.y + margin <= y <= self.y + self.height - margin


@dataclass(slots=True, eq=False)
class Line:
    """A connection; `heights` are where it leaves, where it passes columns in between, and where it enters.

    Args:
        source: Where it starts.
        target: Where it ends.
        heights: `None` for the line between neighbours in a column.
        lanes: Its lane in each gutter where it turns; a gutter has the number of the column left of it.
    """

    source: Box
    target: Box
    heights: tuple[float, float, float] | None = None
    lanes: dict[int, int] = field(default_factory=dict)

    def turns(self) -> Iterator[tuple[int, float, float]]:
        """Yield each vertical part: its gutter, where it starts and where it ends."""
        if self.heights:
            start, across, end = self.heights
            if start != across:
                yield self.source.column, start, across
            if across != end:
                yield self.target.column - 1, across, end

    def runs_at(self, y: float, gutters: Sequence[int]) -> bool:
        """Whether it runs level at a height, or too near to it, in one of the gutters."""
        if self.heights is None:
            return False
        first, last = self.source.column, max(self.source.column, self.target.column - 1)
        runs = zip(self.heights, ((first, first), (first, last), (last, last)), strict=True)
        return any(abs(y - height) < APART and a <= gutter <= b for height, (a, b) in runs for gutter in gutters)


@dataclass(slots=True)
class Layout:
    """Boxes and lines with their places; `bands` holds top and bottom of each level's rows."""

    boxes: Sequence[Box]
    bands: dict[float, tuple[float, float]]
    lines: list[Line]
    gutters: list[float] = field(default_factory=list)
    right: float = 0

    @property
    def bottom(self) -> float:
        """Of the lowest box or line."""
        ends = [end for _, end in self.bands.values()]
        return max(*ends, *(y for line in self.lines for y in line.heights or ()), 0)

    def points(self, line: Line) -> list[tuple[float, float]]:
        """Return the corners of a line."""
        source, target = line.source, line.target
        if line.heights is None:
            down = source.y < target.y
            x = source.x + min(source.width, target.width) / 2
            return [(x, source.y + down * source.height), (x, target.y + (not down) * target.height)]
        corners = [(source.x + source.width, line.heights[0])]
        for gutter, start, end in line.turns():
            x = self.gutters[gutter] + GUTTER + LANE * line.lanes[gutter]
            corners += [(x, start), (x, end)]
        own = source.column == target.column
        return [*corners, (target.x + own * target.width, line.heights[2])]


def lay_out(boxes: Sequence[Box], left: float, top: float) -> Layout:
    """Place boxes, which come in order of depth, and connect them."""
    columns, headings = _columns(boxes)
    bands = _rows(boxes, columns, headings, top)
    layout = Layout(boxes, bands, _lines(boxes, columns, bands))
    n_lanes = _share_gutters(layout.lines, len(columns))
    x = left
    for column, lanes in zip(columns, n_lanes, strict=True):
        width = max(box.width for box in column)
        for box in column:
            box.x, box.width = x, width
        x += width
        layout.right = x + (LANE * (lanes - 1) + GUTTER if lanes else 0)
        layout.gutters.append(x)
        x += 2 * GUTTER + LANE * max(lanes - 1, 0)
    return layout


def _columns(boxes: Sequence[Box]) -> tuple[list[list[Box]], list[int]]:
    """Begin a column where the stride turns back, beside a layer over several levels, and where depth starts anew.

    Returns:
        The columns, and the heading of each: 1 downward, -1 upward, 0 where the stride stays as it is.
    """
    columns: list[list[Box]] = []
    headings: list[int] = []
    for box in boxes:
        last = columns[-1][-1] if columns else None
        step = _sign(box.strides[0] - last.strides[-1]) if last else 0
        starts = last is None or last.spans or (step < 0 and last not in box.sources)
        if starts or step * headings[-1] < 0 or (box.spans and (step <= 0 or headings[-1] < 0)):
            columns.append([])
            headings.append(0 if starts else step)
        elif step:
            headings[-1] = step
        box.column = len(columns) - 1
        columns[-1].append(box)
    return columns, headings


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)


def _rows(
    boxes: Sequence[Box], columns: list[list[Box]], headings: list[int], top: float
) -> dict[float, tuple[float, float]]:
    """Stack the boxes of a column within each level, downward or upward, and return top and bottom of the levels."""
    bands: dict[float, tuple[float, float]] = {}
    for stride in sorted({stride for box in boxes for stride in box.strides}):
        cells = [[box for box in column if box.strides == (stride,)] for column in columns]
        n_rows = max(1, *map(len, cells))
        bottom = top + n_rows * (ROW + ROW_GAP) - ROW_GAP
        for cell, heading in zip(cells, headings, strict=True):
            for row, box in enumerate(cell):
                box.y = bottom - ROW - row * (ROW + ROW_GAP) if heading < 0 else top + row * (ROW + ROW_GAP)
        bands[stride] = (top, bottom)
        top = bottom + 2 * BAND_GAP
    for box in boxes:
        if box.spans:
            box.y = bands[box.strides[0]][0]
            box.height = bands[box.strides[-1]][1] - box.y
    return bands


def _lines(boxes: Sequence[Box], columns: list[list[Box]], bands: Mapping[float, tuple[float, float]]) -> list[Line]:
    lines: list[Line] = []
    above = {box: before for column in columns for before, box in itertools.pairwise(column)}
    gaps = [y for top, bottom in bands.values() for y in _gaps(top, bottom)]
    gaps += [gaps[-1] + APART * place for place in range(1, sum(len(box.sources) for box in boxes))]  # always enough
    for target in boxes:
        near = above.get(target)
        beside = sorted((source for source in target.sources if source is not near), key=lambda source: source.y)
        lines += [Line(near, target)] if near in target.sources and near else []
        for place, source in enumerate(beside, 1):
            port = target.y + (OUT - APART) * place / (len(beside) + 1)
            shared = [stride for stride in source.strides if stride in target.strides]
            ports = [sum(bands[stride]) / 2 for stride in shared] if target.spans else []
            each = source.spans and target.column - source.column == 1
            for height in ports if ports and each else ports[:1] or [port]:
                lines.append(Line(source, target, _heights(source, target, height, gaps, boxes, lines)))
    return lines


def _gaps(top: float, bottom: float) -> Iterator[float]:
    """Yield heights at which lines may pass between the rows of a band, and above and below it."""
    n_rows = round((bottom - top + ROW_GAP) / (ROW + ROW_GAP))
    for row in range(n_rows + 1):
        middle = top - ROW_GAP / 2 + row * (ROW + ROW_GAP)
        yield from (middle, middle - APART, middle + APART)


def _heights(
    source: Box, target: Box, port: float, gaps: Sequence[float], boxes: Sequence[Box], lines: Sequence[Line]
) -> tuple[float, float, float]:
    """Find the shortest way that passes no box and runs along no other layer's line."""
    first, last = source.column, max(source.column, target.column - 1)

    def runs(y: float, *gutters: int) -> bool:
        return any(line.source is not source and line.runs_at(y, gutters) for line in lines)

    if target.spans and runs(port, last):
        port = next((y for y in gaps if target.holds(y, APART) and not runs(y, last)), port)
    start = source.y + OUT
    if source.spans:
        heights = (y for y in (port, *gaps) if source.holds(y, APART) and not runs(y, first))
        start = next(heights, source.y + source.height / 2)
    if target.column == source.column:
        return start, port, port
    between = range(source.column + 1, target.column)

    def free(y: float) -> bool:
        meets_box = any(box.column in between and box.holds(y, -APART) for box in boxes)
        return not meets_box and not runs(y, *range(first, last + 1))

    def end(y: float) -> float:
        return y if target.holds(y, APART) and not runs(y, last) else port

    def detour(y: float) -> float:
        return abs(start - y) + abs(y - end(y)) + APART * ((start != y) + (y != end(y)))

    across = min(filter(free, [start, port, *gaps]), key=detour, default=start) if between else end(start)
    return start, across, end(across)


def _share_gutters(lines: Sequence[Line], n: int) -> list[int]:
    """Give each vertical part a lane, so that only lines of one source lie on each other; return lanes per gutter."""
    gutters: list[list[list[tuple[float, float, Box]]]] = [[] for _ in range(n)]
    for line in lines:
        for gutter, start, end in line.turns():
            top, bottom = min(start, end) - APART, max(start, end) + APART
            lanes = gutters[gutter]
            order = sorted(range(len(lanes)), key=lambda i: all(other is not line.source for *_, other in lanes[i]))
            place = next((i for i in order if _fits(lanes[i], top, bottom, line.source)), len(lanes))
            if place == len(lanes):
                lanes.append([])
            lanes[place].append((top, bottom, line.source))
            line.lanes[gutter] = place
    return [len(lanes) for lanes in gutters]


def _fits(lane: Sequence[tuple[float, float, Box]], top: float, bottom: float, source: Box) -> bool:
    return all(other is source or below <= top or above >= bottom for above, below, other in lane)
