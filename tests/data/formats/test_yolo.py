from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from lwyolo.data.formats.base import detect_formats
from lwyolo.data.formats.yolo import read_yolo
from lwyolo.errors import UsageError


def test_reads_byte_order_marks_windows_lines_and_tabs(tmp_path, yolo_set):
    text = b"\xef\xbb\xbf0 0.5 0.5 0.25 0.25\r\n\r\n1\t0.25 0.25 0.125 0.125\r\n"
    table = read_yolo(yolo_set(tmp_path, {"train/a": text, "val/b": text}))

    assert [0, 1, 0, 1] == table.cls.tolist()
    assert [1, 3, 1, 3] == table.lines.tolist()
    assert [[0.5, 0.5, 0.25, 0.25], [0.25, 0.25, 0.125, 0.125]] * 2 == table.boxes.tolist()


def test_a_listed_image_that_is_missing_is_dropped_and_named(tmp_path, yolo_set):
    file = yolo_set(tmp_path, {"train/a": "0 .5 .5 .2 .2", "train/b": "0 .5 .5 .2 .2", "val/c": ""}, train="list.txt")
    (tmp_path / "list.txt").write_text("./images/train/a.jpg\n./images/train/b.jpg\n")
    (tmp_path / "images/train/a.jpg").unlink()
    table = read_yolo(file)

    assert [f"{tmp_path / 'images/train/a.jpg'}: listed, but there is no such image"] == list(map(str, table.problems))
    assert (2, [1]) == (table.rows_written, table.image.tolist())


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="every file can be read here")
def test_a_label_that_may_not_be_read_drops_its_image(small):
    (small.parent / "labels/train/b.txt").chmod(0)

    assert "not readable: Permission denied" in [problem.reason for problem in read_yolo(small).problems]


def test_a_label_that_is_a_folder_is_a_background(small):
    (small.parent / "labels/train/c.txt").mkdir()

    assert [3] == [problem.image for problem in read_yolo(small).problems]


def test_a_set_without_any_instance_is_read(tmp_path, yolo_set):
    table = read_yolo(yolo_set(tmp_path, {"train/a": "", "val/b": None}))

    assert (0, (0, 4), 2) == (len(table), table.boxes.shape, len(table.images))


def test_split_lists_are_refused(small):
    with pytest.raises(UsageError, match="a YOLO set has its splits in its data YAML"):
        read_yolo(small, small.parent)


def test_a_data_yaml_is_recognised(small):
    assert ["yolo"] == detect_formats(small)
    assert ["yolo"] == detect_formats(small.parent)
    assert [] == detect_formats(small.parent / "images")


def test_reading_leaves_the_folder_as_it_was(small, tree_hash):
    (small.parent / "images/train/a.jpg").write_bytes(b"no image at all")
    before = tree_hash(small.parent)
    read_yolo(small)

    assert before == tree_hash(small.parent)


def test_real_labels_are_read_row_for_row(shared_data, tmp_path):
    folder = shared_data / "coco_cc53"
    names = yaml.safe_load((folder / "yolo_names.yaml").read_text())["names"]
    content = {"path": str(folder), "train": "images/train2017", "val": "images/val2017", "names": names}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(content))
    table = read_yolo(tmp_path / "data.yaml")
    rows = np.concatenate(
        [np.loadtxt(f, ndmin=2) for f in sorted(Path(folder, "labels").rglob("*.txt")) if f.stat().st_size]
    )

    assert () == table.problems
    assert [26, 27] == np.bincount(table.image_split).tolist()
    assert [181, 173] == np.bincount(table.split).tolist()
    assert np.bincount(rows[:, 0].astype(int)).tolist() == np.bincount(table.cls).tolist()
    assert np.allclose(np.sort(rows[:, 1:], axis=0), np.sort(table.boxes, axis=0), atol=1e-6)
