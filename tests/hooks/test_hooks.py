"""Single hooks on stand-ins for a trainer: what cannot be provoked in a short real training."""

from __future__ import annotations

import logging
import math
import pickle
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest
from torch import nn
from ultralytics.utils import LOGGER
from ultralytics.utils.callbacks.base import get_default_callbacks

from lwyolo import record, registry
from lwyolo.hook import attach
from lwyolo.hooks.cost import CostHook
from lwyolo.hooks.instances import InstancesHook
from lwyolo.hooks.metrics import MetricsHook, validation
from lwyolo.hooks.scalars import ScalarsHook
from lwyolo.hooks.start import StartHook
from lwyolo.record import RECORD_NAME, RunRecord

NAMES = {0: "pin", 1: "burn", 2: "rust"}


def metrics(**more) -> SimpleNamespace:
    """Ultralytics' metrics of a split in which class 1 has no ground truth."""
    box = SimpleNamespace(
        mp=0.5, mr=0.4, map50=0.3, map=0.2, p=[0.6, 0.4], r=[0.5, 0.3], ap50=np.array([0.35, 0.25]), ap=[0.25, 0.15]
    )
    return SimpleNamespace(box=box, ap_class_index=np.array([0, 2]), **more)


COUNTS = {"nt_per_class": np.array([12, 0, 3]), "nt_per_image": np.array([7, 0, 2])}


@pytest.fixture
def trainer(tmp_path):
    """A trainer before its first epoch; `written` holds how often the record was written."""
    speed = {"preprocess": 0.1, "inference": 9.0, "loss": 0.0, "postprocess": 0.5}
    stand_in = SimpleNamespace(
        args=SimpleNamespace(
            resume=False, imgsz=64, data="missing.yaml", split="val", task="detect", model="m.yaml", batch=16
        ),
        save_dir=tmp_path,
        best=tmp_path / "best.pt",
        record=RunRecord(),
        written=0,
        epoch=0,
        epoch_time=2.0,
        fitness=0.1,
        best_fitness=0.1,
        batch_size=16,
        data={"names": NAMES},
        metrics={},
        validator=SimpleNamespace(metrics=metrics(**COUNTS), speed=speed),
        ema=SimpleNamespace(ema=nn.Linear(2, 2)),
    )

    def write_record() -> None:
        stand_in.written += 1
        record.write(stand_in.record, tmp_path / RECORD_NAME)

    stand_in.write_record = write_record
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


def epoch(hook: MetricsHook, trainer, number: int, seconds: float = 1.0, fitness: float = 0.0) -> None:
    trainer.epoch, trainer.epoch_time, trainer.fitness = number, seconds, fitness
    trainer.best_fitness = max(trainer.best_fitness, fitness)
    hook.on_train_epoch_end(trainer)
    hook.on_fit_epoch_end(trainer)


def test_the_record_is_closed_before_its_report_is_written():
    registry.discover("lwyolo.hooks")
    callbacks = attach(get_default_callbacks(), [cls() for cls in registry.HOOKS.values()])
    order = [type(f.__self__).__name__ for f in callbacks["on_train_end"] if hasattr(f, "__self__")]

    assert ["MetricsHook", "ReportHook"] == order


@pytest.mark.parametrize("module", [pickle, cloudpickle])
def test_every_hook_pickles(module):
    registry.discover("lwyolo.hooks")
    for cls in registry.HOOKS.values():
        assert vars(cls()) == vars(module.loads(module.dumps(cls())))


def test_the_second_worker_of_several_gpus_has_no_hooks(monkeypatch):
    hooks = [StartHook(), MetricsHook()]
    parent = attach(get_default_callbacks(), hooks)
    monkeypatch.setenv("RANK", "1")

    assert dict(get_default_callbacks()) == dict(attach(parent, hooks))


def test_a_repeated_epoch_replaces_itself(trainer):
    hook = MetricsHook()
    for number, seconds in ((0, 5.0), (0, 2.0), (1, 3.0)):
        epoch(hook, trainer, number, seconds)

    assert ({1: 2.0, 2: 3.0}, 2, 5.0) == (
        trainer.record.epoch_seconds,
        trainer.record.epochs_run,
        trainer.record.train_seconds,
    )


def test_the_validation_after_the_last_epoch_is_no_epoch(trainer):
    hook = MetricsHook()
    epoch(hook, trainer, 0)
    trainer.epoch = 1
    hook.on_fit_epoch_end(trainer)

    assert ([1], 1) == (list(trainer.record.epoch_seconds), trainer.record.epochs_run)


def test_the_best_epoch_is_the_one_whose_weights_are_kept(trainer):
    hook = MetricsHook()
    for number, fitness in enumerate((0.2, 0.5, 0.3, 0.5, 0.4)):
        epoch(hook, trainer, number, fitness=fitness)

    assert 4 == trainer.record.best_epoch


def test_a_resumed_run_keeps_its_best_epoch_until_a_better_one(trainer):
    trainer.record.best_epoch, trainer.best_fitness = 3, 0.5
    hook = MetricsHook()
    epoch(hook, trainer, 5, fitness=0.4)
    before = trainer.record.best_epoch
    epoch(hook, trainer, 6, fitness=0.6)

    assert (3, 7) == (before, trainer.record.best_epoch)


def test_the_record_is_closed_with_what_was_really_used(trainer):
    trainer.batch_size = 8
    trainer.best.touch()
    MetricsHook().on_train_end(trainer)
    run = record.read(trainer.save_dir)

    assert ("finished", 8, "best") == (run.state, run.arguments["batch"], run.metrics.weights)
    assert run.finished_at is not None


def test_without_best_weights_the_metrics_are_those_of_the_last(trainer):
    MetricsHook().on_train_end(trainer)

    assert "last" == trainer.record.metrics.weights


def test_a_class_without_ground_truth_has_no_metrics_and_counts_of_zero():
    found = validation(SimpleNamespace(metrics=metrics(**COUNTS), speed={}), NAMES)

    assert [
        record.ClassMetrics(0, "pin", 7, 12, 0.6, 0.5, 0.35, 0.25),
        record.ClassMetrics(1, "burn", 0, 0, None, None, None, None),
        record.ClassMetrics(2, "rust", 2, 3, 0.4, 0.3, 0.25, 0.15),
    ] == list(found.classes)
    assert (0.5, 0.4, 0.3, 0.2) == (found.precision, found.recall, found.map50, found.map50_95)


def test_counts_are_found_where_older_versions_keep_them():
    old = SimpleNamespace(metrics=metrics(), speed={}, **COUNTS)
    new = SimpleNamespace(metrics=metrics(**COUNTS), speed={})

    assert validation(new, NAMES) == validation(old, NAMES)


def test_a_model_that_cannot_be_profiled_is_recorded_without_a_cost(trainer, warnings):
    CostHook().on_pretrain_routine_end(trainer)

    assert trainer.record.cost is None
    assert 1 == len(warnings)
    assert warnings[0].startswith("lwyolo: no cost in the record: Linear ")


def test_a_data_set_that_cannot_be_read_is_recorded_without_counts(trainer, warnings):
    InstancesHook().on_pretrain_routine_end(trainer)

    assert trainer.record.data is None
    assert 1 == len(warnings)
    assert "lwyolo: no instance table in the record: missing.yaml" in warnings[0]


def test_a_new_run_does_not_continue_an_old_record(trainer):
    record.write(RunRecord(name="old", epoch_seconds={1: 1.0}, state="finished"), trainer.save_dir / RECORD_NAME)
    StartHook().on_pretrain_routine_start(trainer)
    run = record.read(trainer.save_dir)

    assert ({}, "running", ()) == (run.epoch_seconds, run.state, run.resumed_at)
    assert "running" == record.current_state(run)
    assert 16 == run.arguments["batch"]


def test_a_resumed_run_continues_its_record(trainer):
    left = RunRecord(state="failed", error="lost", finished_at="then", started_at="before", epoch_seconds={1: 1.0})
    record.write(left, trainer.save_dir / RECORD_NAME)
    trainer.args.resume = "last.pt"
    StartHook().on_pretrain_routine_start(trainer)
    run = record.read(trainer.save_dir)

    assert ("running", None, None, "before") == (run.state, run.error, run.finished_at, run.started_at)
    assert ({1: 1.0}, 1) == (run.epoch_seconds, len(run.resumed_at))


def test_an_unreadable_record_is_kept_aside_when_a_run_resumes(trainer, warnings):
    (trainer.save_dir / RECORD_NAME).write_text("{")
    trainer.args.resume = "last.pt"
    StartHook().on_pretrain_routine_start(trainer)

    assert "running" == record.read(trainer.save_dir).state
    assert "{" == (trainer.save_dir / "record.unread.json").read_text()
    assert warnings[0].startswith("lwyolo: the record starts anew, the old one is kept as record.unread.json: ")


def test_scalars_leave_no_trace_in_what_ultralytics_repeats(trainer):
    hook = ScalarsHook()
    trainer.metrics = {"metrics/mAP50(B)": 0.3}
    trainer.extra_scalars = lambda: {"cost/params": 3.0, "AP50/1-burn": math.nan}
    hook.on_fit_epoch_end(trainer)
    sent = dict(trainer.metrics)
    hook.on_train_epoch_end(trainer)

    assert {"metrics/mAP50(B)": 0.3, "cost/params": 3.0} == sent
    assert {"metrics/mAP50(B)": 0.3} == trainer.metrics
