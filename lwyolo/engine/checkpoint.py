"""What a checkpoint needs before it is opened, read without running anything of it.

Upstream answers a missing module with `pip install <its name>`. Here the names in the pickle are read first, and a
package that is not installed is named; nothing is installed.
"""

from __future__ import annotations

import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING
from importlib.util import find_spec
from pathlib import Path

from lwyolo.errors import PluginError


def check_checkpoint(path: str | Path) -> None:
    """Make sure that every module that a checkpoint names can be imported.

    Raises:
        PluginError: A module is missing; the message names its package and the classes.
    """
    missing: dict[str, list[str]] = {}
    for module, name in sorted(pickled_names(Path(path))):
        if not _importable(module):
            missing.setdefault(module, []).append(name)
    if missing:
        needs = "; ".join(f"{module} ({', '.join(names)})" for module, names in missing.items())
        packages = ", ".join(sorted({module.split(".")[0] for module in missing}))
        raise PluginError(
            f"{path}: needs {needs}, which cannot be imported here. Install the package {packages} from the author of "
            "the checkpoint, or load the file with --plugins. Nothing was installed."
        )


def pickled_names(path: Path) -> set[tuple[str, str]]:
    """Return `(module, name)` of every class and function that the pickle of a checkpoint refers to."""
    names: set[tuple[str, str]] = set()
    if not zipfile.is_zipfile(path):
        return names
    with zipfile.ZipFile(path) as archive:
        for member in (m for m in archive.namelist() if m.endswith("data.pkl")):
            strings: list[str] = []
            for opcode, argument, _ in pickletools.genops(archive.read(member)):
                if opcode.name == "GLOBAL":
                    module, name = str(argument).split(" ", 1)
                    names.add((module, name))
                elif opcode.name == "STACK_GLOBAL" and len(strings) > 1:
                    names.add((strings[-2], strings[-1]))
                elif "UNICODE" in opcode.name:
                    strings.append(str(argument))
    return names


def _importable(module: str) -> bool:
    """Whether a module can be found; a pickle of protocol 2, which torch writes, uses names of Python 2 for some."""
    try:
        return find_spec(IMPORT_MAPPING.get(module, module)) is not None
    except PluginError:
        raise
    except (ImportError, ValueError):
        return False
