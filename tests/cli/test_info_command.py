"""`lwyolo info`, run as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lwyolo.cli import main, parse
from lwyolo.errors import LwyoloError

GHOST = "yolov8n-ghost.yaml"
FORMATS = ("table", "md", "latex", "csv", "json", "html")
SCAN = """
import torch
from torch import Tensor, nn

from lwyolo import Paper, register_module

torch.library.define("mine::scan", "(Tensor x) -> Tensor")
torch.library.impl("mine::scan", "cpu", lambda x: x.clone())
torch.library.register_fake("mine::scan", lambda x: torch.empty_like(x))


@register_module(
    kind="attention",
    paper=Paper(title="A scan", venue="Nowhere", year=2026, url="https://example.org"),
    row="[-1, 1, MyScan, []]",
)
class MyScan(nn.Module):
    \"\"\"Runs an operator that no table knows.

    Shapes:
        x: [B, C, H, W]
        returns: [B, C, H, W]
    \"\"\"

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mine.scan(x)
"""


def info(capsys, *arguments: str) -> str:
    """Run the command and return what it printed."""
    code = main(["info", *arguments, "--imgsz", "64"])
    out, err = capsys.readouterr()
    assert 0 == code, err
    return out


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a.yaml", "--imgsz", "480", "640"], (480, 640)),
        (["--imgsz", "480", "640", "a.yaml"], (480, 640)),
        (["--imgsz", "640", "a.yaml"], 640),
        (["--imgsz", "480x640", "a.yaml"], (480, 640)),
    ],
)
def test_an_image_size_is_one_number_or_two(given, expected):
    args = parse(["info", *given])

    assert (["a.yaml"], expected) == (args.models, args.imgsz)


def test_both_graphs_stand_side_by_side(capsys):
    assert 0 == main(["info", "yolo26n.yaml"])
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]

    assert ["training", "deployed"] == [line[1] for line in lines if line[:1] == ["yolo26n"]][:2]
    assert "against training" in out
    assert "-9.9 %" in out


def test_models_stand_side_by_side_with_their_differences(capsys):
    out = info(capsys, "yolov8n.yaml", "cfg/yolov8n-dyheadlite.yaml", "--graph", "deployed")

    assert "against yolov8n" in out
    assert "deployed graph" in out.splitlines()[0]
    assert "training" not in out.splitlines()[2]


def test_tables_below_the_summary_are_those_asked_for(capsys):
    titles = {
        "--layers": "Layers of yolov8n",
        "--modules": "Modules of yolov8n",
        "--ops": "Operators of yolov8n",
        "--lint": "Guidelines on yolov8n",
    }

    for option, title in titles.items():
        out = info(capsys, "yolov8n.yaml", option, "--graph", "deployed")
        assert [title] == [other for other in titles.values() if other in out]


def test_csv_of_the_layers_adds_up_to_the_summary(capsys):
    parts = info(capsys, "yolov8n.yaml", "--layers", "--graph", "deployed", "--format", "csv").split("\n\n")
    summary, layers = (list(csv.DictReader(part.splitlines())) for part in parts)

    assert 23 == len(layers)
    assert float(summary[0]["GMACCs"]) == pytest.approx(sum(float(row["MMACCs"]) for row in layers) / 1000, abs=1e-3)


def test_json_holds_everything_and_adds_up(capsys):
    model = json.loads(info(capsys, GHOST, "--format", "json", "--lint"))["models"][0]
    deployed = model["deployed"]

    assert "yolov8n-ghost" == model["name"]
    assert model["training"]["macs"] == deployed["macs"] == sum(layer["macs"] for layer in deployed["layers"])
    assert 2 * deployed["macs"] / 1e9 == deployed["gflops"]
    assert {} == deployed["uncounted"]
    assert {"guideline", "index", "type", "found", "share"} == set(model["lint"][0])


@pytest.mark.parametrize(
    ("suffix", "begins"),
    [
        (".txt", "One forward pass"),
        (".md", "One forward pass"),
        (".tex", "% One forward pass"),
        (".csv", "Model,Graph,Layers"),
        (".json", '{\n "models"'),
        (".html", "<!doctype html>"),
    ],
)
def test_a_file_is_written_in_the_format_of_its_suffix(capsys, tmp_path, suffix, begins):
    file = tmp_path / f"cost{suffix}"
    out = info(capsys, "yolov8n.yaml", "--save", str(file))

    assert f"Saved: {file}\n" == out
    assert begins.lower() == file.read_text(encoding="utf-8")[: len(begins)].lower()
    assert [file] == list(tmp_path.iterdir())


def test_a_batch_and_a_number_type_are_counted(capsys):
    def deployed(*options: str):
        return json.loads(info(capsys, "yolov8n.yaml", "--format", "json", *options))["models"][0]["deployed"]

    one, four, half = deployed(), deployed("--batch", "4"), deployed("--dtype", "float16")

    assert 4 * one["macs"] == four["macs"]
    assert one["memory_access_bytes"] == 2 * half["memory_access_bytes"]


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """What each format says of a model with an operator that no table knows, and what --strict says of it."""
    folder = tmp_path_factory.mktemp("scan")
    (folder / "my_scan.py").write_text(SCAN)
    (folder / "scan.yaml").write_text(
        "nc: 2\nbackbone:\n"
        + "".join("  - [-1, 1, Conv, [16, 3, 2]]\n" for _ in range(5))
        + "  - [-1, 1, MyScan, []]\nhead:\n  - [[2, 3, 5], 1, Detect, [nc]]\n"
    )
    code = f"""
import contextlib, io, json
from lwyolo.cli import main
out = {{}}
for fmt in {FORMATS!r}:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        main(["info", "scan.yaml", "--plugins", "my_scan.py", "--imgsz", "64", "--ops", "--format", fmt])
    out[fmt] = text.getvalue()
with contextlib.redirect_stderr(io.StringIO()) as text:
    out["code"] = main(["info", "scan.yaml", "--plugins", "my_scan.py", "--imgsz", "64", "--strict"])
out["strict"] = text.getvalue()
print(json.dumps(out))
"""
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": str(root), "LWYOLO_PLUGIN_DIR": str(folder / "store")}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=env)
    assert 0 == done.returncode, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("fmt", FORMATS)
def test_an_operator_without_a_formula_is_named_in_every_format(scan, fmt):
    assert "mine::scan" in " ".join(scan[fmt].split()).replace(r"\_", "_")


def test_what_the_totals_lack_is_said_and_strict_refuses_it(scan):
    said = " ".join(scan["table"].split())

    assert "Ran without a formula in scan, missing in its totals: mine::scan × 1." in said
    assert {"mine::scan": 1} == json.loads(scan["json"])["models"][0]["deployed"]["uncounted"]
    assert 2 == scan["code"]
    assert "operators without a formula: mine::scan (1 calls)" in scan["strict"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["yolov8n.yaml", "--save", "cost.pdf"], "--save cost.pdf: unknown suffix '.pdf'; expected one of .txt .md"),
        (
            ["yolov8n.yaml", "--save", "no/such/folder/cost.md"],
            "--save no/such/folder/cost.md: cannot be written: No such",
        ),
        (["yolov8n.yaml", "--batch", "0"], "argument --batch: '0' is no count; expected 1 or more"),
        (["yolov8n.yaml", "--imgsz", "65"], "Image sides must be multiples of 32."),
        (["yolov8n.yaml", "--graph", "fused"], "invalid choice: 'fused'"),
        (["yolov8n.yaml", "--unfused"], "unknown option --unfused."),
        (["yolov8q.yaml"], "yolov8q.yaml: no such model YAML. Did you mean"),
        (["missing.onnx"], "missing.onnx"),
        (["missing.pt"], "missing.pt"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(capsys, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)

    assert 2 == main(["info", *arguments])
    out, err = capsys.readouterr()
    assert "" == out
    assert expected in err
    assert 1 == err.count("lwyolo: ")
    assert [] == list(tmp_path.iterdir())


def test_every_error_of_the_cost_is_one_of_ours(tmp_path):
    (tmp_path / "text.onnx").write_text("no protocol buffer")

    with pytest.raises(LwyoloError):
        main(["--debug", "info", str(tmp_path / "text.onnx")])
