"""A row of a registered module to explicit constructor arguments and output channels.

The constructor's signature is the rule (see `registry.register_module`): `c1` and `ch` come from the layers that the
row reads, `c2` is scaled by the model's width, `n` takes the repeats, and a head's `nc`, `reg_max`, `end2end` and
`legacy` come from the YAML. What remains is filled from the row, in order or by name.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lwyolo.errors import GraphError, did_you_mean
from lwyolo.graph.rows import Graph, Row
from lwyolo.spec import ModuleSpec, Parameter

Channels = int | tuple[int, ...]
"""Channels of one layer: a number, or one a level, finest first, for a layer that emits several levels."""

FROM_YAML = ("nc", "reg_max", "end2end", "kpt_shape")


@dataclass(frozen=True, slots=True)
class Resolved:
    """What upstream's parser needs to build the row: constructor arguments, outer repeats, output channels."""

    args: list[Any]
    repeats: int
    c2: Channels


def scale_width(c2: float, graph: Graph) -> int:
    """Scale a channel count as upstream does: limit, times the width gain, rounded up to a multiple of 8.

    Example:
        >>> scale_width(256, Graph("", (), 80, 0.25, 1024, {}))
        64
    """
    return math.ceil(min(c2, graph.max_channels) * graph.width / 8) * 8


def resolve(
    row: Row, spec: ModuleSpec, inputs: Sequence[Channels], repeats: int, graph: Graph, legacy: bool
) -> Resolved:
    """Resolve one row of a registered module.

    Args:
        row: The row.
        spec: The module's contract.
        inputs: Channels of each layer that the row reads.
        repeats: Repeats after the depth gain.
        graph: The model around the row.
        legacy: Upstream's flag for heads of YOLOv3 to v9.

    Raises:
        GraphError: The row does not fit the module; the message names file, row, and what was expected.
    """
    channels = input_channels(row, spec, inputs)
    values = _fill(row, spec, graph)
    if "c2" in values and "c2" in spec.roles:
        values["c2"] = _scaled_c2(row, spec, values["c2"], graph)
    given = {"c1": channels[0], "ch": list(channels), "n": repeats, "legacy": legacy}
    values.update({name: value for name, value in given.items() if name in spec.roles})
    by_name = {p.role if p.role else p.name: p for p in spec.parameters}
    missing = [p.name for key, p in by_name.items() if p.required and key not in values]
    if missing:
        raise GraphError(f"{row.where}: {row.module} needs {', '.join(missing)}. Signature: {spec.signature}.")
    args = [values.get(key, p.default) for key, p in by_name.items()]
    c2 = _output_channels(row, spec, channels, values, args)
    outer = 1 if "n" in spec.roles else repeats
    if outer > 1 and c2 != (channels[0] if spec.emits == "tensor" else tuple(channels)):
        raise GraphError(
            f"{row.where}: {row.module} cannot repeat {outer} times: it turns {list(channels)} channels "
            f"into {c2}, and its constructor has no n."
        )
    return Resolved(args, outer, c2)


def input_channels(row: Row, spec: ModuleSpec, inputs: Sequence[Channels]) -> tuple[int, ...]:
    """Return the channels that the row's module receives, one a feature map.

    Raises:
        GraphError: It takes one feature map and receives several, or the reverse.
    """
    levels = [channels for channels in inputs if isinstance(channels, tuple)]
    if levels and len(inputs) > 1:
        raise GraphError(
            f"{row.where}: {row.module} reads layers {list(row.source)}, one of which emits "
            f"{len(levels[0])} levels; such a layer is read alone, or level by level through Index rows."
        )
    flat = levels[0] if levels else tuple(c for c in inputs if isinstance(c, int))
    if "ch" in spec.roles:
        if len(row.source) == 1 and not levels:
            raise GraphError(
                f"{row.where}: {row.module} takes several levels, but from {row.source[0]} is one feature "
                "map; expected a list such as [15, 18, 21]."
            )
        return flat
    if len(flat) > 1 and spec.roles:
        raise GraphError(
            f"{row.where}: {row.module} takes one feature map, but receives {len(flat)}; pick one of them."
        )
    return flat


def _fill(row: Row, spec: ModuleSpec, graph: Graph) -> dict[str, Any]:
    """Bind the row's arguments to parameters, keyed by role where there is one, else by name."""
    free = spec.yaml_parameters
    if len(row.args) > len(free):
        raise GraphError(
            f"{row.where}: {row.module} takes at most {len(free)} arguments ({', '.join(p.name for p in free)}), "
            f"found {len(row.args)}: {list(row.args)}. Signature: {spec.signature}."
        )
    filled = {(p.role or p.name): _literal(value, p, graph) for p, value in zip(free, row.args, strict=False)}
    by_name = {p.name: p for p in spec.parameters if p in free or p.role in FROM_YAML}
    for name, value in row.named.items():
        if name not in by_name:
            raise GraphError(
                f"{row.where}: {row.module} has no argument {name!r}.{did_you_mean(str(name), by_name)} "
                f"Signature: {spec.signature}."
            )
        key = by_name[name].role or name
        if key in filled:
            raise GraphError(f"{row.where}: {row.module} is given {name!r} twice, by position and by name.")
        filled[key] = _literal(value, by_name[name], graph)
    for key in FROM_YAML:
        if key in spec.roles and graph.settings[key] is not None:
            filled.setdefault(key, graph.settings[key])
    return filled


def _literal(value: Any, parameter: Parameter, graph: Graph) -> Any:
    """Turn a string into the literal it spells, and a head's setting that names itself (`nc`) into its value.

    Upstream replaces any string that equals a local variable of its parser; a registered module keeps its strings.
    """
    if not isinstance(value, str) or "str" in parameter.annotation:
        return value
    if value == parameter.name and value in FROM_YAML:
        return graph.settings[value]
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def _scaled_c2(row: Row, spec: ModuleSpec, c2: Any, graph: Graph) -> int:
    if isinstance(c2, bool) or not isinstance(c2, int | float) or c2 <= 0:
        raise GraphError(
            f"{row.where}: {row.module}: channels {c2!r}, expected a positive number. Signature: {spec.signature}."
        )
    return scale_width(c2, graph)


def _output_channels(
    row: Row, spec: ModuleSpec, channels: tuple[int, ...], values: dict[str, Any], args: list[Any]
) -> Channels:
    rule = getattr(spec.cls, "out_channels", None)
    if rule is not None:
        c2 = rule(*args)
        return c2 if isinstance(c2, int) else tuple(c2)
    if spec.emits == "levels":
        if "ch" in spec.roles:
            return (values["c2"],) * len(channels) if "c2" in values else channels
        raise GraphError(
            f"{row.where}: {row.module} emits several levels from one feature map, so it needs a "
            "classmethod out_channels(*args) that returns the channels of each."
        )
    if "nc" in spec.roles:
        return channels[-1]
    if "c2" in values:
        return int(values["c2"])
    if len(set(channels)) > 1:
        raise GraphError(f"{row.where}: {row.module} needs equal channels on all its inputs, found {list(channels)}.")
    return channels[0]
