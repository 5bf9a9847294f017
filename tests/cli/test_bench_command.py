"""`lwyolo bench`, run as a user runs it, on a small image."""

from __future__ import annotations

import json

import pytest

from lwyolo import provenance
from lwyolo.cli import main
from lwyolo.data.demo import make_demo

QUICK = ["--imgsz", "64", "--budget", "3", "--runtime", "torchscript"]


def test_a_model_is_measured_and_compared_with_its_base_and_later_with_itself(capsys, tmp_path):
    saved = tmp_path / "base.json"
    command = ["bench", "yolov8n.yaml", "--vs", "yolov8s.yaml", *QUICK, "--throughput", "1", "2"]
    assert 0 == main([*command, "--save", str(saved)])
    out = capsys.readouterr().out
    last = json.loads(out.splitlines()[-1])
    ours, base = sorted(last["results"], key=lambda one: one["name"])

    assert ("yolov8n", "yolov8s", {}) == (ours["name"], base["name"], {} if not last["failures"] else last["failures"])
    assert {"1", "2"} == set(ours["images_per_s"])
    assert ours["forward"]["samples"] == base["forward"]["samples"] > 0
    assert ours["size_bytes"] < base["size_bytes"]
    assert [("yolov8n", "yolov8s")] == [(one["name"], one["base"]) for one in last["comparisons"]]
    for words in ("Time of one pass: 64 × 64, batch 1, fp32, 1 thread", "Against the base", "Images/s", "end to end"):
        assert words in out

    assert 0 == main(
        ["bench", "yolov8n.yaml", *QUICK, "--against", str(saved), "--fail-above", "9", "--format", "json"]
    )
    later = json.loads(capsys.readouterr().out)["comparisons"]
    assert [["not measured in the same rounds"]] == [one["warnings"] for one in later]
    assert 2 == main(["bench", "yolov8n.yaml", *QUICK, "--batch", "2", "--against", str(saved)])
    assert "cannot be compared: batch: 2 against 1. Use --force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--runtime", "onnxruntim"], "--runtime onnxruntim: unknown. Known: torch, "),
        (["--runtime", "coreml"], "--runtime coreml: "),
        (["--precision", "int8"], "--precision int8: it is calibrated on images; name a data YAML with --data."),
        (["--precision", "fp16", "--runtime", "ncnn"], "--precision fp16: of the runtimes, torch"),
        (["--data", "missing.yaml"], "missing.yaml: no such data YAML."),
        (["--threads", "9999"], f"this process may use {provenance.usable_cores()} cores"),
        (["--batch", "0"], "argument --batch: '0' is no count; expected 1 or more"),
        (["--fail-above", "1.05"], "--fail-above needs --against FILE"),
        (["--save", "no/such/folder/base.json"], "--save no/such/folder/base.json: there is no folder no/such/folder."),
        (["--against", "missing.json"], "missing.json: no such file. lwyolo bench"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(capsys, arguments, expected):
    assert 2 == main(["bench", "yolov8n.yaml", *arguments])
    assert expected in capsys.readouterr().err


def test_eager_torch_is_not_alone_and_a_model_without_training_has_no_map(capsys, tmp_path):
    data = make_demo(tmp_path / "demo", images=10, size=64)
    command = ["bench", "yolov8n.yaml", "--imgsz", "64", "--budget", "2", "--runtime", "torch", "--data", str(data)]
    assert 0 == main([*command, "--format", "json"])
    found = json.loads(capsys.readouterr().out)

    assert "torch" == found["results"][0]["conditions"]["runtime"]
    assert 2 == len(found["results"])
    assert [None, None] == [one["accuracy"] for one in found["results"]]
    assert ["mAP: it was built from a YAML and has no training behind it"] * 2 == [
        one["reason"] for one in found["failures"]
    ]
    lone, beside = (one["peak_bytes"] for one in found["results"])
    assert 2**20 < beside < lone or beside == lone is None


def test_a_model_of_another_task_is_refused(capsys):
    assert 2 == main(["bench", "yolov8n-seg.yaml", *QUICK])
    assert "a model for the task segment" in capsys.readouterr().err
