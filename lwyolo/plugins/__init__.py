"""Modules of the user's own, loaded so that their checkpoints open again later.

A pickled class is found by the name of its module. A plugin file is therefore copied into the plugin store, under a
name that ends in a hash of its content, and imported from there as `lwyolo.plugins.<name>_<hash>`: from any folder, and
also after the file was edited (then it has another hash) or deleted. A plugin that is missing raises
`MissingPluginError`, which is no `ModuleNotFoundError`: that one Ultralytics answers with `pip install`.
"""

from __future__ import annotations

import hashlib
import importlib
import keyword
import os
import re
import sys
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec as ImportSpec
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from lwyolo.errors import LwyoloError, PluginError, did_you_mean
from lwyolo.registry import MODULES, PLUGIN_NAMESPACE
from lwyolo.spec import ModuleSpec

STORE_VARIABLE = "LWYOLO_PLUGIN_DIR"
LOADED_VARIABLE = "LWYOLO_PLUGINS"
REGISTERED = "__lwyolo_registered__"
HASH_AT_END = re.compile(r"_[0-9a-f]{10}$")


class MissingPluginError(PluginError, ImportError):
    """A checkpoint names a plugin file that is not in the store of this machine."""


def store() -> Path:
    """Return the folder of the plugin store: `LWYOLO_PLUGIN_DIR`, else one among the user's data."""
    if os.environ.get(STORE_VARIABLE):
        return Path(os.environ[STORE_VARIABLE])
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "lwyolo" / "plugins"


def load(spec: str | Path) -> str:
    """Load a plugin, here and in child processes, and return the name of its module.

    Args:
        spec: A Python file, or an importable dotted name. What is loaded last has its names, also over the version of
            the same file that a checkpoint brings along.

    Raises:
        PluginError: It cannot be found or imported, or registers no module; the message names file and line.
    """
    text = str(spec)
    if not text.endswith(".py") and Path(text).name == text:
        _import_installed(text)
        _remember(text, text)
        return text
    file = _keep(Path(text), stored_name(Path(text)))
    module = _import(PLUGIN_NAMESPACE + file.stem, text)
    _check_registered(vars(module)[REGISTERED], text)
    for item in vars(module)[REGISTERED]:
        MODULES.add(item.name, item, replace=True)
    _remember(str(file), text)
    return module.__name__


def load_from_environment() -> None:
    """Load the plugins that the parent process loaded, in its order.

    Raises:
        PluginError: As `load`.
    """
    for spec in _requested():
        load(spec)


def sources() -> dict[str, Path]:
    """Return name and file of every plugin file that this process has loaded, also through a checkpoint."""
    loaded = {name: module for name, module in sys.modules.items() if name.startswith(PLUGIN_NAMESPACE)}
    return {name.removeprefix(PLUGIN_NAMESPACE): Path(str(module.__file__)) for name, module in sorted(loaded.items())}


def install(path: str | Path) -> str:
    """Put a file that a run kept in its `plugins/` folder back into the store, and return the name of its module.

    Raises:
        PluginError: The content does not fit the hash in the name.
    """
    path = Path(path)
    expected = stored_name(path)
    if path.stem != expected:
        raise PluginError(
            f"plugin {path}: the content does not fit the name, expected {expected}.py. The file was renamed or "
            "edited, so it is not what a checkpoint was trained with."
        )
    return PLUGIN_NAMESPACE + _keep(path, expected).stem


def stored_name(path: Path) -> str:
    """Return the name of a plugin file in the store: its own, and 10 hex digits of the hash of its content.

    Raises:
        PluginError: The file is missing, or its name is no Python name.
    """
    if not path.is_file():
        beside = [file.name for file in path.parent.glob("*.py")] if path.parent.is_dir() else []
        what = "is a folder, expected a .py file or an importable name." if path.is_dir() else "no such file."
        raise PluginError(f"plugin {path}: {what}{did_you_mean(path.name, beside)}")
    name = HASH_AT_END.sub("", path.stem)
    if not name.isidentifier() or keyword.iskeyword(name):
        fixed = re.sub(r"\W", "_", name)
        raise PluginError(
            f"plugin {path}: {path.stem!r} is not a Python name (letters, digits, underscores). Rename the file, for "
            f"example to {fixed if fixed.isidentifier() and not keyword.iskeyword(fixed) else f'my_{fixed}'}.py."
        )
    return f"{name}_{hashlib.blake2b(path.read_bytes(), digest_size=5).hexdigest()}"


def _keep(path: Path, name: str) -> Path:
    """Copy a file into the store, whole at any moment, and return its place there."""
    target = store().absolute() / f"{name}.py"
    content = path.read_bytes()
    if not target.is_file() or target.read_bytes() != content:
        temporary = target.with_suffix(f".{os.getpid()}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            temporary.replace(target)
        except OSError as error:
            raise PluginError(
                f"plugin {path}: cannot be copied into the plugin store {target.parent}: {error.strerror}. Set "
                f"{STORE_VARIABLE} to a folder that can be written."
            ) from error
    return target


def _import(name: str, shown: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # a plugin's own code: whatever it raises is reported with its file and line
        reason = str(error) if isinstance(error, LwyoloError) else f"{type(error).__name__}: {_text(error)}"
        raise PluginError(f"plugin {shown}{_line(error)}: {reason}") from error


def _import_installed(name: str) -> None:
    top = name.split(".")[0]
    if not all(part.isidentifier() for part in name.split(".")):
        raise PluginError(f"plugin {name!r}: neither a .py file nor the name of a module.")
    if find_spec(top) is None:
        raise PluginError(f"no module named {name!r}. Give the file itself (--plugins path/to/{top}.py) or install it.")
    before = MODULES.values()
    _import(name, name)
    _check_registered([m for m in MODULES.values() if m not in before or m.cls.__module__.split(".")[0] == top], name)


def _check_registered(items: list[ModuleSpec], shown: str) -> None:
    if not items:
        raise PluginError(f"plugin {shown}: registers no module. Decorate a class with @register_module(paper=…).")


def _text(error: Exception) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)


def _line(error: Exception) -> str:
    """Say where a plugin failed: the innermost line of the first file that its import ran."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    own = (__file__, importlib.__file__)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename not in own and f.filename[0] != "<"]
    lines = [f.lineno for f in frames if f.filename == frames[0].filename]
    return f", line {lines[-1]}" if lines else ""


def _requested() -> list[str]:
    return [entry for entry in os.environ.get(LOADED_VARIABLE, "").split(os.pathsep) if entry]


def _remember(entry: str, given: str) -> None:
    """Put a plugin at the end of `LWYOLO_PLUGINS`, a file by its place in the store, which no edit changes."""
    others = [other for other in _requested() if other not in (entry, given)]
    os.environ[LOADED_VARIABLE] = os.pathsep.join([*others, entry])


class _StoreLoader(SourceFileLoader):
    """Runs a plugin file, notes what it registers, and leaves the names to plugins that were asked for by `load`."""

    def exec_module(self, module: ModuleType) -> None:
        before = MODULES.values()
        super().exec_module(module)
        new = [item for item in MODULES.values() if item not in before]
        vars(module)[REGISTERED] = [item for item in new if not item.cls.__module__.startswith("lwyolo.modules.")]
        asked_for = {PLUGIN_NAMESPACE + Path(entry).stem for entry in _requested()}
        for item in before:
            if item.cls.__module__ in asked_for:
                MODULES.add(item.name, item, replace=True)


class _StoreFinder(MetaPathFinder):
    """Finds the modules of this package in the store, and answers for those that are not there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ImportSpec | None:
        if not fullname.startswith(PLUGIN_NAMESPACE):
            return None
        name = fullname.removeprefix(PLUGIN_NAMESPACE)
        file = store().absolute() / f"{name}.py"
        if not file.is_file():
            raise MissingPluginError(
                f"plugin {name} is not in the plugin store of this machine ({file.parent}). The run that trained with "
                f"it keeps a copy: load that with --plugins RUN/plugins/{name}.py, or in Python with "
                f'lwyolo.load_plugin("RUN/plugins/{name}.py"). Nothing was installed.'
            )
        return spec_from_file_location(fullname, file, loader=_StoreLoader(fullname, str(file)))


if not any(isinstance(finder, _StoreFinder) for finder in sys.meta_path):
    sys.meta_path.insert(0, _StoreFinder())
