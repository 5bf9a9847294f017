from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from PIL import Image

from lwyolo.data.fingerprint import fingerprint, table_fingerprint
from lwyolo.data.formats.base import read
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


def test_is_that_of_earlier_records(small, monkeypatch):
    """A record that was written before this version is compared by it: path, size and label, in this very order."""
    monkeypatch.chdir(small.parent.parent)
    text = "\n".join(f"{small.parent.name}/images/train/{stem}.jpg" for stem in "dc")
    (small.parent / "list.txt").write_text(text)
    train = ["images/train", "list.txt"]
    small.write_text(yaml.safe_dump({**yaml.safe_load(small.read_text()), "train": train}))
    digest = hashlib.blake2b(b"[(0, 'defect'), (1, 'rust'), (2, 'defect')]", digest_size=16)
    listed = [(split, image) for split, stems in (("train", "abcdcd"), ("val", "e")) for image in stems]
    for split, stem in sorted(listed, key=lambda one: one[0]):
        image, label = (
            small.parent / kind / split / f"{stem}{end}" for kind, end in (("images", ".jpg"), ("labels", ".txt"))
        )
        content = label.read_bytes() if label.exists() else b""
        head = f"\n{split}\0{split}/{stem}.jpg\0{image.stat().st_size}\0{len(content)}\0"
        digest.update(head.encode() + content)

    assert digest.hexdigest() == of(small)


def test_a_table_has_the_fingerprint_of_its_data_yaml(small):
    assert of(small) == table_fingerprint(read(small))


def test_instances_stand_for_labels_where_one_file_holds_all(shared_data):
    table = read(shared_data / "coco_cc53/annotations/instances_val2017.json")
    moved = replace(table, boxes=table.boxes + np.eye(len(table), 4) * 1e-9)

    assert 32 == len(table_fingerprint(table))
    assert table_fingerprint(table) != table_fingerprint(moved)
