"""What the benchmarks of timing judge; the measurements themselves are slow."""

from __future__ import annotations

import argparse
import importlib
import json
import sys

import pytest

from lwyolo.speed.statistics import Ratio

ARGS = argparse.Namespace(threads=1, load=True)


@pytest.fixture(scope="module")
def load(root):
    sys.path.insert(0, str(root / "scripts"))
    yield lambda name: importlib.import_module(f"_benchmark_{name}")
    sys.path.remove(str(root / "scripts"))


def comparison(low, high, verdict="slower"):
    same = Ratio((low + high) / 2, low, high, 9, "no difference shown", "")
    return {"clean": 5, "samples": 9, "same": same, "dearer": Ratio(1.1, 1.08, 1.12, 9, verdict, "")}


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        ([comparison(0.98, 1.02)] * 18 + [comparison(1.01, 1.03)] * 2, []),
        ([comparison(0.98, 1.02)] * 17 + [comparison(1.01, 1.03)] * 3, ["1.00 lies in 17 of 20 intervals"]),
        ([comparison(0.96, 1.04)] * 20, ["the median half-width is 4.00%"]),
        (
            [comparison(0.98, 1.02)] * 19 + [comparison(0.98, 1.02, "no difference shown")],
            ["10 % more work is called slower in 19 of 20"],
        ),
    ],
)
def test_each_bar_of_repeatability_can_be_missed(load, capsys, found, missed):
    assert bool(missed) == load("speed").judged(found, ARGS)
    out = capsys.readouterr().out

    assert missed == [line.removeprefix("MISSED: ") for line in out.splitlines() if line.startswith("MISSED")]
    assert 20 == json.loads(out.splitlines()[-1])["pairs"]


@pytest.mark.parametrize(("ours", "missed"), [(10.0, False), (10.4, False), (10.6, True), (9.4, True)])
def test_a_median_more_than_five_percent_from_the_tools_own_is_missed(load, capsys, ours, missed):
    assert missed == load("agreement").judged("openvino", [(ours, 10.0), (ours, 10.0), (99.0, 10.0)])
    assert missed == capsys.readouterr().out.startswith("MISSED: ")


def test_a_runtime_without_a_clean_turn_is_missed(load, capsys):
    assert load("agreement").judged("openvino", [])
    assert "no turn had a clean sample" in capsys.readouterr().out
