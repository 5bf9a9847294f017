"""`lwyolo data leaks`, run as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lwyolo.cli import main


@pytest.fixture
def data(tmp_path) -> Path:
    """A YOLO set with five different pictures, and `leaky.yaml`, whose val holds a copy of one of train."""
    for kind in ("images", "labels"):
        for split in ("train", "val", "leaky"):
            (tmp_path / "set" / kind / split).mkdir(parents=True)
    images = tmp_path / "set" / "images"
    for seed, name in enumerate(("train/f1_a", "train/f1_b", "train/f2_a", "val/f3_a", "leaky/f4_a")):
        noise = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), np.uint8)
        Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC).save(images / f"{name}.jpg")
    shutil.copy(images / "train" / "f1_a.jpg", images / "leaky" / "f1_copy.jpg")
    for name, val in (("data", "val"), ("leaky", "leaky")):
        (tmp_path / "set" / f"{name}.yaml").write_text(f"train: images/train\nval: images/{val}\nnames: [pin]\n")
    return tmp_path / "set" / "data.yaml"


def run(*arguments: object) -> int:
    return main(["data", "leaks", *map(str, arguments)])


def test_a_clean_set_exits_with_0(data, capsys):
    assert 0 == run(data)
    assert "No pair stands in two splits." in capsys.readouterr().out


@pytest.mark.parametrize("option", [[], ["--exact"], ["--distance", "0"]])
def test_a_leaking_set_exits_with_1_and_names_the_pair(data, capsys, option):
    assert 1 == run(data.with_name("leaky.yaml"), *option)

    printed = capsys.readouterr().out
    assert "train/f1_a.jpg" in printed
    assert "leaky/f1_copy.jpg" in printed


def test_a_group_that_is_cut_exits_with_1(data, tmp_path, capsys):
    (tmp_path / "groups.csv").write_text("image,group,tower\nf1_a,1,A\nf3_a,2,A\n")

    assert 0 == run(data, "--exact", "--group", tmp_path / "groups.csv")
    assert 1 == run(data, "--exact", "--group", f"{tmp_path / 'groups.csv'}:tower")
    assert "1 group is in more than one split" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--exact", "--distance", "4"], "leave one out"),
        (["--distance", "40"], "expected 0 to 16"),
        (["--group", "folders"], "Did you mean folder?"),
        (["--save", "leaks.txt"], "expected one of .html .csv .json"),
        (["--save", "none/leaks.csv"], "there is no folder none"),
        (["--from", "yoloo"], "Did you mean yolo?"),
    ],
)
def test_what_does_not_fit_exits_with_2(data, capsys, options, message):
    assert 2 == run(data, *options)
    assert message in capsys.readouterr().err


def test_a_set_that_is_missing_exits_with_2(tmp_path, capsys):
    assert 2 == run(tmp_path / "none.yaml")
    assert "none.yaml" in capsys.readouterr().err


def test_programs_read_what_is_printed_and_what_is_saved(data, tmp_path, capsys):
    leaky = data.with_name("leaky.yaml")
    assert 1 == run(leaky, "--format", "json", "--save", tmp_path / "leaks.json")

    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "leaks.json").read_text())
    assert 1 == run(leaky, "--format", "csv")
    assert capsys.readouterr().out.startswith("pair,bits,split,image,split of the other,the other\nequal,0,train,")
    assert 1 == run(leaky, "--format", "md")
    assert "| images of | also in |" in capsys.readouterr().out


def test_a_page_shows_the_pair(data, tmp_path, capsys):
    assert 1 == run(data.with_name("leaky.yaml"), "--save", tmp_path / "leaks.html")

    page = (tmp_path / "leaks.html").read_text()
    assert 2 == page.count('src="data:image/jpeg;base64,')
    assert "http" not in page.replace("http-equiv", "")


def test_nothing_is_written_into_the_set(data, tmp_path, capsys):
    before = sorted((file, file.stat().st_mtime_ns) for file in data.parent.rglob("*"))
    run(data.with_name("leaky.yaml"), "--group", "prefix:_", "--save", tmp_path / "leaks.html")

    assert before == sorted((file, file.stat().st_mtime_ns) for file in data.parent.rglob("*"))
