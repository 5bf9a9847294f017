"""The roofline as a picture: FLOPs for each byte against achieved FLOPS, both axes logarithmic, and the roofs above.

A group of operators is a mark whose area is its time. What computes no FLOPs has no place there; the bar below holds
the time of all.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from html import escape

from lwyolo.reports.cost import conditions
from lwyolo.reports.document import document, table_html
from lwyolo.reports.drawing import fit, text_width
from lwyolo.reports.roofline import explanation, roofline_tables
from lwyolo.speed.roofline import VERDICTS, Group, Roofline, Verdict
from lwyolo.speed.roofline_sums import sums

WIDTH, HEIGHT = 900.0, 590.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 884.0, 64.0, 452.0
BAR_TOP, BAR, LEGEND = 506.0, 18.0, 548.0
SMALL, TITLE = 11, 15
LARGEST, SMALLEST = 46.0, 2.5
"""Radius of a mark that takes all the time, and of the smallest one."""
LABELLED, NEAR, NARROW = 6, 12, 0.85
"""Groups that are named, pixels up to which a name needs no line to its mark, and small text against its widest."""
Box = tuple[float, float, float, float]
STEPS = (1.0, 2.0, 5.0)
FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
LIGHT = (
    "--page:#fff; --ink:#1c2126; --soft:#5a646e; --grid:#e3e7eb; "
    "--c0:#2f6fb5; --c1:#b8620e; --c2:#b3261e; --c3:#7a848e; --c4:#c2c9d0"
)
DARK = (
    "--page:#15181b; --ink:#e4e8ec; --soft:#a3adb7; --grid:#2b3137; "
    "--c0:#7fb6ee; --c1:#f0a35e; --c2:#ff8a80; --c3:#98a2ac; --c4:#56606a"
)
STYLE = f"""
svg.roofline {{ {LIGHT}; background: var(--page); color-scheme: light dark }}
@media screen and (prefers-color-scheme: dark) {{ svg.roofline {{ {DARK} }} }}
.roofline text {{ fill: var(--ink); font: {SMALL}px {FONT} }}
.roofline .title {{ font-size: {TITLE}px; font-weight: bold }}
.roofline .soft {{ fill: var(--soft) }}
.roofline .halo {{ paint-order: stroke; stroke: var(--page); stroke-width: 3.5px; stroke-linejoin: round }}
.roofline .page {{ fill: var(--page) }}
.roofline .grid {{ stroke: var(--grid) }}
.roofline .lead {{ stroke: var(--soft); stroke-width: .8 }}
.roofline .roof {{ fill: none; stroke: var(--ink); stroke-width: 1.6 }}
.roofline .inner {{ stroke-dasharray: 5 3; stroke-width: 1.2 }}
.roofline .mark {{ fill-opacity: .45; stroke-width: 1 }}
{"".join(f".roofline .v{i} {{ fill: var(--c{i}); stroke: var(--c{i}) }}" for i in range(len(VERDICTS)))}
""".strip()
SHAPES: dict[Verdict, str] = {"memory-bound": "square", "below both roofs": "diamond"}
"""Of marks that are no circles, so that colour alone tells nothing."""


class Axis:
    """A logarithmic axis.

    Args:
        values: That it holds.
        start: Where its lower end is drawn.
        end: Where its upper end is.
    """

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        ticks = [step * 10.0**power for power in range(-12, 13) for step in STEPS]
        self.low = max(tick for tick in ticks if tick <= min(values))
        self.high = min(tick for tick in ticks if tick >= max(values))
        self.ticks = [tick for tick in ticks if self.low <= tick <= self.high]
        self.start, self.end = start, end

    def at(self, value: float) -> float:
        """Return the place of a value."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def roofline_svg(models: Sequence[Roofline]) -> str:
    """Draw models below each other, as an SVG that needs no other file."""
    height = HEIGHT * len(models)
    size, view = f'width="{WIDTH:g}" height="{height:g}"', f'viewBox="0 0 {WIDTH:g} {height:g}"'
    names = " and ".join(model.name for model in models)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="roofline" {view} {size} role="img">',
        f"<title>{escape(f'Roofline of {names}')}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" {size}/>',
    ]
    for place, model in enumerate(models):
        parts += [f'<g transform="translate(0 {place * HEIGHT:g})">', *_panel(model), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def roofline_page(models: Sequence[Roofline], shown: int | None = None) -> str:
    """Return an HTML document that needs nothing beside it: pictures, sentences and tables.

    Args:
        models: One, or two that are compared.
        shown: Groups of each in its table, the slowest; `None`: all.
    """
    title = f"Roofline: {' and '.join(model.name for model in models)}"
    about = f"{conditions(models[0].imgsz, models[0].batch, 'float32')}, {models[0].runtime}, {models[0].cpu}"
    why = [f"<p>{html.escape(line)}</p>" for line in (explanation(*models) if len(models) == 2 else ())]
    tables = [table_html(table, sortable=True) for table in roofline_tables(models, shown)]
    body = "\n".join(
        [
            f'<header><h1>{html.escape(title)}</h1><p class="conditions">{html.escape(about)}</p></header>',
            "<main>",
            *why,
            f'<div class="scroll" role="region" tabindex="0" aria-label="Pictures">{roofline_svg(models)}</div>',
            *(f"<section>{table}</section>" for table in tables),
            "</main>",
        ]
    )
    return document(title, body, css="\nsvg.roofline { width: 100%; height: auto; min-width: 40rem; }\n")


def _panel(model: Roofline) -> Iterator[str]:
    placed = [group for group in model.groups if group.macs and group.intensity and group.ms]
    ridges = [model.roofs.gflops_per_s / one.gb_per_s for one in model.roofs.levels if one.gb_per_s]
    x = Axis([*(g.intensity or 1.0 for g in placed), *ridges, 1.0, 100.0], LEFT, RIGHT)
    y = Axis([*(g.gflops_per_s for g in placed), model.roofs.gflops_per_s * 1.3], BOTTOM, TOP)
    about = f"{conditions(model.imgsz, model.batch, 'float32')}, {model.roofs.threads} thread"
    about += (
        f"{'s' * (model.roofs.threads != 1)}, {model.runtime}: {model.whole_ms:.1f} ms; the area of a mark is its time"
    )
    yield _text(LEFT, 26, fit(model.name, TITLE, RIGHT - LEFT), "title")
    yield _text(LEFT, 44, fit(about, SMALL, RIGHT - LEFT), "soft")
    yield from _grid(x, y)
    yield from _roofs(model, x, y)
    for group in sorted(placed, key=lambda one: -one.ms):
        yield _mark(group, model.sum_ms, x, y)
    yield from _labels(placed, model.sum_ms, x, y)
    yield from _bar(model)


def _grid(x: Axis, y: Axis) -> Iterator[str]:
    for tick in x.ticks:
        yield f'<path class="grid" d="M{x.at(tick):.1f} {TOP:g}V{BOTTOM:g}"/>'
        yield _text(x.at(tick), BOTTOM + 15, f"{tick:g}", "soft", "middle")
    for tick in y.ticks:
        yield f'<path class="grid" d="M{LEFT:g} {y.at(tick):.1f}H{RIGHT:g}"/>'
        yield _text(LEFT - 6, y.at(tick) + 4, f"{tick:g}", "soft", "end")
    yield _text((LEFT + RIGHT) / 2, BOTTOM + 32, "FLOPs for each byte", "soft", "middle")
    middle = (TOP + BOTTOM) / 2
    yield (
        f'<text class="soft" text-anchor="middle" transform="translate(16 {middle:g}) rotate(-90)">'
        "achieved GFLOPS</text>"
    )


def _roofs(model: Roofline, x: Axis, y: Axis) -> Iterator[str]:
    """Draw the peak, and each bandwidth up to it; the innermost known one ends where the peak begins to bound."""
    peak = model.roofs.gflops_per_s
    known = [(level.name, level.gb_per_s) for level in model.roofs.levels if level.gb_per_s]
    slope = math.degrees(math.atan2(y.at(x.low) - y.at(x.low * 10), x.at(x.low * 10) - x.at(x.low)))
    for name, rate in known:
        start, ridge = max(x.low, y.low / rate), peak / rate
        if ridge <= start:
            continue
        outer = "roof" if name == model.roofs.levels[-1].name else "roof inner"
        yield _line(outer, (x.at(start), y.at(start * rate)), (x.at(ridge), y.at(peak)))
        place = start * (ridge / start) ** 0.06
        where = f"translate({x.at(place):.1f} {y.at(place * rate):.1f}) rotate({-slope:.1f})"
        yield f'<text class="halo" transform="{where}" dy="-5">{escape(name)} {rate:.0f} GB/s</text>'
    first = min((peak / rate for _, rate in known), default=x.low)
    yield _line("roof", (x.at(max(first, x.low)), y.at(peak)), (RIGHT, y.at(peak)))
    yield _text(x.at(max(first, x.low)) + 4, y.at(peak) - 6, f"peak {peak:.0f} GFLOPS", "halo")


def _line(kind: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    return f'<path class="{kind}" d="M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}"/>'


def _radius(group: Group, whole_ms: float) -> float:
    return max(SMALLEST, LARGEST * math.sqrt(group.ms / whole_ms))


def _mark(group: Group, whole_ms: float, x: Axis, y: Axis) -> str:
    """Draw a group; its title tells its figures to who points at it."""
    cx, cy, r = x.at(group.intensity or 1.0), y.at(group.gflops_per_s), _radius(group, whole_ms)
    share = "–" if group.share is None else f"{100 * group.share:.0f} %"
    words = f"{group.name}: {group.kind}, {group.ms:.3f} ms, {group.gflops_per_s:.1f} GFLOPS, {share} of its bound, "
    title = f"<title>{escape(words + group.verdict)}</title>"
    kind = f'class="mark v{VERDICTS.index(group.verdict)}"'
    shape = SHAPES.get(group.verdict)
    if shape is None:
        return f'<circle {kind} cx="{cx:.1f}" cy="{cy:.1f}" r="{r:.1f}">{title}</circle>'
    half = r * math.sqrt(math.pi) / 2  # of a square with the circle's area
    turned = f' transform="rotate(45 {cx:.1f} {cy:.1f})"' if shape == "diamond" else ""
    box = f'x="{cx - half:.1f}" y="{cy - half:.1f}" width="{2 * half:.1f}" height="{2 * half:.1f}"'
    return f"<rect {kind} {box}{turned}>{title}</rect>"


def _labels(groups: Sequence[Group], whole_ms: float, x: Axis, y: Axis) -> Iterator[str]:
    """Name the slowest groups where a name finds room off marks and other names; a line leads to one further away."""
    taken: list[Box] = []
    texts: list[str] = []
    for group in groups:
        cx, cy, r = x.at(group.intensity or 1.0), y.at(group.gflops_per_s), _radius(group, whole_ms)
        taken.append((cx - r, cy - r, cx + r, cy + r))
    for group in sorted(groups, key=lambda one: -one.ms)[:LABELLED]:
        cx, cy, r = x.at(group.intensity or 1.0), y.at(group.gflops_per_s), _radius(group, whole_ms)
        words = f"{fit(group.name, SMALL, 220)} {group.ms:.1f} ms"
        width = text_width(words, SMALL) * NARROW
        for left, base in _places(cx, cy, r, width):
            box = (left, base - SMALL, left + width, base + 3)
            inside = box[0] >= LEFT and box[2] <= RIGHT and box[1] >= TOP and box[3] <= BOTTOM
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                if base - SMALL > cy + r + NEAR:
                    yield _line("lead", (cx, cy + r), (min(max(cx, left), left + width), base - SMALL))
                texts.append(_text(left, base, words, "halo"))
                break
    yield from texts


def _places(cx: float, cy: float, r: float, width: float) -> Iterator[tuple[float, float]]:
    """Try beside a mark, then below it, further and further away."""
    yield from ((cx + r + 4, cy + 4), (cx - r - 4 - width, cy + 4))
    for step in range(14):
        base = cy + r + SMALL + 3 + step * (SMALL + 4)
        yield from ((cx - width / 2, base), (cx - width, base), (cx, base))


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _bar(model: Roofline) -> Iterator[str]:
    """Draw the time of all groups by class, and the legend."""
    by_class = {one.name: one.ms for one in sums(model.groups, "verdict")}
    without = sum(group.ms for group in model.groups if not group.macs)
    yield _text(LEFT, BAR_TOP - 6, f"time of all groups by class; {without:.1f} ms of it computes no FLOPs", "soft")
    left, x = LEFT, LEFT
    for place, verdict in enumerate(VERDICTS):
        ms = by_class.get(verdict)
        if ms is None:
            continue
        width = (RIGHT - LEFT) * ms / model.sum_ms
        words = f"{verdict} {ms:.1f} ms"
        box = f'x="{left:.1f}" y="{BAR_TOP:g}" width="{width:.1f}" height="{BAR:g}"'
        yield f'<rect class="mark v{place}" {box}><title>{escape(words)}</title></rect>'
        yield f'<rect class="mark v{place}" x="{x:.1f}" y="{LEGEND - 10:g}" width="11" height="11"/>'
        yield _text(x + 17, LEGEND, words)
        left, x = left + width, x + 17 + text_width(words, SMALL) * NARROW + 16


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    side = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{style}{side}>{escape(text)}</text>'
