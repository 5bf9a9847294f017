"""`lwyolo data demo`, as a user runs it."""

from __future__ import annotations

import pytest

from lwyolo.cli import main


def test_any_number_and_size_are_drawn(tmp_path, capsys):
    assert 0 == main(["data", "demo", str(tmp_path / "demo"), "--images", "23", "--size", "64", "--seed", "5"])
    out = capsys.readouterr().out

    assert out.endswith(f"Data YAML: {tmp_path / 'demo/data.yaml'}\n")
    assert {"train": 16, "test": 5, "val": 2} == {
        split: len(list((tmp_path / f"demo/images/{split}").iterdir())) for split in ("train", "test", "val")
    }
    assert any(line.split()[:2] == ["all", "23"] for line in out.splitlines())


def test_the_same_seed_draws_the_same_set(tmp_path, capsys):
    for name in ("one", "other"):
        main(["data", "demo", str(tmp_path / name), "--images", "10", "--size", "64", "--seed", "9"])
    files = [
        {
            file.relative_to(tmp_path / name): file.read_bytes()
            for file in (tmp_path / name).rglob("*.*")
            if file.is_file()
        }
        for name in ("one", "other")
    ]

    assert files[0] == files[1]
    assert 21 == len(files[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "9"], "9 images of 640 pixels: the demo set needs at least 10 images of 64 pixels."),
        (["--images", "10", "--size", "63"], "10 images of 63 pixels: the demo set needs at least 10 images of 64 pixels."),
        (["--images", "0"], "argument --images: '0' is no count; expected 1 or more. See lwyolo data demo --help."),
        (["--seed", "-1"], "argument --seed: '-1' is no seed; expected 0, 1, 2 or another whole number. See lwyolo data demo --help."),
        (["--seed", "1.5"], "argument --seed: '1.5' is no seed; expected 0, 1, 2 or another whole number. See lwyolo data demo --help."),
    ],
)  # fmt: skip
def test_numbers_that_draw_nothing_get_one_message(tmp_path, capsys, arguments, message):
    assert 2 == main(["data", "demo", str(tmp_path / "demo"), *arguments])
    assert f"lwyolo: {message}\n" == capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")

    assert 2 == main(["data", "demo", str(tmp_path)])
    assert f"lwyolo: {tmp_path}: exists and is not empty; choose another folder.\n" == capsys.readouterr().err
    assert ["mine.txt"] == [file.name for file in tmp_path.iterdir()]
