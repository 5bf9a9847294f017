"""Imports go downward only, in the order that docs/design.md draws."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "lwyolo"
RANKS = [
    {"errors", "units", "spec"},
    {"registry", "plugins", "catalogue", "provenance", "record", "hook"},
    {"modules", "cost", "data"},
    {"graph", "speed"},
    {"reports"},
    {"engine", "hooks", "sweeps"},
    {"doctor"},
    {"cli", "__init__", "__main__"},
]
SIDEWAYS_BELOW = 2  # ranks 0 and 1 are single files that may use each other; from rank 2 on, packages meet in `record`
NO_TORCH = {
    "errors",
    "units",
    "spec",
    "registry",
    "plugins",
    "catalogue",
    "provenance",
    "record",
    "data",
    "reports",
    "cli",
}
ENGINE_ONLY = (
    "ultralytics.engine",
    "ultralytics.models",
    "ultralytics.nn.tasks",
    "ultralytics.cfg",
    "ultralytics.data",
)


def room(module: str) -> str:
    return module.split(".")[1] if module.count(".") else "__init__"


def rank(name: str) -> int:
    return next(i for i, names in enumerate(RANKS) if name in names)


def imports(file: Path, top_level_only: bool = False):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "lwyolo":
                yield from (f"lwyolo.{alias.name}" for alias in node.names)
            else:
                yield node.module


FILES = sorted(PACKAGE.rglob("*.py"))


def owner(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_go_downward(file):
    own = owner(file)
    own_rank = rank(own)
    for module in imports(file):
        if not module.startswith("lwyolo") or own in ("__init__", "__main__") or module == "lwyolo":
            continue
        other = room(module)
        sideways = rank(other) == own_rank and other != own
        assert rank(other) <= own_rank, f"{own} imports {module}, which stands above it"
        assert not sideways or own_rank < SIDEWAYS_BELOW, f"{own} imports {module}, which stands beside it"


@pytest.mark.parametrize("file", [f for f in FILES if owner(f) in NO_TORCH], ids=lambda f: str(f.relative_to(PACKAGE)))
def test_data_reports_and_command_line_start_without_torch(file):
    heavy = [
        m for m in imports(file, top_level_only=True) if m.split(".")[0] in ("torch", "ultralytics", "torchvision")
    ]

    assert [] == heavy


@pytest.mark.parametrize(
    "file", [f for f in FILES if owner(f) not in ("engine", "hooks", "hook")], ids=lambda f: str(f.relative_to(PACKAGE))
)
def test_only_the_engine_touches_ultralytics_engine(file):
    assert [] == [m for m in imports(file) if m.startswith(ENGINE_ONLY)]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_nothing_is_evaluated(file):
    calls = [
        n.func.id
        for n in ast.walk(ast.parse(file.read_text()))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    ]

    assert not {"eval", "exec"} & set(calls)


@pytest.mark.parametrize(
    "script", ["train.py", *(f"scripts/{f.name}" for f in (PACKAGE.parent / "scripts").glob("*.py"))]
)
def test_scripts_define_no_classes(script):
    tree = ast.parse((PACKAGE.parent / script).read_text(encoding="utf-8"))

    assert [] == [n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
