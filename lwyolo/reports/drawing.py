"""The layers of a model as one picture: a row for each stride, so that backbone, FPN and PAN go down, up and down.

Written here, since the usual tool for graphs, Graphviz, needs its program `dot`, which a fresh machine has not, and
knows neither strides nor levels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from wcwidth import wcwidth

from lwyolo.units import MIB

if TYPE_CHECKING:
    from lwyolo.cost import Cost, LayerCost

OUTSIDE = "(outside of layers)"
FONT = "Helvetica, Arial, 'Liberation Sans', 'Noto Sans CJK SC', sans-serif"
EM = 0.68
"""Width that a column of text is given, in units of the font size: more than sans-serif letters take on average."""
NAME, SHAPE = 11, 10
"""Font sizes of a layer's name and of its shapes."""
BOX_HEIGHT, BOX_GAP, BAND_GAP, BOX_PAD, BAR = 40, 18, 14, 8, 3
WIDEST = 190
LABELS, TOP, LEGEND, MARGIN, NARROWEST = 58, 58, 62, 14, 560
LANE, GUTTER, APART = 8, 14, 5


@dataclass(slots=True, eq=False)
class Box:
    """A layer, or the input, and where it is drawn.

    Args:
        key: What the picture calls it: the index, `input`, or the position of a layer without an index.
        strides: The levels that it stands on; several for one that emits or joins several.
        texts: Lines below the name.
        at_level: A line for each level, of a box over several.
    """

    key: str
    name: str
    strides: tuple[float, ...]
    texts: tuple[str, ...] = ()
    at_level: dict[float, str] = field(default_factory=dict)
    sources: tuple[Box, ...] = ()
    layer: LayerCost | None = None
    column: int = 0
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = BOX_HEIGHT

    @property
    def spans(self) -> bool:
        """Whether it stands on several levels."""
        return len(self.strides) > 1

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    def holds(self, y: float) -> bool:
        """Whether a line at a height would touch it."""
        return self.y - APART < y < self.y + self.height + APART


@dataclass(slots=True, eq=False)
class Edge:
    """A connection that leaves and enters at the side; `y` are its heights: at its start, between columns, at its end."""

    source: Box
    target: Box
    y: tuple[float, float, float]
    lanes: dict[int, int] = field(default_factory=dict)

    def turns(self) -> Iterator[tuple[int, float, float]]:
        """Yield the gutter, top and bottom of each vertical part; a gutter has the number of the column left of it."""
        start, across, end = self.y
        if self.target.column - self.source.column < 2:
            parts = [(self.source.column, start, end)]
        else:
            parts = [(self.source.column, start, across), (self.target.column - 1, across, end)]
        for gutter, a, b in parts:
            if a != b:
                yield gutter, min(a, b), max(a, b)


def layer_graph_svg(name: str, cost: Cost) -> str:
    """Draw the layers of a model and what each reads, as one SVG without outside parts.

    Args:
        name: Title of the picture.
        cost: Whose `layers` are drawn; what ran outside of them is not.
    """
    boxes = _boxes(cost)
    columns = _columns(boxes)
    bands = _rows(boxes, columns)
    edges = _edges(boxes, columns, bands)
    lanes = _lanes(edges, len(columns))
    _widths(columns, lanes)
    return "\n".join(_svg(name, cost, boxes, bands, edges, lanes)) + "\n"
