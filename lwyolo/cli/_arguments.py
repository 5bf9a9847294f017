"""Ultralytics' arguments as `key=value`: checked against its own list before anything starts."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from lwyolo.errors import UsageError, did_you_mean

TEXT_KEYS = frozenset({"project", "name", "device"})
WORDS = {"none": None, "true": True, "false": False}


def ultralytics_folder() -> Path:
    """Return the folder of the installed Ultralytics, without importing it."""
    spec = find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise UsageError("Ultralytics is not installed. Install it: pip install ultralytics.")
    return Path(spec.origin).parent


def known_keys() -> list[str]:
    """Return the arguments that the installed Ultralytics knows."""
    file = ultralytics_folder() / "cfg" / "default.yaml"
    return list(yaml.safe_load(file.read_text(encoding="utf-8")))


def read_pairs(tokens: Iterable[str]) -> dict[str, Any]:
    """Read `key=value` tokens.

    Raises:
        UsageError: A token has no value, or its key is not one of Ultralytics; the message names the nearest.
    """
    keys = known_keys()
    pairs: dict[str, Any] = {}
    for token in tokens:
        key, equals, text = (part.strip() for part in token.partition("="))
        if not equals:
            raise UsageError(f"unexpected {token!r}: expected key=value, such as lr0=0.001.{did_you_mean(token, keys)}")
        if key not in keys:
            raise UsageError(f"unknown argument {key!r}.{did_you_mean(key, keys)}")
        if not text:
            raise UsageError(f"{key}= has no value.")
        if key in pairs:
            raise UsageError(f"{key} is given twice: {pairs[key]} and {text}.")
        pairs[key] = parse_value(key, text)
    return pairs


def parse_value(key: str, text: str) -> Any:
    """Read a value as a literal where it is one; names, folders and devices stay text.

    Example:
        >>> parse_value("lr0", "1e-3"), parse_value("cos_lr", "True"), parse_value("name", "001")
        (0.001, True, '001')
    """
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if key in TEXT_KEYS:
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def merge(options: Mapping[str, Any], pairs: Mapping[str, Any]) -> dict[str, Any]:
    """Join options and pairs; what was not given is left out.

    Raises:
        UsageError: One thing is given in both ways.
    """
    given = {key: value for key, value in options.items() if value is not None}
    for key in (key for key in pairs if key in given):
        raise UsageError(f"{key} is given twice: {given[key]} and {pairs[key]}.")
    return {**given, **pairs}


def check_data(data: str | None) -> None:
    """Refuse a data YAML that training would fail on; what Ultralytics finds or fetches by itself is left to it.

    Raises:
        UsageError: None is given, for which Ultralytics would take its own example.
        DataError: The file is missing or not usable, or images of train or val are.
    """
    if data is None:
        raise UsageError("no data. Give --data with a data YAML; lwyolo data demo OUT makes a small set.")
    file = Path(data)
    shipped = ultralytics_folder() / "cfg" / "datasets" / file.name
    if file.suffix not in {".yaml", ".yml"} or "://" in data or (shipped.is_file() and not file.is_file()):
        return
    from lwyolo.data.index import image_files, read_data_yaml

    config = read_data_yaml(file)
    if config.root.is_dir() and not config.download:
        for split in ("train", "val"):
            image_files(config, split)
