"""Records on disk: written whole or not at all, read strictly."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lwyolo.errors import RecordError, did_you_mean
from lwyolo.record.sections import SCHEMA, RunRecord

RECORD_NAME = "record.json"


def write(record: RunRecord, path: Path) -> None:
    """Write a record. A number that is not finite is written as null: it was not measured.

    Raises:
        RecordError: The file cannot be written.
    """
    try:
        write_text(path, json.dumps(_plain(record), ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    except OSError as error:
        raise RecordError(f"{path}: the record cannot be written: {error}") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is whole at any moment: to a temporary name beside it, then renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # a file name that is not UTF-8 reaches us as lone surrogates: their escapes are what JSON itself would write
        with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> RunRecord:
    """Read a record.

    Args:
        path: The file, or the run folder that holds it.

    Raises:
        RecordError: The file is missing, of another schema, or does not hold what a record holds; with file and key.
    """
    file = path / RECORD_NAME if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(f"{file}: no such record. A run folder of lwyolo holds {RECORD_NAME}.") from None
    except (OSError, ValueError) as error:
        raise RecordError(f"{file}: not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise RecordError(f"{file}: found {type(content).__name__}, expected a mapping.")
    if content.get("schema") != SCHEMA:
        raise RecordError(f"{file}: schema {content.get('schema')!r}; this version of lwyolo reads schema {SCHEMA}.")
    record: RunRecord = build(RunRecord, content, str(file), "")
    return record


def _plain(value: Any) -> Any:
    """Turn a record, and whatever Ultralytics' arguments hold, into what JSON can say."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if getattr(value, "shape", None) == ():  # a scalar of NumPy or torch
        return _plain(value.item())
    return str(value)


def _typed(kind: Any, value: Any, file: str, key: str) -> Any:
    """Build `kind` from parsed JSON; a mismatch is named with its dotted key. Null in place of a number is NaN."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else _typed(args[0], value, file, key)
    if dataclasses.is_dataclass(kind):
        return build(kind, value, file, key)
    if origin is dict and isinstance(value, dict):
        return {_key(args[0], k, file, f"{key}.{k}"): _typed(args[1], v, file, f"{key}.{k}") for k, v in value.items()}
    if origin is tuple and isinstance(value, list):
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) == len(value):
            return tuple(_typed(k, v, file, f"{key}.{i}") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if kind is Any or (origin is Literal and value in args):
        return value
    if kind is float and (value is None or type(value) in (int, float)):
        return math.nan if value is None else float(value)
    if type(value) is kind:
        return value
    raise RecordError(f"{file}: {key}: found {value!r}, expected {_name(kind)}.")


def _key(kind: Any, key: str, file: str, path: str) -> Any:
    try:
        return kind(key)
    except ValueError:
        raise RecordError(f"{file}: {path}: found key {key!r}, expected an integer.") from None


def build(kind: Any, value: Any, file: str, key: str) -> Any:
    """Build a section; a figure that defaults to `None` may be missing, as an earlier version did not measure it."""
    if not isinstance(value, dict):
        raise RecordError(f"{file}: {key}: found {value!r}, expected a mapping.")
    hints = get_type_hints(kind)
    prefix = f"{key}." if key else ""
    for name in value:
        if name not in hints:
            raise RecordError(f"{file}: {prefix}{name}: unknown key.{did_you_mean(name, hints)}")
    later = {field.name for field in dataclasses.fields(kind) if prefix and field.default is None}
    for name in hints:
        if name not in value and name not in later:
            raise RecordError(f"{file}: {prefix}{name}: missing.")
    return kind(**{name: _typed(hints[name], item, file, f"{prefix}{name}") for name, item in value.items()})


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and get_origin(kind) is None else str(kind).replace("typing.", "")
