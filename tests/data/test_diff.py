from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwyolo.data.convert import convert
from lwyolo.data.diff import compare, diff
from lwyolo.data.formats.base import read
from lwyolo.data.instances import InstanceTable, Problem, one_sample_a_class
from lwyolo.data.matching import Side, edges_of, greedy, match, overlaps
from lwyolo.data.pairing import relative_names
from lwyolo.errors import UsageError
from lwyolo.reports.data_diff import changes, diff_report

NAMES = {0: "pin", 1: "burn", 2: "rust"}


def make_table(images, rows, names=NAMES, size=100, problems=()):
    """A table from `split/name` of each image and image, class, left, top, right, bottom of each box; in pixels."""
    splits = ("train", "val", "test")
    files = tuple(Path("/nowhere") / f"{name}.jpg" for name in images)
    edges = np.array([row[2:] for row in rows], dtype=float).reshape(-1, 4) / size
    return InstanceTable(
        names=names,
        samples=one_sample_a_class(names),
        splits=splits,
        images=files,
        sources=files,
        image_split=np.array([splits.index(name.split("/")[0]) for name in images], dtype=np.int64),
        image=np.array([row[0] for row in rows], dtype=np.int64),
        cls=np.array([row[1] for row in rows], dtype=np.int64),
        boxes=np.hstack([(edges[:, :2] + edges[:, 2:]) / 2, edges[:, 2:] - edges[:, :2]]),
        lines=np.arange(1, len(rows) + 1),
        sizes=np.full((len(images), 2), size),
        problems=problems,
    )


IMAGES = ["train/a", "train/b", "val/c"]
BOXES = [(0, 0, 10, 10, 50, 50), (0, 1, 60, 60, 80, 80), (2, 2, 0, 0, 30, 30)]


def summary(found):
    """The number of changes of each kind."""
    kinds = [change.change for change in changes(found)]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def test_equal_sets_have_no_difference():
    found = compare(make_table(IMAGES, BOXES), make_table(IMAGES, BOXES))

    assert found.is_empty
    assert {} == summary(found)
    assert 3 == len(found.images)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        # IoU with 10 10 50 50, of 1600 square pixels, by hand
        ((0, 10, 10, 50, 50.4), {}),  # 0.4 px, within the tolerance of 0.5
        ((0, 10, 10, 50, 51), {"box moved": 1}),  # 1600 / 1640 = 0.976
        ((0, 10, 10, 50, 31), {"box moved": 1}),  # 840 / 1600 = 0.525
        ((0, 10, 10, 50, 29), {"box added": 1, "box removed": 1}),  # 760 / 1600 = 0.475
        ((2, 10, 10, 50, 50), {"box reclassified": 1}),
        ((2, 10, 10, 50, 47), {"box reclassified": 1}),  # 1480 / 1600 = 0.925
        ((2, 10, 10, 50, 45), {"box added": 1, "box removed": 1}),  # 1400 / 1600 = 0.875
    ],
)
def test_a_box_stays_moves_changes_its_class_or_is_another(box, expected):
    found = compare(make_table(IMAGES, BOXES), make_table(IMAGES, [(0, *box), *BOXES[1:]]))

    assert expected == summary(found)
    assert (expected == {}) == found.is_empty


def test_a_move_is_told_in_pixels_with_both_lines():
    after = [BOXES[1], (0, 0, 10, 12, 50, 55), BOXES[2]]
    (change,) = changes(compare(make_table(IMAGES, BOXES), make_table(IMAGES, after)))

    assert ("box moved", "train/a.jpg", 0, 0, 1, 2, 5.0) == (
        change.change, change.image, change.cls_a, change.cls_b, change.line_a, change.line_b, change.shift_px,
    )  # fmt: skip


def test_a_greater_tolerance_lets_more_boxes_stay():
    pair = make_table(IMAGES, BOXES), make_table(IMAGES, [(0, 0, 10, 10, 50, 53), *BOXES[1:]])

    assert {"box moved": 1} == summary(compare(*pair, tolerance_px=2.9))
    assert {} == summary(compare(*pair, tolerance_px=3.1))
    with pytest.raises(UsageError, match=r"a tolerance of -1 pixels: expected 0 or more"):
        compare(*pair, tolerance_px=-1)


def test_the_highest_overlap_is_matched_first_and_a_class_before_another():
    before = make_table(["train/a"], [(0, 0, 0, 0, 10, 10), (0, 0, 0, 0, 10, 8)])
    after = make_table(["train/a"], [(0, 0, 0, 0, 10, 8), (0, 1, 0, 0, 10, 10)])
    found = compare(before, after)

    assert {"box reclassified": 1} == summary(found)
    assert [[0, 1]] == found.reclassified.tolist()


def test_boxes_of_other_images_are_never_matched():
    found = compare(make_table(IMAGES, BOXES), make_table(IMAGES, [(1, *BOXES[0][1:]), *BOXES[1:]]))

    assert {"box added": 1, "box removed": 1} == summary(found)


def test_images_come_go_and_change_their_split():
    found = compare(
        make_table(IMAGES, BOXES), make_table(["train/a", "train/c", "test/d"], [*BOXES[:2], (1, *BOXES[2][1:])])
    )

    assert {"image added": 1, "image removed": 1, "image resplit": 1} == summary(found)
    assert [("image added", "test/d.jpg", "", "test"), ("image removed", "train/b.jpg", "train", ""),
            ("image resplit", "train/c.jpg", "val", "train")] == [
        (c.change, c.image, c.split_a, c.split_b) for c in changes(found)
    ]  # fmt: skip
    assert (1, 0) == (found.by_stem, found.ambiguous)
    assert {(2, "train"): (0, 1), (2, "val"): (1, 0)} == {
        key: both for key, both in found.instances.items() if both[0] != both[1]
    }


def test_a_stem_that_repeats_is_matched_by_nothing_but_its_path():
    before = make_table(["train/1/a", "train/2/a", "val/x"], [])
    after = make_table(["train/1/a", "train/3/a", "val/x"], [])
    found = compare(before, after)

    assert {"image added": 1, "image removed": 1} == summary(found)
    assert (0, 2) == (found.by_stem, found.ambiguous)


def test_an_image_in_two_splits_is_matched_split_by_split():
    before, after = make_table(["train/a", "val/b"], []), make_table(["train/a", "val/b"], [])
    twice = [
        InstanceTable(
            **{**{n: getattr(t, n) for n in InstanceTable.__dataclass_fields__}, "images": (t.images[0],) * 2}
        )
        for t in (before, after)
    ]

    assert compare(*twice).is_empty
    (change,) = changes(compare(make_table(["val/a"], []), twice[0]))
    assert ("image added", "train") == (change.change, change.split_b)


def test_names_that_differ_and_classes_of_one_version_are_told():
    before = make_table(IMAGES, BOXES)
    after = make_table(IMAGES, BOXES, names={0: "pin", 1: "burnt", 2: "rust", 3: "dirt"})
    found = compare(before, after)

    assert {1: ("burn", "burnt"), 3: (None, "dirt")} == found.renamed
    assert not found.is_empty
    text = " ".join(diff_report(found).split())
    assert "Class 1 is 'burn' in A and 'burnt' in B. Class 3, 'dirt', is only in B." in text


def test_dropped_images_are_told():
    dropped = make_table(IMAGES, BOXES, problems=(Problem(1, Path("b.txt"), "bad"),))
    found = compare(make_table(IMAGES, BOXES), dropped)

    assert not found.is_empty
    assert "Images that Ultralytics drops: A 0, B 1;" in " ".join(diff_report(found).split())


def test_files_that_differ_are_told_and_copies_are_not(tmp_path, yolo_set):
    labels = {"train/a": "0 .5 .5 .2 .2", "train/b": "", "val/c": ""}
    one, other = yolo_set(tmp_path / "one", labels), yolo_set(tmp_path / "other", labels)
    assert diff(one, other).is_empty

    content = bytearray((tmp_path / "other/images/train/b.jpg").read_bytes())
    content[-3] ^= 1  # the same size
    (tmp_path / "other/images/train/b.jpg").write_bytes(content)
    (tmp_path / "other/images/val/c.jpg").write_bytes(bytes(content) + b"longer")
    found = diff(one, other)

    assert {"image altered": 2} == summary(found)
    assert ["train/b.jpg", "val/c.jpg"] == [change.image for change in changes(found)]


def test_sizes_are_read_where_boxes_differ(tmp_path, yolo_set):
    """Images are of 32 pixels: a width of 0.5 that becomes 0.6 moves each edge by 0.05 x 32 = 1.6 pixels."""
    one = yolo_set(tmp_path / "one", {"train/a": "0 .5 .5 .5 .5", "val/c": ""})
    other = yolo_set(tmp_path / "other", {"train/a": "0 .5 .5 .6 .5", "val/c": ""})
    found = diff(one, other)

    assert [1.6] == pytest.approx(found.shifts_px.tolist(), abs=1e-4)
    assert diff(one, other, tolerance_px=1.7).is_empty


def test_a_set_that_was_converted_is_the_same_set(small, tmp_path):
    (small.parent / "labels/train/d.txt").unlink()
    coco = convert(small, tmp_path / "coco", to="coco")
    found = diff(small, coco)

    assert found.is_empty
    assert 0 == found.by_stem


def test_names_are_relative_to_the_folder_of_all_images():
    assert ["train/a.jpg", "val/c.jpg"] == relative_names(["/set/train/a.jpg", "/set/val/c.jpg"])
    assert ["a.jpg", "b.jpg"] == relative_names(["/set/train/a.jpg", "/set/train/b.jpg"])
    assert ["a.jpg"] == relative_names(["/a.jpg"])
    assert [] == relative_names([])


def test_overlap_is_that_of_areas_and_equal_boxes_without_area_are_equal():
    one = np.array([[0, 0, 0.2, 0.2], [0, 0, 0.2, 0.2], [0.3, 0.3, 0.3, 0.5], [0.3, 0.3, 0.3, 0.5]])
    other = np.array([[0.1, 0, 0.3, 0.2], [0.2, 0, 0.4, 0.2], [0.3, 0.3, 0.3, 0.5], [0.3, 0.4, 0.3, 0.6]])

    assert [1 / 3, 0, 1, 0] == pytest.approx(overlaps(one, other).tolist())


edge = st.integers(0, 8)
row = st.tuples(st.integers(0, 3), st.integers(0, 2), edge, edge, edge, edge).map(
    lambda r: (*r[:2], min(r[2], r[4]), min(r[3], r[5]), max(r[2], r[4]) + 1, max(r[3], r[5]) + 1)
)
names = st.lists(
    st.tuples(st.sampled_from(["train", "val", "test"]), st.sampled_from("abcdef")).map("/".join),
    min_size=4, max_size=4, unique=True,
)  # fmt: skip
tables = st.builds(lambda images, rows: make_table(images, rows, size=10), names, st.lists(row, max_size=12))


@given(table=tables)
def test_a_set_does_not_differ_from_itself(table):
    assert compare(table, table).is_empty


@settings(max_examples=200)
@given(one=tables, other=tables)
def test_the_other_way_round_the_difference_is_the_mirror_image(one, other):
    there, back = compare(one, other), compare(other, one)

    assert there.images[:, ::-1].tolist() == sorted(back.images.tolist(), key=lambda pair: pair[1])
    for mine, theirs in (("images_added", "images_removed"), ("boxes_added", "boxes_removed")):
        assert getattr(there, mine).tolist() == getattr(back, theirs).tolist()
        assert getattr(there, theirs).tolist() == getattr(back, mine).tolist()
    for pairs in ("moved", "reclassified"):
        assert sorted(getattr(there, pairs)[:, ::-1].tolist()) == getattr(back, pairs).tolist()
    assert sorted(there.shifts_px.tolist()) == sorted(back.shifts_px.tolist())
    assert {key: both[::-1] for key, both in there.instances.items()} == back.instances


@settings(max_examples=200)
@given(one=tables, other=tables)
def test_every_box_of_a_common_image_is_in_one_place(one, other):
    found = compare(one, other, tolerance_px=0)
    for side, table, lost in ((0, one, found.boxes_removed), (1, other, found.boxes_added)):
        common = np.isin(table.image, found.images[:, side])
        listed = [*lost.tolist(), *found.moved[:, side].tolist(), *found.reclassified[:, side].tolist()]
        assert len(set(listed)) == len(listed) <= common.sum()
        assert all(common[at] for at in listed)


@given(
    pairs=st.dictionaries(st.tuples(st.integers(0, 5), st.integers(0, 5)), st.integers(1, 4), max_size=20),
)
def test_greedy_takes_what_a_loop_takes(pairs):
    taken: list[tuple[int, int]] = []
    for one, other in sorted(pairs, key=lambda pair: (-pairs[pair], *pair)):
        if all(one != a and other != b for a, b in taken):
            taken.append((one, other))
    array = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)

    assert sorted(map(list, taken)) == greedy(array, np.array(list(pairs.values()), dtype=float)).tolist()


def test_matching_in_parts_is_matching_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    sides = []
    for _ in range(2):
        boxes = np.hstack([rng.uniform(0.3, 0.7, (300, 2)), rng.uniform(0.2, 0.5, (300, 2))])
        sides.append(Side(rng.integers(-1, 20, 300), rng.integers(0, 2, 300), edges_of(boxes)))
    whole = match(*sides, 20)
    monkeypatch.setattr("lwyolo.data.matching.PAIRS_AT_ONCE", 50)
    parts = match(*sides, 20)

    assert whole.same.tolist() == parts.same.tolist()
    assert whole.other.tolist() == parts.other.tolist()
    assert len(whole.same) > 50


def test_cplid_differs_from_its_leaky_split_by_nothing_but_splits(shared_data):
    source = shared_data / "cplid640"
    found = compare(read(source), read(source, splits=source / "splits_leaky_random"))
    lists = [
        {stem: split for split in ("train", "val", "test") for stem in (folder / f"{split}.txt").read_text().split()}
        for folder in (source / "splits", source / "splits_leaky_random")
    ]

    assert {"image resplit": sum(lists[0][stem] != lists[1][stem] for stem in lists[0])} == summary(found)


@pytest.mark.slow
def test_a_hundred_thousand_images_are_compared_in_twenty_seconds():
    import time

    rng = np.random.default_rng(0)
    images, boxes = 100_000, 600_000
    table = make_table([f"train/{n:06d}" for n in range(images)], [])
    rows = np.hstack([rng.uniform(0.2, 0.8, (boxes, 2)), rng.uniform(0.05, 0.2, (boxes, 2))])
    columns = {
        "image": np.sort(rng.integers(0, images, boxes)), "cls": rng.integers(0, 3, boxes), "lines": np.ones(boxes, int),
    }  # fmt: skip
    fields = {name: getattr(table, name) for name in InstanceTable.__dataclass_fields__}
    start = time.perf_counter()
    found = compare(
        InstanceTable(**{**fields, **columns, "boxes": rows}),
        InstanceTable(**{**fields, **columns, "boxes": rows + 0.01}),
    )

    assert time.perf_counter() - start < 20
    assert 0.9 * boxes < len(found.moved) + len(found.boxes_added) <= boxes
