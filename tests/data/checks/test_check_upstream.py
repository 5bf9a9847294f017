"""What the rules say of Ultralytics, against the installed one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lwyolo.data.checks.rule import all_rules

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CLEAN_IMAGES, CLEAN_BOXES = 2, 6
PLANTED = {
    # rule: images and boxes that Ultralytics trains on beyond those of the clean set
    "row-columns": (0, 0),
    "row-comment": (0, 0),
    "row-text": (0, 0),
    "row-kinds": (0, 0),
    "row-not-finite": (0, 0),
    "row-repeated": (1, 1),
    "class-range": (0, 0),
    "class-fraction": (0, 0),
    "box-range": (0, 0),
    "box-negative": (0, 0),
    "box-no-area": (1, 2),
    "box-outside": (1, 2),
    "box-tiny": (1, 2),
    "box-twice": (1, 2),
    "box-two-classes": (1, 2),
    "label-missing": (1, 0),
    "label-empty": (1, 0),
    "label-unreadable": (0, 0),
    "label-misplaced": (1, 0),
    "label-orphan": (0, 0),
    "label-shared": (2, 2),
    "split-unlabelled": (0, 0),
    "image-missing": (0, 0),
    "image-unreadable": (0, 0),
    "image-small": (0, 0),
    "image-format": (0, 0),
    "image-rewritten": (1, 1),
    "image-turned": (1, 1),
    "image-16-bit": (1, 1),
    "image-damaged": (1, 1),
    "image-ignored": (0, 0),
    "list-line-lost": (-1, -3),
    "source-twice": (2, 6),
    "image-listed-twice": (1, 3),
    "val-is-train": (0, 0),
    "image-in-two-splits": (1, 2),
    "test-shares-val": (0, 0),
    "cache-shared": (0, 0),
    "class-unused": (0, 0),
    "class-untrained": (0, 0),
}
DROPS = {rule.name for rule in all_rules() if rule.upstream.startswith("Drops")}


def dataset(data_yaml: Path, augment: bool = False, imgsz: int = 64, **settings: float):
    from ultralytics.cfg import get_cfg
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    data = check_det_dataset(str(data_yaml), autodownload=False)
    return YOLODataset(
        img_path=data["train"], data=data, task="detect", augment=augment, imgsz=imgsz, hyp=get_cfg(overrides=settings)
    )


@pytest.mark.parametrize("name", PLANTED)
def test_ultralytics_trains_on_the_images_and_boxes_that_a_rule_promises(clean, plants, name):
    plants[name](clean)
    before = {
        file: file.read_bytes() for file in clean.rglob("*.*") if file.is_file() and not file.name.startswith("labels")
    }

    found = dataset(clean / "data.yaml")

    counts = len(found.labels) - CLEAN_IMAGES, sum(len(label["cls"]) for label in found.labels) - CLEAN_BOXES
    assert PLANTED[name] == counts
    changed = [file for file, content in before.items() if file.suffix != ".cache" and file.read_bytes() != content]
    assert (["p.jpg"] if name == "image-rewritten" else []) == [file.name for file in changed]


def test_every_rule_is_proven(plants):
    assert sorted(plants) == sorted(PLANTED)


def test_rules_that_say_drops_add_no_image():
    assert {(0, 0)} == {PLANTED[name] for name in DROPS}


def test_a_turned_image_is_loaded_turned(clean, plants):
    from PIL import Image

    file = clean / plants["image-turned"](clean)[0]
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (40, 20)).save(file, exif=exif)

    found = dataset(clean / "data.yaml")

    shapes = {Path(label["im_file"]).name: tuple(label["shape"]) for label in found.labels}
    assert (40, 20) == shapes["p.jpg"]
    index = [Path(name).name for name in found.im_files].index("p.jpg")
    assert (40, 20) == found.load_image(index)[1]


def test_a_16_bit_image_keeps_its_upper_bits(clean, plants):
    import numpy as np
    from PIL import Image

    file = clean / plants["image-16-bit"](clean)[0]
    Image.fromarray(np.full((32, 32), 0x1234, np.uint16)).save(file)

    found = dataset(clean / "data.yaml")

    index = [Path(name).name for name in found.im_files].index("p.png")
    assert {0x12} == set(found.load_image(index)[0].ravel().tolist())


def test_splits_with_one_label_folder_have_one_cache(clean, plants):
    plants["cache-shared"](clean)

    dataset(clean / "data.yaml")

    assert ["train.cache"] == [file.name for file in (clean / "labels").iterdir() if file.is_file()]


def test_a_damaged_image_stops_a_training(clean, plants):
    plants["image-damaged"](clean)
    found = dataset(clean / "data.yaml")
    index = [Path(name).name for name in found.im_files].index("p.bmp")

    with pytest.raises(FileNotFoundError, match="Image Not Found"):
        found.load_image(index)


def test_a_jpeg_with_a_broken_middle_is_trained_on_as_grey(clean, broken_jpeg):
    broken_jpeg(clean / "images/train/b.jpg")
    found = dataset(clean / "data.yaml")
    index = [Path(name).name for name in found.im_files].index("b.jpg")

    rows = found.load_image(index)[0].reshape(64, -1).astype(int)

    assert 16 < int((rows.max(axis=1) - rows.min(axis=1) == 0).sum()) < 48


STILL = dict.fromkeys(("mosaic", "scale", "translate", "fliplr", "hsv_h", "hsv_s", "hsv_v"), 0.0)


@pytest.mark.parametrize(
    ("name", "trained", "validated"),
    [("box-no-area", 1, 2), ("box-tiny", 1, 2), ("box-outside", 2, 2), ("box-twice", 2, 2)],
)
def test_augmentation_removes_boxes_that_validation_keeps(clean, plants, name, trained, validated):
    plants[name](clean)

    boxes = {}
    for augment in (True, False):
        found = dataset(clean / "data.yaml", augment, 640, **STILL)
        index = [Path(image).name for image in found.im_files].index("p.jpg")
        boxes[augment] = found[index]["bboxes"]

    assert (trained, validated) == (len(boxes[True]), len(boxes[False]))
    right = {augment: float((of[:, 0] + of[:, 2] / 2).max()) for augment, of in boxes.items()}
    if name == "box-outside":  # 0.95 + 0.2 / 2
        assert pytest.approx({True: 1.0, False: 1.05}, abs=1e-3) == right


def test_train_without_labels_is_refused(clean):
    for label in (clean / "labels/train").iterdir():
        label.unlink()

    with pytest.raises(ValueError, match="No labels found"):
        dataset(clean / "data.yaml", augment=True)


@pytest.mark.parametrize("name", PLANTED)
def test_a_repaired_copy_is_trained_on_whole(clean, plants, context_of, tmp_path, name):
    from lwyolo.data.repair import repair

    plants[name](clean)
    repaired = repair(context_of(clean / "data.yaml"), tmp_path / "copy")
    copy = tmp_path / "moved"
    shutil.copytree(tmp_path / "copy", copy)

    images = len(list((copy / "images/train").iterdir()))

    assert images == len(dataset(copy / "data.yaml").labels)
    assert repaired.images >= images
