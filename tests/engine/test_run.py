from __future__ import annotations

import os

import pytest

from lwyolo import YOLO
from lwyolo.engine.run import find_resumable, train
from lwyolo.errors import UsageError


def test_a_finished_run_is_not_resumed_into_a_new_training(tiny_run):
    last = str(tiny_run / "weights" / "last.pt")
    with pytest.raises(UsageError) as error:
        train(None, resume=last)

    assert (
        f"--resume: the run of {last} has ended, so there is nothing to continue. To train on from its weights, start a "
        f"new run with --weight {last}."
    ) == str(error.value)


def test_the_newest_checkpoint_is_resumed_without_a_name(tmp_path):
    for i, name in enumerate(("old", "new")):
        file = tmp_path / name / "weights" / "last.pt"
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, (i, i))

    assert str(tmp_path / "new" / "weights" / "last.pt") == find_resumable(True, {"project": str(tmp_path)})
    assert str(tmp_path / "old" / "weights" / "last.pt") == find_resumable(
        True, {"project": str(tmp_path), "name": "old"}
    )


@pytest.mark.parametrize("overrides", [{"lr0": "abc"}, {"epochs": "many"}])
def test_a_value_of_the_wrong_kind_is_refused_before_anything_starts(overrides):
    with pytest.raises(UsageError, match=next(iter(overrides))):
        train("yolov8n.yaml", overrides=overrides)


def test_a_missing_checkpoint_names_the_nearest(tiny_run):
    missing = tiny_run / "weights" / "bets.pt"
    with pytest.raises(UsageError) as error:
        YOLO(missing)

    assert f"{missing}: no such model. Did you mean best.pt?" == str(error.value)


def test_weights_of_a_run_are_taken_and_reported_in_the_next_record(tiny_run, demo, tmp_path):
    from lwyolo.record import read

    folder = train(
        "cfg/yolov8n-dyheadlite.yaml",
        weight=str(tiny_run / "weights" / "best.pt"),
        overrides={
            "data": str(demo), "epochs": 1, "imgsz": 64, "batch": 4, "device": "cpu", "workers": 0, "plots": False,
            "val": False, "project": str(tmp_path), "name": "next",
        },
    )  # fmt: skip
    moved = read(folder).transfer

    assert 0 < moved.taken < moved.total
    assert ["layer 22 DyHeadLite"] == [row.split(":")[0] for row in moved.rows_missing if "DyHead" in row]
