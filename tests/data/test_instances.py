from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lwyolo.data.convert import write_yolo
from lwyolo.data.formats.yolo import read_yolo
from lwyolo.data.instances import InstanceTable, class_counts, one_sample_a_class, sample_counts, split_counts


def test_classes_are_counted_by_id_although_names_repeat(small):
    counts = {(c.cls_id, c.split): (c.sample, c.instances, c.images) for c in class_counts(read_yolo(small))}

    assert {
        (0, "train"): ("pin", 2, 1), (1, "train"): ("pin", 1, 1), (2, "train"): ("insulator", 1, 1),
        (0, "val"): ("pin", 0, 0), (1, "val"): ("pin", 0, 0), (2, "val"): ("insulator", 1, 1),
    } == counts  # fmt: skip


def test_an_image_with_two_classes_of_a_sample_counts_once(small):
    counts = {(s.sample, s.split): s.images for s in sample_counts(read_yolo(small))}

    assert {("pin", "train"): 2, ("insulator", "train"): 1, ("pin", "val"): 0, ("insulator", "val"): 1} == counts


def test_dropped_images_are_no_backgrounds(small):
    counts = [(s.split, s.images, s.background, s.dropped) for s in split_counts(read_yolo(small))]

    assert [("train", 4, 1, 1), ("val", 1, 0, 0)] == counts


def test_instances_know_their_split_file_and_line(small):
    table = read_yolo(small)
    where = [
        (table.splits[split], table.sources[image].name, int(line))
        for split, image, line in zip(table.split, table.image, table.lines, strict=True)
    ]

    assert [("train", "a.txt", 1), ("train", "a.txt", 2), ("train", "a.txt", 3), ("train", "b.txt", 1),
            ("val", "e.txt", 1)] == where  # fmt: skip


def test_samples_of_equal_names_are_told_apart():
    names = {0: "defect", 1: "rust", 2: "defect"}

    assert {"defect (0)": (0,), "rust": (1,), "defect (2)": (2,)} == one_sample_a_class(names)


def make_table(images: tuple[Path, ...], instances: list[tuple[int, int, float, float, float, float]]) -> InstanceTable:
    names = {0: "a", 1: "b", 2: "a"}
    return InstanceTable(
        names=names,
        samples={"first": (0, 2), "second": (1,)},
        splits=("train", "val"),
        images=images,
        sources=images,
        image_split=np.array([0, 0, 1, 1]),
        image=np.array([i[0] for i in instances], dtype=np.int64),
        cls=np.array([i[1] for i in instances], dtype=np.int64),
        boxes=np.array([i[2:] for i in instances], dtype=np.float64).reshape(-1, 4),
        lines=np.zeros(len(instances), np.int64),
    )


coordinate = st.floats(0.05, 0.4).map(lambda value: round(value, 4))
instance = st.tuples(st.integers(0, 3), st.integers(0, 2), coordinate, coordinate, coordinate, coordinate)


@given(instances=st.sets(instance, max_size=12))
def test_counts_sum_to_the_instances_and_a_written_set_reads_the_same(tmp_path_factory, instances):
    folder = tmp_path_factory.mktemp("property")
    images = tuple(folder / f"{number}.jpg" for number in range(4))
    for image in images:
        image.write_bytes(b"x")
    table = make_table(images, sorted(instances))
    again = read_yolo(write_yolo(table, folder / "out"))

    assert len(instances) == sum(count.instances for count in class_counts(table))
    assert (class_counts(table), sample_counts(table), split_counts(table)) == (
        class_counts(again), sample_counts(again), split_counts(again),
    )  # fmt: skip
    assert np.array_equal(table.image, again.image)
    assert np.array_equal(table.cls, again.cls)
    assert np.allclose(table.boxes, again.boxes, rtol=0, atol=1e-6)


@given(instances=st.sets(instance, max_size=12))
def test_images_are_counted_as_a_loop_counts_them(instances):
    table = make_table(tuple(map(Path, "abcd")), sorted(instances))
    counted = {(c.cls_id, c.split): c.images for c in class_counts(table)}
    sampled = {(s.sample, s.split): s.images for s in sample_counts(table)}

    for split, images in (("train", {0, 1}), ("val", {2, 3})):
        for cls in (0, 1, 2):
            assert len({i[0] for i in instances if i[0] in images and i[1] == cls}) == counted[cls, split]
        for name, classes in (("first", (0, 2)), ("second", (1,))):
            assert len({i[0] for i in instances if i[0] in images and i[1] in classes}) == sampled[name, split]
