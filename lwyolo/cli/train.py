"""`lwyolo train`: train a model YAML or a checkpoint, or with --info say what it costs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lwyolo import plugins
from lwyolo.cli._arguments import check_data, merge, parse_value, read_pairs
from lwyolo.cli._cost import CostRequest, add_imgsz, cost_report
from lwyolo.cli._parser import add_command, add_plugins
from lwyolo.errors import UsageError

SCALES = ("n", "s", "m", "l", "x")
MODEL_SUFFIXES = (".yaml", ".yml", ".pt")
ULTRALYTICS_OPTIONS = ("data", "epochs", "imgsz", "batch", "device", "project", "name", "seed")


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
        usage="lwyolo train [MODEL] [options] [key=value …]",
    )
    parser.add_argument("--yaml", metavar="MODEL", help="model YAML; yolov8s-x.yaml is yolov8-x.yaml at scale s")
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
    overrides = _overrides(args)
    model, resume = overrides.pop("model", None), overrides.pop("resume", False)
    for plugin in args.plugins:
        plugins.load(plugin)
    if args.info:
        return _info(args, model, overrides.get("imgsz"))
    if isinstance(args.imgsz, tuple):
        raise UsageError("--imgsz with two numbers is for --info; training takes one.")
    if resume and args.weight:
        print("--weight is not used: a resumed run goes on with its own weights.", file=sys.stderr)
    if model and not resume and ("data" in overrides or not model.endswith(".pt")):
        check_data(overrides.get("data"))
    from lwyolo.engine.run import train

    folder = train(model, scale=args.scale, weight=args.weight, resume=resume, overrides=overrides)
    print(f"Run folder: {folder}")
    return 0


def _overrides(args: argparse.Namespace) -> dict[str, Any]:
    """Bring options, `key=value` and a model without an option's name together under Ultralytics' names."""
    if isinstance(args.resume, str) and "=" in args.resume and not args.resume.endswith(".pt"):
        args.rest, args.resume = [*args.rest, args.resume], True
    pairs = read_pairs(f"model={t}" if "=" not in t and t.endswith(MODEL_SUFFIXES) else t for t in args.rest)
    if isinstance(pairs.get("scale"), str):
        raise UsageError(
            f"scale={pairs['scale']}: Ultralytics' scale is a gain of the augmentation, a number. The scale of the "
            f"model is --scale {pairs['scale']}."
        )
    if pairs.pop("mode", "train") != "train":
        raise UsageError("mode: this command trains. For other modes use lwyolo.YOLO in Python.")
    options = {key: _option(key, getattr(args, key)) for key in ULTRALYTICS_OPTIONS}
    return merge({**options, "model": args.yaml, "resume": args.resume or None}, pairs)


def _option(key: str, value: Any) -> Any:
    """Read a value as `key=value` does; what is a number already, or was not given, stays."""
    return parse_value(key, value) if isinstance(value, str) else value


def _info(args: argparse.Namespace, model: str | None, imgsz: Any) -> int:
    if model is None:
        raise UsageError("--info needs a model: --yaml FILE.")
    size = tuple(imgsz) if isinstance(imgsz, list) else imgsz
    request = CostRequest([model], args.scale, size, shown=frozenset({"layers"}))
    print(cost_report(request))
    if args.project:
        from lwyolo.record import write_text

        folder = Path(args.project) / (args.name or f"{Path(model).stem}-info")
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "cost.md", cost_report(request, "md") + "\n")
        print(f"\nReport: {folder / 'cost.md'}")
    return 0
