"""`lwyolo doctor` as a user runs it: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lwyolo.cli.doctor import report
from lwyolo.doctor import NOTE, OK, PROBLEM, Finding
from lwyolo.reports.tables import WIDTH

ROOT = Path(__file__).resolve().parents[2]


def doctor(*arguments: str, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess:
    folders = [str(path)] * bool(path) + [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "lwyolo", "doctor", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(folders)},
    )


def states(done: subprocess.CompletedProcess) -> dict[str, str]:
    return {finding["check"]: finding["state"] for finding in json.loads(done.stdout)["findings"]}


def test_a_sound_installation_passes_every_check_that_matters():
    done = doctor("--format", "json")
    found = states(done)

    assert 0 == done.returncode, done.stdout
    assert PROBLEM not in found.values()
    sound = (
        "torch",
        "ultralytics",
        "AP with this NumPy",
        "torchvision operators",
        "thop",
        "seam",
        "automatic installs",
    )
    assert dict.fromkeys(sound, OK) == {name: found[name] for name in sound}


def test_a_thop_that_hides_ultralytics_thop_is_found(tmp_path):
    (tmp_path / "thop").mkdir()
    (tmp_path / "thop" / "__init__.py").write_text("def profile(model, inputs, verbose=True):\n    return 1e9, 1.0\n")
    info = tmp_path / "thop-0.1.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thop\nVersion: 0.1.1\n")
    (info / "top_level.txt").write_text("thop\n")
    done = doctor(path=tmp_path)

    assert 1 == done.returncode
    assert "the import name belongs to thop 0.1.1" in done.stdout
    assert (
        "1. thop (problem)\n"
        "   python -m pip uninstall -y thop\n"
        "   python -m pip install --force-reinstall --no-deps ultralytics-thop\n"
    ) in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= WIDTH


def test_a_package_that_breaks_on_import_does_not_break_the_doctor(tmp_path):
    (tmp_path / "ultralytics").mkdir()
    (tmp_path / "ultralytics" / "__init__.py").write_text("raise OSError('libGL.so.1: cannot open')\n")
    done = doctor("--format", "json", path=tmp_path)
    found = states(done)

    assert (1, "") == (done.returncode, done.stderr)
    assert (PROBLEM, NOTE, OK) == (found["import ultralytics"], found["seam"], found["torchvision operators"])


FINDINGS = [
    Finding("torch", OK, "2.14.1"),
    Finding(
        "threads",
        PROBLEM,
        "torch uses 64 on 2 usable cores " * 6 + "/a/long/path" * 20,
        "export OMP_NUM_THREADS=2\nThen again.",
    ),
    Finding("extra onnx", NOTE, "missing: onnx", "python -m pip install 'lwyolo[onnx]'"),
]


def test_remedies_are_numbered_below_the_table():
    text = report(FINDINGS, "text")

    assert text.endswith(
        "\n\nWhat to do:\n"
        "1. threads (problem)\n   export OMP_NUM_THREADS=2\n   Then again.\n"
        "2. extra onnx (note)\n   python -m pip install 'lwyolo[onnx]'\n"
        "\n1 problem, 1 note."
    )
    assert max(map(len, text.splitlines())) <= WIDTH


def test_markdown_lists_the_remedies():
    text = report(FINDINGS, "markdown")

    assert "| torch | ok | 2.14.1 |" in text.splitlines()
    assert "1. threads (problem)\n   - export OMP_NUM_THREADS=2\n   - Then again.\n" in text


@pytest.mark.parametrize(
    ("findings", "last"), [([], "0 problems, 0 notes."), (FINDINGS[1:2] * 2, "2 problems, 0 notes.")]
)
def test_the_last_line_sums_up(findings, last):
    assert last == report(findings or FINDINGS[:1], "text").splitlines()[-1]
