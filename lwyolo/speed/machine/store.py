"""A machine as a file, `machine.json`: written whole or not at all, read strictly."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

from lwyolo.errors import RecordError
from lwyolo.record import write_text
from lwyolo.record.measured import Kind
from lwyolo.record.store import build
from lwyolo.speed.machine.data import SCHEMA, Machine

KIND = Kind("machine", "ceilings", SCHEMA, "lwyolo hardware")


def to_json(machine: Machine, indent: int | None = None) -> str:
    """Return a machine as JSON, with full precision; what is unknown is null.

    Args:
        machine: What to write.
        indent: Spaces of each level, by default all in one line.
    """
    return json.dumps(asdict(machine), ensure_ascii=False, indent=indent, allow_nan=False)


def from_json(text: str, file: str = "machine.json") -> Machine:
    """Read a machine.

    Args:
        text: JSON.
        file: Named in errors.

    Raises:
        RecordError: It is no JSON, of another schema, or does not hold what a machine holds; with file and key.
    """
    machine: Machine = build(Machine, KIND.parse(text, file), file, "")
    for i, one in enumerate(machine.ceilings):
        rates = {f"peaks.{j}.gflops_per_s": peak.gflops_per_s for j, peak in enumerate(one.peaks)}
        rates |= {f"bandwidths.{j}.gb_per_s": bandwidth.gb_per_s for j, bandwidth in enumerate(one.bandwidths)}
        rates |= {f"bandwidths.{j}.call_share": bandwidth.call_share for j, bandwidth in enumerate(one.bandwidths)}
        for key, value in {"threads": one.threads, "call_us": one.call_us, **rates}.items():
            if value is not None and not (math.isfinite(value) and value > 0):
                raise RecordError(f"{file}: ceilings.{i}.{key}: found {value!r}, expected a positive number.")
    return machine


def save(machine: Machine, file: Path) -> None:
    """Write a machine, whole or not at all.

    Raises:
        RecordError: The file cannot be written.
    """
    try:
        write_text(file, to_json(machine, indent=1) + "\n")
    except OSError as error:
        raise RecordError(f"{file}: cannot be written: {error.strerror}.") from error


def load(file: Path) -> Machine:
    """Read a machine from a file.

    Raises:
        RecordError: The file is missing, or does not hold what a machine holds.
    """
    return from_json(KIND.read(file), str(file))
