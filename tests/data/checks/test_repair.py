from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lwyolo.data.checks.rule import all_rules, find_rule
from lwyolo.data.formats.base import read
from lwyolo.data.repair import repair
from lwyolo.data.verdict import judge
from lwyolo.errors import DataError, UsageError

RULES = [rule.name for rule in all_rules()]
REPAIRED = [rule.name for rule in all_rules() if rule.repair != "keep"]
GOOD = "0 0.5 0.5 0.2 0.2"


def log_of(out: Path):
    with (out / "fixes.csv").open(newline="") as file:
        return list(csv.reader(file))[1:]


def label_of(out: Path, name: str = "p", split: str = "train"):
    return (out / "labels" / split / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", REPAIRED)
def test_a_copy_is_clean_and_its_log_names_the_place(clean, check, context_of, plants, tree_hash, tmp_path, name):
    file, line = plants[name](clean)
    before = tree_hash(clean)

    repaired = repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    assert [] == check(repaired.data_yaml)
    assert (str(clean / file), str(line or ""), name) in {tuple(row[:3]) for row in log_of(tmp_path / "copy")}
    assert {} == repaired.kept
    assert before == tree_hash(clean)


@pytest.mark.parametrize("name", sorted(set(RULES) - set(REPAIRED)))
def test_what_is_kept_is_said(clean, context_of, plants, tmp_path, name):
    plants[name](clean)

    repaired = repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    assert [] == log_of(tmp_path / "copy")
    assert [name] == list(repaired.kept)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("row-comment", f"{GOOD}\n"),
        ("row-kinds", f"{GOOD}\n0 0.250000 0.250000 0.300000 0.300000\n"),
        ("row-repeated", f"{GOOD}\n"),
        ("box-range", f"{GOOD}\n1 0.985000 0.500000 0.030000 0.100000\n"),  # 0.97 to 1.07 becomes 0.97 to 1
        ("box-outside", f"{GOOD}\n1 0.925000 0.500000 0.150000 0.100000\n"),  # 0.85 to 1.05 becomes 0.85 to 1
        ("box-no-area", f"{GOOD}\n"),
        ("box-twice", f"{GOOD}\n"),
        ("label-unreadable", f"{GOOD}\n"),
        ("label-misplaced", GOOD),
    ],
)
def test_labels_are_rewritten(clean, context_of, plants, tmp_path, name, label):
    plants[name](clean)

    repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    assert label == label_of(tmp_path / "copy")


@pytest.mark.parametrize("name", [name for name in RULES if find_rule(name).repair == "leave out"])
def test_images_whose_fault_is_not_sure_are_left_out(clean, context_of, plants, tmp_path, name):
    plants[name](clean)

    repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    assert ["a.jpg", "b.jpg"] == sorted(file.name for file in (tmp_path / "copy/images/train").iterdir())
    assert log_of(tmp_path / "copy")[0][4].startswith("image left out: ")


def test_pixel_coordinates_are_not_guessed_at(clean, context_of, tmp_path):
    (clean / "labels/train/b.txt").write_text("0 1 1 2 2\n")

    repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    assert ["a.jpg"] == [file.name for file in (tmp_path / "copy/images/train").iterdir()]


def test_a_clipped_box_that_becomes_another_goes(clean, context_of, check, tmp_path):
    rows = "0 1.0101 .5 .2 .2\n1 1.0101 .5 .2 .2\n0 .955 .5 .09 .2\n"  # 0.9101 to 1 against 0.91 to 1
    (clean / "labels/train/b.txt").write_text(rows)

    repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    assert "1 0.955050 0.500000 0.089900 0.200000\n0 .955 .5 .09 .2\n" == label_of(tmp_path / "copy", "b")
    assert ["box-twice", "box-range"] == [row[2] for row in log_of(tmp_path / "copy")]


def test_polygons_are_clipped_point_by_point(clean, context_of, check, tmp_path):
    (clean / "labels/train/b.txt").write_text("0 .8 .2 1.1 .2 1.1 .6\n0 .1 .1 .3 .1 .3 .3\n")

    repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    assert "0 0.800000 0.200000 1.000000 0.200000 1.000000 0.600000\n0 .1 .1 .3 .1 .3 .3\n" == label_of(
        tmp_path / "copy", "b"
    )
    assert [] == check(tmp_path / "copy/data.yaml")


def test_an_image_whose_label_is_no_text_is_left_out(clean, context_of, tmp_path):
    (clean / "labels/train/b.txt").write_bytes(b"0 \xff .5 .2 .2\n")

    repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    assert [["", "label-unreadable", "not UTF-8: byte 2", "image left out: b.jpg"]] == [
        row[1:] for row in log_of(tmp_path / "copy")
    ]


def test_a_line_that_a_list_lost_brings_its_image_back(clean, context_of, plants, tmp_path):
    plants["list-line-lost"](clean)

    repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    assert ["a.jpg", "b.jpg"] == sorted(file.name for file in (tmp_path / "copy/images/train").iterdir())
    assert (clean / "labels/train/a.txt").read_text() == label_of(tmp_path / "copy", "a")


def test_a_removed_row_is_in_the_log_as_it_was_written(clean, context_of, plants, tmp_path):
    plants["row-repeated"](clean)

    repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    assert [[str(clean / "labels/train/p.txt"), "2", "row-repeated", GOOD, "row removed"]] == log_of(tmp_path / "copy")


def test_a_rewritten_jpeg_is_cut_without_being_decoded(clean, context_of, plants, tmp_path):
    plants["image-rewritten"](clean)
    original = (clean / "images/train/p.jpg").read_bytes()

    repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    copied = tmp_path / "copy/images/train/p.jpg"
    assert original.removesuffix(b"more") == copied.read_bytes()
    assert not copied.is_symlink()


def test_images_of_one_name_are_told_apart(clean, context_of, tmp_path):
    for kind, suffix in (("images", "jpg"), ("labels", "txt")):
        (clean / kind / "train/more").mkdir()
        source = clean / kind / f"train/a.{suffix}"
        (clean / kind / f"train/more/a.{suffix}").write_bytes(source.read_bytes())

    repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    assert ["a-2.txt", "a.txt", "b.txt"] == sorted(file.name for file in (tmp_path / "copy/labels/train").iterdir())
    assert [["name", "a.jpg", "a-2.jpg"]] == [row[2:] for row in log_of(tmp_path / "copy")]


def test_other_keys_of_the_data_yaml_are_kept_and_its_places_are_not(clean, context_of, tmp_path):
    data = clean / "data.yaml"
    data.write_text(f"path: {clean}\n{data.read_text()}licence: mine\ndownload: https://example.org/a.zip\n")

    repaired = repair(context_of(data), tmp_path / "copy")

    content = yaml.safe_load(repaired.data_yaml.read_text())
    assert {"train", "val", "names", "samples", "licence"} == set(content)


def test_a_voc_set_becomes_a_yolo_set_without_boxes_outside(tmp_path, voc_set, check):
    from lwyolo.data.checks.context import make_context

    folder = voc_set(tmp_path / "voc", a={}, b={"xmin": 150, "xmax": 220}, c={})
    (folder / "splits").mkdir()
    (folder / "splits/train.txt").write_text("a\nb\n")
    (folder / "splits/val.txt").write_text("c\n")

    repaired = repair(make_context(read(folder)), tmp_path / "copy")

    assert [] == check(repaired.data_yaml)
    assert "0 0.875000 0.300000 0.250000 0.400000\n" == label_of(tmp_path / "copy", "b")  # x 150 to 200, y 10 to 50


def test_a_copy_goes_into_no_folder_of_the_set(clean, context_of, plants):
    with pytest.raises(UsageError, match="lies in"):
        repair(context_of(clean / "data.yaml"), clean / "images/train/copy")


def test_a_set_of_which_nothing_remains_is_not_written(clean, context_of, tmp_path):
    for name in ("c", "d"):
        (clean / f"labels/val/{name}.txt").write_text("x\n")

    with pytest.raises(DataError, match="needs images in train and val"):
        repair(context_of(clean / "data.yaml"), tmp_path / "copy")

    assert not (tmp_path / "copy").exists()


def test_a_set_whose_folder_is_spelt_otherwise_is_put_right(clean, context_of, check, tmp_path):
    (clean / "images").rename(clean / "Images")
    data = clean / "data.yaml"
    data.write_text(data.read_text().replace("images/", "Images/"))

    found = {one.rule for one in check(data)}
    repaired = repair(context_of(data), tmp_path / "copy")

    assert {"label-misplaced", "split-unlabelled", "class-unused"} == found
    assert [] == check(repaired.data_yaml)


number = st.sampled_from(
    ["0", "0.5", "1", "1.01", "1.0101", "-0.01", "-0.0101", "0.1", "0.2", "0.2001", "nan", "1e-7", "x"]
)
row = st.builds(
    lambda cls, values: " ".join([cls, *values]),
    st.sampled_from(["0", "1", "2", "2", "1.0", "3", "#"]),
    st.one_of(*(st.lists(number, min_size=n, max_size=n) for n in (4, 4, 4, 6, 8, 5))),
)


@settings(max_examples=200)
@given(lines=st.lists(st.one_of(st.just(GOOD), row), max_size=5))
def test_any_label_is_trained_on_once_it_is_repaired(fuzzed, tmp_path_factory, context_of, check, lines):
    (fuzzed / "labels/train/a.txt").write_text("\n".join(lines))
    out = tmp_path_factory.mktemp("copy") / "out"

    repair(context_of(fuzzed / "data.yaml"), out)

    left = {one.rule for one in check(out / "data.yaml", deep=False)}
    assert {"label-empty", "box-tiny", "box-two-classes"} >= left
    for label in out.rglob("*.txt"):
        verdict = judge(label.read_bytes(), 3)
        assert (None, verdict.written) == (verdict.reason, len(verdict.rows))


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory, yolo_set):
    good = "0 .5 .5 .2 .2\n1 .5 .5 .1 .1\n2 .2 .2 .1 .1\n"
    return yolo_set(tmp_path_factory.mktemp("fuzzed"), {"train/a": good, "train/b": good, "val/c": good}).parent
