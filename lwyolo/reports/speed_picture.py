"""Times and ratios as inline SVG; lengths are shares of its width, so texts keep their size on a narrow screen.

Colours come from the page that holds it, `speed_page.css`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from lwyolo.reports.speed import STAGES, comparison_table, runtime_of
from lwyolo.reports.tables import number
from lwyolo.units import MISSING

if TYPE_CHECKING:
    from lwyolo.speed.result import Comparison, Result
    from lwyolo.speed.statistics import Ratio, Summary

ROW, TEXT, MIDDLE, BAR, CAP, AXIS = 46, 13, 29, 16, 5, 20
"""Pixels: height of a row, baseline of its text, middle and height of its bar, half a cap, height of the axis."""
START, END = 1.0, 96.0
"""Percent of the width that the axis begins and ends at; the number at an end needs room."""
NEAR_EDGE = 4.0
"""Percent within which a number under the axis begins at its place, rather than being centred on it."""
MOST_TICKS = 6
STACK = ("preprocess", "forward", "suppression")
"""Stages that one pass goes through, in order."""
SHAPES = {
    "faster": "M-6 0 4-5V5z",
    "slower": "M6 0-4-5V5z",
    "no difference shown": "M0-5A5 5 0 0 1 0 5A5 5 0 0 1 0-5z",
    "not enough clean rounds": "M-4-4 4 4M-4 4 4-4",
}
"""Of each verdict: it points to the faster side, or is a ring or a cross."""


def time_picture(results: Sequence[Result]) -> str:
    """Draw the stages of each result on each other, and its end-to-end median with interval and p90."""
    stages = [{s: ms for s in STACK if (ms := result.summary(s).median_ms) is not None} for result in results]
    wholes = [result.summary("end_to_end") for result in results]
    reached = [ms for whole in wholes for ms in (whole.median_ms, whole.high_ms, whole.p90_ms) if ms is not None]
    most = max([*reached, *(sum(one.values()) for one in stages)])
    axis = Axis(0.0, most or 1.0)
    rows = []
    for result, medians, whole in zip(results, stages, wholes, strict=True):
        told = f"{number(whole.median_ms, 2)} ms" if whole.median_ms is not None else f"{MISSING}, no clean sample"
        text = _text(result.name, runtime_of(result), told)
        rows.append([text, *_stack(axis, medians), *_whole(axis, whole)])
    return _svg("End-to-end time of each model and runtime, in ms", rows, axis if most else None)


def ratio_picture(comparisons: Sequence[Comparison]) -> str:
    """Draw each end-to-end ratio with its interval, and the line at 1.00."""
    ratios = [one.ratios["end_to_end"] for one in comparisons]
    reached = [x for ratio in ratios for x in (ratio.low, ratio.ratio, ratio.high) if x is not None]
    low, high = min([1.0, *reached]), max([1.0, *reached])
    margin = max(0.05 * (high - low), 0.01)
    axis = Axis(low - margin, high + margin)
    one_base = len({one.base for one in comparisons}) == 1
    rows = []
    for one, ratio, (pair, runtime, *_) in zip(comparisons, ratios, comparison_table(comparisons).rows, strict=True):
        text = _text(one.name if one_base else pair, runtime, f"{number(ratio.ratio, 3)}, {ratio.verdict}")
        rows.append([text, *_ratio(axis, ratio)])
    return _svg("Ratio of end-to-end times against the base", rows, axis if reached else None, one=1.0)


class Axis:
    """Where a value lies, in percent of the width."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def at(self, value: float) -> float:
        """Return the place of a value."""
        return START + (END - START) * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return round numbers in its range, at most 6 steps apart from end to end.

        Example:
            >>> Axis(0, 37.5).ticks(), Axis(0.87, 1.21).ticks()
            ([0.0, 10.0, 20.0, 30.0], [0.9, 1.0, 1.1, 1.2])
        """
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / MOST_TICKS))
        step = next(step * times for times in (1, 2, 5, 10) if (self.high - self.low) / (step * times) <= MOST_TICKS)
        numbers = range(math.ceil(self.low / step), math.floor(self.high / step) + 1)
        return [float(f"{n * step:.6g}") for n in numbers]


def marker(verdict: str) -> str:
    """Return the mark of a verdict as a picture of its own, for a legend."""
    return f'<svg class="mark" width="16" height="12" viewBox="-8 -6 16 12" aria-hidden="true">{_mark(verdict)}</svg>'


def _svg(title: str, rows: Sequence[Sequence[str]], axis: Axis | None, one: float | None = None) -> str:
    """Put rows below each other, above the axis if there is anything on it; `one` is where equal times lie."""
    bottom = ROW * len(rows)
    height = bottom + (AXIS if axis else 0)
    parts = [f'<svg class="chart" width="100%" height="{height}" role="img" aria-label="{escape(title)}">']
    if axis:
        parts += [part for tick in axis.ticks() for part in _tick(axis.at(tick), tick, bottom)]
        if one is not None:
            parts.append(_across("one", axis.at(one), bottom))
    parts += [f'<svg y="{ROW * i}" height="{ROW}">{"".join(row)}</svg>' for i, row in enumerate(rows)]
    return "\n".join([*parts, "</svg>"])


def _tick(x: float, value: float, bottom: int) -> Iterator[str]:
    yield _across("grid", x, bottom)
    anchor = "start" if x < NEAR_EDGE else "middle"
    yield f'<text class="tick" x="{x:.2f}%" y="{bottom + 15}" text-anchor="{anchor}">{value:g}</text>'


def _across(kind: str, x: float, bottom: int) -> str:
    return f'<line class="{kind}" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="{bottom}"/>'


def _text(name: str, runtime: str, told: str) -> str:
    words = f'<tspan class="name">{escape(name)}</tspan> {escape(runtime)} <tspan class="told">{escape(told)}</tspan>'
    return f'<text x="{START:g}%" y="{TEXT}">{words}</text>'


def _stack(axis: Axis, medians: Mapping[str, float]) -> Iterator[str]:
    left = 0.0
    for stage, ms in medians.items():
        x, width = axis.at(left), axis.at(ms) - axis.at(0)
        title = f"<title>{STAGES[stage]}: {ms:.2f} ms</title>"
        place = f'x="{x:.2f}%" y="{MIDDLE - BAR / 2:g}" width="{width:.2f}%" height="{BAR}"'
        yield f'<rect class="{stage}" {place}>{title}</rect>'
        left += ms


def _whole(axis: Axis, whole: Summary) -> Iterator[str]:
    if whole.median_ms is None:
        return
    if whole.p90_ms is not None:
        yield _upright("p90", axis.at(whole.p90_ms), BAR / 2 + 3)
    yield from _interval(axis, whole.low_ms, whole.high_ms)
    yield f'<circle class="median" cx="{axis.at(whole.median_ms):.2f}%" cy="{MIDDLE}" r="4"/>'


def _ratio(axis: Axis, ratio: Ratio) -> Iterator[str]:
    yield from _interval(axis, ratio.low, ratio.high)
    if ratio.ratio is not None:
        yield f'<svg class="at" x="{axis.at(ratio.ratio):.2f}%" y="{MIDDLE}">{_mark(ratio.verdict)}</svg>'


def _mark(verdict: str) -> str:
    return f'<path class="verdict {verdict.replace(" ", "-")}" d="{SHAPES[verdict]}"/>'


def _interval(axis: Axis, low: float | None, high: float | None) -> Iterator[str]:
    """Draw a line with a cap at each end, above a wider one that sets it off."""
    if low is None or high is None:
        return
    ends = f'x1="{axis.at(low):.2f}%" x2="{axis.at(high):.2f}%" y1="{MIDDLE}" y2="{MIDDLE}"'
    yield f'<line class="halo" {ends}/><line class="interval" {ends}/>'
    yield from (_upright("interval", axis.at(end), CAP) for end in (low, high))


def _upright(kind: str, x: float, half: float) -> str:
    return f'<line class="{kind}" x1="{x:.2f}%" x2="{x:.2f}%" y1="{MIDDLE - half:g}" y2="{MIDDLE + half:g}"/>'
