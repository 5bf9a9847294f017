from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lwyolo.data.groups import check_rule, group_images, joined, numbered
from lwyolo.errors import DataError, UsageError

NAMES = ["flight7_001.jpg", "flight7_002.png", "flight9_tower_001.jpg", "loose.jpg"]


def paths(*names: str) -> list[Path]:
    return [Path("/set/images/train") / name for name in names]


def named(rule: str, images: list[Path]) -> list[str]:
    """The name of each image's group."""
    found = group_images(images, rule)
    return [found.names[index] for index in found.group]


def written(folder: Path, text: str) -> str:
    file = folder / "groups.csv"
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("prefix:_", ["flight7", "flight7", "flight9_tower", ""]),
        ("prefix:7", ["flight7", "flight7", "flight9", "loose"]),
        ("prefix:_tower_", ["", "", "flight9", ""]),
    ],
)
def test_names_are_grouped_by_their_beginning(rule, expected):
    assert expected == named(rule, paths(*NAMES))


def test_an_image_in_no_group_is_alone():
    found = group_images(paths("a.jpg", "b.jpg", "f_1.jpg", "f_2.jpg"), "prefix:_")

    assert ([0, 1, 2, 2], 2) == (found.group.tolist(), found.alone)


def test_an_image_that_is_listed_twice_is_in_one_group_with_itself():
    assert [0, 1, 0] == group_images(paths("a.jpg", "f_1.jpg", "a.jpg"), "prefix:_").group.tolist()


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["images/train/flight7", "images/val/flight7", "images/val/flight9"], ["flight7", "flight7", "flight9"]),
        (["train/images/a/b", "valid/images/a/b", "test/images/a/c"], ["a/b", "a/b", "a/c"]),
        (["flight7/images/train", "flight9/images/train", "flight7/images/val"], ["flight7", "flight9", "flight7"]),
        (["images/train", "images/val/flight9", "images/val"], ["", "flight9", ""]),
    ],
)
def test_folders_of_splits_are_no_groups(folders, expected):
    assert expected == named("folder", [Path("/set") / folder / "1.jpg" for folder in folders])


def test_a_list_names_images_with_or_without_suffix_and_folder(tmp_path):
    rule = written(tmp_path, "\ufeffimage,tower,group\r\nsub/a.jpg,T1,1\r\nb,T1,2\r\n\r\nc.png,T2,\r\n")
    images = paths("a.jpg", "b.jpg", "c.png", "d.jpg")

    assert ["1", "2", "", ""] == named(rule, images)
    assert ["T1", "T1", "T2", ""] == named(f"{rule}:tower", images)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,tower\na,1\n", "line 1: columns image, tower; expected one named group."),
        ("picture,group\na,1\n", "expected one named image or name or stem or file or filename."),
        ("", "line 1: columns none; expected one named image"),
        ("image,group\na,1\nb\n", "line 3: 1 cells, expected 2."),
        ("image,group\na,1\nx/a,2\n", "line 3: a is in group '2', and in '1' above."),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_by_line(tmp_path, text, message):
    with pytest.raises(DataError) as error:
        group_images(paths("a.jpg"), written(tmp_path, text))

    assert message in str(error.value)
    assert "groups.csv" in str(error.value)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("folders", "--group folders: unknown rule. Did you mean folder?"),
        ("prefix:", "unknown rule"),
        ("none.csv", "--group none.csv: there is no file none.csv."),
        ("prefix:0", "a prefix of no characters; expected 1 or more."),
        ("prefix:#", "finds no group for any of 1 images; '#' is not in 'a'."),
        ("folder", "all lie directly in the folders of splits."),
    ],
)
def test_a_rule_that_says_nothing_is_refused(rule, message):
    with pytest.raises(UsageError) as error:
        group_images(paths("a.jpg"), rule)

    assert message in str(error.value)


def test_a_list_of_other_images_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"a\.jpg is not among the images that it lists"):
        group_images(paths("a.jpg"), written(tmp_path, "image,group\nb,1\n"))


def test_every_rule_that_is_offered_passes(tmp_path):
    for rule in ("folder", "near", "prefix:_", "prefix:12", written(tmp_path, "image,group\n")):
        check_rule(rule)


def test_labels_become_groups_named_after_their_first_image():
    found = numbered("near", np.array([0, 1, 0, 3]), paths("a.jpg", "b.jpg", "c.jpg", "d.jpg"))

    assert ([0, 1, 0, 2], ("a.jpg", "", ""), 2) == (found.group.tolist(), found.names, found.alone)


def test_two_groupings_are_joined_through_shared_images():
    assert [0, 0, 0, 3] == joined(np.array([4, 4, 1, 2]), np.array([0, 9, 9, 3])).tolist()
