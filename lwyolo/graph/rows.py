"""A model YAML as validated data: every error names the file and the row.

The layout is Ultralytics': `nc`, `scales`, `backbone` and `head`, rows of `[from, repeats, module, args]`. A row of a
registered module may end its arguments with a mapping, for arguments by name: `[128, 1, {deform: depthwise}]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lwyolo.errors import GraphError


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a model YAML.

    Args:
        where: File, section, row in the section and layer, as an error message starts.
        index: Layer index over backbone and head.
        source: Layers that it reads; -1 is the one before.
        repeats: As written, before the depth gain.
        module: The module's name.
        args: Positional arguments, as written.
        named: Arguments by name.
    """

    where: str
    index: int
    source: tuple[int, ...]
    repeats: int
    module: str
    args: tuple[Any, ...]
    named: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Graph:
    """A model YAML: its rows, and what every row is resolved with."""

    file: str
    rows: tuple[Row, ...]
    nc: int
    width: float
    max_channels: float
    settings: dict[str, Any]


def read_graph(yaml: object, check_name: Callable[[str], str | None] | None = None) -> Graph:
    """Validate a model dictionary as `yaml_model_load` returns it.

    Args:
        yaml: The dictionary, with upstream's keys `yaml_file` and `scale`.
        check_name: Returns `None` for a known module name, else the hint to print, such as `" Did you mean X?"`.

    Raises:
        GraphError: With file and row.
    """
    if not isinstance(yaml, Mapping):
        raise GraphError(f"model YAML: found {type(yaml).__name__}, expected a mapping with backbone: and head:.")
    file = str(yaml.get("yaml_file") or "model YAML")
    for key in ("backbone", "head"):
        if not isinstance(yaml.get(key), Sequence) or isinstance(yaml.get(key), str):
            raise GraphError(
                f"{file}: {key}: found {yaml.get(key)!r}, expected a list of [from, repeats, module, args]."
            )
    rows: list[Row] = []
    for section in ("backbone", "head"):
        for number, row in enumerate(yaml[section], 1):
            rows.append(_read_row(row, f"{file}, {section} row {number} (layer {len(rows)})", len(rows), check_name))
    width, max_channels = _scale(yaml, file)
    return Graph(
        file=file,
        rows=tuple(rows),
        nc=yaml.get("nc", 80),
        width=width,
        max_channels=max_channels,
        settings={
            "nc": yaml.get("nc", 80),
            "reg_max": yaml.get("reg_max", 16),
            "end2end": yaml.get("end2end"),
            "kpt_shape": yaml.get("kpt_shape"),
        },
    )


def _scale(yaml: Mapping[str, Any], file: str) -> tuple[float, float]:
    """Return the width gain and the channel limit of the chosen scale."""
    scales = yaml.get("scales")
    if not scales:
        return float(yaml.get("width_multiple", 1.0)), float("inf")
    scale = yaml.get("scale") or next(iter(scales))
    if scale not in scales:
        raise GraphError(f"{file}: scale {scale!r} is not in scales: {', '.join(map(str, scales))}.")
    values = scales[scale]
    if not isinstance(values, Sequence) or len(values) != 3:
        raise GraphError(f"{file}: scales: {scale}: found {values!r}, expected [depth, width, max_channels].")
    return float(values[1]), float(values[2])


def _read_row(row: Any, where: str, index: int, check_name: Callable[[str], str | None] | None) -> Row:
    if not isinstance(row, Sequence) or isinstance(row, str) or len(row) != 4:
        raise GraphError(f"{where}: found {row!r}, expected [from, repeats, module, args].")
    source, repeats, module, args = row
    if not isinstance(module, str):
        raise GraphError(f"{where}: module {module!r} is not a name.")
    hint = check_name(module) if check_name else None
    if hint is not None:
        raise GraphError(f"{where}: unknown module {module!r}.{hint}")
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise GraphError(f"{where}: repeats {repeats!r}, expected an integer of at least 1.")
    if not isinstance(args, Sequence) or isinstance(args, str):
        raise GraphError(f"{where}: args {args!r}, expected a list; {module} without arguments is written [].")
    named = dict(args[-1]) if args and isinstance(args[-1], Mapping) else {}
    return Row(
        where=where,
        index=index,
        source=_read_source(source, where, index),
        repeats=repeats,
        module=module,
        args=tuple(args[:-1] if named else args),
        named=named,
    )


def _read_source(source: Any, where: str, index: int) -> tuple[int, ...]:
    """Check that every layer of `from` lies above the row."""
    layers = tuple(source) if isinstance(source, Sequence) and not isinstance(source, str) else (source,)
    for layer in layers:
        if isinstance(layer, bool) or not isinstance(layer, int):
            raise GraphError(f"{where}: from {source!r}, expected a layer number or a list of them.")
        if not (-max(index, 1) <= layer < max(index, 0)) and layer != -1:
            reach = f"-1, or 0 to {index - 1}" if index else "-1 (the image)"
            raise GraphError(f"{where}: from {layer} points nowhere; expected {reach}.")
    return layers
