"""What `info` and `train --info` print: the cost of models, as tables, as JSON, or as a page."""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from lwyolo import provenance
from lwyolo.cli._estimate import Estimates, estimates_of
from lwyolo.cli._parser import Parser
from lwyolo.errors import UsageError
from lwyolo.reports.cost import cost_table
from lwyolo.reports.estimate import estimate_table
from lwyolo.reports.layers import layer_table, lint_table, module_table, operator_table
from lwyolo.reports.tables import Format, Table, render, wrap

if TYPE_CHECKING:
    from lwyolo.engine.info import ModelCost

FORMATS: dict[str, Format] = {"table": "text", "md": "markdown", "latex": "latex", "csv": "csv"}
WITH_ESTIMATES = ("table", "md")
"""What is pasted into a paper or read by a program holds none, so that it does not depend on the machine."""
SUFFIXES = {".txt": "table", ".md": "md", ".tex": "latex", ".csv": "csv", ".json": "json", ".html": "html"}


@dataclass(frozen=True, slots=True)
class CostRequest:
    """Which models are counted, under which conditions, and what is shown of them.

    Args:
        models: Model YAMLs, checkpoints, stock names, or ONNX files.
        scale: Scale of the YAMLs, where their names have none.
        imgsz: One side for both, or height and width, in pixels; `None` is 640, or what an ONNX file says.
        graphs: `training`, `deployed`, or both; tables below the summary are of the last one.
        shown: Of `layers`, `modules`, `ops`, `lint` and `compare`.
        estimate: Whether a latency is estimated; `None`: where this machine is calibrated.
    """

    models: Sequence[str]
    scale: str | None = None
    imgsz: int | tuple[int, int] | None = None
    batch: int = 1
    dtype: str = "float32"
    graphs: tuple[str, ...] = ("training", "deployed")
    strict: bool = False
    shown: frozenset[str] = frozenset()
    estimate: bool | None = False


def add_imgsz(parser: Parser) -> None:
    """Add the option `--imgsz`; its value is one token, since `key=value` may follow it."""
    parser.add_argument(
        "--imgsz", type=image_size, metavar="N", help="image size in pixels: 640, or height and width as 480 640"
    )


def image_size(text: str) -> int | tuple[int, int]:
    """Read an image size: one side for both, or height and width.

    Example:
        >>> image_size("640"), image_size("480x640")
        (640, (480, 640))
    """
    sides = text.lower().split("x")
    if not 1 <= len(sides) <= 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is no image size; expected 640, or height and width as 480 640")
    return int(text) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def cost_report(request: CostRequest, fmt: str = "table") -> str:
    """Return the cost of models side by side, and what is asked for besides.

    Args:
        request: What to count and to show.
        fmt: `table`, `md`, `latex`, `csv`, `json` or `html`.
    """
    from lwyolo.engine.info import cost_of

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [
            cost_of(
                model,
                request.scale,
                request.imgsz,
                graphs=request.graphs,
                batch=request.batch,
                dtype=request.dtype,
                strict=request.strict,
            )
            for model in tqdm(request.models, desc="counting", leave=False, disable=_quiet(request.models))
        ]
        if fmt == "html":
            from lwyolo.reports.page import cost_page

            return cost_page([(one.name, cost) for one in found for cost in one.graphs])
        estimates = estimates_of([(one.name, one.deployed) for one in found if one.deployed], request.estimate)
        if fmt == "json":
            return _json(found, estimates, request)
        tables = [cost_table([record for one in found for record in one.records()])]
        if estimates.rows and fmt in WITH_ESTIMATES:
            tables.append(estimate_table(estimates.rows, estimates.cpu, estimates.dates))
        for source, one in zip(request.models, found, strict=True):
            tables += _tables(source, one, request)
    parts = [render(table, FORMATS[fmt]) for table in tables]
    if fmt == "table":
        parts += [wrap(estimates.remark)] if estimates.remark else []
        parts += [wrap(note) for one in found for note in _differences(one)]
        parts.append(origin())
    return "\n\n".join(parts)


def _json(found: Sequence[ModelCost], estimates: Estimates, request: CostRequest) -> str:
    """Write all that is known; estimates stand apart, and only where there is something to say of them."""
    content: dict[str, Any] = {"models": [_plain(one, request) for one in found]}
    if estimates.rows or estimates.remark:
        content["estimates"] = asdict(estimates)
    return json.dumps(content, ensure_ascii=False, indent=1)


def _tables(source: str, one: ModelCost, request: CostRequest) -> list[Table]:
    """Return the tables below the summary, of the last graph that was asked for."""
    cost = one.graphs[-1]
    makers = {"layers": layer_table, "modules": module_table, "ops": operator_table}
    tables = [make(one.name, cost) for name, make in makers.items() if name in request.shown]
    if "lint" in request.shown:
        from lwyolo.cost.lint import lint

        tables.append(lint_table(one.name, cost, lint(cost)))
    if "compare" in request.shown:
        from lwyolo.reports.counters import counters_table

        base = one.training or cost
        tables.append(counters_table(one.name, base.macs, base.flops, _other_counts(source, request)))
    return tables


def _other_counts(source: str, request: CostRequest) -> Any:
    """Run the other counters on a model that has its weights."""
    if Path(source).suffix == ".onnx":
        raise UsageError(f"--compare: {source} is an ONNX file, and the other counters take models of torch only.")
    if request.batch != 1 or request.dtype != "float32":
        raise UsageError(
            "--compare: the other counters are asked for batch 1 in float32; leave out --batch and --dtype."
        )
    from lwyolo.cost.counters import other_counts
    from lwyolo.engine.info import load_for_cost

    _, model = load_for_cost(source, request.scale, on_meta=False)
    return other_counts(model, request.imgsz or 640, model.yaml.get("channels", 3))


def _differences(one: ModelCost) -> list[str]:
    """Say why Ultralytics prints another figure."""
    if one.training is None:
        return []
    from lwyolo.reports.counters import ultralytics_difference

    return [f"{one.name}: {ultralytics_difference(one.training, one.ultralytics_gflops)}"]


def _plain(one: ModelCost, request: CostRequest) -> dict[str, Any]:
    """Return all that is known of a model's cost, with full precision, for programs."""
    result: dict[str, Any] = {"name": one.name, "ultralytics_gflops": one.ultralytics_gflops}
    for graph in ("training", "deployed"):
        cost = getattr(one, graph)
        result[graph] = cost and {
            **asdict(cost),
            "gflops": cost.gflops,
            "arithmetic_intensity": cost.arithmetic_intensity,
            "uncounted": cost.uncounted,
        }
    if "lint" in request.shown:
        from lwyolo.cost.lint import lint

        result["lint"] = [asdict(finding) for finding in lint(one.graphs[-1])]
    return result


def _quiet(models: Sequence[str]) -> bool | None:
    """No progress bar for one model, nor (`None`) where standard error is no terminal."""
    return True if len(models) == 1 else None


def origin() -> str:
    """Say which copy of Ultralytics built the model, and name further copies on the path."""
    copies = provenance.ultralytics_copies()
    text = f"Ultralytics {provenance.versions().get('ultralytics', '?')} from {copies[0]}"
    others = "".join(f"\n  another copy, not used: {copy}" for copy in copies[1:])
    return text + others
