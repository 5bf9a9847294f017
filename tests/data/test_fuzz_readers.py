"""Whatever a set holds, it is read, or refused with an error of our own that names the file."""

from __future__ import annotations

import json
import random

import pytest
import yaml
from PIL import Image

from lwyolo.data.formats.base import read
from lwyolo.data.images import with_headers
from lwyolo.data.instances import InstanceTable, class_counts
from lwyolo.errors import DataError

COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 200, "height": 100}],
    "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40], "iscrowd": 0}],
    "categories": [{"id": 1, "name": "pin", "supercategory": "none"}],
}
VALUES = [
    None,
    True,
    0,
    -1,
    3,
    1.5,
    10**30,
    float("nan"),
    float("inf"),
    "",
    "a",
    "1",
    "\0",
    "\ud800",
    [],
    {},
    [[]],
    [1],
]


def changed(value, rng):
    """Return a copy of nested data in which one part is another value, is missing, or stands twice."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        rest = {other: value[other] for other in value if other != key}
        return rest if rng.random() < 0.1 else {**rest, key: changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        rest = value[at:] if rng.random() < 0.1 else value[at + 1 :]
        return [*value[:at], changed(value[at], rng), *rest]
    return rng.choice(VALUES)


def scrambled(content, rng):
    """Return bytes of which some are lost, doubled or others."""
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(content) + 1), rng.choice([0, 1, 1, 5, 40])
        content = (
            content[:at]
            + rng.choice([b"", rng.randbytes(3), content[at : at + 9], b"\0", b"["])
            + content[at + length :]
        )
    return content


def outcome(path):
    """Read a set to the counts."""
    try:
        table = with_headers(read(path))
        class_counts(table)
    except DataError as error:
        return str(error)
    return table


@pytest.mark.parametrize("kind", ["content", "bytes"])
def test_any_json_is_read_or_refused_by_name(tmp_path, kind):
    Image.new("RGB", (200, 100)).save(tmp_path / "a.jpg")
    file = tmp_path / "train.json"
    seen = set()
    for seed in range(600):
        rng = random.Random(seed)
        whole = json.dumps(COCO).encode()
        file.write_bytes(json.dumps(changed(COCO, rng)).encode() if kind == "content" else scrambled(whole, rng))
        result = outcome(file)
        seen.add(isinstance(result, InstanceTable))

        assert isinstance(result, InstanceTable) or result.startswith(f"{file}: "), seed
    assert {True, False} == seen


@pytest.mark.parametrize("kind", ["content", "bytes"])
def test_any_data_yaml_is_read_or_refused_by_name(small, kind):
    content, original = yaml.safe_load(small.read_text()), small.read_bytes()
    content |= {"nc": 3, "kpt_shape": [2, 3], "path": str(small.parent)}
    seen = set()
    for seed in range(400):
        rng = random.Random(seed)
        text = yaml.safe_dump(changed(content, rng)).encode() if kind == "content" else scrambled(original, rng)
        small.write_bytes(text)
        result = outcome(small)
        seen.add(isinstance(result, InstanceTable))

        assert isinstance(result, InstanceTable) or result.startswith(f"{small}: "), seed
    assert {True, False} == seen


def test_any_xml_is_read_or_refused_by_name(tmp_path, voc_set):
    folder = voc_set(tmp_path / "voc", a={})
    file = folder / "annotations/a.xml"
    original = file.read_bytes()
    seen = set()
    for seed in range(500):
        file.write_bytes(scrambled(original, random.Random(seed)))
        result = outcome(folder)
        seen.add(isinstance(result, InstanceTable))

        assert isinstance(result, InstanceTable) or result.startswith((f"{file}: ", f"{folder}: ")), seed
    assert {True, False} == seen


def test_any_list_of_images_is_read_or_refused_by_name(small):
    small.write_text(small.read_text().replace("images/train", "list.txt"))
    for seed in range(300):
        text = b"./images/train/a.jpg\n./images/train/b.jpg\nnone.jpg\n"
        (small.parent / "list.txt").write_bytes(scrambled(text, random.Random(seed)))
        result = outcome(small)

        assert isinstance(result, InstanceTable) or result.startswith(f"{small}: "), seed


def test_any_label_is_a_problem_of_its_image_at_most(small):
    label = small.parent / "labels/train/b.txt"
    for seed in range(600):
        label.write_bytes(scrambled(b"1 .5 .5 .2 .2\n0 0.25 0.25 0.125 0.125\n", random.Random(seed)))
        result = outcome(small)

        assert isinstance(result, InstanceTable), seed
        assert {problem.image for problem in result.problems} <= {1, 3}, seed


def test_entities_that_multiply_are_refused(tmp_path, voc_set):
    folder = voc_set(tmp_path, a={})
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    text = f'<!DOCTYPE a [<!ENTITY e0 "x">{levels}]><annotation><folder>&e11;</folder></annotation>'
    (folder / "annotations/a.xml").write_text(text)

    assert "declares a document type or entities" in outcome(folder)
