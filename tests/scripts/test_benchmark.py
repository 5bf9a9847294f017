"""The parts of the benchmark of costs that compute; the measurement itself is slow."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

from lwyolo.cost.counters import OtherCount

SPEED = {
    "pairs": {"yolov8n": {"lwyolo": [1.0, 2.0, 1.0], "fvcore": [3.0, 4.0, 9.0], "torchinfo": [2.0, 4.0, 2.0]}},
    "table_s": [0.1, 0.3, 0.2],
    "first_s": 0.4,
    "second_s": 0.2,
    "info_s": 0.9,
    "extra_bytes": 5_000_000,
}


@pytest.fixture(scope="module")
def benchmark(root):
    sys.path.insert(0, str(root / "scripts"))
    yield importlib.import_module("_benchmark_cost")
    sys.path.remove(str(root / "scripts"))


def missed(benchmark, **changed):
    found = [{"ours": 5, "by_hand": 5}]
    return [what for what, _, _, holds in benchmark.bars(found, {**SPEED, **changed}) if not holds]


def test_a_ratio_is_taken_round_by_round(benchmark):
    assert {"fvcore": [3.0, 2.0, 9.0], "torchinfo": [2.0, 2.0, 2.0]} == benchmark.ratios(SPEED["pairs"]["yolov8n"])


def test_a_rival_that_is_less_than_three_times_slower_is_a_bar_missed(benchmark):
    assert ["yolov8n: times faster than torchinfo"] == missed(benchmark)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"table_s": [0.6, 0.4, 0.6]}, "yolov8x: a table"),
        ({"first_s": 0.51}, "yolov8x: first table of a process"),
        ({"info_s": 1.1}, "yolov8x: info, from its name"),
        ({"extra_bytes": 15_000_001}, "yolov8x: peak memory beside it"),
    ],
)
def test_each_bar_can_be_missed(benchmark, changed, what):
    assert ["yolov8n: times faster than torchinfo", what] == missed(benchmark, **changed)


def test_memory_that_cannot_be_measured_is_said_and_is_no_bar_missed(benchmark):
    rows = benchmark.bars([], {**SPEED, "extra_bytes": None})

    assert ("yolov8x: peak memory beside it", "not measured here", "at most 15 MB", True) == rows[-1]


def test_one_wrong_count_is_a_bar_missed(benchmark):
    found = [{"ours": 5, "by_hand": 5}, {"ours": 4, "by_hand": 5}]

    assert ("models that equal the hand count", "1 of 2", "all", False) == benchmark.bars(found, SPEED)[0]


def test_the_spread_is_the_median_with_the_range(benchmark):
    assert "3.0 (1.0 to 9.0)" == benchmark.spread([9.0, 1.0, 3.0])


def test_exact_is_told_from_nearly(benchmark):
    assert ["0", "+0.00", "-73.90", "–"] == [benchmark.error(m, 100_000) for m in (100_000, 100_001, 26_100, None)]


def test_a_missing_counter_is_named_once_and_a_failing_one_with_its_model(benchmark):
    absent = OtherCount("fvcore", None, "", "", None, None, "not installed: pip install fvcore")
    failing = OtherCount("ptflops", "1", "", "", None, None, "gives None")
    counting = OtherCount("thop", "1", "", "", 1.0, 1.0, None)

    assert ["– fvcore: not installed: pip install fvcore."] == [*benchmark.failure(absent, "yolov8n")]
    assert ["– ptflops on yolov8n: gives None."] == [*benchmark.failure(failing, "yolov8n")]
    assert {} == benchmark.failure(counting, "yolov8n")


@pytest.mark.slow
def test_the_quick_benchmark_ends_with_its_result(root):
    script = root / "scripts" / "benchmark.py"
    done = subprocess.run([sys.executable, script, "cost", "--quick", "--pairs", "1"], capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])

    assert bool(result["missed"]) == done.returncode, done.stderr
    assert all(one["ours"] == one["by_hand"] for one in result["accuracy"])
    assert {"yolov8n"} == set(result["speed"]["pairs"])
