"""One HTML page, in one file, that shows where the cost of models lies: a picture to zoom into, and all tables.

The picture is an icicle: the model above, its layers below it in order of execution, the modules of each below that;
a module is as wide as its share of the measure that the reader chooses.
"""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from string import Template
from typing import TYPE_CHECKING, Any

from lwyolo.reports.cost import GRAPHS, cost_conditions, cost_table
from lwyolo.reports.document import asset, document, table_html
from lwyolo.reports.layers import layer_table, operator_table
from lwyolo.reports.tables import Table, number
from lwyolo.units import MIB, MISSING, gflops, giga_macs, mib, millions

if TYPE_CHECKING:
    from lwyolo.cost import Cost, LayerCost

MEASURES = (
    ("macs", "MACCs", ""),
    ("flops", "FLOPs", ""),
    ("memory_access_bytes", "memory access, eager", "B"),
    ("memory_access_fused_bytes", "memory access, fused", "B"),
    ("params", "parameters", ""),
    ("activation_bytes", "activations written", "B"),
)
"""Attribute of `Cost` and of `LayerCost`, name and unit of each measure that the picture can show."""

MEANING = (
    "MACCs: multiply-accumulates of contractions; what papers call FLOPs is twice this. FLOPs: 2 × MACCs, and "
    "element-wise work. Memory access cost (MAC): bytes that one pass moves between memory and cores, each operator on "
    "its own (eager), or with element-wise operators merged into their producers (fused; such a group counts where it "
    "starts). Σ act.: activations that all operators write. Peak: activations alive at once, a lower bound. Arithmetic "
    "intensity: FLOPs over fused memory access. Whatever a module holds counts in it too."
)


def cost_page(named: Sequence[tuple[str, Cost]]) -> str:
    """Return an HTML document that needs nothing beside it: no other file, no network.

    Args:
        named: Name and cost of each model, once for each of its graphs.
    """
    sections = (_section(i, name, cost, opened=len(named) == 1) for i, (name, cost) in enumerate(named))
    names = list(dict.fromkeys(name for name, _ in named))
    title = f"Where the cost lies: {', '.join(names)}"
    body = Template(asset("page.html")).substitute(
        title=html.escape(title),
        summary=_summary(named),
        sections="\n".join(sections),
        meaning=html.escape(MEANING),
        data=_json(named),
    )
    return document(title, body, css=asset("page.css"), js=asset("page.js"))


def _json(named: Sequence[tuple[str, Cost]]) -> str:
    """Return what the picture is drawn from; as `<` is escaped, no name in it can end the script that holds it."""
    area: Counter[str] = Counter()
    for _, cost in named:
        for layer in cost.layers:
            for module in layer.walk():
                area[module.type] += module.memory_access_bytes
    data = {
        "measures": [{"label": label, "unit": unit} for _, label, unit in MEASURES],
        "kinds": [kind for kind, _ in area.most_common()],
        "models": [
            {"path": _heading(name, cost), "figures": _figures(cost), "children": [_node(c) for c in cost.layers]}
            for name, cost in named
        ],
    }
    return json.dumps(data, separators=(",", ":")).replace("<", r"\u003c")


def _node(layer: LayerCost) -> dict[str, Any]:
    node: dict[str, Any] = {"path": layer.path, "type": layer.type, "figures": _figures(layer)}
    optional = {
        "index": layer.index,
        "from": None if layer.from_ is None else str(layer.from_),
        "calls": layer.calls if layer.calls != 1 else None,
        "out": layer.output_shapes or None,
        "children": [_node(child) for child in layer.children] or None,
    }
    return node | {key: value for key, value in optional.items() if value is not None}


def _figures(cost: Cost | LayerCost) -> list[int]:
    return [getattr(cost, attribute) for attribute, _, _ in MEASURES]


def _heading(name: str, cost: Cost) -> str:
    return f"{name}, {GRAPHS[cost.fused]} graph"


def _summary(named: Sequence[tuple[str, Cost]]) -> str:
    """Put several models side by side, with links to their sections."""
    if len(named) < 2:
        return ""
    links = "".join(
        f'<li><a href="#model-{i}">{html.escape(_heading(name, cost))}</a></li>' for i, (name, cost) in enumerate(named)
    )
    table = ""
    if all(_is_image(cost) for _, cost in named):
        side_by_side = _without_empty(cost_table([(name, cost.record()) for name, cost in named]))
        table = table_html(replace(side_by_side, notes=side_by_side.notes[1:]))
    return f'{table}\n<nav aria-label="Models"><ul>{links}</ul></nav>'


def _section(i: int, name: str, cost: Cost, opened: bool) -> str:
    uncounted = [row for row, operator in enumerate(cost.operators) if not operator.counted]
    is_open = " open" if opened else ""
    return "\n".join(
        [
            f'<section id="model-{i}" aria-labelledby="name-{i}">',
            f'<h2 id="name-{i}">{html.escape(name)} <span class="graph">{GRAPHS[cost.fused]} graph</span></h2>',
            f'<p class="conditions">{html.escape(_conditions(cost))}</p>',
            _warning(cost),
            f'<dl class="figures">{"".join(_definitions(cost))}</dl>',
            '<div class="picture" hidden>',
            f'<nav class="trail" aria-label="Part of {html.escape(name)} that is shown"></nav>',
            f'<div class="flame" role="tree" aria-label="Cost of {html.escape(name)} by module"></div>',
            '<ul class="legend" aria-label="Colours"></ul>',
            "</div>",
            f"<details{is_open}><summary><h3>Layers</h3></summary>",
            table_html(_layers(name, cost), sortable=True),
            f"</details>\n<details{is_open or (' open' if uncounted else '')}><summary><h3>Operators</h3></summary>",
            table_html(_without_empty(operator_table(name, cost)), sortable=True, marked=uncounted),
            "</details>\n</section>",
        ]
    )


def _conditions(cost: Cost) -> str:
    if _is_image(cost):
        return cost_conditions(cost.record())
    shapes = ", ".join("×".join(map(str, shape)) for shape in cost.input_shapes)
    return f"input {shapes}, {cost.dtype}"


def _is_image(cost: Cost) -> bool:
    return len(cost.input_shapes[0]) == 4


def _warning(cost: Cost) -> str:
    if not cost.uncounted:
        return ""
    calls = ", ".join(f"{name} × {count}" for name, count in sorted(cost.uncounted.items()))
    text = f"Ran without a formula, missing in MACCs and FLOPs: {calls}."
    return f'<p class="uncounted" role="note"><strong>{html.escape(text)}</strong></p>'


def _definitions(cost: Cost) -> Iterator[str]:
    """Word the figures of a model: name, value, and what must be read with it."""
    at = f"a lower bound; at {cost.peak_at}" if cost.peak_at else "a lower bound"
    figures = (
        ("Parameters", millions(cost.params), f"{mib(cost.params * 4)} in fp32"),
        ("MACCs", giga_macs(cost.macs), f"{gflops(cost.gflops)} as papers count"),
        ("FLOPs", gflops(cost.flops / 1e9), "with element-wise work"),
        ("Memory access, eager", mib(cost.memory_access_bytes), "operators one by one"),
        ("Memory access, fused", mib(cost.memory_access_fused_bytes), f"at least {mib(cost.compulsory_bytes)}"),
        ("Activations written", mib(cost.activation_bytes), "by all operators"),
        ("Peak of activations", mib(cost.peak_activation_bytes), at),
        ("Arithmetic intensity", number(cost.arithmetic_intensity, 1), "FLOPs per byte, fused"),
    )
    for name, value, remark in figures:
        yield f"<div><dt>{name}</dt><dd>{value} <small>{html.escape(remark)}</small></dd></div>"


def _layers(name: str, cost: Cost) -> Table:
    """Return the rows of the model with the activations that each writes."""
    table = layer_table(name, cost)
    rows = (
        (
            *row,
            number(layer.activation_bytes / MIB, 1),
            number(100 * layer.activation_bytes / cost.activation_bytes if cost.activation_bytes else None, 1),
        )
        for row, layer in zip(table.rows, cost.layers, strict=True)
    )
    header = (*table.header, "Σ act.\n(MiB)", "%")
    return replace(table, header=header, rows=tuple(rows), align=(*table.sides, "right", "right"))


def _without_empty(table: Table) -> Table:
    """Leave out the columns of figures that hold none."""
    figures = range(table.stub, len(table.header))
    kept = [*range(table.stub), *(c for c in figures if any(row[c] not in ("", MISSING) for row in table.rows))]
    header, *rows = (tuple(row[c] for c in kept) for row in (table.header, *table.rows))
    return replace(table, header=header, rows=tuple(rows), align=tuple(table.sides[c] for c in kept))
