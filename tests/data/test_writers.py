from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lwyolo.data.convert import check_set, load, write_set
from lwyolo.data.formats.base import read
from lwyolo.data.instances import InstanceTable, Problem, one_sample_a_class
from lwyolo.data.writers.base import WRITERS, find_writer
from lwyolo.data.writers.voc import written_names
from lwyolo.errors import DataError, UnknownNameError

NAMES = {0: "defect", 1: "rust", 2: "defect"}


def make_table(folder: Path, boxes, *, names=NAMES, samples=None, images=("train/a", "train/b", "val/c")):
    """A table of images of 200 x 100 pixels; a box is image, class, left, top, right, bottom in pixels."""
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (200, 100)).save(folder / f"{name}.png")
    files = tuple(folder / f"{name}.png" for name in images)
    edges = np.array([box[2:] for box in boxes], dtype=float).reshape(-1, 4) / [200, 100, 200, 100]
    return InstanceTable(
        names=names,
        samples=samples or one_sample_a_class(names),
        splits=("train", "val"),
        images=files,
        sources=files,
        image_split=np.array([0 if name.startswith("train") else 1 for name in images]),
        image=np.array([box[0] for box in boxes], dtype=np.int64),
        cls=np.array([box[1] for box in boxes], dtype=np.int64),
        boxes=np.hstack([(edges[:, :2] + edges[:, 2:]) / 2, edges[:, 2:] - edges[:, :2]]),
        lines=np.zeros(len(boxes), np.int64),
        sizes=np.tile([200, 100], (len(images), 1)),
    )


@pytest.fixture
def table(tmp_path):
    """A box in a, none in b, one in c."""
    return make_table(tmp_path / "source", [(0, 2, 20, 10, 60, 50), (2, 0, 0, 0, 10.5, 20.25)])


def test_the_three_formats_are_found_and_an_unknown_one_names_the_nearest():
    with pytest.raises(UnknownNameError) as error:
        find_writer("cocoa")

    assert "unknown data format to write 'cocoa'. Did you mean coco?" == str(error.value)
    assert {"coco", "voc", "yolo"} <= set(WRITERS)


def test_coco_holds_pixels_ids_from_1_and_the_class_ids(table, tmp_path):
    write_set(table, tmp_path / "out", to="coco")
    train, val = (json.loads((tmp_path / f"out/annotations/instances_{s}.json").read_text()) for s in ("train", "val"))

    assert [(0, "defect"), (1, "rust"), (2, "defect")] == [(c["id"], c["name"]) for c in train["categories"]]
    assert [
        {"id": 1, "file_name": "a.png", "width": 200, "height": 100},
        {"id": 2, "file_name": "b.png", "width": 200, "height": 100},
    ] == train["images"]
    assert [3] == [image["id"] for image in val["images"]]
    (first,), (second,) = train["annotations"], val["annotations"]
    assert (1, 1, 2, [20.0, 10.0, 40.0, 40.0], 1600.0, 0) == tuple(
        first[key] for key in ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    )
    assert (2, 3, 0, [0.0, 0.0, 10.5, 20.25], 212.625) == tuple(
        second[key] for key in ("id", "image_id", "category_id", "bbox", "area")
    )
    assert (tmp_path / "out/images/val/c.png").is_file()


def test_voc_holds_edges_from_0_with_decimals_only_where_needed(table, tmp_path):
    write_set(table, tmp_path / "out", to="voc")
    root = ET.parse(tmp_path / "out/Annotations/c.xml").getroot()

    assert ["0", "0", "10.5", "20.25"] == [edge.text for edge in root.find("object/bndbox")]
    assert ("c.png", "200", "100", "defect (0)") == tuple(
        root.findtext(tag) for tag in ("filename", "size/width", "size/height", "object/name")
    )
    assert "a\nb\n" == (tmp_path / "out/ImageSets/Main/train.txt").read_text()
    assert None is ET.parse(tmp_path / "out/Annotations/b.xml").getroot().find("object")
    assert (tmp_path / "out/JPEGImages/b.png").is_file()


def test_voc_tells_apart_names_that_repeat_and_says_so(table, tmp_path):
    expected = (
        "Pascal VOC names classes instead of numbering them: 2 of 3 get another name, since theirs repeat or cannot be "
        "written: 0 'defect (0)', 2 'defect (2)'. class_names.csv lists them."
    )

    assert [expected] == check_set(table, "voc")
    write_set(table, tmp_path / "out", to="voc")
    assert "defect (0)\nrust\ndefect (2)\n" == (tmp_path / "out/classes.txt").read_text()
    assert (
        "id,name,written\n0,defect,defect (0)\n1,rust,rust\n2,defect,defect (2)\n"
        == (tmp_path / "out/class_names.csv").read_text()
    )
    assert [2, 0] == read(tmp_path / "out").cls.tolist()


def test_unique_names_need_no_file_of_names(tmp_path):
    table = make_table(tmp_path / "source", [(0, 1, 0, 0, 9, 9)], names={0: "pin", 1: "burn"})
    write_set(table, tmp_path / "out", to="voc")

    assert [] == check_set(table, "voc")
    assert not (tmp_path / "out/class_names.csv").exists()


@given(names=st.lists(st.text(alphabet="ab ()12\n\x00\u2028<&", max_size=8), min_size=1, max_size=6))
def test_written_names_are_unique_and_stand_on_a_line(names):
    written = list(written_names(dict(enumerate(names))).values())

    assert len(set(written)) == len(written) == len(names)
    assert all([name.strip()] == name.splitlines() and name for name in written)


@pytest.mark.parametrize("to", ["coco", "voc"])
def test_samples_are_written_beside_formats_that_have_none(tmp_path, to):
    samples = {"pin": (0, 1), "insulator": (2,)}
    table = make_table(tmp_path / "source", [(0, 2, 20, 10, 60, 50)], samples=samples)
    write_set(table, tmp_path / "out", to=to)

    assert "has no place for samples: they are written to samples.yaml" in check_set(table, to)[0]
    assert samples == read(tmp_path / "out", samples=tmp_path / "out/samples.yaml").samples


@pytest.mark.parametrize(("to", "thin"), [("coco", 0.0004), ("voc", 0.004)])
def test_boxes_without_area_are_left_out_with_their_count(tmp_path, to, thin):
    boxes = [(0, 0, 20, 10, 60, 50), (0, 0, 5, 5, 5, 9), (0, 0, 5, 5, 5 + thin, 9)]
    table = make_table(tmp_path / "source", boxes, names={0: "pin"})
    write_set(table, tmp_path / "out", to=to)

    assert ["Boxes without area, which readers of this format refuse: 2 left out."] == check_set(table, to)
    assert 1 == len(read(tmp_path / "out"))


def test_boxes_that_repeat_are_told_before_yolo_is_written(tmp_path):
    box = (0, 0, 20, 10, 60, 50)
    table = make_table(tmp_path / "source", [box, box, (1, *box[1:]), (0, 1, *box[2:])])

    assert ["Boxes that repeat another of their image: 1; Ultralytics will train on each once."] == check_set(table)
    write_set(table, tmp_path / "out")
    assert 3 == len(read(tmp_path / "out/data.yaml"))


def test_an_image_in_two_splits_is_one_file_of_voc_in_two_lists(tmp_path):
    table = make_table(
        tmp_path / "source", [(0, 0, 20, 10, 60, 50), (1, 0, 20, 10, 60, 50)], images=("train/a", "val/a")
    )
    same = (table.images[0], table.images[0])
    again = write_set(InstanceTable(**{**fields(table), "images": same}), tmp_path / "out", to="voc")

    assert ("train", "val") == read(again).splits
    assert [0, 1] == read(again).image.tolist()


def fields(table):
    return {name: getattr(table, name) for name in InstanceTable.__dataclass_fields__}


@pytest.mark.parametrize(
    ("to", "images", "message"),
    [
        (
            "voc",
            ("train/a", "val/a"),
            "have one name, and Pascal VOC keeps all images in one folder; rename one of them.",
        ),
        ("voc", ("train/a ", "val/b"), "this name cannot stand in a list of Pascal VOC; rename it."),
        ("coco", ("train/1/a", "train/2/a"), "another image of train has this name; rename one of them."),
        ("yolo", ("train/1/a", "train/2/a", "val/b"), "another image of train has this name; rename one of them."),
    ],
)
def test_names_that_a_format_cannot_hold_are_refused(tmp_path, to, images, message):
    with pytest.raises(DataError) as error:
        write_set(make_table(tmp_path / "source", [], images=images), tmp_path / "out", to=to)

    assert str(error.value).endswith(message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", ["coco", "voc"])
def test_sizes_that_are_unknown_are_refused(table, to):
    unknown = {**fields(table), "sizes": np.array([[200, 100], [0, 0], [200, 100]])}
    with pytest.raises(DataError, match=r"b\.png: width and height are unknown; boxes in pixels need them"):
        check_set(InstanceTable(**unknown), to)
    with pytest.raises(DataError, match="the sizes of the images were not read"):
        check_set(InstanceTable(**{**unknown, "sizes": None}), to)


@pytest.mark.parametrize("to", ["coco", "voc", "yolo"])
def test_a_set_with_dropped_images_is_refused(table, to):
    dropped = InstanceTable(**{**fields(table), "problems": (Problem(1, table.images[1], "no such image"),)})
    with pytest.raises(DataError, match=r"^1 images would be dropped in training; the first: .*b\.png: no such image"):
        check_set(dropped, to)


@pytest.mark.parametrize("to", ["coco", "voc", "yolo"])
@pytest.mark.parametrize("images", ["copy", "none"])
def test_images_are_copied_or_left_out(table, tmp_path, to, images):
    write_set(table, tmp_path / "out", to=to, images=images)
    files = sorted((tmp_path / "out").rglob("*.png"))

    assert (["a.png", "b.png", "c.png"] if images == "copy" else []) == [file.name for file in files]
    assert not any(file.is_symlink() for file in files)


@pytest.mark.parametrize("to", ["coco", "voc", "yolo"])
def test_a_stop_leaves_nothing_half_written(table, tmp_path, monkeypatch, to):
    def stop(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.copyfile", stop)
    with pytest.raises(KeyboardInterrupt):
        write_set(table, tmp_path / "out", to=to, images="copy")

    assert ["source"] == [entry.name for entry in tmp_path.iterdir()]


def interval(size):
    """Two edges in hundredths of a pixel, at least half a pixel apart."""
    whole = st.tuples(st.integers(0, size * 100), st.integers(0, size * 100)).filter(lambda e: abs(e[0] - e[1]) >= 50)
    return whole.map(lambda edges: (min(edges) / 100, max(edges) / 100))


box = st.tuples(st.integers(0, 2), st.integers(0, 2), interval(200), interval(100)).map(
    lambda b: (b[0], b[1], b[2][0], b[3][0], b[2][1], b[3][1])
)


@settings(max_examples=40)
@given(boxes=st.sets(box, max_size=8), route=st.permutations(["coco", "voc", "yolo"]))
def test_what_was_written_reads_the_same_on_every_route(tmp_path_factory, boxes, route):
    folder = tmp_path_factory.mktemp("route")
    table = again = make_table(folder / "source", sorted(boxes), names={0: "a", 1: "b", 2: "c"})
    for to in route:
        again = load(write_set(again, folder / to, to=to))

    assert (table.names, table.splits) == (again.names, again.splits)
    assert [image.name for image in table.images] == [image.name for image in again.images]
    assert by_image_and_class(table).keys() == by_image_and_class(again).keys()
    for key, edges in by_image_and_class(table).items():
        assert len(edges) == len(by_image_and_class(again)[key])
        assert np.abs(edges - by_image_and_class(again)[key]).max() < 0.01


def by_image_and_class(table):
    """Boxes in pixels of each image and class, sorted by hundredths of a pixel."""
    found = {}
    for image, cls, edges in zip(table.image.tolist(), table.cls.tolist(), table.pixel_boxes(), strict=True):
        found.setdefault((image, cls), []).append(edges.round(2).tolist())
    return {key: np.array(sorted(edges)) for key, edges in found.items()}
