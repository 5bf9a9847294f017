"""What splits share, counted by hand on small sets and against the notes of the real one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lwyolo.data.copies import equal_across
from lwyolo.data.formats.base import read
from lwyolo.data.instances import InstanceTable
from lwyolo.data.leaks import (
    SharedByGroup,
    SharedGroup,
    SharedImages,
    find_leaks,
    shared_by_group,
    shared_groups,
    shared_images,
)
from lwyolo.errors import DataError, UsageError
from lwyolo.reports.data_leaks import leak_pairs_html, leak_report, leak_tables, leaks_json, leaks_page


def table_of(**splits: list[Path]) -> InstanceTable:
    """A table without instances."""
    images = tuple(image for of_split in splits.values() for image in of_split)
    none = np.zeros(0, np.int64)
    return InstanceTable(
        names={0: "pin"},
        samples={"pin": (0,)},
        splits=tuple(splits),
        images=images,
        sources=images,
        image_split=np.repeat(np.arange(len(splits)), [len(of_split) for of_split in splits.values()]),
        image=none,
        cls=none,
        boxes=np.zeros((0, 4)),
        lines=none,
    )


def save(file: Path, seed: int, **settings: int) -> Path:
    noise = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), np.uint8)
    Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC).save(file, **settings)
    return file


@pytest.fixture
def small(tmp_path) -> InstanceTable:
    """train: a, its copy a2, b, c, d; val: a copy of a, b saved again, one of its own; test: that one again, a mirrored d."""
    for name in ("train", "val", "test"):
        (tmp_path / name).mkdir()
    train = [save(tmp_path / "train" / f"{name}.jpg", seed) for seed, name in enumerate("abcd")]
    train.append(Path(shutil.copy(train[0], tmp_path / "train" / "a2.jpg")))
    val = [
        Path(shutil.copy(train[0], tmp_path / "val" / "copy.jpg")),
        save(tmp_path / "val" / "again.jpg", 1, quality=50),
    ]
    val.append(save(tmp_path / "val" / "own.jpg", 9))
    test = [Path(shutil.copy(val[2], tmp_path / "test" / "own_copy.jpg"))]
    with Image.open(train[3]) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "test" / "mirror.jpg")
    return table_of(train=train, val=val, test=[*test, tmp_path / "test" / "mirror.jpg"])


def named(leaks, exact: bool) -> set[tuple[str, str]]:
    return {
        (leaks.images[a].stem, leaks.images[b].stem)
        for a, b, equal in zip(leaks.pairs.first, leaks.pairs.second, leaks.pairs.exact, strict=True)
        if equal == exact
    }


def test_equal_and_near_pairs_are_found_in_and_across_splits(small):
    leaks = find_leaks(small)

    assert {("a", "a2"), ("a", "copy"), ("a2", "copy"), ("own", "own_copy")} == named(leaks, exact=True)
    assert {("b", "again"), ("d", "mirror")} == named(leaks, exact=False)
    assert [True] * 5 + [False] == leaks.across.tolist()
    assert leaks.leaking
    assert ["d"] == [leaks.images[index].stem for index in leaks.pairs.first[leaks.pairs.mirrored]]


def test_images_with_a_copy_elsewhere_are_counted_once(small):
    counts = {(one.split, one.other): one for one in shared_images(find_leaks(small))}

    assert SharedImages("val", "train", 3, 1, 1) == counts["val", "train"]
    assert SharedImages("train", "val", 5, 2, 1) == counts["train", "val"]
    assert SharedImages("test", "train", 2, 0, 1) == counts["test", "train"]
    assert SharedImages("test", "val", 2, 1, 0) == counts["test", "val"]
    assert SharedImages("train", "train", 5, 2, 0) == counts["train", "train"]


def test_an_image_with_an_equal_file_is_not_counted_as_near(tmp_path):
    one, again = save(tmp_path / "a.jpg", 0), save(tmp_path / "again.jpg", 0, quality=40)
    copy = Path(shutil.copy(one, tmp_path / "copy.jpg"))
    counts = shared_images(find_leaks(table_of(train=[one, again], val=[copy])))

    assert SharedImages("val", "train", 1, 1, 0) == counts[0]
    assert SharedImages("train", "val", 2, 1, 1) == counts[1]


def test_equal_files_alone_are_found_without_decoding(small):
    leaks = find_leaks(small, distance=None)

    assert set() == named(leaks, exact=False)
    assert SharedImages("val", "train", 3, 1, None) == shared_images(leaks)[0]


def test_an_image_that_is_listed_in_two_splits_leaks(tmp_path):
    file = save(tmp_path / "a.jpg", 0)

    assert find_leaks(table_of(train=[file], val=[file])).leaking
    assert find_leaks(table_of(train=[file], val=[file]), distance=None).leaking


def test_a_set_without_copies_does_not_leak(tmp_path):
    files = [save(tmp_path / f"{seed}.jpg", seed) for seed in range(6)]
    leaks = find_leaks(table_of(train=files[:4], val=files[4:]), group="prefix:1")

    assert not leaks.leaking
    assert 0 == len(leaks.pairs)


def test_groups_in_more_than_one_split_are_counted(tmp_path):
    files = [
        save(tmp_path / f"{name}.jpg", seed) for seed, name in enumerate(("x_1", "x_2", "y_1", "x_3", "y_2", "z_1"))
    ]
    leaks = find_leaks(table_of(train=files[:3], val=files[3:4], test=files[4:]), distance=None, group="prefix:_")
    counts = {(one.split, one.other): one for one in shared_by_group(leaks)}

    assert SharedByGroup("val", "train", 1, 1, 1) == counts["val", "train"]
    assert SharedByGroup("test", "train", 2, 1, 1) == counts["test", "train"]
    assert SharedByGroup("test", "val", 2, 0, 0) == counts["test", "val"]
    assert [SharedGroup("x", {"train": 2, "val": 1}), SharedGroup("y", {"train": 1, "test": 1})] == shared_groups(leaks)
    assert leaks.leaking


def test_near_duplicates_make_groups(small):
    groups = shared_groups(find_leaks(small, group="near"))

    assert {"a.jpg", "b.jpg", "d.jpg", "own.jpg"} == {group.name for group in groups}


def test_what_does_not_fit_is_refused_before_anything_is_read():
    table = table_of(train=[Path("missing.jpg")])
    for settings, message in (
        ({"distance": 17}, "--distance 17: expected 0 to 16"),
        ({"group": "near", "distance": None}, "--group near joins near-duplicates"),
        ({"group": "folders"}, "unknown rule"),
    ):
        with pytest.raises(UsageError, match=message):
            find_leaks(table, **settings)


def test_unreadable_images_are_named_and_compared_as_files(tmp_path):
    (tmp_path / "a.jpg").write_text("no image")
    (tmp_path / "b.jpg").write_text("no image")
    leaks = find_leaks(table_of(train=[tmp_path / "a.jpg"], val=[tmp_path / "b.jpg", tmp_path / "none.jpg"]))

    assert {("a", "b")} == named(leaks, exact=True)
    assert [0, 2] == list(leaks.unread)
    assert "2 images were compared as files only" in leak_report(leaks)


def test_the_table_tells_what_is_shared_and_what_the_method_misses(small):
    report = leak_report(find_leaks(small))
    lines = [line.split() for line in report.splitlines()]

    assert ["val", "train", "3", "1", "1", "66.7", "%"] in lines
    assert ["mirrored", "train", "train/d.jpg", "test", "test/mirror.jpg"] == [
        cell for line in lines if line[:1] == ["mirrored"] for cell in line if not cell.isdecimal()
    ]
    assert "5 pairs stand in two splits." in report
    assert "misses crops over 5 %" in " ".join(report.split("\n")[-4:])


def test_a_path_may_hold_what_html_means_otherwise(tmp_path):
    folder = tmp_path / "<b>&"
    folder.mkdir()
    files = [save(folder / f"{name}.jpg", 0) for name in ("a", 'b"')]
    page = leaks_page(find_leaks(table_of(train=files[:1], val=files[1:])), "<set>")

    assert "<b>" not in page.replace('<b class="', "")
    assert 2 == page.count('src="data:image/jpeg;base64,')
    assert "img-src data:" in page


def test_pairs_stand_side_by_side_those_across_splits_first(small):
    leaks = find_leaks(small)

    assert 2 == leak_pairs_html(leaks, most=1).count("<img")
    assert "… and 5 more pairs" in leak_pairs_html(leaks, most=1)
    assert 12 == leak_pairs_html(leaks).count("<img")


def test_long_lists_are_cut_and_say_so(small):
    pairs = leak_tables(find_leaks(small, group="near"), most=2)[1]

    assert 2 == len(pairs.rows)
    assert "… and 4 more; --save FILE.csv writes all." == pairs.notes[0]


def test_programs_get_everything(small):
    import csv
    import json

    leaks = find_leaks(small, group="near")
    content = json.loads(leaks_json(leaks))
    rows = list(csv.DictReader(leak_report(leaks, "csv").splitlines()))

    assert (True, 8, 6, 4) == (content["leaking"], content["distance"], len(content["pairs"]), len(content["groups"]))
    assert {"kind": "equal", "bits": 0} == {key: content["pairs"][0][key] for key in ("kind", "bits")}
    assert ("equal", "train", str(small.images[0]), str(small.images[5])) == tuple(
        rows[0][key] for key in ("pair", "split", "image", "the other")
    )


# The real set. What its README and SOURCE.md state was found by feature matching and GPS, on the original images.

COPIES = {("normal_0150", "normal_2984"), ("normal_0852", "normal_1876"), ("normal_1608", "normal_1938")}


def cplid(shared_data: Path, splits: str) -> InstanceTable:
    return read(shared_data / "cplid640", splits=shared_data / "cplid640" / splits)


@pytest.mark.parametrize("splits", ["splits", "splits_leaky_random"])
def test_the_three_equal_pairs_of_the_real_set_are_found(shared_data, splits):
    found = named(find_leaks(cplid(shared_data, splits), distance=None), exact=True)

    assert COPIES == {tuple(sorted(pair)) for pair in found}


def test_no_group_of_the_real_set_is_cut_by_its_splits(shared_data):
    rule = str(shared_data / "cplid640" / "groups.csv")
    leaks = find_leaks(cplid(shared_data, "splits"), distance=None, group=rule)

    assert [] == shared_groups(leaks)
    assert not leaks.leaking


def test_a_random_split_of_the_real_set_leaks_as_its_readme_says(shared_data):
    rule = str(shared_data / "cplid640" / "groups.csv")
    leaks = find_leaks(cplid(shared_data, "splits_leaky_random"), distance=None, group=rule)
    test = next(one for one in shared_by_group(leaks) if (one.split, one.other) == ("test", "train"))

    assert (182, 171) == (test.grouped, test.sharing)


def test_every_defect_of_a_random_test_split_was_seen_in_training(shared_data):
    """The defects are eight pasted insulators; 62 images of the test split show one of them."""
    rule = f"{shared_data / 'cplid640' / 'groups.csv'}:foreground"
    leaks = find_leaks(cplid(shared_data, "splits_leaky_random"), distance=None, group=rule)
    test = next(one for one in shared_by_group(leaks) if (one.split, one.other) == ("test", "train"))

    assert SharedByGroup("test", "train", 62, 62, 8) == test
    assert 600 == leaks.grouping.alone


def test_hashes_find_copies_of_the_real_set_and_not_its_groups(shared_data):
    """118 groups of neighbouring shots and pasted insulators; all but one of the pairs found are equal files."""
    leaks = find_leaks(cplid(shared_data, "splits"), group="near")

    assert COPIES == {tuple(sorted(pair)) for pair in named(leaks, exact=True)}
    assert {("defective_206", "defective_221")} == named(leaks, exact=False)
    assert 4 == sum(map(bool, leaks.grouping.names))


def test_the_photographs_of_the_real_set_are_found_again_in_another_export_of_it(shared_data):
    """201 photographs of CPLID, stretched to a square and saved anew by somebody else."""
    ours = sorted((shared_data / "cplid640" / "images").iterdir())
    theirs = sorted((shared_data / "cplid_rf_coco").rglob("*.jpg"))
    leaks = find_leaks(table_of(train=ours, test=theirs))
    found = next(one for one in shared_images(leaks) if (one.split, one.other) == ("test", "train"))

    assert SharedImages("test", "train", 201, 0, 201) == found
    twins = {other: one for one, other in COPIES}
    for row in np.flatnonzero(leaks.across):
        mine, other = leaks.images[leaks.pairs.first[row]].stem, leaks.images[leaks.pairs.second[row]].name
        assert int(re.match(r"\d+", other).group()) in {
            int(name.split("_")[1]) for name in (mine, twins.get(mine, mine))
        }


def test_equal_files_are_looked_for_across_the_splits_of_a_data_yaml(tmp_path, yolo_set):
    data = yolo_set(tmp_path, dict.fromkeys(("train/a", "train/b", "val/c", "val/d")))
    for name, seed in (("train/a", 0), ("train/b", 0), ("val/c", 0), ("val/d", 1)):
        save(tmp_path / "images" / f"{name}.jpg", seed)
    found = equal_across(data)

    assert (1, 0) == (found.images, found.unproven)
    assert (("images/train/a.jpg", "images/val/c.jpg"),) == tuple(
        tuple(str(Path(file).relative_to(tmp_path.resolve())) for file in pair) for pair in found.pairs
    )


def test_a_data_yaml_that_is_missing_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.yaml: no such data YAML"):
        equal_across(tmp_path / "none.yaml")
