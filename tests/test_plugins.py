"""Plugins: loaded from a file, found again by a checkpoint, and named when they are missing."""

from __future__ import annotations

import hashlib
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lwyolo import plugins
from lwyolo.errors import PluginError
from lwyolo.registry import MODULES

SOURCE = """
from torch import Tensor, nn
from ultralytics.nn.modules import Conv

from lwyolo import Paper, register_module


@register_module(paper=Paper(title="A toy", venue="Tests", year=2026, url="https://example.org/toy"))
class PluginBlock(nn.Module):
    version = {version}

    def __init__(self, c1: int, c2: int) -> None:
        super().__init__()
        self.conv = Conv(c1, c2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)
"""
MODEL = """
nc: 2
backbone: [[-1, 1, Conv, [8, 3, 2]], [-1, 1, PluginBlock, [16]], [-1, 1, Conv, [16, 3, 2]]]
head: [[[1, 2], 1, Detect, [nc]]]
"""


def stored(text: str) -> str:
    return f"my_modules_{hashlib.blake2b(text.encode(), digest_size=5).hexdigest()}"


STORED = stored(SOURCE.format(version=1))


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    """An empty store and registry, put back afterwards."""
    monkeypatch.setenv("LWYOLO_PLUGIN_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("LWYOLO_PLUGINS", "")
    yield
    for name in [name for name in sys.modules if name.startswith("lwyolo.plugins.")]:
        del sys.modules[name]
    MODULES.remove("PluginBlock")


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "my_modules.py"
    path.write_text(SOURCE.format(version=1))
    return path


def message(spec) -> str:
    with pytest.raises(PluginError) as caught:
        plugins.load(spec)
    return str(caught.value)


def test_a_file_is_imported_under_the_hash_of_its_content(file):
    name = plugins.load(file)

    assert f"lwyolo.plugins.{STORED}" == name == MODULES["PluginBlock"].cls.__module__
    assert {STORED: plugins.store() / f"{STORED}.py"} == plugins.sources()


def test_an_edited_file_takes_the_name_and_the_old_version_stays(file):
    old = MODULES[plugins.load(file) and "PluginBlock"].cls
    file.write_text(SOURCE.format(version=2))
    plugins.load(file)

    assert 2 == MODULES["PluginBlock"].cls.version
    assert old is importlib.import_module(old.__module__).PluginBlock


def test_loading_an_earlier_version_again_takes_the_name_back(file):
    first = MODULES[plugins.load(file) and "PluginBlock"].cls
    file.write_text(SOURCE.format(version=2))
    plugins.load(file)
    file.write_text(SOURCE.format(version=1))
    plugins.load(file)

    assert first is MODULES["PluginBlock"].cls


def test_the_version_in_a_checkpoint_does_not_take_the_name_from_the_one_asked_for(file):
    old = plugins.load(file)
    del sys.modules[old]
    os.environ["LWYOLO_PLUGINS"] = ""
    file.write_text(SOURCE.format(version=2))
    plugins.load(file)
    importlib.import_module(old)

    assert 2 == MODULES["PluginBlock"].cls.version


def test_child_processes_load_what_was_loaded_even_after_an_edit(file):
    name = plugins.load(file)
    file.write_text("raise SystemExit('edited')")
    code = (
        "from lwyolo import plugins, registry; plugins.load_from_environment(); "
        "print(registry.MODULES['PluginBlock'].cls)"
    )

    assert f"<class '{name}.PluginBlock'>\n" == python(code)


def python(code: str, cwd: Path | None = None) -> str:
    path = os.pathsep.join([str(Path(plugins.__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert 0 == result.returncode, result.stderr
    return result.stdout


@pytest.fixture
def checkpoint(file, tmp_path) -> Path:
    from lwyolo import YOLO

    plugins.load(file)
    (tmp_path / "model.yaml").write_text(MODEL)
    YOLO(tmp_path / "model.yaml").save(tmp_path / "best.pt")
    return tmp_path / "best.pt"


def test_a_checkpoint_opens_in_stock_ultralytics_after_the_file_is_gone(checkpoint, file, tmp_path, monkeypatch):
    file.unlink()
    monkeypatch.setenv("LWYOLO_PLUGINS", "")
    (tmp_path / "elsewhere").mkdir()
    code = f"import ultralytics; print(type(ultralytics.YOLO({str(checkpoint)!r}).model.model[1]))"

    printed = python(code, cwd=tmp_path / "elsewhere")

    assert f"<class 'lwyolo.plugins.{STORED}.PluginBlock'>" == printed.splitlines()[-1]


def test_a_missing_plugin_is_named_and_nothing_is_installed(checkpoint, tmp_path, monkeypatch):
    from ultralytics.nn import tasks

    installed = []
    monkeypatch.setattr(tasks, "check_requirements", lambda *args, **kwargs: installed.append(args))
    monkeypatch.setenv("LWYOLO_PLUGIN_DIR", str(tmp_path / "other"))
    del sys.modules[f"lwyolo.plugins.{STORED}"]

    with pytest.raises(ImportError) as caught:
        tasks.torch_safe_load(str(checkpoint))

    assert [] == installed
    assert not isinstance(caught.value, ModuleNotFoundError)
    assert (
        f"plugin {STORED} is not in the plugin store of this machine ({tmp_path / 'other'}). The run that trained with "
        f"it keeps a copy: load that with --plugins RUN/plugins/{STORED}.py, or in Python with "
        f'lwyolo.load_plugin("RUN/plugins/{STORED}.py"). Nothing was installed.'
    ) == str(caught.value)


@pytest.mark.parametrize("put_back", [plugins.load, plugins.install])
def test_the_copy_that_a_run_keeps_goes_back_under_its_own_name(file, tmp_path, monkeypatch, put_back):
    name = plugins.load(file)
    kept = tmp_path / f"{name.rpartition('.')[2]}.py"
    kept.write_bytes(file.read_bytes())
    monkeypatch.setenv("LWYOLO_PLUGIN_DIR", str(tmp_path / "other"))

    assert name == put_back(kept)
    assert kept.read_bytes() == (tmp_path / "other" / kept.name).read_bytes()


def test_an_edited_copy_is_not_put_back(tmp_path):
    kept = tmp_path / "my_modules_0123456789.py"
    kept.write_text("")
    with pytest.raises(PluginError) as caught:
        plugins.install(kept)

    assert (
        f"plugin {kept}: the content does not fit the name, expected {stored('')}.py. The file was renamed or edited, "
        "so it is not what a checkpoint was trained with."
    ) == str(caught.value)


def test_a_damaged_copy_in_the_store_is_replaced(file):
    stored = plugins.store() / f"{plugins.stored_name(file)}.py"
    stored.parent.mkdir()
    stored.write_text("cut o")
    plugins.load(file)

    assert file.read_bytes() == stored.read_bytes()


def test_the_store_lies_among_the_users_data(monkeypatch, tmp_path):
    monkeypatch.delenv("LWYOLO_PLUGIN_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    assert tmp_path / "lwyolo" / "plugins" == plugins.store()


def test_an_importable_name_is_imported_and_handed_to_child_processes(tmp_path, monkeypatch):
    (tmp_path / "installed_toy.py").write_text(SOURCE.format(version=3))
    monkeypatch.syspath_prepend(tmp_path)

    assert "installed_toy" == plugins.load("installed_toy")
    assert "installed_toy" == MODULES["PluginBlock"].cls.__module__
    assert "installed_toy" == os.environ["LWYOLO_PLUGINS"]


def test_a_missing_file_is_answered_with_the_nearest(file):
    wrong = file.with_name("my_module.py")

    assert f"plugin {wrong}: no such file. Did you mean my_modules.py?" == message(wrong)


def test_a_folder_is_refused(tmp_path):
    assert f"plugin {tmp_path}: is a folder, expected a .py file or an importable name." == message(tmp_path)


def test_a_file_whose_name_is_no_python_name_is_refused(file):
    wrong = file.rename(file.with_name("my-modules.py"))

    assert (
        f"plugin {wrong}: 'my-modules' is not a Python name (letters, digits, underscores). Rename the file, for "
        "example to my_modules.py."
    ) == message(wrong)


def test_a_name_that_cannot_be_imported_is_answered_with_what_to_do():
    expected = "no module named 'nosuch'. Give the file itself (--plugins path/to/nosuch.py) or install it."

    assert expected == message("nosuch")


@pytest.mark.parametrize("spec", ["json", "empty.py"])
def test_a_plugin_that_registers_nothing_is_refused(tmp_path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    Path("empty.py").write_text("import json\n")

    assert f"plugin {spec}: registers no module. Decorate a class with @register_module(paper=…)." == message(spec)
    assert "" == os.environ["LWYOLO_PLUGINS"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import json\n\nx = 1 / 0\n", "plugin bad.py, line 3: ZeroDivisionError: division by zero"),
        ("import json\nx = = 1\n", "plugin bad.py, line 2: SyntaxError: invalid syntax"),
        (
            "def f():\n    json.loads('')\nimport json\nf()\n",
            "plugin bad.py, line 2: JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
        ),
        ("import nosuch\n", "plugin bad.py, line 1: ModuleNotFoundError: No module named 'nosuch'"),
    ],
)
def test_a_file_that_fails_is_reported_with_its_line(tmp_path, monkeypatch, text, expected):
    monkeypatch.chdir(tmp_path)
    Path("bad.py").write_text(text)

    assert expected == message("bad.py")


def test_a_registration_that_is_refused_keeps_its_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bad.py").write_text(SOURCE.format(version=1).replace("year=2026", "year='2026'"))

    assert "plugin bad.py, line 8: Paper.year is '2026', expected an integer such as 2021." == message("bad.py")


def test_a_store_that_cannot_be_written_is_named(file, tmp_path, monkeypatch):
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("LWYOLO_PLUGIN_DIR", str(tmp_path / "blocked" / "store"))

    assert (
        f"plugin {file}: cannot be copied into the plugin store {tmp_path / 'blocked' / 'store'}: Not a directory. Set "
        "LWYOLO_PLUGIN_DIR to a folder that can be written."
    ) == message(file)
