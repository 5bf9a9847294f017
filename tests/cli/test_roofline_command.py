"""`lwyolo roofline`, run as a user runs it, on a small image and with limits from a file."""

from __future__ import annotations

import json

import pytest

from lwyolo import provenance
from lwyolo.cli import main
from lwyolo.speed.machine import Bandwidth, Ceilings, Machine, Peak, read_facts, save
from lwyolo.speed.machine.data import KINDS
from lwyolo.speed.roofline import Level, Roofline, Roofs, bound_group

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

QUICK = ["--imgsz", "64", "--budget", "0", "--force"]


def _machine(cpu: str | None = None) -> Machine:
    from dataclasses import replace

    passes = tuple(Bandwidth("memory", kind, 2**27, 50.0, 0.001, 1, 20, 20) for kind in KINDS)
    ceilings = Ceilings(1, 1.0, (Peak("float32", 512, 1000.0, 1, 20, 20),), passes)
    facts = replace(read_facts(), cpu=cpu or provenance.cpu_name())
    return Machine("2026-01-01T00:00:00+00:00", "Linux", 0.0, {}, {}, facts, (ceilings,), (), "")


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A file of limits that no model reaches."""
    file = tmp_path_factory.mktemp("machine") / "machine.json"
    save(_machine(), file)
    return file


def test_two_models_are_measured_and_compared(capsys, machine):
    command = ["roofline", "yolov8n.yaml", "yolo11n.yaml", "--machine", str(machine), *QUICK, "--groups", "3"]
    assert 0 == main(command)
    out = capsys.readouterr().out
    first, second = json.loads(out.splitlines()[-1])["models"]
    assert ("yolov8n", "yolo11n") == (first["name"], second["name"])
    for one in (first, second):
        assert one["macs"] == sum(group["macs"] for group in one["groups"])
        assert (0, [64, 64]) == (one["unmapped_macs"], one["imgsz"])
    for words in ("1000.0 GFLOPS", "the 3 slowest of", "Why yolo11n and yolov8n differ in time", "Groups sum to"):
        assert words in out


@pytest.mark.parametrize(
    ("suffix", "start"),
    [
        (".svg", "<svg xmlns="),
        (".html", "<!DOCTYPE html>"),
        (".json", '{\n "models": ['),
        (".md", "Roofs in float32, 1 thread: CPU\n\n| Roof |"),
        (".csv", "Roof,Holds,Limit"),
        (".txt", "Roofs in float32, 1 thread: CPU\nRoof "),
    ],
)
def test_file_is_written_as_its_suffix_says(capsys, monkeypatch, tmp_path, suffix, start):
    roofs = Roofs(1, 100.0, "product", (Level("memory", None, 10.0),))
    group = bound_group(roofs, "model.0", "convolution 3×3", ["Conv"], 10_000_000, 10_000, 1.0)
    model = Roofline("m", (64, 64), 1, "onnxruntime 1.0", "CPU", roofs, (group,), 1.0, 30, 21, False, 0)
    monkeypatch.setattr("lwyolo.cli.roofline._measure", lambda _: [model])
    file = tmp_path / f"roofline{suffix}"
    assert 0 == main(["roofline", "yolov8n.yaml", "--save", str(file)])
    assert f"Saved: {file}\n" == capsys.readouterr().out
    assert file.read_text(encoding="utf-8").startswith(start)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.yaml", "b.yaml", "c.yaml"], "3 models: lwyolo roofline takes one, or two to compare."),
        (["yolov8n.yaml", "--threads", "9999"], f"this process may use {provenance.usable_cores()} cores"),
        (["yolov8n.yaml", "--groups", "0"], "'0' is no count of groups; expected all, or 1 or more"),
        (["yolov8n.yaml", "--machine", "missing.json"], "missing.json: no such file. lwyolo hardware --save"),
        (["yolov8n.yaml", "--save", "r.png"], "--save r.png: unknown suffix '.png'; expected one of .svg .html"),
        (["yolov8n.yaml", "--save", "no/such/r.svg"], "--save no/such/r.svg: there is no folder no/such."),
        (["yolov8n.yaml", "--thread", "2"], "unknown option --thread. Did you mean --threads?"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(capsys, arguments, message):
    assert 2 == main(["roofline", *arguments])
    assert message in capsys.readouterr().err


def test_limits_of_another_processor_are_refused(capsys, tmp_path):
    file = tmp_path / "machine.json"
    save(_machine("Another CPU"), file)
    assert 2 == main(["roofline", "yolov8n.yaml", "--machine", str(file)])
    assert "it holds the limits of Another CPU; this machine is" in capsys.readouterr().err


def test_unknown_model_is_named(capsys, machine):
    assert 2 == main(["roofline", "missing.yaml", "--machine", str(machine), *QUICK])
    assert "missing.yaml" in capsys.readouterr().err
