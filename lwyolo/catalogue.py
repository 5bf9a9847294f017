"""What modules there are, read from their source without importing it: the list starts without torch.

Read are lwyolo's own module files, those of installed packages with an entry point, and any file that is named. What a
decorator says by other than a literal is not known here and prints as `–`.
"""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lwyolo.errors import PluginError, RegistrationError, UnknownNameError, did_you_mean
from lwyolo.registry import ENTRY_POINT_GROUP
from lwyolo.spec import Paper
from lwyolo.units import MISSING

MODULES_FOLDER = Path(__file__).parent / "modules"
DECORATOR = "register_module"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A registered class as its source shows it; text that is not known is `–`, an unknown paper is `None`.

    Args:
        name: The name that a YAML row uses.
        kind: What the module is in a detector.
        paper: Its source.
        row: A YAML row ready to paste.
        signature: The constructor: `DyHead(ch, c2, n=1)`.
        forward: The annotated signature of `forward`.
        doc: The docstring.
        onnx_opset: Lowest ONNX opset in which it can be exported, 0 for any.
        no_export: `(format, reason)` for each export format that cannot hold it.
        file: Where it is defined.
        line: The line of its class statement.
    """

    name: str
    kind: str
    paper: Paper | None
    row: str
    signature: str
    forward: str
    doc: str
    onnx_opset: int
    no_export: tuple[tuple[str, str], ...]
    file: Path
    line: int

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.split("\n", 1)[0]

    @property
    def shapes(self) -> str:
        """The lines of the docstring's section `Shapes:`, without their indentation; empty when there is none."""
        lines = iter(self.doc.splitlines())
        section: list[str] = []
        if any(line == "Shapes:" for line in lines):
            for line in lines:
                if not line.startswith(" "):
                    break
                section.append(line)
        return inspect.cleandoc("\n" + "\n".join(section))


def read_catalogue(files: Iterable[Path] = ()) -> list[CatalogueEntry]:
    """Read all modules, ordered by name.

    Args:
        files: Plugin files to read as well.

    Raises:
        PluginError: A file cannot be read or parsed; the message names it and the line.
    """
    every = [*sorted(MODULES_FOLDER.glob("*.py")), *_installed_files(), *files]
    return sorted((entry for file in every for entry in read_file(file)), key=lambda entry: entry.name)


def find(name: str, entries: Iterable[CatalogueEntry]) -> CatalogueEntry:
    """Return the entry of a name.

    Raises:
        UnknownNameError: There is none; the message names the nearest.
    """
    by_name = {entry.name: entry for entry in entries}
    if name not in by_name:
        raise UnknownNameError(f"unknown module {name!r}.{did_you_mean(name, by_name)}")
    return by_name[name]


def read_file(file: Path) -> list[CatalogueEntry]:
    """Read the registered classes of one file, in its order."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        if DECORATOR not in text:
            return []
        tree = ast.parse(text)
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{file}: cannot be read: {error}") from error
    except SyntaxError as error:
        raise PluginError(f"{file}, line {error.lineno}: SyntaxError: {error.msg}") from error
    classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return [
        _entry(node, call, classes, constants, file)
        for node in classes.values()
        for call in node.decorator_list
        if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == DECORATOR
    ]


def source_files(plugin: str) -> list[Path]:
    """Return the files of a plugin, given as a `.py` file or an importable name, without importing it.

    Raises:
        PluginError: There is none; for a file, the message names the nearest.
    """
    file = Path(plugin)
    if plugin.endswith(".py"):
        if not file.is_file():
            raise PluginError(f"plugin {plugin}: no such file.{did_you_mean(file.name, _beside(file))}")
        return [file]
    top, *parts = plugin.split(".")
    spec = find_spec(top) if top else None
    if spec is None:
        raise PluginError(f"no module named {top!r}.")
    if not spec.submodule_search_locations:
        return [Path(spec.origin)] if spec.has_location and spec.origin else []
    places = [Path(folder, *parts) for folder in spec.submodule_search_locations]
    return [file for p in places for file in (sorted(p.rglob("*.py")) if p.is_dir() else [p.with_suffix(".py")])]


def _beside(file: Path) -> list[str]:
    return [other.name for other in file.parent.glob("*.py")] if file.parent.is_dir() else []


def _installed_files() -> Iterator[Path]:
    """Yield the source files of installed packages with an entry point, found without importing them."""
    if os.environ.get("LWYOLO_NO_ENTRY_POINTS"):
        return
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            yield from source_files(point.module)
        except PluginError as error:
            package = point.dist.name if point.dist else "an unknown package"
            raise PluginError(f"plugin {point.name!r} ({point.value}) of package {package}: {error}") from error


def _entry(
    node: ast.ClassDef, call: ast.Call, classes: dict[str, ast.ClassDef], constants: dict[str, ast.expr], file: Path
) -> CatalogueEntry:
    said = {keyword.arg: _Constants(constants).visit(keyword.value) for keyword in call.keywords}
    name = _text(said.get("name")) or node.name
    no_export = _literal(said.get("no_export"))
    opset = _literal(said.get("onnx_opset"))
    return CatalogueEntry(
        name=name,
        kind=_text(said.get("kind")) or "block",
        paper=_paper(said.get("paper"), file),
        row=_text(said.get("row")) or f"[-1, 1, {name}, []]",
        signature=_signature(name, node, classes, constants),
        forward=_forward(node, classes),
        doc=ast.get_docstring(node) or "",
        onnx_opset=opset if isinstance(opset, int) else 0,
        no_export=tuple(no_export.items()) if isinstance(no_export, dict) else (),
        file=file,
        line=node.lineno,
    )


class _Constants(ast.NodeTransformer):
    """Puts what a name stands for in its place, where the file assigns it at its top level: a paper cited twice."""

    def __init__(self, constants: dict[str, ast.expr]) -> None:
        self.constants = constants

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.constants.get(node.id, node)


def _literal(node: ast.expr | None) -> Any:
    """Return the value of a literal; `None` without a node, `–` for an expression."""
    try:
        return None if node is None else ast.literal_eval(node)
    except ValueError:
        return MISSING


def _text(node: ast.expr | None) -> str:
    return str(_literal(node) or "")


def _paper(node: ast.expr | None, file: Path) -> Paper | None:
    if not isinstance(node, ast.Call):
        return None
    values = dict(zip(("title", "venue", "year", "url"), map(_literal, node.args), strict=False))
    values |= {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords}
    if MISSING in values.values() or set(values) != {"title", "venue", "year", "url"}:
        return None
    try:
        return Paper(**values)
    except RegistrationError as error:
        raise PluginError(f"{file}, line {node.lineno}: {error}") from error


def _method(node: ast.ClassDef, name: str, classes: dict[str, ast.ClassDef]) -> ast.FunctionDef | str | None:
    """Return a method, own or inherited within the file; `None` where nn.Module's is inherited, `–` where unknown."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == name:
            return item
    for base in map(ast.unparse, node.bases):
        if base in classes:
            return _method(classes[base], name, classes)
        if base.split(".")[-1] != "Module":
            return MISSING
    return None


def _signature(name: str, node: ast.ClassDef, classes: dict[str, ast.ClassDef], constants: dict[str, ast.expr]) -> str:
    init = _method(node, "__init__", classes)
    if isinstance(init, str):
        return MISSING
    return f"{name}({', '.join(_parameters(init.args, constants)) if init else ''})"


def _parameters(arguments: ast.arguments, constants: dict[str, ast.expr]) -> Iterator[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    required: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = [*zip(positional, [*required, *arguments.defaults], strict=True)][1:]
    for parameter, default in [*pairs, *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]:
        value = None if default is None else ast.unparse(_Constants(constants).visit(default))
        yield parameter.arg if value is None else f"{parameter.arg}={value}"


def _forward(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> str:
    forward = _method(node, "forward", classes)
    if not isinstance(forward, ast.FunctionDef):
        return MISSING
    parameters = [ast.unparse(parameter) for parameter in forward.args.args[1:]]
    returns = f" -> {ast.unparse(forward.returns)}" if forward.returns else ""
    return f"forward({', '.join(parameters)}){returns}"
