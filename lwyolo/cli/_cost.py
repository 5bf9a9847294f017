"""The cost tables that `info` and `train --info` print."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lwyolo import provenance
from lwyolo.cli._parser import Parser
from lwyolo.reports.cost import cost_table
from lwyolo.reports.tables import Format, Table, number, render
from lwyolo.units import MIB, MISSING

if TYPE_CHECKING:
    from lwyolo.cost import Cost


def add_imgsz(parser: Parser) -> None:
    """Add the option `--imgsz`; its value is one token, since `key=value` may follow it."""
    parser.add_argument(
        "--imgsz", type=image_size, metavar="N", help="image size in pixels: 640, or height and width as 480x640"
    )


def image_size(text: str) -> int | tuple[int, int]:
    """Read an image size: one side for both, or height and width.

    Example:
        >>> image_size("640"), image_size("480x640")
        (640, (480, 640))
    """
    sides = text.lower().split("x")
    if not 1 <= len(sides) <= 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is no image size; expected 640, or height and width as 480x640")
    return int(text) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def cost_report(
    models: Sequence[str],
    *,
    scale: str | None = None,
    imgsz: int | tuple[int, int] | None = None,
    layers: bool = False,
    fused: bool = True,
    fmt: Format = "text",
) -> str:
    """Return the cost of models side by side, and with `layers` a row for each of their layers.

    Args:
        models: Model YAMLs, checkpoints, or stock names.
        scale: Scale of the YAMLs, where their names have none.
        imgsz: One side for both, or height and width; 640 by default.
        layers: Add the table of layers.
        fused: Count the deployed graph; else the training graph.
        fmt: A format of `reports.tables`.
    """
    from lwyolo.engine.info import model_cost

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [model_cost(model, scale, imgsz or 640, fused) for model in models]
    parts = [render(cost_table([(name, record) for name, _, record in found]), fmt)]
    if layers:
        parts += [render(layer_table(name, cost), fmt) for name, cost, _ in found]
    if fmt == "text":
        parts.append(origin())
    return "\n\n".join(parts)


def layer_table(name: str, cost: Cost) -> Table:
    """Return a row for each row of the YAML."""
    return Table(
        header=("Layer", "From", "Module", "Output", "Params", "MMACCs", "%", "MAC eager\n(MiB)"),
        rows=tuple(
            (
                MISSING if layer.index is None else str(layer.index),
                str(layer.from_).replace(" ", ""),
                layer.type.rsplit(".", 1)[-1],
                _shape(layer.output_shapes),
                number(layer.params),
                number(layer.macs / 1e6, 1),
                number(100 * layer.macs / max(cost.macs, 1), 1),
                number(layer.memory_access_bytes / MIB, 1),
            )
            for layer in cost.layers
        ),
        align=("right", "left", "left", "left", "right", "right", "right", "right"),
        title=f"Layers of {name}",
    )


def _shape(shapes: Sequence[Sequence[int]]) -> str:
    """Word the output of a layer without its batch: `64×80×80`, several levels apart by spaces."""
    return " ".join("×".join(map(str, shape[1:])) for shape in shapes[:3]) + (" …" if len(shapes) > 3 else "")


def origin() -> str:
    """Say which copy of Ultralytics built the model, and name further copies on the path."""
    copies = provenance.ultralytics_copies()
    text = f"Ultralytics {provenance.versions().get('ultralytics', '?')} from {copies[0]}"
    others = "".join(f"\n  another copy, not used: {copy}" for copy in copies[1:])
    return text + others
