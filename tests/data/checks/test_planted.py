from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwyolo.data.checks.context import make_context, run_checks
from lwyolo.data.checks.rule import all_rules, find_rule
from lwyolo.data.demo import make_demo
from lwyolo.data.formats.base import read
from lwyolo.data.verdict import judge

RULES = [rule.name for rule in all_rules()]


def test_every_rule_has_a_planted_defect(plants):
    assert sorted(RULES) == sorted(plants)


def test_a_clean_set_has_no_finding(clean, check):
    assert [] == check(clean / "data.yaml")


@pytest.mark.parametrize("name", RULES)
def test_a_planted_defect_is_found_where_it_is_and_nothing_else(clean, check, plants, name):
    file, line = plants[name](clean)

    found = [(one.rule, one.file, one.line) for one in check(clean / "data.yaml")]

    assert [(name, clean / file, line)] == found


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_what_happens_in_whole_sentences(name):
    rule = find_rule(name)

    assert rule.what.endswith(".")
    assert rule.upstream.endswith(".")


def test_the_demo_set_has_nothing_at_warning_or_above(tmp_path, check):
    found = check(make_demo(tmp_path / "demo", images=40, size=128))

    assert {"label-empty"} >= {one.rule for one in found}


def test_a_deep_rule_rests_without_deep(clean, check, plants):
    plants["image-damaged"](clean)

    assert [] == check(clean / "data.yaml", deep=False)


def test_lines_are_counted_beside_blank_ones_and_byte_order_marks(clean, check):
    (clean / "labels/train/b.txt").write_bytes("\ufeff\n0 .5 .5 .2 .2\r\n\r\n7 .5 .5 .1 .1\r\n".encode())

    assert [("class-range", 4)] == [(one.rule, one.line) for one in check(clean / "data.yaml")]


def test_a_label_that_two_images_share_is_told_of_once(clean, check, plants):
    plants["label-shared"](clean)
    (clean / "labels/train/p.txt").write_text("7 .5 .5 .2 .2\n")

    assert ["class-range", "label-shared"] == sorted(one.rule for one in check(clean / "data.yaml"))


def test_of_a_row_repeated_twice_each_later_one_is_named(clean, check):
    (clean / "labels/train/b.txt").write_text("0 .5 .5 .2 .2\n1 .3 .3 .1 .1\n0 .5 .50 .2 .2\n0 0.5 .5 .2 .2\n")

    found = check(clean / "data.yaml")

    assert [("row-repeated", 3), ("row-repeated", 4)] == [(one.rule, one.line) for one in found]
    assert ["equal to line 1"] * 2 == [one.what for one in found]


def test_polygons_of_one_box_are_near_identical_and_not_repeated(clean, check):
    (clean / "labels/train/b.txt").write_text("0 .1 .1 .5 .1 .5 .5\n0 .1 .1 .1 .5 .5 .5\n")

    assert ["box-twice"] == [one.rule for one in check(clean / "data.yaml")]


def test_pose_rows_are_boxes_where_the_yaml_has_their_shape(clean, check):
    (clean / "labels/train/b.txt").write_text("0 .5 .5 .2 .2 .5 .5 .4 .4\n")
    data = clean / "data.yaml"
    data.write_text(f"{data.read_text()}kpt_shape: [2, 2]\n")

    assert [] == check(data)


def test_a_voc_set_is_checked_for_what_applies(tmp_path, voc_set):
    folder = voc_set(tmp_path / "voc", a={}, b={"xmin": 150, "xmax": 220})

    found = run_checks(make_context(read(folder)))

    assert [("box-outside", "b.xml", "b.jpg, object 1: the box reaches 20.0 pixels outside the image")] == [
        (one.rule, one.file.name, one.what) for one in found
    ]


def test_a_line_beside_the_working_folder_is_told_how_to_be_written(clean, check):
    (clean / "images/train/list.txt").write_text("./a.jpg\nb.jpg\n")
    data = clean / "data.yaml"
    data.write_text(data.read_text().replace("train: images/train", "train: images/train/list.txt"))

    found = check(data)

    assert [("image-missing", 2)] == [(one.rule, one.line) for one in found]
    assert "b.jpg is looked for in the working folder; ./b.jpg is beside the list" == found[0].what


def test_a_jpeg_with_a_broken_middle_and_an_end_is_found_when_it_is_decoded(clean, check, broken_jpeg):
    broken_jpeg(clean / "images/train/b.jpg")

    assert [] == check(clean / "data.yaml", deep=False)
    found = check(clean / "data.yaml")
    assert [("image-damaged", clean / "images/train/b.jpg")] == [(one.rule, one.file) for one in found]
    assert "decoded in part: Corrupt JPEG data: premature end of data segment" == found[0].what


def test_images_behind_a_dot_are_told_of_and_macos_leftovers_are_not(clean, check):
    picture = (clean / "images/train/a.jpg").read_bytes()
    (clean / "images/train/.trash").mkdir()
    for name in (".hidden.jpg", ".trash/t.jpg", "._a.jpg"):
        (clean / "images/train" / name).write_bytes(picture)

    found = check(clean / "data.yaml")

    assert [("image-ignored", ".hidden.jpg"), ("image-ignored", "t.jpg")] == [
        (one.rule, one.file.name) for one in found
    ]


def test_a_folder_inside_another_is_told_of_once_and_not_for_each_image(clean, check):
    data = clean / "data.yaml"
    data.write_text(data.read_text().replace("train: images/train", "train: [images/train, images/train/more]"))
    for kind, name in (("images", "a.jpg"), ("labels", "a.txt")):
        (clean / kind / "train/more").mkdir()
        (clean / kind / "train/more" / name).write_bytes((clean / kind / "train" / name).read_bytes())

    found = check(data)

    assert ["source-twice"] == [one.rule for one in found]
    assert f"{clean / 'images/train/more'} lies in {clean / 'images/train'}, which is named too" in found[0].what


def test_what_labelling_tools_leave_beside_labels_is_no_orphan(clean, check):
    for name in ("classes.txt", "README.dataset.txt"):
        (clean / "labels/train" / name).write_text("pin\n")

    assert [] == check(clean / "data.yaml")


def test_a_label_of_an_image_that_no_list_names_is_no_orphan(clean, check):
    data = clean / "data.yaml"
    (clean / "images/train.txt").write_text("./train/a.jpg\n")
    data.write_text(data.read_text().replace("train: images/train", "train: images/train.txt"))

    assert [] == check(data)


def test_many_images_are_decoded_by_several_processes(clean, plants, monkeypatch):
    from lwyolo.data import processes
    from lwyolo.data.checks.decoding import decode_errors

    damaged = clean / plants["image-damaged"](clean)[0]
    files = [clean / "images/train/a.jpg", damaged, clean / "images/val/c.jpg", damaged]
    monkeypatch.setattr(processes, "MANY", 2)
    monkeypatch.setattr(processes, "usable_cores", lambda: 3)

    errors = decode_errors(files)

    assert [False, True, False, True] == [bool(error) for error in errors]


def brute_force_pairs(values):
    """IoU of every pair of one class, by its definition."""
    pairs = set()
    for a in range(len(values)):
        for b in range(a + 1, len(values)):
            sides = [
                max(0, min(p + s / 2, q + t / 2) - max(p - s / 2, q - t / 2))
                for p, s, q, t in zip(values[a][:2], values[a][2:], values[b][:2], values[b][2:], strict=True)
            ]
            shared = sides[0] * sides[1]
            union = values[a][2] * values[a][3] + values[b][2] * values[b][3] - shared
            if shared / union >= 0.95:
                pairs.add((a + 1, b + 1))
    return pairs


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6))
def test_near_identical_boxes_are_those_of_a_comparison_of_all(tmp_path_factory, yolo_set, check, seed):
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.3, 0.5, (4, 4))
    boxes = np.vstack([base, *(base * rng.uniform(0.97, 1.03, base.shape) for _ in range(3))]).round(4)
    text = "".join(f"0 {' '.join(map(str, box))}\n" for box in boxes.tolist())
    folder = tmp_path_factory.mktemp("pairs")
    data = yolo_set(folder, {"train/a": text, "val/b": "0 .5 .5 .2 .2\n"}, names=["pin"])

    found = [one for one in check(data, deep=False) if one.rule == "box-twice"]

    pairs = {(int(one.what.split("line ")[1].split(":")[0]), one.line) for one in found}
    assert brute_force_pairs(boxes.astype(np.float32).astype(float).tolist()) == pairs


number = st.sampled_from(
    ["0", "0.5", "1", "1.01", "1.0101", "-0.01", "-0.0101", "-0.5", "-0", "nan", "x", "0,5", "1e400"]
)
row = st.builds(
    lambda cls, values: " ".join([cls, *values]),
    st.sampled_from(["0", "1", "2", "3", "-1", "1.0", "1.5", "-0.005", "inf", "a", "#"]),
    st.lists(number, min_size=0, max_size=8),
)
good = st.sampled_from(["0 0.5 0.5 0.2 0.2", "1 0.5 0.5 0.2 0.2", "0 0.1 0.1 0.4 0.1 0.4 0.4"])


@settings(max_examples=300)
@given(lines=st.lists(st.one_of(row, good, good), max_size=4))
def test_an_image_is_dropped_exactly_where_a_rule_says_so(fuzzed, lines):
    content = "\n".join(lines).encode()
    folder, check = fuzzed
    (folder / "labels/train/a.txt").write_bytes(content)

    said = [one for one in check(folder / "data.yaml", deep=False) if find_rule(one.rule).upstream.startswith("Drops")]

    assert (judge(content, 3).reason is not None) == bool(said)


@pytest.mark.slow
def test_of_ten_thousand_random_label_files_each_that_is_dropped_is_named(tmp_path, yolo_set, check):
    data = yolo_set(tmp_path / "set", {"train/a": "0 .5 .5 .2 .2\n", "val/b": "0 .5 .5 .2 .2\n"})
    rng = random.Random(0)
    tokens = [
        "0",
        "1",
        "2",
        "3",
        "-1",
        "1.5",
        "0.5",
        "0.2",
        "1.01",
        "1.0101",
        "-0.005",
        "-0.5",
        "nan",
        "x",
        "#",
        "1e400",
    ]
    weights = [8, 8, 8, 1, 1, 1, 20, 20, 4, 1, 1, 1, 1, 1, 1, 1]
    for number in range(10_000):
        rows = [
            " ".join(rng.choices(tokens, weights, k=rng.choice([5, 5, 5, 5, 7, 6, 9])))
            for _ in range(rng.randint(0, 4))
        ]
        content = rng.choice(["\n", "\r\n"]).join(rows).encode(rng.choice(["utf-8"] * 20 + ["utf-8-sig", "utf-16"]))
        (tmp_path / f"set/images/train/{number}.jpg").hardlink_to(tmp_path / "set/images/train/a.jpg")
        (tmp_path / f"set/labels/train/{number}.txt").write_bytes(content)

    found = check(data, deep=False)

    said = {one.file for one in found if find_rule(one.rule).upstream.startswith("Drops")}
    labels = sorted((tmp_path / "set/labels/train").iterdir())
    assert {label for label in labels if judge(label.read_bytes(), 3).reason} == said
    assert 3000 < len(said) < 9000


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory, yolo_set, check) -> tuple[Path, object]:
    good = "0 .5 .5 .2 .2\n1 .5 .5 .1 .1\n2 .2 .2 .1 .1\n"
    folder = tmp_path_factory.mktemp("fuzzed")
    return yolo_set(folder, {"train/a": good, "train/b": good, "val/c": good}).parent, check
