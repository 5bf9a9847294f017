from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lwyolo.data.formats.base import detect_formats
from lwyolo.data.formats.voc import read_annotation, read_voc
from lwyolo.errors import DataError


def test_boxes_are_edges_in_pixels_as_written(tmp_path, voc_set):
    table = read_voc(voc_set(tmp_path, a={}))

    assert [[0.2, 0.3, 0.2, 0.4]] == table.boxes.tolist()
    assert {0: "pin"} == table.names
    assert [[200, 100]] == table.sizes.tolist()


def test_without_a_list_all_is_train_and_names_are_sorted(tmp_path, voc_set):
    table = read_voc(voc_set(tmp_path, a={"name": "pin"}, b={"name": "burn"}))

    assert (("train",), {0: "burn", 1: "pin"}, [1, 0]) == (table.splits, table.names, table.cls.tolist())


def test_lists_decide_the_splits_and_an_empty_one_is_none(tmp_path, voc_set):
    folder = voc_set(tmp_path, a={}, b={}, c={})
    (folder / "ImageSets/Main").mkdir(parents=True)
    for split, text in (("train", "a\n"), ("val", "\ufeffc\r\n"), ("test", "\n")):
        (folder / f"ImageSets/Main/{split}.txt").write_text(text, encoding="utf-8")
    table = read_voc(folder)

    assert (("train", "val"), ["a", "c"]) == (table.splits, [image.stem for image in table.images])
    assert ["a.xml", "c.xml"] == [source.name for source in table.sources]


def test_lists_may_lie_elsewhere(tmp_path, voc_set):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/val.txt").write_text("b")

    assert ("val",) == read_voc(voc_set(tmp_path / "voc", a={}, b={}), tmp_path / "mine").splits


@pytest.mark.parametrize("size", ["", "<size><width>0</width><height>0</height></size>"])
def test_a_missing_size_is_read_from_the_image(tmp_path, voc_set, size):
    assert [[0.2, 0.3, 0.2, 0.4]] == read_voc(voc_set(tmp_path, a={"size": size})).boxes.tolist()


@pytest.mark.parametrize("content", [b"", b"text"])
def test_a_missing_size_of_no_image_is_named_and_nothing_is_installed(tmp_path, voc_set, content):
    import ultralytics.utils.patches  # noqa: F401 - replaces PIL.Image.open by one that may call pip

    folder = voc_set(tmp_path, a={"size": ""})
    (folder / "images/a.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.xml: size: missing or 0, and .*a\.jpg is no readable image"):
        read_voc(folder)


def test_a_missing_size_is_that_of_the_image_turned_upright(tmp_path, voc_set):
    folder = voc_set(tmp_path, a={"size": ""})
    turned = Image.Exif()
    turned[274] = 6
    Image.new("RGB", (100, 200)).save(folder / "images/a.jpg", exif=turned)

    assert [[0.2, 0.3, 0.2, 0.4]] == read_voc(folder).boxes.tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"xmin": "left"}, "object 1: bndbox/xmin: 'left' is not a number."),
        ({"xmin": ""}, "object 1: bndbox/xmin: '' is not a number."),
        ({"xmin": "nan"}, "object 1 (pin): box nan 10 60 50 has no area."),
        ({"xmin": 60}, "object 1 (pin): box 60 10 60 50 has no area."),
        ({"name": ""}, "object 1: name is missing."),
        ({"size": "<size><width>9</width></size>"}, "size/height is missing."),
    ],
)
def test_a_bad_field_is_named(tmp_path, voc_set, values, message):
    folder = voc_set(tmp_path, a=values)
    with pytest.raises(DataError) as error:
        read_voc(folder)

    assert f"{folder / 'annotations/a.xml'}: {message}" == str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><annotation>&c;</annotation>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation>&x;</annotation>',
        "<!DOCTYPE annotation><annotation/>",
    ],
)
def test_document_types_and_entities_are_refused(tmp_path, voc_set, text, encoding):
    folder = voc_set(tmp_path, a={})
    (folder / "annotations/a.xml").write_text(text, encoding=encoding)
    with pytest.raises(DataError, match="declares a document type or entities"):
        read_voc(folder)


def test_annotations_in_another_encoding_are_read(tmp_path, voc_set):
    folder = voc_set(tmp_path, a={"name": "绝缘子"})
    text = (folder / "annotations/a.xml").read_text(encoding="utf-8")
    (folder / "annotations/a.xml").write_text(text, encoding="utf-16")

    assert {0: "绝缘子"} == read_voc(folder).names


def test_unknown_class_names_the_nearest(tmp_path, voc_set):
    folder = voc_set(tmp_path, a={"name": "insulater"})
    (folder / "classes.txt").write_text("insulator\ndefect\n")
    with pytest.raises(DataError) as error:
        read_voc(folder)

    message = "unknown class 'insulater'. Did you mean insulator? classes.txt lists: insulator, defect."
    assert f"{folder / 'annotations/a.xml'}: {message}" == str(error.value)


def test_what_is_not_there_is_named(tmp_path, voc_set):
    folder = voc_set(tmp_path / "voc", defective_001={})
    (folder / "splits").mkdir()
    with pytest.raises(DataError, match=r"splits: no train\.txt, val\.txt or test\.txt with a stem in it\."):
        read_voc(folder)
    (folder / "splits/train.txt").write_text("defective_01")
    with pytest.raises(
        DataError, match=r"no image defective_01, which a split list names\. Did you mean defective_001\?"
    ):
        read_voc(folder)
    (folder / "splits/train.txt").write_text("defective_001")
    (folder / "annotations/defective_001.xml").unlink()
    with pytest.raises(DataError, match=r"defective_001\.xml: no such annotation\."):
        read_voc(folder)
    with pytest.raises(DataError, match="nowhere: no such folder of split lists"):
        read_voc(folder, tmp_path / "nowhere")
    with pytest.raises(DataError, match="no folder annotations or Annotations; expected a Pascal VOC set"):
        read_voc(tmp_path)


def test_a_folder_without_images_or_classes_is_named(tmp_path, voc_set):
    folder = voc_set(tmp_path)
    with pytest.raises(DataError, match=r"images: no images; expected files such as \.jpg or \.png"):
        read_voc(folder)
    Image.new("RGB", (20, 20)).save(folder / "images/a.png")
    (folder / "annotations/a.xml").write_text("<annotation/>")
    with pytest.raises(DataError, match="no class; expected a name a line, or a named object"):
        read_voc(folder)


def test_a_voc_folder_is_recognised(tmp_path, voc_set):
    folder = voc_set(tmp_path, a={})
    assert ["voc"] == detect_formats(folder)

    (folder / "annotations/a.xml").rename(folder / "annotations/instances_train.json")
    assert ["coco"] == detect_formats(folder)


@settings(max_examples=200)
@given(at=st.integers(0, 199), noise=st.binary(max_size=6))
def test_damaged_annotations_are_read_or_named(tmp_path_factory, voc_set, at, noise):
    folder = tmp_path_factory.mktemp("damaged") / "voc"
    voc_set(folder, a={})
    file = folder / "annotations/a.xml"
    content = file.read_bytes()
    file.write_bytes(content[:at] + noise + content[at + 3 :])
    try:
        outcome = read_annotation(file, folder / "images/a.jpg")
    except DataError as error:
        outcome = str(error)

    assert isinstance(outcome, list) or outcome.startswith(f"{file}: ")


def test_cplid_counts_are_those_of_its_description(shared_data):
    folder = shared_data / "cplid640"
    table = read_voc(folder)

    assert ({0: "insulator", 1: "defect"}, ("train", "val", "test")) == (table.names, table.splits)
    assert [575, 91, 182] == [(table.image_split == split).sum() for split in range(3)]
    assert [1321, 248] == [(table.cls == cls).sum() for cls in range(2)]
