"""`lwyolo calibrate` with measurements made up, and what `lwyolo info` makes of a calibration."""

from __future__ import annotations

import json
import re
from importlib.metadata import version

import pytest

from lwyolo import provenance
from lwyolo.cli import main
from lwyolo.reports.tables import WIDTH
from lwyolo.speed.calibration import from_json, load
from lwyolo.speed.estimate import Fit, Point
from lwyolo.speed.result import Failure

GMACS = (1, 2, 4, 8)
A, B = 1e-11, 1e-10
"""200 GFLOPS, 10 GB/s."""


def fit(**changes) -> Fit:
    points = tuple(
        Point(
            f"model{i}",
            10**6,
            g * 10**9,
            10**8 * (i % 2 + 1),
            10**8,
            1e3 * (A * g * 10**9 + B * 10**8 * (i % 2 + 1)),
            20,
            22,
        )
        for i, g in enumerate(GMACS)
    )
    settings = {
        "date": "2026-11-24T15:00:00+00:00", "runtime": "onnxruntime", "package": "torch",
        "runtime_version": version("torch"), "threads": 1, "batch": 1, "precision": "fp32", "imgsz": (640, 640),
        "usable_cores": provenance.usable_cores(), "quota": None, "operators": ("aten::convolution", "aten::bmm"), "second": "memory access", "a_s_per_mac": A,
        "b_s": B, "points": points, "left_out": (), "mean_error": 0.058, "worst_error": 0.135,
    }  # fmt: skip
    return Fit(**{**settings, **changes})


@pytest.fixture
def settings_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LWYOLO_CONFIG_DIR", str(tmp_path / "settings"))
    return tmp_path / "settings"


@pytest.fixture
def measured(monkeypatch):
    """What is measured next, and the plans that were measured."""
    found, plans = ([fit()], []), []
    monkeypatch.setattr("lwyolo.engine.calibrate.calibrate", lambda plan, tell: plans.append(plan) or found)
    return found, plans


def calibrate(capsys, *arguments: str) -> tuple[int, str]:
    code = main(["calibrate", "--runtime", "torch", *arguments])
    return code, capsys.readouterr().out


def info(capsys, *arguments: str, code: int = 0) -> str:
    assert code == main(["info", "yolov8n.yaml", "--graph", "deployed", *arguments])
    return capsys.readouterr().out


def test_what_was_measured_is_printed_and_kept(capsys, settings_folder, measured):
    code, out = calibrate(capsys)
    lines = out.splitlines()

    assert 0 == code
    assert f"Saved: {settings_folder / 'calibration.json'}" in lines
    assert from_json(lines[-1]) == load(settings_folder / "calibration.json")
    assert "Calibration of onnxruntime" in lines[0]
    flat = " ".join(out.split())
    assert "All models together: 200.0 GFLOPS and 10.0 GB/s." in flat
    assert "Error of an estimate: 5.8 % in the mean, 13.5 % at worst, of 4 models." in flat
    assert "An estimate is of the forward pass with decoding" in flat
    # 4 GMACCs and 100 MB (95.4 MiB) take 40 + 10 ms, which the others say too, being without noise
    (row,) = [line.split() for line in lines if line.startswith("model2 ")]
    assert ["model2", "4.000", "95.4", "0.100", "50.00", "20", "of", "22", "50.00"] == row[:9]
    assert max(len(line) for line in lines[:-1] if not line.startswith("Saved: ")) <= WIDTH


def test_what_is_measured_follows_the_options(capsys, settings_folder, measured):
    models = ["a.yaml", "b.yaml", "c.yaml", "d.yaml"]
    calibrate(capsys, "--models", *models, "--threads", "2", "1", "2", "--imgsz", "320", "--budget", "9")
    calibrate(capsys, "--full")
    given, full = measured[1]

    assert (tuple(models), ("torch",), (2, 1), 320, 9.0) == (
        given.models, given.runtimes, given.threads, given.imgsz, given.budget_s,
    )  # fmt: skip
    assert (11, (1,), 640, None) == (len(full.models), full.threads, full.imgsz, full.budget_s)


def test_other_runtimes_and_threads_stay_in_the_file(capsys, settings_folder, measured):
    calibrate(capsys)
    measured[0][0][:] = [fit(threads=2), fit(runtime="ncnn")]
    calibrate(capsys)

    kept = load(settings_folder / "calibration.json").fits
    assert {("onnxruntime", 1), ("onnxruntime", 2), ("ncnn", 1)} == {(one.runtime, one.threads) for one in kept}


def test_another_processor_or_a_broken_file_is_not_kept(capsys, settings_folder, measured):
    file = settings_folder / "calibration.json"
    calibrate(capsys)
    file.write_text(file.read_text().replace(json.dumps(provenance.cpu_name(), ensure_ascii=False), '"another"'))
    measured[0][0][:] = [fit(threads=2)]
    calibrate(capsys)
    assert [2] == [one.threads for one in load(file).fits]

    file.write_text("{")
    calibrate(capsys)
    assert [2] == [one.threads for one in load(file).fits]


def test_a_runtime_that_cannot_be_calibrated_is_told_and_fails(capsys, settings_folder, measured):
    measured[0][0].clear()
    measured[0][1].append(Failure("1 thread", "ncnn", "0 models were measured, and 4 are needed."))
    code, out = calibrate(capsys)

    assert 1 == code
    assert "Not calibrated: ncnn, 1 thread: 0 models were measured, and 4 are needed." in out
    assert not settings_folder.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runtime", "onnxruntim"], "--runtime onnxruntim: unknown. Known: "),
        (["--runtime", "torch", "--threads", "100000"], "--threads 100000: this process may use"),
        (["--runtime", "torch", "--models", "yolov8n.yaml"], "--models: found 1, expected 4 or more"),
        (["--full", "--models", "a.yaml"], "argument --models: not allowed with argument --full"),
        (["--save", "there.txt"], "--save there.txt: unknown suffix; expected .json."),
        (["--save", "nowhere/c.json"], "--save nowhere/c.json: its folder does not exist."),
        (["--budget", "-1"], "--budget: '-1' is no time; expected seconds above 0"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(capsys, settings_folder, arguments, message):
    assert 2 == main(["calibrate", *arguments])
    assert message in capsys.readouterr().err


def test_info_estimates_the_latency_of_the_deployed_graph(capsys, settings_folder, measured):
    calibrate(capsys)
    before = info(capsys, "--no-estimate")
    out = info(capsys)
    (cost,) = json.loads(info(capsys, "--format", "json", "--no-estimate"))["models"]
    ms = 1e3 * (A * cost["deployed"]["macs"] + B * cost["deployed"]["memory_access_fused_bytes"])

    assert "Estimated" not in before
    assert "Estimated, not measured: forward pass with decoding of the deployed graph, batch 1, float32" in " ".join(
        out.split()
    )
    assert provenance.cpu_name() in " ".join(out.split())
    assert ["yolov8n", "onnxruntime", "1", f"{ms:.1f}", "±", "5.8", "%", "13.5", "%"] in [
        line.split() for line in out.splitlines()
    ]


def test_info_shows_nothing_without_a_calibration_and_a_hint_where_it_is_asked_for(capsys, settings_folder):
    plain, asked = info(capsys), info(capsys, "--estimate")

    assert "stimate" not in plain
    assert "lwyolo calibrate measures this machine once" in asked


def test_formats_for_papers_and_programs_do_not_depend_on_the_machine(capsys, settings_folder, measured):
    before = {fmt: info(capsys, "--format", fmt) for fmt in ("csv", "latex", "html")}
    calibrate(capsys)

    assert before == {fmt: info(capsys, "--format", fmt) for fmt in before}
    assert "Estimated, not measured" in info(capsys, "--format", "md")


def test_json_has_estimates_apart_from_the_costs(capsys, settings_folder, measured):
    plain = json.loads(info(capsys, "--format", "json"))
    calibrate(capsys)
    content = json.loads(info(capsys, "--format", "json"))
    estimates = content.pop("estimates")

    assert plain == content
    assert ([("yolov8n", "onnxruntime", 1)], provenance.cpu_name()) == (
        [(row["model"], row["runtime"], row["threads"]) for row in estimates["rows"]], estimates["cpu"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "changes", "remark"),
    [
        (("--imgsz", "320"), {}, "* yolov8n: the error was found at 640 × 640."),
        ((), {"runtime_version": "0.1"}, "* yolov8n: onnxruntime was calibrated with torch 0.1, and"),
        ((), {"operators": ("aten::bmm",)}, "* yolov8n: has aten::convolution, which no calibrated model has."),
        (("--imgsz", "128"), {}, "* yolov8n: extrapolated: MACCs"),
    ],
)
def test_info_says_why_an_error_may_be_larger(capsys, settings_folder, measured, arguments, changes, remark):
    measured[0][0][:] = [fit(**changes)]
    calibrate(capsys)
    out = info(capsys, *arguments)

    assert remark in out
    assert re.search(r"^yolov8n +onnxruntime +1 +\d+\.\d \*", out, re.MULTILINE)


@pytest.mark.parametrize("arguments", [("--batch", "2"), ("--dtype", "float16")])
def test_another_batch_or_type_has_no_estimate(capsys, settings_folder, measured, arguments):
    calibrate(capsys)

    assert "stimate" not in info(capsys, *arguments)
    assert "the calibration holds for deployed graphs at batch 1 in float32" in " ".join(
        info(capsys, *arguments, "--estimate").split()
    )


def test_threads_that_are_not_there_have_no_estimate(capsys, settings_folder, measured):
    measured[0][0][:] = [fit(threads=100_000)]
    calibrate(capsys)

    assert "stimate" not in info(capsys)


def test_another_processor_has_no_estimate_and_that_is_told(capsys, settings_folder, measured):
    calibrate(capsys)
    file = settings_folder / "calibration.json"
    file.write_text(file.read_text().replace(json.dumps(provenance.cpu_name(), ensure_ascii=False), '"Another CPU"'))
    out = info(capsys)

    assert "is of another processor, Another CPU; this is" in " ".join(out.split())
    assert "Estimated, not measured" not in out


def test_a_broken_calibration_is_told_and_costs_are_shown(capsys, settings_folder):
    settings_folder.mkdir()
    (settings_folder / "calibration.json").write_text("{")
    out = info(capsys)

    assert "GMACCs" in out
    assert "No estimated latency:" in out
    assert "not readable as JSON" in " ".join(out.split())
