from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from lwyolo.data.formats.base import detect_formats, read
from lwyolo.data.summary import describe
from lwyolo.errors import DataError, UnknownNameError, UsageError

DRAWN = {"train/a": "0 .5 .5 .2 .2\n2 .5 .5 .1 .1\n", "train/b": "1 .5 .5 .2 .2\n", "val/c": "2 .5 .5 .2 .2\n"}


def counts(table):
    return {split: (table.split == at).sum().item() for at, split in enumerate(table.splits)}


def test_a_folder_with_one_data_yaml_is_read_through_it(small):
    through, direct = read(small.parent), read(small)

    assert direct.samples == through.samples
    assert (direct.images, direct.problems) == (through.images, through.problems)


def test_a_folder_with_two_data_yamls_names_them(small):
    shutil.copy(small, small.parent / "other.yaml")
    with pytest.raises(UsageError, match=r"2 data YAMLs: data\.yaml, other\.yaml; give one of them\."):
        read(small.parent)


def test_folders_of_splits_are_read_with_listed_names(tmp_path, yolo_set):
    yolo_set(tmp_path, DRAWN).unlink()
    (tmp_path / "classes.txt").write_text("defect\r\nrust\r\ndefect\r\n")
    table = read(tmp_path)

    assert {"train": 3, "val": 1} == counts(table)
    assert ({0: "defect", 1: "rust", 2: "defect"}, ()) == (table.names, table.remarks)


def test_names_come_from_a_yaml_that_has_only_them(tmp_path, yolo_set):
    yolo_set(tmp_path, DRAWN).unlink()
    (tmp_path / "my.yml").write_text("names: [x, y, z]\nsamples: {pin: [x, y]}")

    assert {"pin": (0, 1), "z": (2,)} == read(tmp_path).samples


def test_without_names_classes_are_called_by_their_ids(tmp_path, yolo_set):
    yolo_set(tmp_path, {**DRAWN, "val/c": "5000 .5 .5 .2 .2"}).unlink()
    table = read(tmp_path)

    assert {0: "class 0", 1: "class 1", 2: "class 2"} == table.names
    assert ["line 1: class 5000, but the data set has classes 0 to 2"] == [one.reason for one in table.problems]
    assert "classes are named by the ids in the labels" in table.remarks[0]


def test_one_folder_of_images_is_train(tmp_path, yolo_set, monkeypatch):
    yolo_set(tmp_path, {"a": "0 .5 .5 .2 .2\n", "deep/b": "1 .5 .5 .2 .2\n"}).unlink()
    monkeypatch.chdir(tmp_path)

    assert {"train": 2} == counts(read(tmp_path))
    assert {"train": 2} == counts(read(Path()))


@pytest.mark.parametrize("keep_yaml", [True, False])
def test_folders_as_roboflow_writes_them(tmp_path, yolo_set, keep_yaml):
    for split, name in (("train", "train"), ("val", "valid")):
        yolo_set(tmp_path / name, {f"{split}{at}": "1 .5 .5 .2 .2\n" for at in range(2)}).unlink()
    if keep_yaml:
        paths = {"train": "../train/images", "val": "../valid/images"}
        (tmp_path / "data.yaml").write_text(yaml.safe_dump({**paths, "names": ["a", "b"]}))
    table = read(tmp_path)

    assert {"train": 2, "val": 2} == counts(table)
    assert ["b", "class 1"][not keep_yaml] == table.names[1]


def test_a_data_yaml_whose_paths_lead_nowhere_gives_its_names_to_the_folders(tmp_path, yolo_set):
    yolo_set(tmp_path, DRAWN, path="elsewhere")
    table = read(tmp_path)

    assert {"train": 3, "val": 1} == counts(table)
    assert ("data.yaml: the paths in it do not exist here; the folders beside it are read, with its classes",) == (
        table.remarks
    )


def test_what_rows_were_reduced_is_said(tmp_path, yolo_set):
    labels = {
        "train/a": "0 .1 .1 .3 .1 .3 .3 .1 .3\n",
        "train/b": "0 .1 .1 .2 .2\n",
        "val/c": "0 .5 .5 .2 .2 .5 .5 2\n",
    }
    table = read(yolo_set(tmp_path, labels, kpt_shape=[1, 3]))

    assert (
        "polygons (segments or turned boxes) of 1 label files are read as boxes around them",
        "key points of 1 label files are left out; their boxes are read",
    ) == table.remarks
    assert np.allclose([0.2, 0.2, 0.2, 0.2], table.boxes[0])
    assert () == table.problems


def test_samples_of_a_file_replace_those_of_the_set(small, tmp_path):
    (tmp_path / "samples.yaml").write_text("samples: {all: [0, 1, 2]}")
    (tmp_path / "wrong.yaml").write_text("sample: {all: [0, 1, 2]}")

    assert {"all": (0, 1, 2)} == read(small, samples=tmp_path / "samples.yaml").samples
    with pytest.raises(DataError, match=r"wrong\.yaml: samples: missing, expected a mapping"):
        read(small, samples=tmp_path / "wrong.yaml")


def test_what_cannot_be_read_is_named(tmp_path, small, voc_set):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"sett: no such file or folder\. Did you mean set\?"):
        read(tmp_path / "sett")
    with pytest.raises(DataError, match="empty: no data set that is known here; expected a data YAML, a COCO JSON"):
        read(tmp_path / "empty")
    with pytest.raises(UsageError, match=r"voc: not a yolo set\. It looks like voc; read it as that"):
        read(voc_set(tmp_path / "voc", a={}), source_format="yolo")
    with pytest.raises(UnknownNameError, match="coca"):
        read(small, source_format="coca")
    with pytest.raises(UsageError, match="split lists are not taken"):
        read(small, splits=tmp_path)


def test_a_folder_of_two_formats_asks_which(tmp_path, yolo_set):
    yolo_set(tmp_path, DRAWN)
    content = {"images": [], "annotations": [], "categories": [{"id": 0, "name": "a"}]}
    (tmp_path / "instances_train.json").write_text(json.dumps(content))

    assert ["coco", "yolo"] == detect_formats(tmp_path)
    with pytest.raises(UsageError, match="looks like coco and yolo; say which: --from coco or yolo"):
        read(tmp_path)
    assert {"train": 3, "val": 1} == counts(read(tmp_path, source_format="yolo"))


def test_real_sets_of_every_format_are_counted(shared_data):
    cc53 = shared_data / "coco_cc53"
    sets = {
        "voc": read(shared_data / "cplid640"),
        "roboflow": read(shared_data / "cplid_rf_coco"),
        "coco": read(cc53, source_format="coco"),
        "yolo": read(cc53, source_format="yolo"),
        "json": read(cc53 / "annotations/instances_val2017.json"),
    }

    assert {
        "voc": ({"train": 575, "val": 91, "test": 182}, 1569),
        "roboflow": ({"test": 201}, 373),
        "coco": ({"train": 26, "val": 27}, 352),
        "yolo": ({"train": 26, "val": 27}, 354),
        "json": ({"val": 27}, 172),
    } == {
        name: ({split: (t.image_split == at).sum().item() for at, split in enumerate(t.splits)}, len(t))
        for name, t in sets.items()
    }
    assert all(table.problems == () for table in sets.values())


@pytest.mark.parametrize("name", ["cplid640", "cplid_rf_coco", "coco_cc53/annotations/instances_val2017.json"])
def test_any_set_is_described(shared_data, name):
    record = describe(shared_data / name)

    assert record.instances_trained == sum(count.instances for count in record.classes)
    assert 32 == len(record.fingerprint)
