"""Whether the seam fits the installed Ultralytics, and all modules register."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module

from lwyolo.doctor.finding import NOTE, OK, PROBLEM, Finding
from lwyolo.engine.parser import KNOWN_SHAPES, NEWEST, OLDEST, shape_of, source_of
from lwyolo.errors import LwyoloError, UnsupportedUltralyticsError
from lwyolo.plugins import LOADED_VARIABLE
from lwyolo.registry import MODULES

WITHOUT_PLUGINS = "LWYOLO_NO_ENTRY_POINTS"
TESTED = f"python -m pip install 'ultralytics>={OLDEST},<={NEWEST}'"


def look(environment: Mapping[str, str]) -> list[Finding]:
    """Install the seam, as every command that builds a model does."""
    try:
        import_module("lwyolo.engine.seam")
    except LwyoloError as error:
        return [failure(error)]
    from ultralytics.nn import parse_model

    source, _, _ = source_of(inspect.unwrap(parse_model))
    added = [spec.name for spec in MODULES.values() if not spec.cls.__module__.startswith("lwyolo.modules.")]
    return [finding(shape_of(source), len(MODULES), added, WITHOUT_PLUGINS in environment)]


def failure(error: LwyoloError) -> Finding:
    """Word what kept the seam from being installed."""
    if isinstance(error, UnsupportedUltralyticsError):
        return Finding("seam", PROBLEM, str(error), TESTED)
    remedy = (
        "Repair, update or uninstall that plugin.\n"
        f"Or leave out plugins of installed packages: export {WITHOUT_PLUGINS}=1\n"
        f"Or those that the environment names: unset {LOADED_VARIABLE}"
    )
    return Finding("seam", PROBLEM, str(error), remedy)


def finding(shape: str, n_modules: int, added: list[str], without_plugins: bool) -> Finding:
    """Judge the seam that was installed.

    Args:
        shape: Hash of the text of Ultralytics' parser.
        n_modules: Registered modules.
        added: Those of plugins among them.
        without_plugins: Whether plugins of installed packages are left out.
    """
    plugins = f", {len(added)} of plugins ({', '.join(added)})" if added else ""
    left_out = f"; plugins of installed packages are left out ({WITHOUT_PLUGINS} is set)" if without_plugins else ""
    found = f"in place, {n_modules} modules registered{plugins}{left_out}"
    if shape in KNOWN_SHAPES:
        return Finding("seam", OK, f"{found}; the parser of Ultralytics is a tested one (as of {KNOWN_SHAPES[shape]})")
    return Finding("seam", NOTE, f"{found}; the parser of Ultralytics has a text that was never tested", TESTED)
