"""`lwyolo info`: what models cost, side by side."""

from __future__ import annotations

import argparse
from typing import Any

from lwyolo import plugins
from lwyolo.cli._cost import add_imgsz, cost_report
from lwyolo.cli._parser import add_command, add_plugins

FORMATS = {"table": "text", "md": "markdown", "latex": "latex", "csv": "csv"}


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "info",
        run,
        "print what models cost: parameters, operations, memory access",
        "lwyolo info cfg/yolov8n-dyhead.yaml",
        "lwyolo info yolov8n.yaml cfg/yolov8n-dyhead.yaml cfg/yolov8n-dyheadlite.yaml",
        "lwyolo info runs/train/dyhead/weights/best.pt --layers --imgsz 480x640",
        "lwyolo info yolo11n.yaml yolo26n.yaml --format md",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="model YAML, checkpoint, or stock name")
    parser.add_argument("--scale", choices=("n", "s", "m", "l", "x"), help="scale of YAMLs whose name has none")
    add_imgsz(parser)
    parser.add_argument("--layers", action="store_true", help="a row for each layer")
    parser.add_argument("--unfused", action="store_true", help="count the training graph, not the deployed one")
    parser.add_argument("--format", choices=FORMATS, default="table", help="how the tables are written")
    add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    """Print the tables."""
    for plugin in args.plugins:
        plugins.load(plugin)
    fmt = FORMATS[args.format]
    print(
        cost_report(
            args.models,
            scale=args.scale,
            imgsz=args.imgsz,
            layers=args.layers,
            fused=not args.unfused,
            fmt=fmt,  # type: ignore[arg-type]
        )
    )
    return 0
