"""`lwyolo hardware` as a user runs it: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lwyolo import provenance
from lwyolo.cli import main
from lwyolo.errors import UsageError
from lwyolo.reports.tables import WIDTH
from lwyolo.speed.machine import Effort, from_json, load, measure

ROOT = Path(__file__).resolve().parents[2]
ALLOCATOR = "MALLOC_MMAP_THRESHOLD_"


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hardware")
    done = subprocess.run(
        [sys.executable, "-m", "lwyolo", "hardware", "--quick", "--threads", "1", "--save", "machine.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))},
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout, folder / "machine.json"


def test_the_last_line_is_the_machine_as_json_and_so_is_the_file(quick):
    printed, file = quick

    assert from_json(printed.splitlines()[-1]) == load(file)


def test_tables_fit_a_terminal(quick):
    assert max(map(len, quick[0].splitlines()[:-1])) <= WIDTH


def test_what_was_asked_for_was_measured(quick):
    (one,) = load(quick[1]).ceilings

    assert 1 == one.threads
    assert {"float32"} == {peak.dtype for peak in one.peaks}
    assert {"read", "copy", "triad"} == {b.kind for b in one.bandwidths if b.level == "memory"}


def test_figures_are_possible(quick):
    machine = load(quick[1])
    one = machine.at(1)

    assert all(peak.gflops_per_s > 0 and peak.samples >= 1 and peak.calls >= 1 for peak in one.peaks)
    assert all(b.gb_per_s > 0 and 0 < b.call_share <= 1 for b in one.bandwidths)
    assert all(b.clean is None or 0 <= b.clean <= b.samples for b in one.bandwidths)
    assert one.peak().gflops_per_s == max(
        p.gflops_per_s for p in one.peaks if (p.clean != 0) == (one.peak().clean != 0)
    )
    assert one.ridge() == one.peak().gflops_per_s / one.bandwidth().gb_per_s
    assert machine.facts.usable_threads == provenance.usable_cores()
    assert ALLOCATOR in machine.variables


def test_more_threads_than_cores_are_refused_at_once(capsys):
    assert 2 == main(["hardware", "--threads", "100000"])
    assert "--threads 100000: this process may use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--save", "machine.txt"], "--save machine.txt: unknown suffix; expected .json."),
        (["--save", "nowhere/machine.json"], "--save nowhere/machine.json: its folder does not exist."),
        (["--threads", "0"], "'0' is no count; expected 1 or more"),
        (["--dtype", "float8"], "invalid choice: 'float8'"),
        (["--quik"], "unknown option --quik. Did you mean --quick?"),
    ],
)
def test_what_does_not_fit_is_refused_before_measuring(capsys, arguments, message):
    assert 2 == main(["hardware", *arguments])
    assert message in capsys.readouterr().err


def test_json_has_no_second_form(monkeypatch, capsys, quick):
    machine = load(quick[1])
    monkeypatch.setattr("lwyolo.speed.machine.measure", lambda *_: machine)

    assert 0 == main(["hardware", "--format", "json"])
    assert machine == from_json(capsys.readouterr().out)
    assert 0 == main(["hardware", "--format", "md"])
    assert "| :--- |" in capsys.readouterr().out


def test_a_measuring_process_that_dies_is_told_with_its_last_words():
    with pytest.raises(UsageError, match=r"^--threads 1: the measuring process ended with 1\. .*no attribute 'float8'"):
        measure([1], Effort(dtypes=("float8",), sizes=(8,), levels=0, seconds=0.1))


def test_help_starts_without_torch():
    code = "import sys; from lwyolo.cli import build_parser; build_parser(); print(json.dumps('torch' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", f"import json; {code}"], cwd=ROOT, capture_output=True, text=True)

    assert json.loads(done.stdout) is False
