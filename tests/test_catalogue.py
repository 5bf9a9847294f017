"""What is read from source equals what registers itself when it is imported."""

from __future__ import annotations

import pytest

from lwyolo.catalogue import find, read_catalogue, read_file, source_files
from lwyolo.errors import PluginError, UnknownNameError
from lwyolo.registry import MODULES, discover

FILE = """
from lwyolo import Paper, register_module
from torch import nn

CITED = Paper(title="T", venue="ICCV", year=2023, url="https://x")


@register_module(paper=Paper(title="T", venue="CV" + "PR", year=2020, url="https://x"))
class Named(nn.Module):
    pass


@register_module(kind="neck", paper=CITED, name="Other")
class Written(Named):
    def __init__(self, ch: list[int], c2: int, *, n: int = 1):
        pass

    def forward(self, x: list) -> list:
        return x
"""


def test_the_catalogue_equals_the_registry():
    discover("lwyolo.modules")
    ours = {spec.name: spec for spec in MODULES.values() if spec.cls.__module__.startswith("lwyolo.modules.")}
    entries = {entry.name: entry for entry in read_catalogue()}

    assert set(ours) == set(entries)
    for name, spec in ours.items():
        entry = entries[name]
        assert (spec.kind, spec.paper, spec.row, spec.summary) == (entry.kind, entry.paper, entry.row, entry.summary)
        assert spec.signature == entry.signature
        assert spec.onnx_opset == entry.onnx_opset
        assert set(dict(spec.no_export)) == set(dict(entry.no_export))
        assert entry.shapes


def test_a_paper_may_be_a_constant_of_the_file_and_what_is_not_literal_is_unknown(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    named, written = read_file(tmp_path / "mine.py")

    assert (None, "block", "Named()") == (named.paper, named.kind, named.signature)
    assert ("Other", "neck", "ICCV", "Other(ch, c2, n=1)") == (
        written.name,
        written.kind,
        written.paper.venue,
        written.signature,
    )
    assert "forward(x: list) -> list" == written.forward


def test_a_file_with_a_syntax_error_is_named_with_its_line(tmp_path):
    (tmp_path / "broken.py").write_text("# register_module\ndef (:\n")
    with pytest.raises(PluginError, match=r"broken.py, line 2: SyntaxError"):
        read_file(tmp_path / "broken.py")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installed package with an entry point, of which importing any part fails."""
    (tmp_path / "toy_pkg" / "blocks").mkdir(parents=True)
    (tmp_path / "toy_pkg" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "toy_pkg" / "blocks" / "mine.py").write_text(FILE)
    info = tmp_path / "toy_pkg-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-pkg\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lwyolo.modules]\ntoy = toy_pkg.blocks\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("LWYOLO_NO_ENTRY_POINTS")
    return info


def test_installed_packages_are_read_without_importing_them(installed):
    entry = find("Other", read_catalogue())

    assert installed.parent / "toy_pkg" / "blocks" / "mine.py" == entry.file
    assert 14 == entry.line


def test_an_entry_point_that_leads_nowhere_is_named_with_its_package(installed):
    (installed / "entry_points.txt").write_text("[lwyolo.modules]\ntoy = nosuch.blocks\n")
    with pytest.raises(PluginError) as caught:
        read_catalogue()

    assert "plugin 'toy' (nosuch.blocks) of package toy-pkg: no module named 'nosuch'." == str(caught.value)


def test_a_missing_plugin_file_gives_the_nearest(tmp_path):
    (tmp_path / "my_modules.py").write_text(FILE)
    with pytest.raises(PluginError) as caught:
        source_files(str(tmp_path / "my_module.py"))

    assert f"plugin {tmp_path / 'my_module.py'}: no such file. Did you mean my_modules.py?" == str(caught.value)


def test_unknown_name_gives_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown module 'DySampel'. Did you mean DySample\?"):
        find("DySampel", read_catalogue())
