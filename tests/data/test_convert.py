from __future__ import annotations

import numpy as np
import pytest
import yaml

from lwyolo.data.convert import convert, load, write_yolo
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


def test_split_lists_give_splits_to_a_set_that_has_none_of_them(small, tmp_path):
    (small.parent / "labels/train/d.txt").unlink()
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.txt").write_text("e\nb.jpg\n")
    (lists / "val.txt").write_text("a\n")
    table = load(small, splits=lists)
    again = read_yolo(convert(small, tmp_path / "out", splits=lists))

    assert ["e", "b", "a"] == [image.stem for image in table.images]
    assert ("train", "val") == table.splits == again.splits
    assert [0, 0, 1] == table.image_split.tolist()
    assert {"e": [2], "b": [1], "a": [0, 0, 2]} == {
        image.stem: sorted(table.cls[table.image == at].tolist()) for at, image in enumerate(table.images)
    }
    assert f"2 images are in no list of {lists} and are left out" in table.remarks


@pytest.mark.parametrize(
    ("line", "message"),
    [("aa", "no image has the name aa. Did you mean a?"), ("twice", "2 images have the name twice.")],
)
def test_a_line_of_a_split_list_names_one_image(small, tmp_path, line, message):
    for split in ("train", "val"):
        (small.parent / f"images/{split}/twice.jpg").write_bytes((small.parent / "images/train/a.jpg").read_bytes())
    (tmp_path / "val.txt").write_text(f"{line}\n")
    with pytest.raises(DataError) as error:
        load(small, splits=tmp_path)

    assert f"{tmp_path / 'val.txt'}: {message}" == str(error.value)


def test_a_folder_without_lists_is_named(small, tmp_path):
    with pytest.raises(DataError, match=r"no train\.txt, val\.txt or test\.txt with a stem in it"):
        load(small, splits=tmp_path)


def test_a_folder_of_the_set_is_not_written_into(voc, small, tmp_path):
    (small.parent / "labels/train/d.txt").unlink()
    with pytest.raises(UsageError) as error:
        convert(voc, voc / "yolo")
    with pytest.raises(UsageError, match="lies in .*train, a folder of the data set; choose a folder outside it"):
        convert(small, small.parent / "images/train/new", to="coco")

    with pytest.raises(UsageError, match="lies in .*labels/train, a folder of the data set"):
        convert(small, small.parent / "labels/train/new", to="coco")

    assert f"{voc / 'yolo'}: lies in {voc}, a folder of the data set; choose a folder outside it." == str(error.value)
    assert convert(small, small.parent / "coco", to="coco").is_dir()


def test_the_format_is_told_from_the_files(voc, tmp_path):
    yolo = convert(voc, tmp_path / "yolo")
    coco = convert(yolo, tmp_path / "coco", to="coco")
    again = convert(coco, tmp_path / "again", to="voc")

    assert [tmp_path / "yolo/data.yaml", tmp_path / "coco", tmp_path / "again"] == [yolo, coco, again]
    assert [{0: "burn", 1: "pin"}] * 2 == [load(path).names for path in (voc, again)]
    assert np.allclose(load(voc).boxes, load(again).boxes, rtol=0, atol=1e-6)


def test_sizes_are_those_of_the_image_turned_upright(tmp_path, yolo_set):
    from PIL import Image

    file = yolo_set(tmp_path / "set", {"train/a": "0 .5 .5 .5 .5", "val/b": ""})
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[274] = 6
    image.save(tmp_path / "set/images/train/a.jpg", exif=exif)
    convert(file, tmp_path / "out", to="voc")
    text = (tmp_path / "out/Annotations/a.xml").read_text()

    assert "<width>20</width><height>40</height>" in text
    assert "<xmin>5</xmin><ymin>10</ymin><xmax>15</xmax><ymax>30</ymax>" in text


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


def rows(table, scale):
    """Split, image and class of every box, and the boxes in pixels, in one order."""
    keys = [
        (table.splits[s], table.images[i].stem, int(c))
        for s, i, c in zip(table.split, table.image, table.cls, strict=True)
    ]
    order = sorted(range(len(keys)), key=lambda at: (keys[at], *table.boxes[at].round(5)))
    return [keys[at] for at in order], table.boxes[order] * scale


def test_cplid_to_yolo_to_coco_to_voc_keeps_every_box_within_half_a_pixel(shared_data, tmp_path, tree_hash):
    source = shared_data / "cplid640"
    before = tree_hash(source)
    yolo = convert(source, tmp_path / "yolo")
    coco = convert(yolo, tmp_path / "coco", to="coco")
    voc = read_voc(convert(coco, tmp_path / "voc", to="voc"))
    original = read_voc(source)
    one, other = (rows(table, [640, 480, 640, 480]) for table in (original, voc))
    edges = [np.hstack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2]) for _, boxes in (one, other)]

    assert one[0] == other[0]
    assert (original.names, original.splits) == (voc.names, voc.splits)
    assert [image.stem for image in original.images] == [image.stem for image in voc.images]
    assert np.abs(edges[0] - edges[1]).max() < 0.01  # two decimals of a pixel; half a pixel is what is asked
    assert before == tree_hash(source)


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory):
    """The three real sets: a path, its format, the images of each split, the boxes of all."""
    folder = tmp_path_factory.mktemp("cc53")
    cc53 = shared_data / "coco_cc53"
    names = yaml.safe_load((cc53 / "yolo_names.yaml").read_text())["names"]
    keys = {"path": str(cc53), "train": "images/train2017", "val": "images/val2017", "names": names}
    (folder / "data.yaml").write_text(yaml.safe_dump(keys))
    return {
        "cplid640": (shared_data / "cplid640", "voc", {"train": 575, "val": 91, "test": 182}, 1569),
        "coco_cc53 json": (cc53, "coco", {"train": 26, "val": 27}, 352),
        "coco_cc53 txt": (folder / "data.yaml", "yolo", {"train": 26, "val": 27}, 354),
        "cplid_rf_coco": (shared_data / "cplid_rf_coco", "coco", {"test": 201}, 373),
    }


@pytest.mark.parametrize("to", ["yolo", "coco", "voc"])
@pytest.mark.parametrize("name", ["cplid640", "coco_cc53 json", "coco_cc53 txt", "cplid_rf_coco"])
def test_real_sets_convert_to_every_format_with_equal_counts(real, tmp_path, name, to):
    source, source_format, images, boxes = real[name]
    splits = None
    if to == "yolo" and name == "cplid_rf_coco":  # a test split alone, which Ultralytics does not take
        splits = tmp_path / "lists"
        splits.mkdir()
        stems = [image.stem for image in load(source, source_format=source_format).images]
        (splits / "train.txt").write_text("\n".join(stems[:100]))
        (splits / "val.txt").write_text("\n".join(stems[100:]))
        images = {"train": 100, "val": 101}
    table = load(source, source_format=source_format, splits=splits)
    again = load(convert(source, tmp_path / "out", to=to, source_format=source_format, splits=splits))

    for found in (table, again):
        assert images == dict(zip(found.splits, np.bincount(found.image_split).tolist(), strict=True))
        assert boxes == len(found)
    assert np.bincount(table.cls, minlength=len(table.names)).tolist() == (
        np.bincount(again.cls, minlength=len(again.names)).tolist()
    )
    assert table.names == again.names
