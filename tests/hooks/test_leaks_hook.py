"""The warning of a training whose splits share images."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ultralytics.utils import LOGGER

from lwyolo import record, registry
from lwyolo.data.copies import equal_across
from lwyolo.hooks.leaks import LeaksHook
from lwyolo.record import DataRecord, LeakRecord, RunRecord


def data_yaml(folder: Path, images: dict[str, bytes]) -> Path:
    for name, content in images.items():
        file = folder / "images" / f"{name}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (folder / "d.yaml").write_text(yaml.safe_dump({"train": "images/train", "val": "images/val", "names": ["pin"]}))
    return folder / "d.yaml"


def trainer(folder: Path, data: Path, counted: bool = True) -> SimpleNamespace:
    counts = DataRecord(str(data), "f", {0: "pin"}, (), (), ()) if counted else None
    stand_in = SimpleNamespace(args=SimpleNamespace(data=str(data)), record=RunRecord(data=counts), save_dir=folder)
    stand_in.write_record = lambda: record.write(stand_in.record, folder / record.RECORD_NAME)
    return stand_in


@pytest.fixture
def warnings():
    """What Ultralytics' logger says; it does not propagate, and tests silence it."""
    said: list[str] = []
    handler, level = logging.Handler(), LOGGER.level
    handler.emit = lambda entry: said.append(entry.getMessage())
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.WARNING)
    yield said
    LOGGER.setLevel(level)
    LOGGER.removeHandler(handler)


def test_an_image_in_two_splits_is_recorded_and_told_with_the_command(tmp_path, warnings):
    data = data_yaml(tmp_path / "set", {"train/a": b"1", "train/b": b"2", "val/c": b"1", "val/d": b"3"})
    run = trainer(tmp_path, data)
    LeaksHook().on_pretrain_routine_end(run)

    pair = tuple(str(tmp_path.resolve() / "set" / "images" / f"{name}.jpg") for name in ("train/a", "val/c"))
    assert LeakRecord(1, (pair,)) == record.read(tmp_path).data.leaks
    assert [
        f"lwyolo: 1 image stands in more than one split, such as {pair[0]} and {pair[1]}: metrics are too good. "
        f"See them all: lwyolo data leaks {data}"
    ] == warnings


def test_splits_that_share_nothing_are_recorded_without_a_word(tmp_path, warnings):
    run = trainer(tmp_path, data_yaml(tmp_path / "set", {"train/a": b"1", "train/b": b"1", "val/c": b"2"}))
    LeaksHook().on_pretrain_routine_end(run)

    assert LeakRecord(0, ()) == record.read(tmp_path).data.leaks
    assert [] == warnings


def test_a_set_that_was_not_counted_is_not_searched(tmp_path, warnings):
    run = trainer(tmp_path, tmp_path / "none.yaml", counted=False)
    LeaksHook().on_pretrain_routine_end(run)

    assert run.record.data is None
    assert [] == warnings


def test_a_set_that_has_gone_stops_no_training(tmp_path, warnings):
    run = trainer(tmp_path, tmp_path / "none.yaml")
    LeaksHook().on_pretrain_routine_end(run)

    assert run.record.data.leaks is None
    assert warnings[0].startswith("lwyolo: the splits were not searched for shared images: ")


def test_many_examples_are_cut(tmp_path):
    images = {f"{split}/{n}": f"content {n}".encode() for split in ("train", "val") for n in range(30)}
    found = equal_across(data_yaml(tmp_path, images))

    assert (30, 20) == (found.images, len(found.pairs))


def test_the_data_are_counted_before_their_leaks_are_looked_for():
    registry.discover("lwyolo.hooks")

    assert list(registry.HOOKS).index("InstancesHook") < list(registry.HOOKS).index("LeaksHook")


def test_ten_thousand_images_take_less_than_a_second(tmp_path):
    """Sizes repeat, as they do at this number; some files are equal."""
    images = {f"{'train' if n % 5 else 'val'}/{n}": f"{n // 3:09d}".encode() * (200 + n % 1500) for n in range(10_000)}
    data = data_yaml(tmp_path, images)
    start = time.perf_counter()
    equal_across(data)

    assert time.perf_counter() - start < 1.5  # 0.3 s on an idle machine
