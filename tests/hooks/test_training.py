"""A real training of three epochs, interrupted after the second and resumed: what its hooks leave behind."""

from __future__ import annotations

import csv
import json
import math

import pytest
from ultralytics.utils.callbacks.base import get_default_callbacks

from lwyolo import record
from lwyolo.data.demo import make_demo
from lwyolo.engine.trainer import DetectionTrainer

STATIC = ["cost/params", "cost/gmaccs", "cost/gflops", "cost/gflops_ultralytics", "speed/latency_ms"]
PER_CLASS = ["AP50/0-defect", "AP50/1-rust", "AP50/2-uninstalled", "AP50/3-burn", "AP50/4-defect", "AP50/5-dirty"]


class Logger:
    """Stands where TensorBoard, MLflow and the others do."""

    def __init__(self) -> None:
        self.sent: dict[int, dict[str, float]] = {}
        self.states: list[str] = []

    def on_fit_epoch_end(self, trainer) -> None:
        self.sent[trainer.epoch] = dict(trainer.metrics)

    def on_model_save(self, trainer) -> None:
        self.states.append(record.current_state(record.read(trainer.save_dir)))


class StopAfterSecond(Logger):
    def on_fit_epoch_end(self, trainer) -> None:
        super().on_fit_epoch_end(trainer)
        if trainer.epoch == 1:
            raise KeyboardInterrupt


def train(logger: Logger, **overrides) -> DetectionTrainer:
    callbacks = get_default_callbacks()
    for event in ("on_fit_epoch_end", "on_model_save"):
        callbacks[event].append(getattr(logger, event))
    trainer = DetectionTrainer(overrides={"device": "cpu", "workers": 0, **overrides}, _callbacks=callbacks)
    trainer.train()
    return trainer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def interrupted(folder):
    """The record and the logger of the first process; without a validation, Ultralytics repeats the last metrics."""
    data = make_demo(folder / "demo", images=10, size=64)
    logger = StopAfterSecond()
    with pytest.raises(KeyboardInterrupt):
        train(logger, model="yolov8n.yaml", data=str(data), epochs=3, imgsz=64, batch=4, plots=False,
              project=str(folder), name="run", val=False)  # fmt: skip
    return record.read(folder / "run"), logger


@pytest.fixture(scope="module")
def finished(folder, interrupted):
    """The record, the logger and the trainer of the process that resumed."""
    logger = Logger()
    last = str(folder / "run" / "weights" / "last.pt")
    trainer = train(logger, model=last, resume=last)
    return record.read(folder / "run"), logger, trainer


def test_an_interrupted_run_says_so_and_keeps_its_epoch(interrupted):
    run, logger = interrupted

    assert ("interrupted", "KeyboardInterrupt", 2) == (run.state, run.error, run.epochs_run)
    assert [1, 2] == list(run.epoch_seconds)
    assert ["running"] * 2 == logger.states
    assert run.metrics is None


def test_the_start_of_the_run_is_recorded(interrupted):
    run, _ = interrupted

    assert ("run", "detect", "n") == (run.name, run.model.task, run.model.scale)
    assert (3, 64, 4, "yolov8n.yaml") == tuple(run.arguments[key] for key in ("epochs", "imgsz", "batch", "model"))
    assert run.cost.params > 3_000_000
    assert ((64, 64), 1, True) == (run.cost.imgsz, run.cost.batch, run.cost.fused)
    assert run.cost.ultralytics_gflops == pytest.approx(run.cost.gflops, rel=0.05)
    assert run.latency.median_ms > 0
    assert run.provenance.versions["ultralytics"]
    assert run.data.names == {0: "defect", 1: "rust", 2: "uninstalled", 3: "burn", 4: "defect", 5: "dirty"}
    assert {"train": 7, "val": 1, "test": 2} == {count.split: count.images for count in run.data.splits}


def test_a_resumed_run_goes_on_with_its_record(interrupted, finished):
    before, (after, _, _) = interrupted[0], finished

    assert (before.started_at, 1) == (after.started_at, len(after.resumed_at))
    assert (before.epoch_seconds[1], 3) == (after.epoch_seconds[1], after.epochs_run)
    assert sum(after.epoch_seconds.values()) == after.train_seconds
    assert ("finished", None) == (after.state, after.error)


def test_every_class_has_metrics_or_none(finished):
    run, _, trainer = finished
    validator = trainer.validator
    counted = {count.cls_id: (count.images, count.instances) for count in run.data.classes if count.split == "val"}

    assert list(range(6)) == [cls.cls_id for cls in run.metrics.classes]
    assert counted == {cls.cls_id: (cls.images, cls.instances) for cls in run.metrics.classes}
    assert {c for c, (_, n) in counted.items() if n} == {int(c) for c in validator.metrics.ap_class_index}
    assert all((cls.ap50 is None) == (cls.instances == 0) for cls in run.metrics.classes)
    assert float(validator.metrics.box.map50) == run.metrics.map50


def test_loggers_receive_what_the_hooks_add(interrupted, finished):
    run, logger, _ = finished
    last = logger.sent[max(logger.sent)]

    assert set(STATIC) <= set(interrupted[1].sent[0])
    assert run.cost.params == last["cost/params"]
    assert {f"AP50/{c.cls_id}-{c.cls_name}" for c in run.metrics.classes if c.instances} <= set(last)
    assert all(math.isfinite(value) for value in last.values())


def test_results_csv_has_our_columns_last_in_every_line(folder, finished):
    header, *lines = csv.reader((folder / "run" / "results.csv").open(encoding="utf-8"))
    run = finished[0]

    assert STATIC + PER_CLASS == header[-11:]
    assert [len(header)] * 3 == [len(line) for line in lines]
    assert [f"{run.cost.params:.6g}"] * 3 == [line[header.index("cost/params")] for line in lines]
    assert all(0 < float(line[header.index("lr/pg0")]) < 0.2 for line in lines)


def test_the_report_lies_beside_the_record(folder, finished):
    report = (folder / "run" / "report.md").read_text(encoding="utf-8")

    assert "| state | finished |" in report
    assert "| pin | 0-defect-" in report
    assert json.loads((folder / "run" / "record.json").read_text("utf-8"))["state"] == "finished"
