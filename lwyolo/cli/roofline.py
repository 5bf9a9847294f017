"""`lwyolo roofline`: what limits each part of a model on this machine, and why two models differ in time."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from lwyolo import plugins
from lwyolo.cli._cost import FORMATS as ALL_FORMATS
from lwyolo.cli._cost import add_imgsz
from lwyolo.cli._parser import add_command, add_plugins, positive
from lwyolo.errors import UsageError
from lwyolo.record import write_text
from lwyolo.reports.roofline import roofline_tables
from lwyolo.reports.tables import render

if TYPE_CHECKING:
    from lwyolo.engine.deploy import Artifact
    from lwyolo.speed.roofline import Group, Roofline

FORMATS = {name: ALL_FORMATS[name] for name in ("table", "md", "csv")}
SUFFIXES = {".svg": "svg", ".html": "html", ".json": "json", ".md": "md", ".csv": "csv", ".txt": "table"}
SLOWEST = 20


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "roofline",
        run,
        "measure what limits each part of a model in ONNX Runtime: arithmetic, memory, or neither",
        "lwyolo roofline yolov8n.yaml",
        "lwyolo roofline yolov8n.yaml yolo12n.yaml --threads 2",
        "lwyolo roofline runs/train/dyhead/weights/best.pt --groups all --save roofline.html",
        "lwyolo roofline best.pt --machine machine.json --save roofline.svg",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="one or two: model YAML, checkpoint, or stock name")
    parser.add_argument("--scale", choices=("n", "s", "m", "l", "x"), help="scale of YAMLs whose name has none")
    add_imgsz(parser)
    parser.add_argument("--batch", type=positive, default=1, metavar="N", help="images in a pass (1)")
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="CPU threads (1)")
    parser.add_argument(
        "--machine", type=Path, metavar="FILE", help="limits that lwyolo hardware --save wrote; else they are measured"
    )
    parser.add_argument(
        "--groups", type=_groups, default=SLOWEST, metavar="N", help=f"the N slowest groups, or all ({SLOWEST})"
    )
    parser.add_argument("--budget", type=float, default=60.0, metavar="S", help="seconds for the runs of a model (60)")
    parser.add_argument("--force", action="store_true", help="use disturbed runs where too few are undisturbed")
    parser.add_argument("--format", choices=(*FORMATS, "json", "html"), help="how it is written (table)")
    parser.add_argument("--save", type=Path, metavar="FILE", help=f"write to a file: {' '.join(SUFFIXES)}")
    add_plugins(parser)


def _groups(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no count of groups; expected all, or 1 or more")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Measure and print or save; the last line of a table is JSON."""
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ.setdefault("YOLO_VERBOSE", "false")
    fmt = _format(args)
    if len(args.models) > 2:
        raise UsageError(f"{len(args.models)} models: lwyolo roofline takes one, or two to compare.")
    for plugin in args.plugins:
        plugins.load(plugin)
    text = _text(_measure(args), fmt, args.groups)
    if args.save is None:
        print(text)
        return 0
    try:
        write_text(args.save, text.rstrip("\n") + "\n")
    except OSError as error:
        raise UsageError(f"--save {args.save}: cannot be written: {error.strerror}.") from error
    print(f"Saved: {args.save}")
    return 0


def _format(args: argparse.Namespace) -> str:
    """Take the format from the option, else from the file's suffix."""
    suffix = args.save.suffix if args.save else ".txt"
    if suffix not in SUFFIXES:
        raise UsageError(f"--save {args.save}: unknown suffix {suffix!r}; expected one of {' '.join(SUFFIXES)}.")
    if args.save and not args.save.parent.is_dir():
        raise UsageError(f"--save {args.save}: there is no folder {args.save.parent}.")
    fmt: str = args.format or SUFFIXES[suffix]
    return fmt


def _measure(args: argparse.Namespace) -> list[Roofline]:
    """Refuse, export, measure the limits, measure the models: what may fail soon comes first."""
    from lwyolo.engine.roofline import check, export, measure_roofs, raised, roofline
    from lwyolo.speed.profiling import profile

    known = check(args.threads, args.machine)
    with (
        tqdm(total=1, bar_format="{desc} {bar} {elapsed}", disable=None, leave=False) as bar,
        tempfile.TemporaryDirectory(prefix="lwyolo-roofline-") as folder,
    ):
        artifacts: dict[str, Artifact] = {}
        for source in args.models:
            bar.set_description(f"preparing {source}")
            to = Path(folder, str(len(artifacts)))
            artifacts[source] = export(source, to, scale=args.scale, imgsz=args.imgsz or 640, batch=args.batch)
        roofs, remarks = measure_roofs(args.threads, known, force=args.force, say=bar.set_description)
        settings: dict[str, Any] = {"threads": args.threads, "seconds": args.budget, "force": args.force}
        profiles = {
            source: profile(one.path, one.imgsz, batch=one.batch, on_run=partial(_advance, bar, source), **settings)
            for source, one in artifacts.items()
        }
        roofs = raised(roofs, args.force)
        return [
            roofline(Path(source).stem, artifact, profiles[source], roofs, remarks)
            for source, artifact in artifacts.items()
        ]


def _advance(bar: Any, source: str, clean: int, wanted: int) -> None:
    bar.total, bar.n = wanted, min(clean, wanted)
    bar.set_description(f"{source}: {clean} of {wanted} undisturbed runs")


def _text(found: Sequence[Roofline], fmt: str, shown: int | None) -> str:
    """Write what was found; a table ends with one line of JSON, for programs."""
    if fmt in {"svg", "html"}:
        from lwyolo.reports.roofline_picture import roofline_page, roofline_svg

        return roofline_svg(found) if fmt == "svg" else roofline_page(found, shown)
    plain = {"models": [_plain(one) for one in found]}
    if fmt == "json":
        return json.dumps(plain, ensure_ascii=False, indent=1)
    parts = [render(table, FORMATS[fmt]) for table in roofline_tables(found, shown)]
    return "\n\n".join([*parts, json.dumps(plain, ensure_ascii=False)] if fmt == "table" else parts)


def _plain(one: Roofline) -> dict[str, Any]:
    """Return figures for programs, with what follows from them."""
    return {
        **dataclasses.asdict(one),
        **{name: getattr(one, name) for name in ("macs", "sum_ms", "sum_ratio", "bound_ms")},
        "groups": [_plain_group(group) for group in one.groups],
    }


def _plain_group(group: Group) -> dict[str, Any]:
    derived = ("gflops_per_s", "intensity", "bound_ms", "share", "exceeds", "verdict")
    return {**dataclasses.asdict(group), **{name: getattr(group, name) for name in derived}}
