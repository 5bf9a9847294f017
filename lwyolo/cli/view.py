"""`lwyolo view`: the graph of a model, operator by operator in Netron, or layer by layer in a file."""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from lwyolo import plugins
from lwyolo.cli._cost import add_imgsz
from lwyolo.cli._parser import add_command, add_plugins
from lwyolo.errors import UsageError, did_you_mean

BUILT = (".pt", ".yaml", ".yml")
"""What is exported first; Netron opens other files as they are."""
HOST = "localhost"


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "view",
        run,
        "show the graph of a model in Netron, or draw its layers into a file",
        "lwyolo view cfg/yolov8n-dyhead.yaml",
        "lwyolo view runs/train/dyhead/weights/best.pt --imgsz 480x640",
        "lwyolo view best.onnx --port 8080 --no-browser",
        "lwyolo view yolo11n.yaml --svg yolo11n.svg",
    )
    parser.add_argument("model", metavar="MODEL", help="model YAML, checkpoint, stock name, or exported file")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the layers into a file; opens no browser")
    parser.add_argument("--unfused", action="store_true", help="with --svg: the training graph, not the deployed one")
    parser.add_argument("--scale", choices=("n", "s", "m", "l", "x"), help="scale of a YAML whose name has none")
    add_imgsz(parser)
    parser.add_argument(
        "--port", type=_port, metavar="N", help="port of the viewer (8080, or another one that is free)"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    """Draw, or serve until Ctrl-C."""
    os.environ.update(YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")  # an export neither installs nor talks
    exported = Path(args.model).suffix.lower() not in BUILT
    _check(args, exported)
    for plugin in args.plugins:
        plugins.load(plugin)
    if args.svg:
        return _draw(args)
    netron = _needed("netron", "view")
    if exported:
        return _serve(netron, Path(args.model), args)
    _needed("onnx", "onnx")
    from lwyolo.engine.view import export_for_viewing

    with tempfile.TemporaryDirectory(prefix="lwyolo-view-") as folder:
        print(f"Exporting {args.model} to ONNX", flush=True)
        file = export_for_viewing(args.model, Path(folder), args.scale, args.imgsz or 640)
        return _serve(netron, file, args)


def _check(args: argparse.Namespace, exported: bool) -> None:
    """Refuse options that do nothing here, and files that are not there."""
    for option, idle, reason in (
        ("--port", args.svg and args.port, "--svg opens no viewer"),
        ("--no-browser", args.svg and args.no_browser, "--svg opens no viewer"),
        ("--unfused", args.unfused and not args.svg, "Netron shows the deployed graph; the option goes with --svg"),
        ("--scale", exported and args.scale, f"{args.model} is opened as it is"),
        ("--imgsz", exported and args.imgsz, f"{args.model} is opened as it is"),
    ):
        if idle:
            raise UsageError(f"{option}: {reason}.")
    path = Path(args.model)
    if exported and not path.is_file():
        raise UsageError(f"{path}: {_why_not(path)}")
    if exported and args.svg:
        raise UsageError(
            f"{args.model}: --svg draws the layers of a model YAML or a checkpoint; it is not available yet for "
            f"exported files. To see its operators: lwyolo view {args.model}"
        )


def _why_not(path: Path) -> str:
    if path.is_dir():
        return "a folder; give one file of it."
    if not path.suffix:
        return "no such file; the name of a stock model ends in .yaml or .pt."
    beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"no such file.{did_you_mean(path.name, beside)}"


def _draw(args: argparse.Namespace) -> int:
    file: Path = args.svg
    if file.suffix.lower() != ".svg" or file.is_dir():
        raise UsageError(f"--svg {file}: expected a file name that ends in .svg.")
    if not file.parent.is_dir():
        raise UsageError(f"--svg {file}: there is no folder {file.parent}.")
    from lwyolo.engine.info import cost_of
    from lwyolo.record.store import write_text
    from lwyolo.reports.drawing import layer_graph_svg

    one = cost_of(args.model, args.scale, args.imgsz, graphs=("training" if args.unfused else "deployed",))
    try:
        write_text(file, layer_graph_svg(one.name, one.graphs[0]))
    except OSError as error:
        raise UsageError(f"--svg {file}: cannot be written: {error.strerror}.") from error
    print(f"The layers of {one.name} are drawn in {file}")
    return 0


def _serve(netron: Any, file: Path, args: argparse.Namespace) -> int:
    logging.getLogger("netron").setLevel(logging.WARNING)
    try:
        host, port = netron.start(str(file), address=(HOST, args.port), browse=not args.no_browser)
    except OSError as error:
        raise UsageError(
            f"--port {args.port}: {error.strerror}. Choose another, or none for one that is free."
        ) from error
    print(f"{file.name} at http://{host}:{port} (Ctrl-C ends)", flush=True)
    netron.wait()
    return 0


def _needed(package: str, extra: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise UsageError(
            f"view needs the package {package} ({error}). Install it with: pip install 'lwyolo[{extra}]'"
        ) from error


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected a number from 1 to 65535")
    return int(text)
