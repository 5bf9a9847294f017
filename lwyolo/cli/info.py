"""`lwyolo info`: what models cost, side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lwyolo import plugins
from lwyolo.cli._cost import FORMATS, SUFFIXES, CostRequest, add_imgsz, cost_report
from lwyolo.cli._parser import add_command, add_plugins, positive
from lwyolo.errors import UsageError
from lwyolo.record import write_text

GRAPHS = {"both": ("training", "deployed"), "training": ("training",), "deployed": ("deployed",)}
SHOWN = {
    "layers": "a row for each layer",
    "modules": "the tree of modules below the layers",
    "ops": "totals of each operator",
    "lint": "what ShuffleNet V2's guidelines and FasterNet's warning find, row by row",
    "compare": "what other counters say, each by its own convention",
}


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "info",
        run,
        "print what models cost: parameters, operations, memory access",
        "lwyolo info cfg/yolov8n-dyhead.yaml",
        "lwyolo info yolov8n.yaml cfg/yolov8n-dyhead.yaml cfg/yolov8n-dyheadlite.yaml --graph deployed",
        "lwyolo info runs/train/dyhead/weights/best.pt --layers --lint --imgsz 480 640",
        "lwyolo info yolo11n.yaml yolo26n.yaml --save table.tex",
        "lwyolo info cfg/yolov8n-dyhead.yaml --save cost.html",
        "lwyolo info yolov8n.yaml --compare",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="model YAML, checkpoint, stock name, or ONNX file")
    parser.add_argument("--scale", choices=("n", "s", "m", "l", "x"), help="scale of YAMLs whose name has none")
    add_imgsz(parser)
    parser.add_argument("--batch", type=positive, default=1, metavar="N", help="images in the pass (1)")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16", "float64"),
        default="float32",
        help="of weights and activations (float32)",
    )
    parser.add_argument(
        "--graph", choices=GRAPHS, default="both", help="training graph, deployed (fused) graph, or both (both)"
    )
    for name, what in SHOWN.items():
        parser.add_argument(f"--{name}", action="store_true", help=what)
    parser.add_argument(
        "--estimate",
        action=argparse.BooleanOptionalAction,
        help="estimated latency, below the costs (where lwyolo calibrate has measured this machine)",
    )
    parser.add_argument("--strict", action="store_true", help="refuse a model with operators that have no formula")
    parser.add_argument("--format", choices=(*FORMATS, "json", "html"), help="how it is written (table)")
    parser.add_argument("--save", type=Path, metavar="FILE", help=f"write to a file: {' '.join(SUFFIXES)}")
    add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    """Print or save what the models cost."""
    fmt = args.format or _format(args.save)
    for plugin in args.plugins:
        plugins.load(plugin)
    request = CostRequest(
        models=args.models,
        scale=args.scale,
        imgsz=args.imgsz,
        batch=args.batch,
        dtype=args.dtype,
        graphs=GRAPHS[args.graph],
        strict=args.strict,
        shown=frozenset(name for name in SHOWN if getattr(args, name)),
        estimate=args.estimate,
    )
    text = cost_report(request, fmt)
    if args.save is None:
        print(text)
        return 0
    try:
        write_text(args.save, text.rstrip("\n") + "\n")
    except OSError as error:
        raise UsageError(f"--save {args.save}: cannot be written: {error.strerror}.") from error
    print(f"Saved: {args.save}")
    return 0


def _format(save: Path | None) -> str:
    """Take the format from the file's suffix."""
    if save is None:
        return "table"
    if save.suffix not in SUFFIXES:
        raise UsageError(f"--save {save}: unknown suffix {save.suffix!r}; expected one of {' '.join(SUFFIXES)}.")
    return SUFFIXES[save.suffix]
