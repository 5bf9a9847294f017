from __future__ import annotations

import os
import shutil

import pytest
import yaml
from PIL import Image

from lwyolo.data.fingerprint import fingerprint
from lwyolo.data.index import read_data_yaml


def of(data_yaml):
    return fingerprint(read_data_yaml(data_yaml))


def test_is_32_hexadecimal_digits(small):
    assert 32 == len(of(small))
    assert int(of(small), 16) >= 0


def test_is_that_of_the_content_wherever_it_lies(small, tmp_path):
    moved = tmp_path / "elsewhere" / "of another name"
    shutil.copytree(small.parent, moved)

    assert of(small) == of(moved / "data.yaml")


def test_does_not_depend_on_the_time_of_files(small):
    before = of(small)
    for file in small.parent.rglob("*.*"):
        os.utime(file, (1, 1))

    assert before == of(small)


@pytest.mark.parametrize(
    "line", ["./images/train/{}.jpg", "{folder}/images/train/{}.jpg", "{name}/images/train/{}.jpg"]
)
def test_does_not_depend_on_how_images_are_listed(small, monkeypatch, line):
    before = of(small)
    folder = small.parent
    monkeypatch.chdir(folder.parent)
    text = "\n".join(line.format(stem, folder=folder, name=folder.name) for stem in "dcba")
    (folder / "list.txt").write_text(text)
    small.write_text(yaml.safe_dump({**yaml.safe_load(small.read_text()), "train": "list.txt"}))

    assert before == of(small)


@pytest.mark.parametrize("change", ["box", "missing label", "name", "image", "split", "renamed image"])
def test_changes_with_every_part(small, change):
    before = of(small)
    folder = small.parent
    if change == "box":
        (folder / "labels/train/b.txt").write_text("1 .5 .5 .2 .3")
    elif change == "missing label":
        (folder / "labels/train/b.txt").unlink()
    elif change == "name":
        small.write_text(small.read_text().replace("rust", "burn"))
    elif change == "image":
        Image.new("RGB", (64, 64)).save(folder / "images/train/b.jpg")
    else:
        new = "val/b" if change == "split" else "train/z"
        for kind, suffix in (("images", "jpg"), ("labels", "txt")):
            (folder / kind / f"train/b.{suffix}").rename(folder / kind / f"{new}.{suffix}")

    assert before != of(small)
