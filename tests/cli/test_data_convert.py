"""`lwyolo data convert`, as a user runs it."""

from __future__ import annotations

import pytest

from lwyolo.cli import main
from lwyolo.data.demo import make_demo
from lwyolo.data.formats.base import read


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return make_demo(tmp_path_factory.mktemp("data") / "demo", images=10, size=64)


def printed(capsys, *arguments: str) -> str:
    """Run a command line that succeeds, and return what it printed."""
    code = main(["data", "convert", *arguments])
    out, err = capsys.readouterr()
    assert 0 == code, err
    return out


def refused(capsys, *arguments: str) -> str:
    assert 2 == main(["data", "convert", *arguments])
    out, err = capsys.readouterr()
    assert "" == out
    return err.removeprefix("lwyolo: ").rstrip("\n")


def test_what_the_target_cannot_hold_is_said_before_the_tables(demo, tmp_path, capsys):
    out = printed(capsys, str(demo), str(tmp_path / "voc"), "--to", "voc")
    words = " ".join(out.split())

    assert out.startswith("Note: Pascal VOC has no place for samples: they are written to samples.yaml;")
    assert "2 of 6 get another name, since theirs repeat or cannot be written: 0 'defect (0)', 4 'defect (4)'." in words
    assert out.rindex("Note: ") < out.index("sample ")
    assert out.endswith(f"VOC set: {tmp_path / 'voc'}\n")
    assert read(demo).cls.tolist() == read(tmp_path / "voc").cls.tolist()


def test_voc_to_yolo_is_the_default_and_needs_no_word_about_the_format(tmp_path, voc_folder, capsys):
    before = printed(
        capsys, str(voc_folder), str(tmp_path / "old"), "--from", "voc", "--splits", str(voc_folder / "splits")
    )
    after = printed(capsys, str(voc_folder), str(tmp_path / "new"))

    assert before.replace("old", "new") == after
    assert after.endswith(f"Data YAML: {tmp_path / 'new/data.yaml'}\n")


def test_annotations_alone_say_where_images_are_expected(demo, tmp_path, capsys):
    out = printed(capsys, str(demo), str(tmp_path / "coco"), "--to", "coco", "--images", "none")

    assert "No images were written; the annotations expect them in images/<split>." in out
    assert [] == list((tmp_path / "coco").rglob("*.jpg"))


def test_a_file_of_samples_is_carried_into_the_data_yaml(tmp_path, voc_folder, capsys):
    (tmp_path / "samples.yaml").write_text("samples:\n  steel: [burn, pin]\n")
    printed(capsys, str(voc_folder), str(tmp_path / "out"), "--samples", str(tmp_path / "samples.yaml"))

    assert {"steel": (0, 1)} == read(tmp_path / "out/data.yaml").samples


def test_bad_input_gets_one_message(demo, tmp_path, capsys):
    out = str(tmp_path / "out")

    assert "unknown data format to write 'cocoa'. Did you mean coco?" == refused(
        capsys, str(demo), out, "--to", "cocoa"
    )
    assert f"{demo}: not a voc set. It looks like yolo; read it as that." == refused(
        capsys, str(demo), out, "--from", "voc"
    )
    assert "exists and is not empty; choose another folder." in refused(capsys, str(demo), str(demo.parent))
    assert not (tmp_path / "out").exists()


@pytest.fixture
def voc_folder(tmp_path):
    """A VOC folder of an image in train and one in val."""
    from PIL import Image

    folder = tmp_path / "source"
    for name in ("annotations", "images", "splits"):
        (folder / name).mkdir(parents=True)
    for stem, cls, split in (("a", "pin", "train"), ("b", "burn", "val")):
        Image.new("RGB", (200, 100)).save(folder / f"images/{stem}.jpg")
        box = "<bndbox><xmin>20</xmin><ymin>10</ymin><xmax>60</xmax><ymax>50</ymax></bndbox>"
        size = "<size><width>200</width><height>100</height><depth>3</depth></size>"
        text = f"<annotation>{size}<object><name>{cls}</name>{box}</object></annotation>"
        (folder / f"annotations/{stem}.xml").write_text(text)
        (folder / f"splits/{split}.txt").write_text(stem)
    return folder
