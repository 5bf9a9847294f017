"""Small sets that tests write, and the hash of a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

ANNOTATION = """<annotation>{size}<object><name>{name}</name><bndbox><xmin>{xmin}</xmin><ymin>10</ymin>
<xmax>{xmax}</xmax><ymax>50</ymax></bndbox></object></annotation>"""
SIZE = "<size><width>200</width><height>100</height><depth>3</depth></size>"


@pytest.fixture(scope="session")
def tree_hash() -> Callable[[Path], dict[str, str]]:
    """Return a function from a folder to the hash of every file below it."""

    def hashed(folder: Path) -> dict[str, str]:
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        return {str(file.relative_to(folder)): hashlib.blake2b(file.read_bytes()).hexdigest() for file in files}

    return hashed


@pytest.fixture(scope="session")
def yolo_set() -> Callable[..., Path]:
    """Return a function that writes a YOLO set from `split/name` -> label text (`None`: no file), and its data YAML."""

    def write(folder: Path, labels: dict[str, str | bytes | None], **keys: object) -> Path:
        for name, text in labels.items():
            for kind in ("images", "labels"):
                (folder / kind / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32)).save(folder / "images" / f"{name}.jpg")
            if text is not None:
                content = text if isinstance(text, bytes) else text.encode()
                (folder / "labels" / f"{name}.txt").write_bytes(content)
        content = {"train": "images/train", "val": "images/val", "names": ["defect", "rust", "defect"], **keys}
        (folder / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        return folder / "data.yaml"

    return write


@pytest.fixture
def small(tmp_path: Path, yolo_set: Callable[..., Path]) -> Path:
    """A data YAML of five images: a background, a dropped one, a repeated row, and a name that stands twice."""
    labels = {
        "train/a": "0 .5 .5 .2 .2\n0 .2 .2 .1 .1\n2 .5 .5 .1 .1",
        "train/b": "1 .5 .5 .2 .2",
        "train/c": None,
        "train/d": "9 .5 .5 .2 .2\n0 .5 .5 .2 .2",
        "val/e": "2 .5 .5 .2 .2\n2 .5 .5 .2 .2",
    }
    return yolo_set(tmp_path / "set", labels, samples={"pin": [0, 1], "insulator": [2]})


@pytest.fixture(scope="session")
def voc_set() -> Callable[..., Path]:
    """Return a function that writes a VOC folder with an image of 200 x 100 pixels and one object for each stem."""

    def write(folder: Path, **objects: dict[str, object]) -> Path:
        for kind in ("annotations", "images"):
            (folder / kind).mkdir(parents=True)
        for stem, values in objects.items():
            text = ANNOTATION.format(**{"size": SIZE, "name": "pin", "xmin": 20, "xmax": 60, **values})
            (folder / "annotations" / f"{stem}.xml").write_text(text)
            Image.new("RGB", (200, 100)).save(folder / "images" / f"{stem}.jpg")
        return folder

    return write
