"""Ultralytics' exporter, kept in a folder: its files go there, and so does what it and its tools print.

Nothing is installed, though the exporter would, and nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from lwyolo.data.index import image_files, require_images
from lwyolo.engine.model import VIA_ONNX, YOLO, registered_in
from lwyolo.errors import UsageError
from lwyolo.speed.runtime import Runtime, runtimes

CALIBRATION_IMAGES = 300
"""As many as Ultralytics recommends at least."""
STEM = "model.artifact"
"""Upstream replaces the suffix wherever it stands in a path, so it is one that no folder has."""
LOG = "export.log"
SETTINGS = {
    "YOLO_AUTOINSTALL": "false",
    "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1",
    "CI": "true",  # where OpenVINO's converter sends no telemetry
}


def export(
    model: YOLO,
    runtime: Runtime,
    folder: Path,
    imgsz: tuple[int, int],
    batch: int,
    precision: str = "fp32",
    end_to_end: bool = False,
    data: str | Path | None = None,
) -> Path:
    """Export a model for a runtime into a folder, and return the file or folder that the runtime loads.

    Raises:
        UsageError: The exporter or one of its tools fails; the message names the runtime, and the registered modules.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    model.model.pt_path = str(folder / STEM)  # upstream writes an export beside its checkpoint
    arguments: dict[str, Any] = {
        "format": runtime.format,
        "imgsz": list(imgsz),
        "batch": batch if runtime.holds_batch else 1,
        "device": "cpu" if "cpu" in runtime.devices else "0",
    }
    if end_to_end:
        arguments["nms"] = False  # a head without suppression has to be asked for in recent versions
    if precision == "int8":
        arguments |= {"int8": True, **_calibration(Path(str(data)))}
    if runtime.format in VIA_ONNX:
        arguments["simplify"] = find_spec("onnxslim") is not None
    log = folder / LOG
    try:
        with _said_to(log), _inside(folder), _environment(SETTINGS):
            path = Path(model.export(**arguments))
        if refused := runtime.refused_by_converter(log.read_text(encoding="utf-8", errors="replace")):
            raise RuntimeError("; ".join(refused))
        return path
    except Exception as error:  # whatever the exporter or its tool raises becomes an error that says what to use
        raise UsageError(_cannot(model.model, runtime, error)) from error


def _calibration(data: Path) -> dict[str, Any]:
    """Say which images calibrate int8: the first 300 for training, since those for validation tell what it costs."""
    config = require_images(data)
    n_images = len(image_files(config, "train"))
    fraction = min(1.0, CALIBRATION_IMAGES / max(1, n_images))
    return {"data": str(data.resolve()), "split": "train", "fraction": fraction}  # it is read from inside the folder


def _cannot(model: nn.Module, runtime: Runtime, error: Exception) -> str:
    """Say what cannot be exported, why, and which runtimes to use instead."""
    ours = registered_in(model)
    words = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, UsageError):  # it names the module
        words = words.removeprefix(f"format={runtime.format}: ")
    else:
        what = f"a model with {', '.join(spec.name for spec in ours)}" if ours else "the model"
        words = f"{what} cannot be exported: {words.rstrip('.')}."
    barred = {fmt for spec in ours for fmt, _ in spec.no_export} | {runtime.format}
    others = [other.name for other in runtimes().values() if other.format not in barred and not other.missing()]
    return f"{runtime.name}: {words} It can be tried in {', '.join(others)}."


@contextlib.contextmanager
def _said_to(file: Path) -> Iterator[None]:
    """Send standard output and error to a file, also those of native code and of other processes."""
    kept = [os.dup(1), os.dup(2)]
    with file.open("ab") as log:
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for number in (1, 2):
                os.dup2(log.fileno(), number)
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for number, descriptor in zip((1, 2), kept, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder: a converter writes and deletes files of fixed names where it is started."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables of the environment for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
