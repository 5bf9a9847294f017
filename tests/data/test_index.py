from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lwyolo.data.convert import convert
from lwyolo.data.index import IMAGE_SUFFIXES, DataConfig, datasets_folder, image_files, label_file, read_data_yaml
from lwyolo.errors import DataError


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"names": None}, "names: missing, expected a list or a mapping from id to name."),
        ({"names": 3}, "names: found 3, expected a list or a mapping from id to name."),
        ({"names": []}, "names: found [], expected a list or a mapping from id to name."),
        ({"names": {0: "a", 2: "b"}}, "names: ids [0, 2], expected 0 to 1 without a gap."),
        ({"nc": 5}, "nc: 5, but names: has 3 classes."),
        ({"nc": "three"}, "nc: found 'three', expected the number of classes."),
        ({"nc": 2.5}, "nc: found 2.5, expected the number of classes."),
        ({"names": {"x": "a"}}, "names: an id in ['x'] is no whole number."),
        ({"samples": [1]}, "samples: found [1], expected a mapping such as pin: [0, 1, 2]."),
        ({"samples": {"pin": 0}}, "samples: found {'pin': 0}, expected a mapping such as pin: [0, 1, 2]."),
        ({"samples": {"pin": ["rusty"]}}, "samples: pin: unknown class 'rusty'. Did you mean rust?"),
        ({"samples": {"pin": ["defect"]}}, "samples: pin: 'defect' is the name of classes [0, 2]; give the id."),
        ({"samples": {"nut": [0], "pin": [0]}}, "samples: class 0 is in two samples, nut and pin; expected in one."),
        ({"train": 3}, "train: found 3, expected a path or a list of paths."),
        ({"train": None, "val": None}, "train: and val: are empty, expected a path or a list of paths."),
        ({"path": 3}, "path: found 3, expected a folder."),
        ({"kpt_shape": [3]}, "kpt_shape: found [3], expected [key points, 2 or 3 numbers a point]."),
        ({"train": "a\0b"}, r"train: found 'a\x00b', which is no path: embedded null byte."),
    ],
)
def test_a_bad_data_yaml_is_named_with_its_key(tmp_path, yolo_set, keys, message):
    file = yolo_set(tmp_path, {"train/a": ""}, **keys)
    with pytest.raises(DataError) as error:
        read_data_yaml(file)

    assert f"{file}: {message}" == str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vall: a\ntrain: b\nnames: [a]", "val: missing. A data YAML names its images under train: and val:. Did you"),
        ("val: a\nnames: [a]", "train: missing. A data YAML names its images under train: and val:."),
        ("- a", "found list, expected a mapping with train:, val: and names:."),
        ("", "found NoneType, expected a mapping with train:, val: and names:."),
        ("train: [a", "not readable as YAML: while parsing a flow sequence"),
        ("train: !!python/object/apply:os.system [ls]", "not readable as YAML: could not determine a constructor"),
        ("a: 2026-02-31", "not readable as YAML: day is out of range for month"),
        ("[" * 1500, "not readable as YAML: maximum recursion depth exceeded"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_data_yaml_is_refused(tmp_path, text, message):
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DataError) as error:
        read_data_yaml(tmp_path / "data.yaml")

    assert str(error.value).startswith(f"{tmp_path / 'data.yaml'}: {message}")


def test_aliases_that_multiply_are_not_expanded(tmp_path):
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    (tmp_path / "data.yaml").write_text("\n".join(lines))
    with pytest.raises(DataError, match="names: missing"):
        read_data_yaml(tmp_path / "data.yaml")


def test_a_missing_yaml_names_the_nearest_yaml(small):
    (small.parent / "dta.txt").touch()
    with pytest.raises(DataError) as error:
        read_data_yaml(small.parent / "dta.yaml")

    assert f"{small.parent / 'dta.yaml'}: no such data YAML. Did you mean data.yaml?" == str(error.value)


def test_a_folder_names_the_yaml_in_it(small):
    with pytest.raises(DataError) as error:
        read_data_yaml(small.parent)

    assert f"{small.parent}: a folder, expected a data YAML. Did you mean {small}?" == str(error.value)


def test_missing_images_are_named_with_the_nearest(small):
    (small.parent / "images" / "val").rename(small.parent / "images" / "vals")
    with pytest.raises(DataError) as error:
        image_files(read_data_yaml(small), "val")

    expected = f"{small}: val: {small.parent / 'images/val'} does not exist. Did you mean vals?"
    assert expected == str(error.value)


def test_a_folder_without_images_is_named(small):
    for image in (small.parent / "images/val").iterdir():
        image.unlink()
    with pytest.raises(DataError) as error:
        image_files(read_data_yaml(small), "val")

    expected = f"{small}: val: no images under {small.parent / 'images/val'}; expected files such as .jpg or .png."
    assert expected == str(error.value)


def test_an_image_given_as_a_list_is_named(small):
    image = small.parent / "images/val/e.jpg"
    small.write_text(small.read_text().replace("images/val", "images/val/e.jpg"))
    with pytest.raises(DataError) as error:
        image_files(read_data_yaml(small), "val")

    assert f"{small}: val: {image} is no list of images: not UTF-8 at byte 0." == str(error.value)


def test_classes_in_no_sample_are_their_own(tmp_path, yolo_set):
    config = read_data_yaml(yolo_set(tmp_path, {}, samples={"pin": ["rust"]}))

    assert {"pin": (1,), "defect (0)": (0,), "defect (2)": (2,)} == config.samples


def test_names_may_be_counted_only(tmp_path):
    (tmp_path / "data.yaml").write_text("train: a\nval: a\nnc: '2'")

    assert {0: "class_0", 1: "class_1"} == read_data_yaml(tmp_path / "data.yaml").names


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"path": "."},
        {"path": "elsewhere"},
        {"path": "{folder}"},
        {"train": "../images/train"},
        {"train": ["images/train", "images/val"], "test": "images/val"},
        {"val": None, "validation": "images/val"},
        {"train": None},
        {"nc": 3.0},
        {"names": {"1": "b", 0: True}},
    ],
)
def test_a_data_yaml_is_resolved_as_ultralytics_resolves_it(tmp_path, yolo_set, keys, monkeypatch):
    from ultralytics.data.utils import check_det_dataset

    monkeypatch.chdir(tmp_path)
    for module in ("ultralytics.utils", "ultralytics.data.utils"):
        monkeypatch.setattr(f"{module}.DATASETS_DIR", tmp_path / "sets")
    folder = tmp_path / "set"
    (tmp_path / "sets/elsewhere/images/val").mkdir(parents=True)
    (tmp_path / "images/val").mkdir(parents=True)  # `path: .` is the working folder, not that of the YAML
    keys = {key: value.format(folder=folder) if key == "path" else value for key, value in keys.items()}
    file = yolo_set(folder, {"train/a": "", "val/b": ""}, **keys)
    if keys.get("validation"):
        file.write_text(file.read_text().replace("val: null\n", ""))
    expected = check_det_dataset(str(file), autodownload=False)
    config = read_data_yaml(file)

    assert expected["names"] == config.names
    assert {
        split: expected[split] if isinstance(expected[split], list) else [expected[split]]
        for split in ("train", "val", "test")
        if expected.get(split)
    } == {split: [str(source) for source in sources] for split, sources in config.sources.items()}


@pytest.mark.parametrize("sources", ["folder", "list", "both", "twice"])
def test_images_are_listed_as_ultralytics_lists_them(tmp_path, yolo_set, sources):
    from ultralytics.data.base import BaseDataset

    file = yolo_set(
        tmp_path, {"train/a": "", "train/deep/b": "", "train/.hidden": "", "train/.trash/c": "", "val/c": ""}
    )
    (tmp_path / "images/train/linked").symlink_to(tmp_path / "images/val")
    (tmp_path / "images/train/upper.JPG").touch()
    (tmp_path / "images/train/film.gif").touch()
    (tmp_path / "images/train/broken.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "images/train/folder.jpg").mkdir()
    (tmp_path / "images/train/folder.jpg/d.png").touch()
    (tmp_path / "images/train/deep-2").mkdir()  # sorts before "deep/"
    (tmp_path / "images/train/deep-2/e.jpg").touch()
    text = "\ufeff./images/train/a.jpg\r\n./images/train/deep/b.jpg \n./images/val/c.jpg\n"
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    folder = "images/train"
    chosen = {"folder": folder, "list": "list.txt", "both": [folder, "list.txt"], "twice": [folder, folder]}[sources]
    file.write_text(yaml.safe_dump({"train": chosen, "val": "images/val", "names": ["a"]}))
    config = read_data_yaml(file)
    dataset = object.__new__(BaseDataset)
    dataset.prefix, dataset.fraction = "", 1.0
    expected = dataset.get_img_files([str(source) for source in config.sources["train"]])

    assert expected == [str(image) for image in image_files(config, "train")]


def test_the_folder_of_data_sets_is_that_of_ultralytics_settings_where_it_is_not_loaded(tmp_path, monkeypatch):
    (tmp_path / "Ultralytics").mkdir()
    (tmp_path / "Ultralytics/settings.json").write_text('{"datasets_dir": "/data/sets"}')
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.delitem(sys.modules, "ultralytics.utils", raising=False)

    assert Path("/data/sets") == datasets_folder()

    (tmp_path / "Ultralytics/settings.json").write_text("{")
    with pytest.raises(DataError, match=r"settings\.json: no datasets_dir in it, which a relative path: needs"):
        datasets_folder()


def test_suffixes_are_those_of_ultralytics():
    from ultralytics.data.utils import IMG_FORMATS

    assert IMAGE_SUFFIXES == set(IMG_FORMATS)


def test_label_of_an_image_is_where_ultralytics_looks():
    from ultralytics.data.utils import img2label_paths

    for image in ("s/images/a/images/b.c.jpg", "s/Images/b.png", "b.jpg"):
        assert img2label_paths([image]) == [str(label_file(Path(image)))]


def test_nothing_of_a_yaml_is_run_or_fetched(small, tree_hash):
    marker = small.parent / "ran"
    small.write_text(small.read_text() + f"download: |\n  open({str(marker)!r}, 'w')\n")
    shutil.rmtree(small.parent / "images/val")
    before = tree_hash(small.parent)
    with pytest.raises(DataError, match="does not exist"):
        image_files(read_data_yaml(small), "val")

    assert before == tree_hash(small.parent)


value = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(0, 3), inner, max_size=3)
    ),
    max_leaves=6,
)
keys = st.sampled_from(["path", "train", "val", "test", "names", "nc", "samples", "download"])


@settings(max_examples=300)
@given(content=st.dictionaries(keys, value) | value)
def test_any_yaml_is_read_or_refused_with_a_reason(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(yaml.safe_dump(content, allow_unicode=False))
    try:
        outcome = read_data_yaml(file)
    except DataError as error:
        outcome = str(error)

    assert isinstance(outcome, DataConfig) or outcome.startswith(f"{file}: ")


def test_the_yaml_of_cplid_names_what_the_conversion_writes(root, shared_data, tmp_path):
    written = read_data_yaml(convert(shared_data / "cplid640", tmp_path / "cplid"))
    shutil.copy(root / "datasets/cplid.yaml", tmp_path)
    shipped = read_data_yaml(tmp_path / "cplid.yaml")

    assert (written.names, written.sources) == (shipped.names, shipped.sources)
