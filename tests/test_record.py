from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwyolo import record
from lwyolo.errors import RecordError
from lwyolo.record import ProcessRecord, RunRecord, process, store

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def values(kind: Any) -> st.SearchStrategy:
    """Draw whatever a field of a record may hold."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return st.none() | values(args[0])
    if origin is Literal:
        return st.sampled_from(args)
    if origin is dict:
        return st.dictionaries(values(args[0]), values(args[1]), max_size=3)
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(values(args[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, args))
    if dataclasses.is_dataclass(kind):
        return st.builds(
            kind, **{name: values(hint) for name, hint in get_type_hints(kind).items() if name != "schema"}
        )
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    return JSON if kind is Any else st.from_type(kind)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("run") / record.RECORD_NAME


@given(run=values(RunRecord))
def test_reading_gives_what_was_written(run, file):
    record.write(run, file)

    assert run == record.read(file)
    assert run == record.read(file.parent)
    assert [file] == list(file.parent.iterdir())


@given(run=values(RunRecord))
def test_a_record_is_plain_json(run, file):
    record.write(run, file)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    assert record.SCHEMA == json.loads(file.read_text("utf-8"), parse_constant=refuse)["schema"]


def test_a_number_that_is_not_finite_was_not_measured(tmp_path):
    metrics = record.MetricsRecord("val", math.nan, 0.5, math.inf, 0.1, (), {"inference": math.nan})
    latency = record.LatencyRecord(math.nan, None, 0, (64, 64), 1, "float32", "cpu", 1, True)
    arguments = {"lr0": np.float32("nan"), "batch": np.int64(16)}
    record.write(RunRecord(metrics=metrics, latency=latency, arguments=arguments), tmp_path / "r.json")
    read = record.read(tmp_path / "r.json")

    assert "NaN" not in (tmp_path / "r.json").read_text()
    assert (None, {"lr0": None, "batch": 16}) == (read.latency.median_ms, read.arguments)
    assert all(math.isnan(v) for v in (read.metrics.precision, read.metrics.map50, read.metrics.speed_ms["inference"]))


def test_what_json_cannot_say_is_written_as_text(tmp_path):
    arguments = {"save_dir": Path("runs/a"), 3: ("a", 1), "name": "\udcc4\udce3 锈蚀"}
    record.write(RunRecord(arguments=arguments), tmp_path / "r.json")

    assert {"save_dir": str(Path("runs/a")), "3": ["a", 1], "name": "\udcc4\udce3 锈蚀"} == record.read(
        tmp_path / "r.json"
    ).arguments


def test_a_failed_write_leaves_the_earlier_record_and_no_other_file(tmp_path, monkeypatch):
    path = tmp_path / record.RECORD_NAME
    record.write(RunRecord(name="before"), path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(RecordError, match=r"record\.json: the record cannot be written: .*No space left on device"):
        record.write(RunRecord(name="after"), path)

    assert "before" == record.read(path).name
    assert [path] == list(tmp_path.iterdir())


def written(tmp_path: Path, **changes: Any) -> Path:
    """Write a record whose JSON was edited by hand; a change of `None` removes the key."""
    path = tmp_path / "r.json"
    run = RunRecord(
        process=ProcessRecord(1, "host", "now"),
        epoch_seconds={1: 2.5},
        data=record.DataRecord("d.yaml", "f", {0: "pin"}, (record.ClassCount("pin", 0, "pin", "val", 1, 1),), (), ()),
    )
    record.write(run, path)
    content = json.loads(path.read_text())
    for dotted, value in changes.items():
        *parents, last = dotted.split("__")
        holder = content
        for parent in parents:
            holder = holder[int(parent) if isinstance(holder, list) else parent]
        if value is None:
            del holder[last]
        else:
            holder[last] = value
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "schema 99; this version of lwyolo reads schema 1."),
        ({"stat": "running"}, "stat: unknown key. Did you mean state?"),
        ({"metrics": None}, "metrics: missing."),
        ({"process__pid": None}, "process.pid: missing."),
        ({"process__pid": "1"}, "process.pid: found '1', expected int."),
        ({"process__pid": True}, "process.pid: found True, expected int."),
        ({"process": []}, "process: found [], expected a mapping."),
        ({"state": "done"}, "state: found 'done', expected Literal['running', 'finished', 'failed', 'interrupted']."),
        ({"resumed_at": "x"}, "resumed_at: found 'x', expected tuple[str, ...]."),
        ({"resumed_at": [1]}, "resumed_at.0: found 1, expected str."),
        ({"epoch_seconds": {"one": 1.0}}, "epoch_seconds.one: found key 'one', expected an integer."),
        ({"epoch_seconds": {"1": "x"}}, "epoch_seconds.1: found 'x', expected float."),
        ({"data__classes__0__images": 1.5}, "data.classes.0.images: found 1.5, expected int."),
    ],
)
def test_a_wrong_key_is_named_with_file_and_place(change, message, tmp_path):
    path = written(tmp_path, **change)
    with pytest.raises(RecordError) as error:
        record.read(path)

    assert f"{path}: {message}" == str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not readable as JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"[]", "found list, expected a mapping."),
        (b"\xff", "not readable as JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"{}", "schema None; this version of lwyolo reads schema 1."),
    ],
)
def test_a_file_that_is_no_record_is_refused(content, message, tmp_path):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(RecordError) as error:
        record.read(path)

    assert f"{path}: {message}" == str(error.value)


def test_a_missing_record_says_what_a_run_folder_holds(tmp_path):
    with pytest.raises(RecordError) as error:
        record.read(tmp_path)

    assert f"{tmp_path / 'record.json'}: no such record. A run folder of lwyolo holds record.json." == str(error.value)


def test_a_run_whose_process_lives_is_running():
    assert "running" == record.current_state(RunRecord(process=record.this_process(), epochs_run=3))


def test_a_killed_run_died():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    run = RunRecord(process=ProcessRecord(child.pid, record.this_process().host, process.process_start(child.pid)))
    before = record.current_state(run)
    child.kill()
    while process.process_start(child.pid) is not None:  # it stays as a zombie until `wait`, which counts as dead
        time.sleep(0.01)
    after = record.current_state(run)
    child.wait()

    assert ("running", "died before the first epoch ended") == (before, after)


def test_a_reused_process_number_is_not_taken_for_the_run():
    other = dataclasses.replace(record.this_process(), started="earlier")

    assert "died after epoch 3" == record.current_state(RunRecord(process=other, epochs_run=3))


def test_a_run_of_another_machine_is_not_judged():
    elsewhere = ProcessRecord(pid=1, host="node7", started="x")

    assert "running on node7 when it last wrote, not checked from here" == record.current_state(
        RunRecord(process=elsewhere)
    )


def test_an_ended_run_keeps_its_state():
    assert "interrupted" == record.current_state(RunRecord(state="interrupted", process=None))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="compares with /proc")
def test_without_proc_ps_tells_when_a_process_started(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "PROC", tmp_path)
    printed = f"{tmp_path}/ps"
    Path(printed).write_text('#!/bin/sh\n[ "$4" = 77 ] && echo "Tue Nov 24 09:00:00 2026"\n')
    Path(printed).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    assert ("Tue Nov 24 09:00:00 2026", None) == (process.process_start(77), process.process_start(78))


def test_scalars_have_the_same_names_in_every_run():
    cost = record.CostRecord(3_000_000, 72, 4 * 10**9, 8.0, None, None, None, {}, (64, 64), 1, "float32", True, "c")
    empty, full = record.scalars(RunRecord()), record.scalars(RunRecord(cost=cost))

    assert list(empty) == list(full)
    assert all(math.isnan(value) for value in empty.values())
    assert (3e6, 4.0, 8.0) == tuple(full[f"cost/{name}"] for name in ("params", "gmaccs", "gflops"))


@given(cls_id=st.integers(0, 999), name=st.text())
def test_the_name_of_a_scalar_suits_loggers_and_csv(cls_id, name):
    key = record.ap50_scalar(cls_id, name)

    assert key.startswith(f"AP50/{cls_id}")
    assert all(character.isalnum() or character in "_-./ " for character in key)
    assert "loss" not in key
    assert "metric" not in key


def test_a_figure_that_an_earlier_version_did_not_take_may_be_missing_and_others_may_not(tmp_path):
    file = tmp_path / "record.json"
    cost = record.CostRecord(3, 72, 4, 8.0, None, None, None, {}, (64, 64), 1, "float32", True, "c", 1.0, 5, 6)
    store.write(RunRecord(cost=cost), file)
    content = json.loads(file.read_text())
    del content["cost"]["flops"], content["cost"]["activation_bytes"]
    file.write_text(json.dumps(content))

    assert store.read(file).cost == dataclasses.replace(cost, flops=None, activation_bytes=None)
    del content["cost"]["macs"]
    file.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=r"record\.json: cost\.macs: missing"):
        store.read(file)
