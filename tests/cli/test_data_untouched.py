"""Whatever `lwyolo data` does, the data set stays as it is: its files, their names and times, and no cache beside them."""

from __future__ import annotations

import hashlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lwyolo.cli import _data, main
from lwyolo.data.convert import convert
from lwyolo.data.demo import make_demo

ARGUMENTS: dict[str, Callable[[str, str], list[list[str]]]] = {
    "check": lambda data, out: [
        [data, "--deep", "--format", "json"],
        [data, "--fix", f"{out}/repaired"],
    ],
    "convert": lambda data, out: [
        [data, f"{out}/{to}-{images}", "--to", to, "--images", images]
        for to in ("yolo", "coco", "voc")
        for images in ("link", "copy", "none")
    ],
    "demo": lambda data, out: [[f"{out}/demo", "--images", "10", "--size", "64"]],
    "diff": lambda data, out: [[data, data], [data, data, "--format", "json"]],
    "leaks": lambda data, out: [[data], [data, "--exact", "--save", f"{out}/leaks.html"]],
    "split": lambda data, out: [
        [data, "--ratios", "0.7", "0.1", "0.2", "--out", f"{out}/split"],
        [data, "--ratios", "0.7", "0.3", "--out", f"{out}/split-linked", "--images", "link"],
    ],
    "stats": lambda data, out: [
        [data],
        [data, "--format", "csv", "--no-images"],
        [data, "--out", f"{out}/report"],
    ],
}
"""Command lines of every command, from a data set and a folder that may be written to: one that lacks here fails."""

COMMANDS = [info.name for info in pkgutil.iter_modules(_data.__path__) if not info.name.startswith("_")]


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """Time and content of every file, and time of every folder: a file that came and went shows in its folder."""
    found = {}
    for entry in (folder, *sorted(folder.rglob("*"))):
        content = entry.read_bytes() if entry.is_file() else b""
        found[str(entry.relative_to(folder))] = entry.lstat().st_mtime_ns, hashlib.blake2b(content).hexdigest()
    return found


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, tuple[Path, Path]]:
    """The folder of a set of each format, and what it is read by."""
    folder = tmp_path_factory.mktemp("sets")
    yolo = make_demo(folder / "yolo", images=12, size=96)
    dirty = make_demo(folder / "dirty", images=12, size=96)
    images = sorted((folder / "dirty/images/train").iterdir())
    images[0].write_bytes(images[0].read_bytes() + b"more")  # Ultralytics writes such a file anew
    images[1].write_bytes(images[1].read_bytes()[:500])
    images[2].write_bytes(b"no image")  # for this it asks for a package
    labels = sorted((folder / "dirty/labels/train").iterdir())
    labels[3].write_text("9 .5 .5 .2 .2\n")
    labels[4].write_text("0 .5 .5 .2 .2\n0 .5 .5 .2 .2\n")
    labels[5].unlink()
    return {
        "yolo": (folder / "yolo", yolo),
        "dirty": (folder / "dirty", dirty),
        "voc": (folder / "voc", convert(yolo, folder / "voc", to="voc", images="copy")),
        "coco": (folder / "coco", convert(yolo, folder / "coco", to="coco", images="copy")),
    }


def test_every_command_has_its_arguments_here():
    assert sorted(COMMANDS) == sorted(ARGUMENTS)


@pytest.mark.parametrize("name", ["yolo", "dirty", "voc", "coco"])
@pytest.mark.parametrize("command", sorted(ARGUMENTS))
def test_the_set_is_byte_for_byte_what_it_was(sets, tmp_path, monkeypatch, capsys, command, name):
    folder, data = sets[name]
    beside = sorted(entry.name for entry in folder.parent.iterdir())
    before = state(folder)
    monkeypatch.chdir(tmp_path)
    codes = []
    for arguments in ARGUMENTS[command](str(data), str(tmp_path)):
        codes.append(main(["data", command, *arguments]))

        assert codes[-1] in (0, 1, 2), f"{arguments}: {capsys.readouterr().err}"
        assert before == state(folder), arguments
        assert beside == sorted(entry.name for entry in folder.parent.iterdir())
    assert name == "dirty" or {0, 1} & set(codes), capsys.readouterr().err  # one that was refused has touched nothing
