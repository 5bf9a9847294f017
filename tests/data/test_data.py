from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lwyolo.data.convert import convert, write_yolo
from lwyolo.data.demo import NAMES, make_demo
from lwyolo.data.fingerprint import fingerprint
from lwyolo.data.formats.voc import read_voc
from lwyolo.data.formats.yolo import read_yolo
from lwyolo.data.index import image_files, label_file, read_data_yaml
from lwyolo.data.instances import InstanceTable, class_counts, one_sample_a_class, sample_counts, split_counts
from lwyolo.data.summary import describe
from lwyolo.errors import DataError, UsageError

VOC = """<annotation><size><width>200</width><height>100</height><depth>3</depth></size>
<object><name>{name}</name><bndbox><xmin>{xmin}</xmin><ymin>10</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object></annotation>"""


def tree_hash(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.blake2b(file.read_bytes()).hexdigest() for file in files}


def yolo_set(folder: Path, labels: dict[str, str], **keys) -> Path:
    """Write a set from `split/name` -> label text."""
    for name, text in labels.items():
        for kind in ("images", "labels"):
            (folder / kind / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32)).save(folder / "images" / f"{name}.jpg")
        if text is not None:
            (folder / "labels" / f"{name}.txt").write_text(text)
    content = {"train": "images/train", "val": "images/val", "names": ["defect", "rust", "defect"], **keys}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    return folder / "data.yaml"


LABELS = {
    "train/a": "0 .5 .5 .2 .2\n0 .2 .2 .1 .1\n2 .5 .5 .1 .1",
    "train/b": "1 .5 .5 .2 .2",
    "train/c": None,
    "train/d": "9 .5 .5 .2 .2\n0 .5 .5 .2 .2",
    "val/e": "2 .5 .5 .2 .2\n2 .5 .5 .2 .2",
}


@pytest.fixture
def small(tmp_path):
    return yolo_set(tmp_path / "set", LABELS, samples={"pin": [0, 1], "insulator": [2]})


def test_classes_are_counted_by_id_although_names_repeat(small):
    counts = {(c.cls_id, c.split): (c.instances, c.images) for c in class_counts(read_yolo(small))}

    assert {
        (0, "train"): (2, 1), (1, "train"): (1, 1), (2, "train"): (1, 1),
        (0, "val"): (0, 0), (1, "val"): (0, 0), (2, "val"): (1, 1),
    } == counts  # fmt: skip


def test_samples_count_images_and_splits_count_backgrounds(small):
    table = read_yolo(small)

    assert {("pin", "train"): 2, ("insulator", "train"): 1, ("pin", "val"): 0, ("insulator", "val"): 1} == {
        (s.sample, s.split): s.images for s in sample_counts(table)
    }
    assert [("train", 4, 2), ("val", 1, 0)] == [(s.split, s.images, s.background) for s in split_counts(table)]


def test_both_counts_are_kept_and_dropped_images_are_named(small):
    record = describe(small)

    assert (8, 5) == (record.rows_written, record.instances_trained)
    assert (f"{small.parent / 'labels/train/d.txt'}: line 1: class 9, but the data set has classes 0 to 2",) == record.problems


def test_reading_writes_nothing(small):
    before = tree_hash(small.parent)
    describe(small)

    assert before == tree_hash(small.parent)


def test_fingerprint_is_that_of_the_content_wherever_it_lies(small, tmp_path):
    moved = tmp_path / "elsewhere" / "set"
    shutil.copytree(small.parent, moved)

    assert fingerprint(read_data_yaml(small)) == fingerprint(read_data_yaml(moved / "data.yaml"))


@pytest.mark.parametrize("change", ["box", "name", "image", "split"])
def test_fingerprint_changes_with_every_part(small, change):
    before = fingerprint(read_data_yaml(small))
    folder = small.parent
    if change == "box":
        (folder / "labels/train/b.txt").write_text("1 .5 .5 .2 .3")
    elif change == "name":
        small.write_text(small.read_text().replace("rust", "burn"))
    elif change == "image":
        Image.new("RGB", (64, 64)).save(folder / "images/train/b.jpg")
    else:
        for kind, suffix in (("images", "jpg"), ("labels", "txt")):
            (folder / kind / f"train/b.{suffix}").rename(folder / kind / f"val/b.{suffix}")

    assert before != fingerprint(read_data_yaml(small))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"names": None}, "names: missing, expected a list or a mapping from id to name."),
        ({"names": {0: "a", 2: "b"}}, "names: ids [0, 2], expected 0 to 1 without a gap."),
        ({"nc": 5}, "nc: 5, but names: has 3 classes."),
        ({"names": {"x": "a"}}, "names: an id in ['x'] is no whole number."),
        ({"samples": [1]}, "samples: found [1], expected a mapping such as pin: [0, 1, 2]."),
        ({"samples": {"pin": ["rusty"]}}, "samples: pin: unknown class 'rusty'. Did you mean rust?"),
        ({"samples": {"pin": ["defect"]}}, "samples: pin: 'defect' is the name of classes [0, 2]; give the id."),
        ({"train": 3}, "train: found 3, expected a path or a list of paths."),
    ],
)
def test_a_bad_data_yaml_is_named_with_its_key(tmp_path, keys, message):
    file = yolo_set(tmp_path, {"train/a": ""}, **keys)
    with pytest.raises(DataError) as error:
        read_data_yaml(file)

    assert f"{file}: {message}" == str(error.value)


def test_missing_images_are_named(small):
    shutil.rmtree(small.parent / "images" / "val")
    with pytest.raises(DataError) as error:
        read_yolo(small)

    assert f"{small}: val: {small.parent / 'images/val'} does not exist." == str(error.value)


def test_a_folder_without_images_is_named(small):
    for image in (small.parent / "images/val").iterdir():
        image.unlink()
    with pytest.raises(DataError) as error:
        read_yolo(small)

    assert (
        f"{small}: val: no images under {small.parent / 'images/val'}; expected files such as .jpg or .png."
    ) == str(error.value)


def test_missing_yaml_names_the_nearest(small):
    with pytest.raises(DataError) as error:
        read_data_yaml(small.parent / "dta.yaml")

    assert f"{small.parent / 'dta.yaml'}: no such data YAML. Did you mean data.yaml?" == str(error.value)


def test_a_yaml_that_is_no_mapping_is_refused(tmp_path):
    (tmp_path / "data.yaml").write_text("- a\n")
    with pytest.raises(DataError, match="found list, expected a mapping with train:, val: and names:"):
        read_data_yaml(tmp_path / "data.yaml")


@pytest.mark.parametrize("sources", ["folder", "list", "both"])
def test_images_are_listed_as_ultralytics_lists_them(tmp_path, sources):
    from ultralytics.data.base import BaseDataset

    file = yolo_set(tmp_path, {"train/a": "", "train/deep/b": "", "train/.hidden": "", "val/c": ""})
    (tmp_path / "list.txt").write_text("./images/train/a.jpg\n./images/train/deep/b.jpg \n./images/val/c.jpg\n")
    chosen = {"folder": "images/train", "list": "list.txt", "both": ["images/train", "list.txt"]}[sources]
    file.write_text(yaml.safe_dump({"train": chosen, "val": "images/val", "names": ["a"]}))
    config = read_data_yaml(file)
    dataset = object.__new__(BaseDataset)
    dataset.prefix, dataset.fraction = "", 1.0
    expected = dataset.get_img_files([str(source) for source in config.sources["train"]])

    assert expected == [str(image) for image in image_files(config, "train")]


def test_label_of_an_image_is_where_ultralytics_looks():
    from ultralytics.data.utils import img2label_paths

    for image in ("s/images/a/images/b.c.jpg", "s/Images/b.png", "b.jpg"):
        assert img2label_paths([image]) == [str(label_file(Path(image)))]


def voc_set(folder: Path, **objects) -> Path:
    for kind in ("annotations", "images"):
        (folder / kind).mkdir(parents=True)
    for stem, values in objects.items():
        (folder / "annotations" / f"{stem}.xml").write_text(VOC.format(**{"name": "pin", "xmin": 20, **values}))
        Image.new("RGB", (200, 100)).save(folder / "images" / f"{stem}.jpg")
    return folder


def test_voc_boxes_are_edges_in_pixels(tmp_path):
    table = read_voc(voc_set(tmp_path, a={}))

    assert [[0.2, 0.3, 0.2, 0.4]] == table.boxes.tolist()
    assert {0: "pin"} == table.names


def test_voc_without_a_list_is_all_train_and_names_are_sorted(tmp_path):
    table = read_voc(voc_set(tmp_path, a={"name": "pin"}, b={"name": "burn"}))

    assert (("train",), {0: "burn", 1: "pin"}, [1, 0]) == (table.splits, table.names, table.cls.tolist())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"xmin": "left"}, "a.xml: object 1: bndbox/xmin: 'left' is not a number."),
        ({"xmin": 60}, "a.xml: object 1 (pin): box 60 10 60 50 has no area."),
        ({"name": ""}, "a.xml: object 1: name is missing."),
    ],
)
def test_a_bad_annotation_is_named(tmp_path, values, message):
    with pytest.raises(DataError) as error:
        read_voc(voc_set(tmp_path, a=values))

    assert f"{tmp_path / 'annotations'}/{message}" == str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><annotation>&c;</annotation>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>',
    ],
)
def test_entities_are_refused(tmp_path, text):
    folder = voc_set(tmp_path, a={})
    (folder / "annotations/a.xml").write_text(text)
    with pytest.raises(DataError, match="declares a document type or entities"):
        read_voc(folder)


def test_unknown_class_names_the_nearest(tmp_path):
    folder = voc_set(tmp_path, a={"name": "insulater"})
    (folder / "classes.txt").write_text("insulator\ndefect\n")
    with pytest.raises(DataError) as error:
        read_voc(folder)

    assert (
        f"{folder / 'annotations/a.xml'}: unknown class 'insulater'. Did you mean insulator? classes.txt lists: insulator, "
        "defect."
    ) == str(error.value)


def test_cplid_becomes_a_yolo_set_with_its_splits(shared_data, tmp_path):
    source = shared_data / "cplid640"
    before = {file.name: file.stat().st_mtime_ns for file in source.rglob("*")}
    record = describe(convert(source, tmp_path / "cplid"))

    assert [("train", 575, 0), ("val", 91, 0), ("test", 182, 0)] == [(s.split, s.images, s.background) for s in record.splits]
    assert {0: 1321, 1: 248} == {cls: sum(c.instances for c in record.classes if c.cls_id == cls) for cls in (0, 1)}
    assert {0: "insulator", 1: "defect"} == record.names
    assert () == record.problems
    assert before == {file.name: file.stat().st_mtime_ns for file in source.rglob("*")}


def test_cplid_boxes_survive_within_half_a_pixel(shared_data, tmp_path):
    source = shared_data / "cplid640"
    voc = read_voc(source)
    written = read_yolo(convert(source, tmp_path / "cplid"))
    scale = np.array([640, 480, 640, 480])

    def keyed(table):
        return sorted((table.images[i].stem, int(c), *(b * scale).tolist()) for i, c, b in zip(table.image, table.cls, table.boxes, strict=True))

    for a, b in zip(keyed(voc), keyed(written), strict=True):
        assert a[:2] == b[:2]
        assert np.abs(np.array(a[2:]) - np.array(b[2:])).max() < 0.5


def test_real_yolo_labels_are_read(shared_data, tmp_path):
    folder = shared_data / "coco_cc53"
    names = yaml.safe_load((folder / "yolo_names.yaml").read_text())
    names = names.get("names", names) if isinstance(names, dict) else names
    labels = sorted((folder / "labels").rglob("*.txt"))
    images = {file.stem: file for file in (folder / "images").rglob("*.jpg")}
    for label in labels:
        for kind, file in (("images", images[label.stem]), ("labels", label)):
            target = tmp_path / kind / "train" / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(file)
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"train": "images/train", "val": "images/train", "names": names}))
    table = read_yolo(tmp_path / "data.yaml")

    assert () == table.problems
    assert 2 * sum(len(label.read_text().split("\n")) - 1 for label in labels) >= table.rows_written > 0


def test_an_existing_folder_is_not_overwritten(small, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="exists and is not empty"):
        write_yolo(read_yolo(small), tmp_path / "out")

    assert "keep" == (tmp_path / "out" / "mine.txt").read_text()


def test_a_conversion_that_fails_leaves_nothing(tmp_path):
    folder = voc_set(tmp_path / "voc", a={})
    table = read_voc(folder)
    (folder / "images/a.jpg").unlink()
    with pytest.raises(FileNotFoundError):
        write_yolo(table, tmp_path / "out", images="copy")

    assert ["voc"] == [entry.name for entry in tmp_path.iterdir()]


def test_unknown_format_names_the_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"unknown format 'vok'. Did you mean voc\?"):
        convert(tmp_path, tmp_path / "out", source_format="vok")


sizes = st.integers(0, 4)
instance = st.tuples(st.integers(0, 3), st.integers(0, 2), *[st.floats(0.05, 0.4)] * 4)


@given(instances=st.lists(instance, max_size=12))
def test_counts_sum_to_the_instances_and_a_written_set_reads_the_same(tmp_path_factory, instances):
    folder = tmp_path_factory.mktemp("property")
    images = tuple(folder / f"{i}.jpg" for i in range(4))
    for image in images:
        image.write_bytes(b"x")
    distinct = sorted({(i[0], i[1], *(round(v, 4) for v in i[2:])) for i in instances})
    names = {0: "a", 1: "b", 2: "a"}
    table = InstanceTable(
        names=names,
        samples=one_sample_a_class(names),
        splits=("train", "val"),
        images=images,
        image_split=np.array([0, 0, 1, 1]),
        image=np.array([i[0] for i in distinct], dtype=np.int64),
        cls=np.array([i[1] for i in distinct], dtype=np.int64),
        boxes=np.array([i[2:] for i in distinct], dtype=np.float64).reshape(-1, 4),
        lines=np.zeros(len(distinct), np.int64),
    )
    again = read_yolo(write_yolo(table, folder / "out"))

    assert len(distinct) == sum(c.instances for c in class_counts(table))
    assert class_counts(table) == class_counts(again)
    assert split_counts(table) == split_counts(again)


def test_samples_of_equal_names_are_told_apart():
    assert {"defect (0)": (0,), "rust": (1,), "defect (2)": (2,)} == one_sample_a_class({0: "defect", 1: "rust", 2: "defect"})


def test_the_demo_set_is_the_same_for_the_same_seed(tmp_path):
    first, second, other = (make_demo(tmp_path / name, images=12, size=96, seed=s).parent for name, s in (("a", 1), ("b", 1), ("c", 2)))
    pixels = [[cv2.imread(str(file)).tobytes() for file in sorted(f.rglob("*.jpg"))] for f in (first, second, other)]
    labels = [[file.read_bytes() for file in sorted(f.rglob("*.txt"))] for f in (first, second, other)]

    assert pixels[0] == pixels[1] != pixels[2]
    assert labels[0] == labels[1] != labels[2]


def test_the_demo_set_has_six_classes_in_two_samples_and_70_20_10(tmp_path):
    record = describe(make_demo(tmp_path / "demo", images=60, size=96))

    assert NAMES == record.names
    assert {"pin": (0, 1, 2), "insulator": (3, 4, 5)} == read_data_yaml(tmp_path / "demo/data.yaml").samples
    assert {"train": 42, "val": 6, "test": 12} == {s.split: s.images for s in record.splits}
    assert all(sum(c.instances for c in record.classes if c.cls_id == cls) > 0 for cls in NAMES)
    assert sum(s.background for s in record.splits) > 0
    assert record.rows_written == record.instances_trained


def test_too_few_demo_images_are_refused(tmp_path):
    with pytest.raises(UsageError, match="needs at least 10 images of 64 pixels"):
        make_demo(tmp_path / "demo", images=3)
