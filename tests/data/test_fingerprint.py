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


def test_does_not_depend_on_the_time_of_files_nor_on_how_they_are_listed(small, tmp_path, monkeypatch):
    before = of(small)
    for file in small.parent.rglob("*.*"):
        os.utime(file, (1, 1))
    folder = small.parent / "images"
    content = yaml.safe_load(small.read_text())
    (small.parent / "list.txt").write_text("\n".join(f"./images/train/{name}.jpg" for name in "dcba"))
    small.write_text(yaml.safe_dump({**content, "train": "list.txt"}))
    assert before == of(small)

    monkeypatch.chdir(folder)  # lines that are relative to the working folder
    (small.parent / "list.txt").write_text("\n".join(f"train/{name}.jpg" for name in "abcd"))
    assert before != of(small)  # their labels are looked for beside the images, as upstream does
    monkeypatch.chdir(small.parent)
    (small.parent / "list.txt").write_text("\n".join(f"{small.parent}/images/train/{name}.jpg" for name in "abcd"))
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
