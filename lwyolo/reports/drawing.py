"""The layers of a model as one SVG: a row of the picture for each level, from the image down.

Written here: the usual tool for graphs, Graphviz, needs its program `dot`, which a fresh machine has not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from wcwidth import wcwidth

from lwyolo.reports.layout import ROW, Box, Layout, Line, lay_out
from lwyolo.units import giga_macs, millions

if TYPE_CHECKING:
    from lwyolo.cost import Cost, LayerCost

OUTSIDE = "(outside of layers)"
FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
EM, WIDE = 0.7, 0.9
"""Widths of a column of text, and of a capital, m or w, for each unit of font size; sans-serif fonts take less."""
NAME, SMALL, TITLE = 11, 10, 15
"""Font sizes: of names, of shapes and notes, of the title."""
PAD, BAR = 8, 3
WIDEST_TEXT = 200
MARGIN, LEVELS, HEAD, FOOT, NARROWEST = 14, 66, 68, 84, 600
INK, FAINT, FILL, BAND = "#222", "#9aa5b1", "#e6edf5", "#f7f7f7"
ARROW = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    f'<path d="M0 0.8 8 4 0 7.2z" fill="{INK}"/></marker>'
)
STYLE = f"""
.band {{ fill: {BAND} }}
.box {{ fill: #fff; stroke: {INK} }}
.weights {{ fill: {FILL} }}
.macs {{ fill: {INK} }}
.params {{ fill: {FAINT} }}
.line {{ fill: none; stroke: {INK}; stroke-width: 1; shape-rendering: crispEdges }}
.halo {{ fill: none; stroke: #fff; stroke-width: 4 }}
text {{ fill: {INK}; font-size: {SMALL}px }}
.name {{ font-size: {NAME}px; font-weight: bold }}
.index {{ font-weight: normal }}
.title {{ font-size: {TITLE}px; font-weight: bold }}
""".strip()


def layer_graph_svg(name: str, cost: Cost) -> str:
    """Draw the layers of a model, and what each reads, as an SVG that needs no other file.

    Args:
        name: The title.
        cost: Its `layers` are drawn; what ran outside of them is not.
    """
    drawn = _draw_list(cost)
    layout = lay_out([box for box, _ in drawn], MARGIN + LEVELS, HEAD)
    layers = [shown.layer for _, shown in drawn if shown.layer]
    largest = {kind: max((getattr(layer, kind) for layer in layers), default=0) for kind in ("macs", "params")}
    width = max(layout.right + MARGIN, NARROWEST)
    bottom = layout.bottom + 24
    size = f'width="{width:g}" height="{bottom + FOOT:g}"'
    view = f'viewBox="0 0 {width:g} {bottom + FOOT:g}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {view} {size} role="img" font-family="{escape(FONT)}">',
        f"<title>{escape(fit(name, TITLE, math.inf))}</title>",
        f"<style>{STYLE}</style>",
        ARROW,
        f'<rect {size} fill="#fff"/>',
        *_header(name, cost, width),
        *_levels(layout, cost, width),
        *_connections(layout),
        *(part for box, shown in drawn for part in _box(box, shown, largest, layout)),
        *_legend(cost, largest, bottom),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def text_width(text: str, size: float) -> float:
    """Return a width that holds a text in any usual sans-serif font; a Chinese character counts twice.

    Example:
        >>> round(text_width("abc2", 10), 1), round(text_width("卷积", 10), 1), round(text_width("C2f", 10), 1)
        (28.0, 28.0, 23.0)
    """
    widths = (WIDE if letter.isupper() or letter in "mw" else EM * max(wcwidth(letter), 0) for letter in text)
    return size * sum(widths)


def fit(text: str, size: float, width: float) -> str:
    """Shorten a text, at its end, to a width; what a font or XML cannot show becomes a replacement character.

    Example:
        >>> fit("upsample", 10, 60), fit("upsample", 10, 40)
        ('upsample', 'upsa…')
    """
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


class Shown:
    """What is written on a box: index and name, lines below them, and lines beside its levels."""

    def __init__(
        self,
        name: str,
        lines: Sequence[str],
        levels: Mapping[float, str],
        layer: LayerCost | None = None,
        index: str = "",
    ) -> None:
        self.layer = layer
        self.index = index
        self.name = fit(name, NAME, WIDEST_TEXT)
        self.lines = [fit(line, SMALL, WIDEST_TEXT) for line in lines]
        self.levels = {stride: fit(line, SMALL, WIDEST_TEXT) for stride, line in levels.items()}

    @property
    def width(self) -> float:
        """Of the box."""
        widths = [text_width(line, SMALL) for line in (*self.lines, *self.levels.values())]
        return 2 * PAD + max(text_width(f"{self.index} {self.name}", NAME), *widths)


def _draw_list(cost: Cost) -> list[tuple[Box, Shown]]:
    """Turn the input and the layers into boxes. A layer without rows of its own reads the one before it."""
    image = cost.input_shapes[0]
    shown = Shown("input", [_shape(image)], {})
    drawn = [(Box("input", (1.0,), (), shown.width), shown)]
    by_index = {-1: drawn[0][0]}
    for place, layer in enumerate(layer for layer in cost.layers if layer.type != OUTSIDE):
        index = place if layer.index is None else layer.index
        froms = (layer.from_,) if isinstance(layer.from_, int) else layer.from_ or (-1,)
        sources = tuple(dict.fromkeys(by_index[f + index if f < 0 else f] for f in froms))
        by_level: dict[float, list[tuple[int, ...]]] = {}
        loose = []
        for shape in layer.output_shapes:
            stride = _stride(shape, image)
            (loose.append(shape) if stride is None else by_level.setdefault(stride, []).append(shape))
        read = {stride for source in sources for stride in source.strides}
        strides = tuple(sorted({*by_level, *(read if loose or not by_level else ())}))
        lines = [_shape(shape) for shape in loose[:2]]
        levels = {stride: _joined(shapes) for stride, shapes in sorted(by_level.items())}
        if len(strides) == 1:
            lines, levels = [*levels.values(), *lines][:1], {}
        shown = Shown(layer.type.rsplit(".", 1)[-1], lines, levels, layer, str(index))
        by_index[index] = Box(str(index), strides, sources, shown.width)
        drawn.append((by_index[index], shown))
    return drawn


def _stride(shape: Sequence[int], image: Sequence[int]) -> float | None:
    """Return height of the image over height of an output, as the power of two that it is rounded from.

    `None` for an output without height and width, or of one pixel.
    """
    if len(shape) != 4 or len(image) != 4 or shape[2] * shape[3] <= 1:
        return None
    stride = image[2] / shape[2]
    power: float = 2.0 ** round(math.log2(stride))
    return power if abs(stride / power - 1) < 0.1 else stride


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape[1:]))


def _joined(shapes: Sequence[Sequence[int]]) -> str:
    """Word outputs of one level: their channels, then height and width."""
    return f"{'+'.join(str(shape[1]) for shape in shapes)}×{shapes[0][2]}×{shapes[0][3]}"


def _header(name: str, cost: Cost, width: float) -> Iterator[str]:
    graph = "deployed (fused) graph" if cost.fused else "training graph"
    conditions = f"input {_shape(cost.input_shapes[0])}, {millions(cost.params)} parameters, {giga_macs(cost.macs)}"
    yield _line_of_text(MARGIN, 26, fit(name, TITLE, width - 2 * MARGIN), "title")
    yield _line_of_text(MARGIN, 44, fit(f"{conditions}, {graph}", SMALL, width - 2 * MARGIN))


def _levels(layout: Layout, cost: Cost, width: float) -> Iterator[str]:
    image = cost.input_shapes[0]
    for place, (stride, (top, bottom)) in enumerate(layout.bands.items()):
        if place % 2 == 0:
            yield f'<rect class="band" x="0" y="{top - 12:g}" width="{width:g}" height="{bottom - top + 24:g}"/>'
        if stride != 1:
            middle = (top + bottom) / 2
            power = math.log2(stride)
            label = f"P{power:g}/{stride:g}" if power.is_integer() else f"1/{stride:.3g}"
            size = f"{math.ceil(image[2] / stride)}×{math.ceil(image[3] / stride)}"
            yield _line_of_text(MARGIN, middle, label, "name")
            yield _line_of_text(MARGIN, middle + 14, size)


def _connections(layout: Layout) -> Iterator[str]:
    """Lines of one source lie on each other, so they are drawn together, above a halo that sets them off."""
    by_source: dict[Box, list[Line]] = {}
    for line in layout.lines:
        by_source.setdefault(line.source, []).append(line)
    for lines in by_source.values():
        paths = [" ".join(f"{x:g},{y:g}" for x, y in layout.points(line)) for line in lines]
        yield from (f'<polyline class="halo" points="{path}"/>' for path in paths)
        for line, path in zip(lines, paths, strict=True):
            ends = f'data-from="{line.source.key}" data-to="{line.target.key}"'
            yield f'<polyline class="line" {ends} points="{path}" marker-end="url(#arrow)"/>'


def _box(box: Box, shown: Shown, largest: Mapping[str, int], layout: Layout) -> Iterator[str]:
    layer = shown.layer
    weights = " weights" if layer and layer.params else ""
    yield f'<g data-layer="{box.key}">'
    if layer:
        yield f"<title>{escape(fit(_details(layer), SMALL, math.inf))}</title>"
    yield (
        f'<rect class="box{weights}" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="3"/>'
    )
    left, y = box.x + PAD, box.y + 15
    yield _line_of_text(left, y, shown.name, "name", shown.index)
    for line in shown.lines:
        y += 14
        yield _line_of_text(left, y, line)
    for stride, line in shown.levels.items():
        y = max(y + 14, sum(layout.bands[stride]) / 2 + 4)
        yield _line_of_text(left, y, line)
    if layer:
        yield from _bars(box, layer, largest)
    yield "</g>"


def _bars(box: Box, layer: LayerCost, largest: Mapping[str, int]) -> Iterator[str]:
    """Draw the MACCs and parameters, each against the largest of the model."""
    for kind, lift in (("macs", 2 * BAR + 1), ("params", BAR + 1)):
        if part := getattr(layer, kind):
            y, width = box.y + box.height - lift, part / largest[kind] * (box.width - 2)
            yield f'<rect class="{kind}" x="{box.x + 1:g}" y="{y:g}" width="{width:.1f}" height="{BAR}"/>'


def _details(layer: LayerCost) -> str:
    outputs = ", ".join(map(_shape, layer.output_shapes))
    return f"{layer.path} {layer.type}: {outputs}; {millions(layer.params)} parameters, {giga_macs(layer.macs)}"


def _legend(cost: Cost, largest: Mapping[str, int], top: float) -> Iterator[str]:
    yield f'<rect class="box weights" x="{MARGIN}" y="{top:g}" width="180" height="{ROW}" rx="3"/>'
    yield _line_of_text(MARGIN + PAD, top + 15, "class", "name", "index")
    yield _line_of_text(MARGIN + PAD, top + 29, "channels×height×width")
    yield f'<rect class="box" x="{MARGIN}" y="{top + 48:g}" width="24" height="12" rx="3"/>'
    yield _line_of_text(MARGIN + 32, top + 58, "layer without parameters")
    for kind, words, y in (("macs", "MACCs", 11), ("params", "parameters", 30)):
        share = 100 * largest[kind] / max(getattr(cost, kind), 1)
        yield f'<rect class="{kind}" x="230" y="{top + y - 6:g}" width="24" height="{BAR}"/>'
        yield _line_of_text(262, top + y, f"{words}; full width: {share:.1f} % of the model's")
    yield _line_of_text(262, top + 49, "Rows: level and stride. Columns: depth.")


def _line_of_text(x: float, y: float, text: str, kind: str = "", index: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    before = f'<tspan class="index">{escape(index)} </tspan>' if index else ""
    return f'<text x="{x:g}" y="{y:g}"{style}>{before}{escape(text)}</text>'
