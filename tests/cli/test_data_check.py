from __future__ import annotations

import csv
import io
import json

import pytest

from lwyolo.cli import main

GOOD = "0 .5 .5 .2 .2\n1 .2 .2 .1 .1\n"


@pytest.fixture
def dirty(tmp_path):
    from PIL import Image

    for split, name, text in (
        ("train", "a", GOOD),
        ("train", "b", "5 .5 .5 .2 .2\n"),
        ("val", "c", f"{GOOD}0 .9 .5 .4 .2\n"),
    ):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100, 100)).save(tmp_path / f"images/{split}/{name}.jpg")
        (tmp_path / f"labels/{split}/{name}.txt").write_text(text)
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [pin, rust]\n")
    return tmp_path / "data.yaml"


def test_the_text_names_place_fault_and_consequence(dirty, capsys):
    assert 1 == main(["data", "check", str(dirty)])

    text = capsys.readouterr().out
    assert "error  class-range  (1)  Ultralytics: Drops the image with all its boxes." in text
    assert "  train/b.txt:1  class 5, but the data set has classes 0 to 1" in text
    assert "  val/c.txt:3  the box reaches 10.0 pixels outside the image" in text
    assert "3 images, 39 rules: 1 error, 1 warning, 0 info." in text


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--rule", "box-outside"], 0),
        (["--rule", "box-outside", "--fail-on", "warning"], 1),
        (["--rule", "box-tiny", "--fail-on", "info"], 0),
        (["--rule", "class-range", "--fail-on", "info"], 1),
        (["--rule", "box-outsid"], 2),
        (["--fail-on", "never"], 2),
        (["--imgsz", "0"], 2),
    ],
)
def test_the_exit_code_tells_how_bad_it_is(dirty, capsys, options, code):
    assert code == main(["data", "check", str(dirty), *options])


def test_an_unknown_rule_is_told_with_the_nearest(dirty, capsys):
    main(["data", "check", str(dirty), "--rule", "box-outsid"])

    assert "Did you mean box-outside?" in capsys.readouterr().err


def test_unusable_input_is_2(tmp_path, capsys):
    assert 2 == main(["data", "check", str(tmp_path / "no.yaml")])


def test_a_set_without_a_fault_says_so(dirty, capsys):
    for label in ("train/b", "val/c"):
        (dirty.parent / f"labels/{label}.txt").write_text(GOOD)

    assert 0 == main(["data", "check", str(dirty), "--fail-on", "info"])
    assert "nothing found." in capsys.readouterr().out


def test_of_a_rule_found_often_twenty_are_shown_and_all_are_in_csv_and_json(dirty, capsys):
    rows = "".join(f"7 .5 .5 .2 .{number + 10}\n" for number in range(25))
    (dirty.parent / "labels/train/b.txt").write_text(rows)

    main(["data", "check", str(dirty)])
    text = capsys.readouterr().out
    main(["data", "check", str(dirty), "--format", "csv"])
    table = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    main(["data", "check", str(dirty), "--format", "json"])
    content = json.loads(capsys.readouterr().out)

    assert "  … and 5 more" in text
    assert 20 == text.count("class 7, but")
    assert 25 == sum(row[1] == "class-range" for row in table)
    assert 25 == content["counts"]["error"]
    assert {"severity", "rule", "file", "line", "what", "ultralytics"} == set(content["findings"][0])


def test_markdown_is_a_table(dirty, capsys):
    main(["data", "check", str(dirty), "--format", "md"])

    assert "| error | class-range | train/b.txt | 1 | class 5, but" in capsys.readouterr().out


def test_a_copy_is_written_and_checks_clean(dirty, capsys, tmp_path):
    assert 1 == main(["data", "check", str(dirty), "--fix", str(tmp_path / "copy")])

    assert "2 images (the set lists 3), 2 changes" in " ".join(capsys.readouterr().out.split())
    assert 0 == main(["data", "check", str(tmp_path / "copy"), "--fail-on", "info"])


def test_the_copy_is_told_beside_what_programs_read(dirty, capsys, tmp_path):
    main(["data", "check", str(dirty), "--format", "json", "--fix", str(tmp_path / "copy")])

    said = capsys.readouterr()
    assert 2 == len(json.loads(said.out)["findings"])
    assert "Repaired copy" in said.err


def test_an_empty_label_is_only_information(dirty, capsys):
    (dirty.parent / "labels/train/b.txt").write_text("")
    (dirty.parent / "labels/val/c.txt").write_text(GOOD)

    assert 0 == main(["data", "check", str(dirty), "--fail-on", "warning"])


@pytest.mark.parametrize("name", ["coco_cc53", "cplid_rf_coco", "cplid640"])
def test_real_sets_are_read_and_have_no_error(shared_data, capsys, name):
    assert 0 == main(["data", "check", str(shared_data / name), *(["--from", "coco"] if name == "coco_cc53" else [])])


def test_rules_are_listed_without_a_data_set(capsys):
    assert 0 == main(["data", "check", "--list-rules", "--format", "md"])

    assert "| `class-range` | error | A class id that the data YAML does not name" in capsys.readouterr().out


@pytest.mark.parametrize("fmt", ["table", "csv", "json"])
def test_the_list_of_rules_has_other_forms(capsys, fmt):
    assert 0 == main(["data", "check", "--list-rules", "--format", fmt])

    assert "box-two-classes" in capsys.readouterr().out


def test_without_a_data_set_the_command_says_what_it_needs(capsys):
    assert 2 == main(["data", "check"])

    assert "which data set?" in capsys.readouterr().err
