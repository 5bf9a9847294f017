"""`lwyolo train`: train a model YAML or a checkpoint, or with --info say what it costs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lwyolo import plugins
from lwyolo.cli._arguments import merge, parse_value, read_pairs
from lwyolo.cli._cost import add_imgsz, cost_report
from lwyolo.cli._parser import add_command, add_plugins
from lwyolo.errors import UsageError

SCALES = ("n", "s", "m", "l", "x")
ULTRALYTICS_OPTIONS = ("data", "epochs", "batch", "device", "project", "name", "seed")


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "train",
        run,
        "train a model; any further argument of Ultralytics follows as key=value",
        "lwyolo train --yaml cfg/yolov8-dyhead.yaml --info",
        "lwyolo train --yaml cfg/yolov8n-dyhead.yaml --data my.yaml --epochs 100 --imgsz 640 --batch 16 --device 0",
        "lwyolo train --yaml cfg/yolov8-dyhead.yaml --scale s --data my.yaml --weight yolov8s.pt lr0=0.001 cos_lr=True",
        "lwyolo train --yaml mine.yaml --plugins my_modules.py --data my.yaml",
        "lwyolo train --resume runs/train/dyhead/weights/last.pt",
    )
    parser.add_argument("--yaml", metavar="FILE", help="model YAML; yolov8s-x.yaml is yolov8-x.yaml at scale s")
    parser.add_argument("--scale", choices=SCALES, help="scale of the model YAML, where its name has none")
    parser.add_argument("--info", action="store_true", help="print what the model costs and do not train")
    parser.add_argument("--data", metavar="FILE", help="data YAML")
    parser.add_argument("--epochs", type=int, metavar="N")
    add_imgsz(parser)
    parser.add_argument("--batch", metavar="N", help="images a step; a fraction of GPU memory below 1")
    parser.add_argument("--device", metavar="D", help="cpu, 0, or 0,1 for several GPUs")
    parser.add_argument("--project", metavar="DIR", help="folder that run folders are written to")
    parser.add_argument("--name", metavar="NAME", help="name of the run folder")
    parser.add_argument(
        "--weight", metavar="FILE", help="take the weights of this checkpoint where they fit, row by row"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        metavar="LAST.PT",
        help="continue an interrupted run: of this checkpoint, of --project and --name, or the newest",
    )
    parser.add_argument("--seed", type=int, metavar="N")
    add_plugins(parser)
    parser.set_defaults(rest=[])


def run(args: argparse.Namespace) -> int:
    """Train, or print the cost."""
    pairs = read_pairs(args.rest)
    options = {key: _option(key, getattr(args, key)) for key in ULTRALYTICS_OPTIONS}
    overrides = merge({**options, "imgsz": args.imgsz and args.imgsz[0]}, pairs)
    for plugin in args.plugins:
        plugins.load(plugin)
    if args.info:
        return _info(args)
    if args.imgsz and len(args.imgsz) > 1:
        raise UsageError(f"--imgsz {' '.join(map(str, args.imgsz))}: training takes one number; --info takes two.")
    from lwyolo.engine.run import train

    folder = train(args.yaml, scale=args.scale, weight=args.weight, resume=args.resume, overrides=overrides)
    print(f"Run folder: {folder}")
    return 0


def _option(key: str, value: Any) -> Any:
    """Read a value as `key=value` does; what is a number already, or was not given, stays."""
    return parse_value(key, value) if isinstance(value, str) else value


def _info(args: argparse.Namespace) -> int:
    if args.yaml is None:
        raise UsageError("--info needs a model: --yaml FILE.")
    text = cost_report([args.yaml], scale=args.scale, imgsz=args.imgsz, layers=True)
    print(text)
    if args.project:
        from lwyolo.record import write_text

        folder = Path(args.project) / (args.name or f"{Path(args.yaml).stem}-info")
        folder.mkdir(parents=True, exist_ok=True)
        markdown = cost_report([args.yaml], scale=args.scale, imgsz=args.imgsz, layers=True, fmt="markdown")
        write_text(folder / "cost.md", markdown + "\n")
        print(f"\nReport: {folder / 'cost.md'}")
    return 0
