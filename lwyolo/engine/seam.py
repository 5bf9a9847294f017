"""The seam: the only file that replaces anything of Ultralytics, and puts it back.

`install` exchanges two functions:

- `parse_model` for upstream's own code with one branch inserted (see `engine/parser.py`). Rows of built-in modules run
  as before; rows of registered modules, and rows that read a layer which emits several levels, are resolved by
  `graph.resolve`.
- `yaml_model_load` for `engine.files.load_model_yaml`, which reads the scale from the file name alone.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

import torch
import ultralytics
from torch import nn
from ultralytics import nn as ultralytics_nn
from ultralytics.engine import model as engine_model
from ultralytics.nn import tasks
from ultralytics.nn.modules import Conv, Detect

from lwyolo import plugins, registry
from lwyolo.engine import parser
from lwyolo.engine.files import load_model_yaml
from lwyolo.errors import GraphError, LwyoloError, RegistrationError, did_you_mean
from lwyolo.graph.activation import resolve_activation
from lwyolo.graph.resolve import Channels, resolve
from lwyolo.graph.rows import Graph, Row, read_graph
from lwyolo.registry import MODULES
from lwyolo.spec import ModuleSpec

MARK = "_lwyolo_seam"


@dataclass(slots=True)
class RowState:
    """What the inserted branch reads: the row as upstream's chain shall see it, and what to put back after it."""

    source: Any
    channels: list[Channels]
    written_source: Any
    all_channels: list[Channels]
    resolved: bool = False
    args: list[Any] | None = None
    repeats: int = 1
    c2: Channels = 0


def install() -> None:
    """Put the seam in place and register all modules; a second call does nothing.

    Raises:
        UnsupportedUltralyticsError: The installed Ultralytics has a parser that is not known.
    """
    if not hasattr(tasks.parse_model, MARK):
        original = tasks.parse_model
        source, file, line = parser.source_of(inspect.unwrap(original))
        code = parser.compile_parser(source, file, line, ultralytics.__version__)
        _warn_if_unknown(source)
        replacement = _make_parser(original, code)
        tasks.parse_model = ultralytics_nn.parse_model = replacement
        loader = functools.wraps(tasks.yaml_model_load)(lambda path: load_model_yaml(path))
        tasks.yaml_model_load = engine_model.yaml_model_load = ultralytics_nn.yaml_model_load = loader
    registry.discover("lwyolo.modules")
    registry.load_entry_points()
    plugins.load_from_environment()
    _allow_safe_loading()


def uninstall() -> None:
    """Put upstream's parser back."""
    if hasattr(tasks.parse_model, MARK):
        tasks.parse_model = ultralytics_nn.parse_model = tasks.parse_model.__wrapped__
        loader = tasks.yaml_model_load.__wrapped__
        tasks.yaml_model_load = engine_model.yaml_model_load = ultralytics_nn.yaml_model_load = loader


def _warn_if_unknown(source: str) -> None:
    if parser.shape_of(source) not in parser.KNOWN_SHAPES:
        ultralytics.utils.LOGGER.warning(
            f"lwyolo: Ultralytics {ultralytics.__version__} is not among the tested versions "
            f"({parser.OLDEST} to {parser.NEWEST}); its parser has the expected form, so registered modules are built."
        )


def _make_parser(original: Any, code: CodeType) -> Any:
    @functools.wraps(original)
    def parse_model(d: Any, ch: int, verbose: bool = True) -> tuple[nn.Sequential, list[int]]:
        build = _Build(d)
        namespace = {**vars(tasks), **build.namespace}
        function = FunctionType(code, namespace, code.co_name, original.__defaults__)
        return build.run(function, d, ch, verbose)

    setattr(parse_model, MARK, True)
    return parse_model


class _Build:
    """One call of the parser: the validated graph, and the row that is being built."""

    def __init__(self, yaml: Any) -> None:
        self.graph: Graph = read_graph(yaml, _unknown_module_hint)
        self.row: Row | None = None
        self.heads: dict[int, bool] = {}
        _refuse_collisions()
        self.namespace: dict[str, Any] = {
            **{name: MODULES[name].cls for name in MODULES},
            parser.ENTER: self.enter,
            parser.ACTIVATION: functools.partial(resolve_activation, where=self.graph.file),
        }

    def run(self, function: Any, d: Mapping[str, Any], ch: int, verbose: bool) -> tuple[nn.Sequential, list[int]]:
        """Run the parser; an error is addressed to the row that caused it, and class-wide state is put back."""
        default_act = Conv.default_act
        legacy = {cls: vars(cls).get("legacy") for cls in self._head_classes()}
        try:
            model, save = function({**d, "activation": _checked_activation(d, self.graph)}, ch, verbose)
        except LwyoloError as error:
            if self.row is None or str(error).startswith(self.graph.file):
                raise
            raise GraphError(f"{self.row.where}: {self.row.module}: {error}") from error
        except Exception as error:
            raise GraphError(self._explain(error)) from error
        finally:
            Conv.default_act = default_act
            for cls, value in legacy.items():
                _restore_attribute(cls, "legacy", value)
        for index, value in self.heads.items():
            model[index].legacy = value
        return model, save

    def _explain(self, error: Exception) -> str:
        if self.row is None:
            return f"{self.graph.file}: cannot be built: {type(error).__name__}: {error}"
        name = self.row.module
        cls = MODULES[name].cls if name in MODULES else vars(tasks).get(name)
        signature = f" Signature: {name}{_signature(cls)}." if isinstance(cls, type) else ""
        return f"{self.row.where}: {name} cannot be built: {type(error).__name__}: {error}.{signature}"

    def _head_classes(self) -> set[type]:
        """Registered subclasses of `Detect` in the graph, on whose class upstream's constructor reads `legacy`."""
        specs = (MODULES.get(row.module) for row in self.graph.rows)
        return {spec.cls for spec in specs if spec and issubclass(spec.cls, Detect)}

    def enter(self, i: int, f: Any, n: int, m: Any, args: list[Any], ch: list[Channels], legacy: bool) -> RowState:
        """Answer the inserted question about row `i`."""
        self.row = row = self.graph.rows[i]
        spec = MODULES.get(row.module)
        if spec is None:
            return self._builtin(row, f, ch)
        if issubclass(spec.cls, Detect):
            spec.cls.legacy = legacy  # type: ignore[attr-defined]  # of Detect
            self.heads[i] = legacy
        answer = resolve(row, spec, [ch[x] for x in row.source], n, self.graph, legacy)
        return RowState(f, ch, f, ch, True, answer.args, answer.repeats, answer.c2)

    def _builtin(self, row: Row, f: Any, ch: list[Channels]) -> RowState:
        """Let upstream's chain see one entry a level, where a built-in row reads a layer of several levels."""
        levels = [channels for channels in (ch[x] for x in row.source) if isinstance(channels, tuple)]
        if not levels or row.module == "Index":
            return RowState(f, ch, f, ch)
        if len(row.source) > 1:
            raise GraphError(
                f"{row.where}: {row.module} reads layers {list(row.source)}, one of which emits "
                f"{len(levels[0])} levels; such a layer is read alone, or level by level through Index rows."
            )
        if not _reads_levels(row.module):
            raise GraphError(
                f"{row.where}: {row.module} takes one feature map, but layer {row.source[0]} emits "
                f"{len(levels[0])} levels. Pick one with a row such as "
                f"[{row.source[0]}, 1, Index, [{levels[0][0]}, 0]]."
            )
        expanded = [*ch, *levels[0]]
        return RowState(list(range(len(ch), len(expanded))), expanded, f, ch)


def _reads_levels(name: str) -> bool:
    """Whether a built-in module's constructor takes the channels of several levels (`ch`), as every head does."""
    cls = getattr(tasks, name, None)
    return isinstance(cls, type) and "ch" in inspect.signature(cls).parameters


def _signature(cls: type) -> str:
    parameters = inspect.signature(cls).parameters.values()
    return "(" + ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters) + ")"


def _checked_activation(d: Mapping[str, Any], graph: Graph) -> Any:
    """Refuse an `activation:` that is no plain class of torch.nn, also where upstream resolves it itself."""
    text = d.get("activation")
    if text:
        resolve_activation(text, graph.file)
    return text


def _restore_attribute(cls: type, name: str, value: Any) -> None:
    if value is not None:
        setattr(cls, name, value)
    elif name in vars(cls):
        delattr(cls, name)


def _unknown_module_hint(name: str) -> str | None:
    """Return `None` for a name that upstream or the registry knows, else the hint to print."""
    if name in MODULES:
        return None
    if name.startswith("nn."):
        return None if hasattr(nn, name[3:]) else did_you_mean(name, (f"nn.{x}" for x in dir(nn) if x[0].isupper()))
    if name.startswith("torchvision.ops."):
        return None
    if isinstance(vars(tasks).get(name), type) and issubclass(vars(tasks)[name], nn.Module):
        return None
    return did_you_mean(name, [*MODULES, *_builtin_names()])


def _builtin_names() -> list[str]:
    return [name for name, value in vars(tasks).items() if isinstance(value, type) and issubclass(value, nn.Module)]


def _refuse_collisions() -> None:
    for spec in MODULES.values():
        if getattr(tasks, spec.name, spec.cls) is not spec.cls:
            raise RegistrationError(
                f"module {spec.name!r} ({spec.cls.__module__}) has the name of a module of "
                "Ultralytics. Register it under another name: @register_module(name=…)."
            )


def _allow_safe_loading() -> None:
    """Name our classes to torch's restricted loader, so that checkpoints open under `ULTRALYTICS_SAFE_LOAD=1`."""
    torch.serialization.add_safe_globals([cls for spec in MODULES.values() for cls in _classes_beside(spec)])


def _classes_beside(spec: ModuleSpec) -> list[type]:
    """Every module class that the file of a registered class defines or imports: its parts are pickled too."""
    beside = vars(sys.modules[spec.cls.__module__]).values()
    return [c for c in beside if isinstance(c, type) and issubclass(c, nn.Module)]


install()
