"""`lwyolo calibrate`: measure this machine once, so that `lwyolo info` can estimate the latency of any model."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from lwyolo import provenance
from lwyolo.cli._cost import add_imgsz
from lwyolo.cli._parser import add_command, positive
from lwyolo.errors import RecordError, UsageError
from lwyolo.reports.estimate import NOT, calibration_table
from lwyolo.reports.tables import Format, render, wrap

if TYPE_CHECKING:
    from lwyolo.engine.calibrate import Plan
    from lwyolo.speed.calibration import Calibration
    from lwyolo.speed.estimate import Fit
    from lwyolo.speed.result import Failure

FORMATS: dict[str, Format] = {"table": "text", "md": "markdown"}


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "calibrate",
        run,
        "measure a few detectors, so that info can estimate the latency of any model on this machine",
        "lwyolo calibrate",
        "lwyolo calibrate --runtime onnxruntime --threads 1 2",
        "lwyolo calibrate --full --budget 120",
        "lwyolo info cfg/yolov8n-dyhead.yaml",
    )
    parser.add_argument(
        "--runtime", nargs="+", default=[], metavar="NAME", help="(onnxruntime openvino ncnn, where installed)"
    )
    parser.add_argument("--threads", type=positive, nargs="+", default=[1], metavar="N", help="CPU threads (1)")
    add_imgsz(parser)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--models", nargs="+", default=[], metavar="MODEL", help="detectors to measure, 4 or more")
    chosen.add_argument("--full", action="store_true", help="eleven stock detectors instead of six")
    parser.add_argument(
        "--budget",
        type=_seconds,
        metavar="S",
        help="seconds for the rounds of each runtime (as many as 10 rounds take)",
    )
    parser.add_argument("--format", choices=(*FORMATS, "json"), default="table", help="how it is written (table)")
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="where it is kept (calibration.json among your settings)"
    )


def _seconds(text: str) -> float:
    """Read a time."""
    if not text.replace(".", "", 1).isdecimal() or not float(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; expected seconds above 0")
    return float(text)


def run(args: argparse.Namespace) -> int:
    """Measure, save and print; 1 where a runtime could not be calibrated."""
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ.setdefault("YOLO_VERBOSE", "false")
    from lwyolo.engine import calibrate
    from lwyolo.speed.calibration import default_file, save

    if args.save is not None and (args.save.suffix != ".json" or not args.save.parent.is_dir()):
        what = "unknown suffix; expected .json" if args.save.suffix != ".json" else "its folder does not exist"
        raise UsageError(f"--save {args.save}: {what}.")
    plan = calibrate.Plan(
        models=tuple(dict.fromkeys(args.models)) or (calibrate.FULL if args.full else calibrate.QUICK),
        runtimes=tuple(dict.fromkeys(args.runtime)) or calibrate.usual_runtimes(),
        threads=tuple(dict.fromkeys(args.threads)),
        imgsz=args.imgsz or 640,
        budget_s=args.budget,
    )
    fits, failures = _measure(plan)
    file = args.save or default_file()
    found = _earlier(file).with_fits(fits)
    if fits:
        save(found, file)
    print(_text(found, fits, failures, args.format, file))
    return 1 if failures else 0


def _measure(plan: Plan) -> tuple[list[Fit], list[Failure]]:
    from lwyolo.engine.calibrate import calibrate

    with tqdm(
        total=plan.steps, disable=None, leave=False, bar_format="{desc} {bar} {elapsed}, {remaining} left"
    ) as bar:

        def tell(text: str, steps: float) -> None:
            bar.n = steps
            bar.set_description(text)

        return calibrate(plan, tell)


def _earlier(file: Path) -> Calibration:
    """Return what the file holds of this processor: what is not measured now stays; else an empty calibration."""
    from lwyolo.speed.calibration import Calibration, load

    cpu = provenance.cpu_name()
    try:
        found = load(file) if file.is_file() else None
    except RecordError as error:
        print(f"lwyolo: it is written anew: {error}", file=sys.stderr)
        found = None
    return found if found is not None and found.cpu == cpu else Calibration(cpu, ())


def _text(found: Calibration, fits: list[Fit], failures: list[Failure], fmt: str, file: Path) -> str:
    """Write what was found now; a table ends with one line of JSON, for programs, as the file holds it."""
    from lwyolo.speed.calibration import to_json
    from lwyolo.speed.estimate import leave_one_out

    if fmt == "json":
        return to_json(found, indent=1)
    tables = [calibration_table(fit, found.cpu, leave_one_out(fit.points, fit.second)) for fit in fits]
    parts = [render(table, FORMATS[fmt]) for table in tables]
    parts += [wrap(NOT), f"Saved: {file}"] if fits else []
    parts += [wrap(f"Not calibrated: {one.runtime}, {one.name}: {one.reason}") for one in failures]
    return "\n\n".join([*parts, to_json(found)] if fmt == "table" else parts)
