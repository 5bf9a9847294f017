"""The constants of this machine as a file, `calibration.json`: written whole or not at all, read strictly."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lwyolo.errors import RecordError
from lwyolo.record import write_text
from lwyolo.record.measured import Kind
from lwyolo.record.store import build
from lwyolo.speed.estimate import MIN_MODELS, SECONDS, Fit

SCHEMA = 1
FOLDER_VARIABLE = "LWYOLO_CONFIG_DIR"


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fits of one processor, one for each runtime, number of threads, batch and precision."""

    cpu: str
    fits: tuple[Fit, ...]
    schema: int = SCHEMA

    def with_fits(self, fits: Sequence[Fit]) -> Calibration:
        """Add fits; one of the same runtime, threads, batch and precision is replaced."""
        found = {fit.key: fit for fit in (*self.fits, *fits)}
        return Calibration(self.cpu, tuple(found.values()))


def default_file() -> Path:
    """Return where a user's calibration lies: in `LWYOLO_CONFIG_DIR`, else among the user's settings."""
    if folder := os.environ.get(FOLDER_VARIABLE):
        return Path(folder) / "calibration.json"
    if os.name == "nt":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "lwyolo" / "calibration.json"


def installed(package: str) -> str | None:
    """Return the installed version of a package without importing it, `None` where it is not known."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


KIND = Kind("calibration", "fits", SCHEMA, "lwyolo calibrate")


def to_json(calibration: Calibration, indent: int | None = None) -> str:
    """Return a calibration as JSON, with full precision.

    Args:
        calibration: What to write.
        indent: Spaces of each level, by default all in one line.
    """
    return json.dumps(asdict(calibration), ensure_ascii=False, indent=indent, allow_nan=False)


def from_json(text: str, file: str = "calibration.json") -> Calibration:
    """Read a calibration.

    Args:
        text: JSON.
        file: Named in errors.

    Raises:
        RecordError: It is no JSON, of another schema, or does not hold what a calibration holds; with file and key.
    """
    calibration: Calibration = build(Calibration, KIND.parse(text, file), file, "")
    for i, fit in enumerate(calibration.fits):
        _check(fit, f"{file}: fits.{i}")
    return calibration


def _check(fit: Fit, where: str) -> None:
    """Refuse figures that no calibration gives."""
    for name in ("a_s_per_mac", "b_s", "mean_error", "worst_error"):
        if not (math.isfinite(value := getattr(fit, name)) and value >= 0):
            raise RecordError(f"{where}.{name}: found {value!r}, expected a number of 0 or more.")
    if not fit.a_s_per_mac + fit.b_s:
        raise RecordError(f"{where}: a_s_per_mac and b_s are both 0.")
    if fit.second not in SECONDS:
        raise RecordError(f"{where}.second: found {fit.second!r}, expected {' or '.join(SECONDS)}.")
    if len(fit.points) < MIN_MODELS:
        raise RecordError(f"{where}.points: found {len(fit.points)} models, expected {MIN_MODELS} or more.")
    for i, point in enumerate(fit.points):
        for name in ("macs", "memory_bytes", "ms"):
            if not (math.isfinite(value := getattr(point, name)) and value > 0):
                raise RecordError(f"{where}.points.{i}.{name}: found {value!r}, expected a positive number.")


def save(calibration: Calibration, file: Path) -> None:
    """Write a calibration, whole or not at all; the folder is made where it is not there.

    Raises:
        RecordError: The file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, to_json(calibration, indent=1) + "\n")
    except OSError as error:
        raise RecordError(f"{file}: cannot be written: {error.strerror}.") from error


def load(file: Path) -> Calibration:
    """Read a calibration from a file.

    Raises:
        RecordError: The file is missing, or does not hold what a calibration holds.
    """
    return from_json(KIND.read(file), str(file))
