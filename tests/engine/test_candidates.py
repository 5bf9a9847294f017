"""From a model to candidates; what does not fit or disagrees is told, and the others go on."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from lwyolo import profile
from lwyolo.engine import candidates, deploy
from lwyolo.engine.candidates import Setting, ready, throughput
from lwyolo.errors import UsageError
from lwyolo.speed.rounds import Process

SIZE = 64


def prepared(setting, folder):
    failures = []
    with ExitStack() as stack:
        found = list(ready("yolov8n.yaml", setting, folder, stack, failures, lambda _: None))
    return found, failures


@pytest.fixture
def little_memory(monkeypatch):
    """Let processes die where a batch is larger than 3, as a system without memory kills them."""
    load = Process.load

    def limited(process):
        if process.candidate.batch > 3:
            raise UsageError(f"{process.candidate.key}: its process ended with -9. ")
        return load(process)

    monkeypatch.setattr(Process, "load", limited)


def test_a_batch_that_does_not_fit_is_told_with_the_largest_that_does(tmp_path, little_memory):
    found, failures = prepared(Setting(["torchscript"], imgsz=SIZE, batch=8), tmp_path)

    assert [] == found
    assert failures[0].reason.endswith("ended with -9.  Of 8 and its halves, 2 is the largest batch that fits.")


def test_throughput_ends_with_the_largest_batch_that_ran(tmp_path, little_memory, monkeypatch):
    monkeypatch.setattr(candidates, "BLOCK_S", 0.01)
    setting = Setting(["torch"], imgsz=SIZE)
    (one,), failures = prepared(setting, tmp_path)

    rates = throughput(one, setting, (4, 1, 2, 8), tmp_path, failures, lambda _: None)

    assert [1, 2] == list(rates)
    assert ["batch 4"] == [failure.reason.split(":")[0] for failure in failures]
    assert failures[0].reason.endswith("(the largest batch that ran is 2)")


def test_a_runtime_that_disagrees_is_told_and_not_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "decoded", lambda output: -abs(output[0]))
    found, failures = prepared(Setting(["torchscript"], imgsz=SIZE), tmp_path)

    assert [] == found
    assert "its outputs differ from torch's: " in failures[0].reason


def test_each_precision_is_a_candidate_and_one_that_a_runtime_lacks_is_told(tmp_path):
    found, failures = prepared(Setting(["torchscript"], imgsz=SIZE, precisions=("fp32", "int8")), tmp_path)

    assert ["fp32"] == [one.candidate.precision for one in found]
    assert ["torchscript at int8: not supported; it runs fp32."] == [one.reason for one in failures]


def test_a_batch_larger_than_memory_is_told_before_it_is_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(deploy.psutil, "virtual_memory", lambda: SimpleNamespace(available=2**20))
    _, failures = prepared(Setting(["torch"], imgsz=SIZE, batch=16), tmp_path)
    of_one = profile("yolov8n.yaml", SIZE, fused=True).peak_activation_bytes

    assert 2 <= 2**20 // of_one < 16
    assert f"GiB, and 0.0 GiB are free; {2**20 // of_one} images may fit. Of 16 and its halves, " in failures[0].reason
