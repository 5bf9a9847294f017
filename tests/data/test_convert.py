from __future__ import annotations

import numpy as np
import pytest

from lwyolo.data.convert import convert, write_yolo
from lwyolo.data.formats.voc import read_voc
from lwyolo.data.formats.yolo import read_yolo
from lwyolo.data.summary import describe
from lwyolo.errors import DataError, UnknownNameError, UsageError


@pytest.fixture
def voc(tmp_path, voc_set):
    """A VOC folder of an image in train and one in val."""
    folder = voc_set(tmp_path / "voc", a={}, b={"name": "burn"})
    (folder / "splits").mkdir()
    (folder / "splits/train.txt").write_text("a\n")
    (folder / "splits/val.txt").write_text("b\n")
    return folder


def test_a_voc_folder_becomes_a_yolo_set(voc, tmp_path):
    written = convert(voc, tmp_path / "out")

    assert tmp_path / "out/data.yaml" == written
    assert "1 0.200000 0.300000 0.200000 0.400000\n" == (tmp_path / "out/labels/train/a.txt").read_text()
    assert "train: images/train\nval: images/val\nnames:\n  0: burn\n  1: pin\n" in written.read_text()
    assert ["out", "voc"] == sorted(entry.name for entry in tmp_path.iterdir())


@pytest.mark.parametrize(("images", "is_link"), [("link", True), ("copy", False)])
def test_images_are_linked_or_copied(voc, tmp_path, images, is_link):
    convert(voc, tmp_path / "out", images=images)
    image = tmp_path / "out/images/val/b.jpg"

    assert is_link == image.is_symlink()
    assert (voc / "images/b.jpg").read_bytes() == image.read_bytes()


def test_images_are_copied_where_links_are_refused(voc, tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError("not permitted")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    convert(voc, tmp_path / "out")

    assert not (tmp_path / "out/images/val/b.jpg").is_symlink()


def test_a_yolo_set_converts_to_itself(small, tmp_path):
    (small.parent / "labels/train/d.txt").unlink()
    table = read_yolo(small)
    again = read_yolo(convert(small, tmp_path / "out", source_format="yolo"))

    assert table.samples == again.samples
    assert np.array_equal(table.cls, again.cls)
    assert np.allclose(table.boxes, again.boxes, atol=1e-6)


def test_dropped_images_are_not_turned_into_backgrounds(small, tmp_path):
    with pytest.raises(DataError, match=r"1 images would be dropped in training; the first: .*d\.txt: line 1: class 9"):
        convert(small, tmp_path / "out", source_format="yolo")


def test_a_box_that_would_drop_its_image_is_named(voc, tmp_path):
    file = voc / "annotations/a.xml"
    file.write_text(file.read_text().replace(">60<", ">390<").replace(">20<", ">380<"))
    with pytest.raises(DataError) as error:
        convert(voc, tmp_path / "out")

    reason = "line 1: a coordinate over 1; coordinates are divided by the image's size"
    assert f"{file}: Ultralytics would drop this image: {reason}." == str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_set_without_validation_is_refused(tmp_path, voc_set):
    with pytest.raises(DataError, match="Ultralytics needs train and val, the set has train; give split lists"):
        convert(voc_set(tmp_path / "voc", a={}), tmp_path / "out")


def test_two_images_of_one_label_are_refused(small, tmp_path):
    (small.parent / "labels/train/d.txt").unlink()
    (small.parent / "images/train/a.png").write_bytes((small.parent / "images/train/a.jpg").read_bytes())
    with pytest.raises(DataError, match=r"a\.png: another image of train has this name; rename one of them"):
        convert(small, tmp_path / "out", source_format="yolo")


def test_an_existing_folder_is_not_overwritten(voc, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="exists and is not empty; choose another folder"):
        convert(voc, tmp_path / "out")

    assert "keep" == (tmp_path / "out/mine.txt").read_text()


def test_an_empty_folder_is_filled(voc, tmp_path):
    (tmp_path / "out").mkdir()

    assert convert(voc, tmp_path / "out").is_file()


@pytest.mark.parametrize("error", [FileNotFoundError, KeyboardInterrupt])
def test_a_conversion_that_stops_leaves_nothing(voc, tmp_path, monkeypatch, error):
    def stop(source, target):
        raise error

    table = read_voc(voc)
    monkeypatch.setattr("shutil.copyfile", stop)
    with pytest.raises(error):
        write_yolo(table, tmp_path / "out", images="copy")

    assert ["voc"] == [entry.name for entry in tmp_path.iterdir()]


def test_unknown_format_names_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError) as error:
        convert(tmp_path, tmp_path / "out", source_format="vok")

    assert "unknown data format 'vok'. Did you mean voc?" == str(error.value)


def test_a_set_of_another_format_is_recognised(small, tmp_path):
    with pytest.raises(UsageError) as error:
        convert(small, tmp_path / "out", source_format="voc")

    assert f"{small}: not a voc set. It looks like yolo; read it as that." == str(error.value)


def test_cplid_becomes_a_yolo_set_with_its_splits(shared_data, tmp_path, tree_hash):
    source = shared_data / "cplid640"
    before = tree_hash(source)
    record = describe(convert(source, tmp_path / "cplid"))

    assert [("train", 575), ("val", 91), ("test", 182)] == [(s.split, s.images) for s in record.splits]
    assert [(0, 0)] * 3 == [(s.background, s.dropped) for s in record.splits]
    assert [1321, 248] == [sum(c.instances for c in record.classes if c.cls_id == cls) for cls in (0, 1)]
    assert (1569, 1569) == (record.rows_written, record.instances_trained)
    assert before == tree_hash(source)


def test_cplid_boxes_survive_within_a_thousandth_of_a_pixel(shared_data, tmp_path):
    voc = read_voc(shared_data / "cplid640")
    written = read_yolo(write_yolo(voc, tmp_path / "cplid"))
    pixels = np.array([640, 480, 640, 480])

    def rows(table):
        keys = [(table.splits[s], table.images[i].stem) for s, i in zip(table.split, table.image, strict=True)]
        order = sorted(range(len(keys)), key=lambda at: (keys[at], table.cls[at], *table.boxes[at].round(5)))
        return [keys[at] for at in order], table.cls[order], table.boxes[order] * pixels

    assert rows(voc)[0] == rows(written)[0]
    assert np.array_equal(rows(voc)[1], rows(written)[1])
    assert np.abs(rows(voc)[2] - rows(written)[2]).max() < 1e-3
