from __future__ import annotations

import dataclasses

from lwyolo.reports.speed import comparison_table, failure_lines, resource_table, stage_table
from lwyolo.reports.tables import render
from lwyolo.speed.fairness import conditions
from lwyolo.speed.result import Accuracy, Failure, Result, against
from lwyolo.speed.rounds import STAGES


def result(name: str, ms: float, clean: bool = True, **changes) -> Result:
    made = conditions((640, 640), 1, 2, "fp32", "onnxruntime", "1.32.0", "cpu", "torchvision", {})
    samples = tuple(
        {
            **{stage: ms * (i + 1) for i, stage in enumerate(STAGES)},
            "round": r,
            "clean": clean,
            "candidates": 7,
            "boxes": 3,
        }
        for r in range(20)
    )
    values = {
        "name": name, "conditions": made, "load_ms": 120.4, "first_ms": 33.0, "candidates": 7, "boxes": 3,
        "size_bytes": 3 * 2**20, "peak_bytes": 2**30, "agreement": "boxes within 0.001 px of torch's",
        "normalised": True, "samples": samples, "images_per_s": {1: 50.0, 4: 80.04}, **changes,
    }  # fmt: skip
    return Result(**values)


def test_each_stage_has_a_row_with_its_figures():
    table = stage_table([result("a", 10.0)])

    assert [
        ("a", "onnxruntime\n1.32.0", "preprocess", "10.00", "10.00 to 10.00", "10.00", "10.00", "10.00", "20 of 20"),
        ("", "", "forward with decoding", "20.00", "20.00 to 20.00", "20.00", "20.00", "20.00", "20 of 20"),
    ] == list(table.rows[:2])
    assert "Time of one pass: 640 × 640, batch 1, fp32, 2 threads, cpu: " in table.title
    assert "a 7 candidates, 3 boxes" in " ".join(table.notes)
    assert "built without training" in table.notes[-1]


def test_a_machine_that_was_busy_gives_no_figure_and_says_so():
    table = stage_table([result("a", 10.0, clean=False)])

    assert ("–", "–", "–", "–", "–", "0 of 20") == table.rows[0][3:]
    assert any("none of 20 samples was clean" in note and "took 40.0 ms" in note for note in table.notes)


def test_what_a_deployment_pays_besides_time():
    table = resource_table([result("a", 10.0), result("b", 1.0, images_per_s={1: 60.0}, peak_bytes=None)])

    assert ("a", "onnxruntime", "120", "33", "3.00", "1024", "50.0", "80.0") == table.rows[0]
    assert ("–", "60.0", "–") == table.rows[1][5:]


def test_map_stands_beside_what_it_was_measured_on():
    table = resource_table([result("a", 10.0, accuracy=Accuracy(0.61234, 0.4, 91, "cplid.yaml")), result("b", 1.0)])

    assert [("0.400", "0.612"), ("–", "–")] == [row[-2:] for row in table.rows]
    assert "on 91 validation images of cplid.yaml" in table.notes[1]


def test_a_precision_that_is_not_single_is_named_with_its_runtime():
    small = result("a", 5.0)
    small = dataclasses.replace(small, conditions=dataclasses.replace(small.conditions, precision="int8"))
    table = stage_table([result("a", 10.0), small])

    assert ("onnxruntime\n1.32.0", "onnxruntime int8\n1.32.0") == (table.rows[0][1], table.rows[4][1])
    assert "batch 1, fp32 and int8, 2 threads" in table.title
    assert "onnxruntime int8" == comparison_table([against(small, small)]).rows[0][1]


def test_a_device_with_a_clock_of_its_own_has_a_row_of_its_own():
    samples = tuple({**sample, "device": 7.5} for sample in result("a", 10.0).samples)
    table = stage_table([result("a", 10.0, samples=samples)])

    assert ("of it on the device", "7.50") == table.rows[2][2:4]
    assert 5 == len(table.rows)


def test_a_comparison_shows_ratio_interval_and_verdict():
    table = comparison_table([against(result("b", 11.0), result("a", 10.0))])

    assert ("b / a", "onnxruntime", "1.100", "1.089 to 1.111", "1.100", "1.089 to 1.111", "20", "slower") == table.rows[
        0
    ]


def test_what_was_not_measured_is_named_with_its_reason():
    assert "Not measured: a in ncnn: no such operator" == failure_lines([Failure("a", "ncnn", "no such operator")])


def test_text_is_no_wider_than_a_terminal():
    tables = [stage_table([result("yolov8n-dyheadlite", 123.4)]), resource_table([result("a", 1.0)])]

    assert [] == [line for table in tables for line in render(table).splitlines() if len(line) > 100]
