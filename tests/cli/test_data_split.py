"""`lwyolo data split`, run as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lwyolo.cli import main
from lwyolo.data.formats.base import read


@pytest.fixture
def data(tmp_path) -> Path:
    """Thirty different pictures in six flights, all in train."""
    for kind in ("images", "labels"):
        (tmp_path / "set" / kind).mkdir(parents=True)
    for n in range(30):
        noise = np.random.default_rng(n).integers(0, 255, (9, 12, 3), np.uint8)
        name = f"f{n // 5}_{n}"
        picture = Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC)
        picture.save(tmp_path / "set" / "images" / f"{name}.jpg")
        (tmp_path / "set" / "labels" / f"{name}.txt").write_text(f"{n % 2} .5 .5 .2 .2\n")
    (tmp_path / "set" / "data.yaml").write_text("train: images\nval: images\nnames: [pin, rust]\n")
    return tmp_path / "set" / "data.yaml"


def run(*arguments: object) -> int:
    return main(["data", "split", *map(str, arguments)])


def test_lists_are_written_and_the_ratios_told(data, tmp_path, capsys):
    code = run(data, "--ratios", 0.5, 0.2, 0.3, "--group", "prefix:_", "--seed", 1, "--out", tmp_path / "out")
    printed = capsys.readouterr().out

    assert 0 == code
    table = read(tmp_path / "out" / "data.yaml")
    assert ("train", "val", "test") == table.splits
    assert [15, 5, 10] == np.bincount(table.image_split).tolist()
    assert "The largest has 5 images" in printed
    assert f"Data YAML: {tmp_path / 'out' / 'data.yaml'}" in printed
    assert "No --group" not in printed


def test_the_same_seed_writes_the_same_lists(data, tmp_path, capsys):
    for out in ("a", "b"):
        run(data, "--ratios", 0.7, 0.1, 0.2, "--no-near", "--out", tmp_path / out)

    for name in ("train.txt", "val.txt", "test.txt", "data.yaml"):
        assert (tmp_path / "a" / name).read_text() == (tmp_path / "b" / name).read_text()


@pytest.mark.parametrize("how", ["link", "copy"])
def test_a_whole_set_is_written_on_request(data, tmp_path, capsys, how):
    assert 0 == run(data, "--ratios", 0.8, 0.2, "--out", tmp_path / "out", "--images", how)

    images = list((tmp_path / "out" / "images").rglob("*.jpg"))
    assert 30 == len(images)
    assert {how == "link"} == {image.is_symlink() for image in images}
    assert 30 == len(read(tmp_path / "out" / "data.yaml"))


def test_splits_have_the_names_that_are_given(data, tmp_path, capsys):
    options = ["--ratios", 0.2, 0.8, "--names", "val", "train", "--no-near"]
    assert 0 == run(data, *options, "--out", tmp_path / "out")

    table = read(tmp_path / "out" / "data.yaml")
    assert {"train": 24, "val": 6} == {
        split: int((table.image_split == index).sum()) for index, split in enumerate(table.splits)
    }
    assert "No --group: neighbouring shots" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ratios", "0.7", "0.2"], "sum 0.9, expected shares that sum to 1"),
        (["--ratios", "0.7", "0.3", "--names", "train", "vall"], "Did you mean val?"),
        (["--ratios", "0.7", "0.3", "--group", "folders"], "Did you mean folder?"),
        (["--ratios", "0.7", "0.3", "--group", "folder"], "all lie directly in the folders of splits"),
        (["--ratios", "a"], "invalid float value"),
    ],
)
def test_what_does_not_fit_exits_with_2_and_writes_nothing(data, tmp_path, capsys, options, message):
    assert 2 == run(data, *options, "--out", tmp_path / "out")
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_set_itself_is_not_written_to(data, tmp_path, capsys):
    assert 2 == run(data, "--ratios", 0.7, 0.3, "--out", data.parent / "images" / "out")
    assert "choose a folder outside it" in capsys.readouterr().err
