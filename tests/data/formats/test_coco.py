from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from lwyolo.data.formats.base import detect_formats
from lwyolo.data.formats.coco import read_coco
from lwyolo.data.images import with_headers
from lwyolo.errors import DataError, UsageError

CATEGORIES = [{"id": 9, "name": "rust"}, {"id": 2, "name": "defect", "supercategory": "pin"}]


def annotation(image=1, category=2, box=(20, 10, 40, 20), **fields):
    return {"image_id": image, "category_id": category, "bbox": list(box), **fields}


@pytest.fixture
def coco(tmp_path):
    """Return a function that writes a COCO set of one split in its folder, with images of 200 x 100 pixels."""

    def write(annotations, *, file="annotations/instances_val2017.json", folder="val2017", count=2, **content):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        listed = [{"id": n, "file_name": f"{n}.jpg", "width": 200, "height": 100} for n in range(1, count + 1)]
        for image in listed:
            Image.new("RGB", (200, 100)).save(tmp_path / folder / image["file_name"])
        whole = {"images": listed, "annotations": annotations, "categories": CATEGORIES, **content}
        (tmp_path / file).write_text(json.dumps(whole))
        return tmp_path / file

    return write


def test_boxes_in_pixels_become_shares_of_the_image(coco):
    table = read_coco(coco([annotation(2), annotation(1, 9, (0, 0, 200, 100))]))

    assert [[0.5, 0.5, 1, 1], [0.2, 0.2, 0.2, 0.2]] == table.boxes.tolist()  # in the order of the images
    assert [1, 0] == table.cls.tolist()
    assert [0, 1] == table.image.tolist()
    assert [[200, 100]] * 2 == table.sizes.tolist()
    assert ("val",) == table.splits


def test_ids_with_gaps_are_numbered_and_said(coco):
    table = read_coco(coco([]))

    assert {0: "defect", 1: "rust"} == table.names
    assert ("category ids become class ids in ascending order: 2 -> 0, 9 -> 1",) == table.remarks


def test_an_unused_parent_with_id_0_is_no_class(coco):
    parent = [{"id": 0, "name": "pin", "supercategory": "none"}, *CATEGORIES]

    assert {0: "defect", 1: "rust"} == read_coco(coco([], categories=parent)).names
    assert 3 == len(read_coco(coco([annotation(category=0)], categories=parent)).names)
    assert 3 == len(read_coco(coco([], categories=[{"id": 0, "name": "burn"}, *CATEGORIES])).names)


def test_what_is_left_out_is_counted(coco):
    table = read_coco(coco([annotation(iscrowd=1), annotation(7), annotation(box=(1, 1, 0, 5)), annotation()]))

    assert (1, 4) == (len(table), table.rows_written)
    assert (
        "instances_val2017.json: boxes of crowds that are left out: 1",
        "instances_val2017.json: annotations of images that are not listed, left out: 1, the first is annotations[1]",
        "instances_val2017.json: annotations whose box has no area, left out: 1, the first is annotations[2]",
    ) == table.remarks[1:]


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("annotations/instances_val2017.json", "val2017"),
        ("annotations/instances_val2017.json", "images/val2017"),
        ("annotations/val.json", "images/val"),
        ("annotations/val.json", "images"),
        ("val/_annotations.coco.json", "val"),
        ("instances_val.json", "images"),
        ("instances_val.json", "."),
    ],
)
def test_images_are_found_where_tools_put_them(coco, tmp_path, file, folder):
    coco([annotation()], file=file, folder=folder)
    table = read_coco(tmp_path)

    assert [tmp_path / folder / "1.jpg", tmp_path / folder / "2.jpg"] == list(table.images)
    assert (("val",), ()) == (table.splits, table.problems)


def test_images_that_are_nowhere_are_named_with_where_was_looked(coco, tmp_path):
    file = coco([annotation()], folder="elsewhere")
    with pytest.raises(DataError) as error:
        read_coco(file)

    assert f"{file}: images: 1.jpg is in none of {tmp_path / 'annotations'}, {tmp_path}." == str(error.value)


def test_an_image_that_is_missing_is_a_problem_without_instances(coco, tmp_path):
    file = coco([annotation(1), annotation(2)])
    (tmp_path / "val2017/1.jpg").unlink()
    table = read_coco(file)

    assert [1] == table.image.tolist()
    assert [0] == [problem.image for problem in table.problems]
    assert table.problems[0].reason.startswith(f"no such image in {tmp_path}")
    assert len(table.images) == len(table.sources) == 2


def test_files_of_several_splits_are_one_set_in_the_usual_order(coco, tmp_path):
    for split in ("valid", "train", "test"):
        coco([annotation()], file=f"{split}/_annotations.coco.json", folder=split, count=1)
    table = read_coco(tmp_path)

    assert ("train", "val", "test") == table.splits
    assert [0, 1, 2] == table.image_split.tolist() == table.image.tolist()
    assert ["train", "valid", "test"] == [image.parent.name for image in table.images]
    assert ["train", "valid", "test"] == [source.parent.name for source in table.sources]


def test_a_file_without_a_split_in_its_name_is_train(coco):
    assert ("train",) == read_coco(coco([], file="mine.json", folder=".")).splits


def test_files_that_disagree_are_named(coco, tmp_path):
    coco([])
    coco([], file="annotations/instances_train2017.json", folder="train2017", categories=[{"id": 2, "name": "bolt"}])
    with pytest.raises(DataError, match=r"instances_val2017\.json: category 2 is 'defect', but 'bolt' in .*train2017"):
        read_coco(tmp_path)
    coco([], file="annotations/instances_val2014.json")
    with pytest.raises(DataError, match=r"val2017\.json: the split val, as .*val2014\.json is; expected one file"):
        read_coco(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": [annotation(category=5)]}, "annotations[0].category_id: 5 is none of the categories."),
        ({"annotations": [{}]}, "annotations[0].image_id: missing, expected a whole number."),
        ({"annotations": [annotation(image="1")]}, "annotations[0].image_id: found '1', expected a whole number."),
        (
            {"annotations": [annotation(box=[1, 2, 3])]},
            "annotations[0].bbox: found [1, 2, 3], expected [x, y, width, height] in pixels.",
        ),
        (
            {"annotations": [annotation(box=[1, 2, 3, float("nan")])]},
            "annotations[0].bbox: found [1, 2, 3, nan], expected [x, y, width, height] in pixels.",
        ),
        (
            {"annotations": [annotation(box=[1, 2, 3, "4"])]},
            "annotations[0].bbox: found [1, 2, 3, '4'], expected [x, y, width, height] in pixels.",
        ),
        ({"images": [{"id": 1, "file_name": 5}]}, "images[0].file_name: found 5, expected text."),
        ({"images": [{"id": 1, "file_name": "a\0"}]}, r"images[0].file_name: 'a\x00' is no name of a file."),
        ({"images": [{"id": 1, "file_name": "\ud800"}]}, r"images[0].file_name: '\ud800' is no name of a file."),
        (
            {"images": [{"id": 1, "file_name": "a", "width": 0, "height": 1}]},
            "images[0].width: found 0, expected a size in pixels.",
        ),
        (
            {"images": [{"id": 1, "file_name": "a", "width": 1, "height": 1}] * 2},
            "images[1].id: 1 stands for two images, a too.",
        ),
        ({"categories": []}, "categories: empty, expected at least one with an id and a name."),
        ({"categories": CATEGORIES * 2}, "categories[2].id: 9 stands twice; 'rust' has it too."),
        ({"categories": {"1": "a"}}, "categories: expected a list of mappings."),
    ],
)
def test_a_bad_field_is_named_with_its_place(coco, content, message):
    file = coco(**{"annotations": [], **content})
    with pytest.raises(DataError) as error:
        read_coco(file)

    assert f"{file}: {message}" == str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not readable as JSON: Expecting value: line 1 column 1 (char 0)."),
        ("[" * 100_000, "not readable as JSON: "),
        ("9" * 5000, "not readable as JSON: "),
        ("[]", "found list, expected a mapping with images, annotations, categories."),
        ('{"images": []}', "annotations: missing. A COCO JSON has images, annotations and categories."),
    ],
)
def test_a_file_that_is_no_coco_json_is_refused(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError) as error:
        read_coco(tmp_path / "a.json")

    assert str(error.value).startswith(f"{tmp_path / 'a.json'}: {message}")


def test_a_byte_order_mark_is_read_over(coco):
    file = coco([annotation()])
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())

    assert 1 == len(read_coco(file))


def test_images_of_another_size_than_is_written_are_told(coco, tmp_path):
    file = coco([annotation()])
    Image.new("RGB", (100, 200)).save(tmp_path / "val2017/2.jpg")
    table = with_headers(read_coco(file))

    remark = "images that are not of the size that their annotation says: 1, the first is"
    assert f"{remark} {tmp_path / 'val2017/2.jpg'}" == table.remarks[-1]
    assert [[200, 100], [100, 200]] == table.sizes.tolist()


def test_coco_sets_are_recognised_and_take_no_split_lists(coco, tmp_path):
    file = coco([])

    assert ["coco"] == detect_formats(file) == detect_formats(tmp_path)
    with pytest.raises(UsageError, match="split lists are not taken"):
        read_coco(file, tmp_path)
    with pytest.raises(DataError, match="no COCO JSON"):
        read_coco(tmp_path / "val2017")


def test_real_boxes_lie_where_the_original_labels_put_them(shared_data):
    from lwyolo.data.formats.yolo import read_yolo

    coco, yolo = read_coco(shared_data / "coco_cc53"), read_yolo(shared_data / "coco_cc53")
    by_name = {image.name: at for at, image in enumerate(yolo.images)}
    near = 0
    for box, cls, image in zip(coco.boxes, coco.cls, coco.image, strict=True):
        same = (yolo.image == by_name[coco.images[image].name]) & (yolo.cls == cls)
        near += bool((np.abs(yolo.boxes[same] - box).max(axis=1) < 0.02).any())

    assert near >= 0.95 * len(coco)  # the JSON is drawn from segments, the labels from boxes
