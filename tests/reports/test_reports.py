from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import golden_cases as golden
import pytest

from lwyolo.record import RunRecord, SampleCount, this_process
from lwyolo.reports.cost import cost_table, latency_line
from lwyolo.reports.instances import instance_report, instances_table, splits_table
from lwyolo.reports.metrics import metrics_table
from lwyolo.reports.run import run_report, write_report
from lwyolo.reports.tables import render


@pytest.mark.parametrize("name", golden.CASES)
def test_tables_equal_the_golden_ones(name):
    assert (golden.GOLDEN / name).read_text(encoding="utf-8") == golden.text(name)


def test_every_golden_file_has_a_case():
    assert sorted(golden.CASES) == sorted(path.name for path in golden.GOLDEN.iterdir())


def test_the_users_table_is_exactly_the_users_table():
    assert [
        "| sample | clsId- | clsName- | instanceNum | train | test | val |",
        "| :----: | :----: | :----: | :----: | :----: | :----: | :----: |",
        "| pin | 0-defect-6011 | 1-rust-2000 | 2-uninstal-1832 | 6579 | 1880 | 940 |",
        "| Einsulator | 3-burn-475 | 4-defect-508 | 5-dirty-440 | 951 | 272 | 137 |",
    ] == render(instances_table(golden.POWER_LINE), "markdown").split("\n")[:4]


def test_a_sample_with_four_classes_widens_the_table_and_one_with_one_is_padded():
    table = instances_table(golden.CHINESE)

    assert ("sample", "clsId-", "clsName-", "instanceNum", "", "train", "test", "val") == table.header
    assert [
        ("绝缘子", "0-锈蚀-7", "1-缺失-13", "2-破损-1", "3-污秽-153", "80", "–", "20"),
        ("鸟巢", "4-鸟巢-3", "", "", "", "2", "–", "–"),
    ] == list(table.rows)


def test_images_of_the_samples_may_add_up_to_more_than_there_are():
    text = " ".join(instance_report(golden.POWER_LINE).split())

    assert 6579 + 951 > 7400
    assert "An image with two samples counts in both rows." in text
    assert "train 7400 12" in text


def test_splits_stand_in_the_users_order_and_add_up():
    rows = splits_table(golden.POWER_LINE).rows

    assert [
        ("train", "7400", "12", "0", "7886"),
        ("test", "2115", "3", "0", "2253"),
        ("val", "1060", "0", "0", "1127"),
        ("all", "10575", "15", "0", "11266"),
    ] == list(rows)


def test_the_differences_are_those_of_the_figures():
    table = cost_table([("a", golden.STOCK), ("b", golden.DYHEAD)])
    params, gflops = (100 * (getattr(golden.DYHEAD, k) / getattr(golden.STOCK, k) - 1) for k in ("params", "gflops"))
    differences = dict(zip(table.header, table.rows[2], strict=True))

    assert (f"{params:+.1f} %", f"{gflops:+.1f} %") == (differences["Params\n(M)"], differences["GFLOPs"])


def test_graphs_of_several_models_are_compared_with_their_like():
    named = [("a", golden.TRAINING), ("a", golden.DEPLOYED), ("b", golden.TRAINING), ("b", golden.DEPLOYED)]
    table = cost_table(named)

    assert [
        ("a", "training"),
        ("b", "training"),
        ("  against a", ""),
        ("a", "deployed"),
        ("b", "deployed"),
        ("  against a", ""),
    ] == [row[:2] for row in table.rows]
    assert {"0.0 %", "–", ""} == {cell for row in table.rows if not row[1] for cell in row[2:]}


def test_the_graphs_of_one_model_are_compared_with_each_other():
    table = cost_table([("a", golden.TRAINING), ("a", golden.DEPLOYED)])
    gmaccs = table.header.index("GMACCs")

    assert ("  against training", "-8.5 %") == (table.rows[2][0], table.rows[2][gmaccs])


def test_intensity_is_all_flops_over_fused_bytes():
    expected = golden.STOCK.flops / golden.STOCK.memory_access_fused_bytes

    assert expected == golden.STOCK.arithmetic_intensity
    assert dataclasses.replace(golden.STOCK, flops=None).arithmetic_intensity is None
    assert golden.DYHEAD.arithmetic_intensity is None


def test_text_is_no_wider_than_a_terminal():
    names = ["cost.txt", "cost-models.txt", "layers.txt", "modules.txt", "operators.txt", "lint.txt"]

    assert {} == {name: line for name in names for line in golden.text(name).splitlines() if len(line) > 100}


def test_figures_under_different_conditions_are_not_compared():
    small = dataclasses.replace(golden.DYHEAD, imgsz=(320, 320))
    table = cost_table([("a", golden.STOCK), ("b", small)])

    assert [
        "a\n640 × 640, batch 1, float32; lwyolo operators 1",
        "b\n320 × 320, batch 1, float32; lwyolo operators 1",
    ] == [row[0] for row in table.rows]


def test_a_latency_that_was_not_measured_says_why():
    latency = dataclasses.replace(golden.LATENCY, median_ms=None, p90_ms=None, passes=0, reason="too slow")

    assert "Latency: not measured, too slow (torch eager on cpu, 2 CPU threads)." == latency_line(latency)


def test_every_class_has_a_row():
    rows = metrics_table(golden.METRICS).rows

    assert ["all", "defect", "锈蚀", "uninstal"] == [row[0] for row in rows]
    assert ("0", "0", "–", "–", "–", "–") == rows[-1][2:]


def test_a_run_that_died_says_so_and_leaves_out_what_it_never_had():
    gone = dataclasses.replace(this_process(), started="earlier")
    text = run_report(RunRecord(name="lost", process=gone, epochs_run=3, arguments={"epochs": 100}))

    assert re.search(r"^state +died after epoch 3$", text, re.MULTILINE)
    assert re.search(r"^epochs +3 of 100, best –$", text, re.MULTILINE)
    assert ["Run", "Files"] == re.findall(r"^(\w+)\n=+$", text, re.MULTILINE)


def test_the_error_of_a_failed_run_is_shown():
    text = run_report(RunRecord(state="failed", error="ValueError: no labels"))

    assert re.search(r"^error +ValueError: no labels$", text, re.MULTILINE)


def test_the_report_names_the_files_that_are_there(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "best.pt").touch()
    path = write_report(golden.RUN, tmp_path)

    assert tmp_path / "report.md" == path
    assert f"| {tmp_path / 'weights/best.pt'} | the weights of the best epoch |" == path.read_text().splitlines()[-1]
    assert ["report.md", "weights"] == sorted(path.name for path in tmp_path.iterdir())


def test_reports_load_no_torch():
    code = (
        "import sys, lwyolo.reports.run; print(sorted({'torch', 'ultralytics', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == run.stdout


def test_terminal_output_stays_narrow():
    wide = [len(line) for line in golden.text("instances.txt").splitlines() + golden.text("metrics.txt").splitlines()]

    assert max(wide) <= 100
    assert max(map(len, golden.text("cost.txt").splitlines())) <= 120


def test_samples_without_images_in_a_split_show_zero():
    data = dataclasses.replace(golden.CHINESE, samples=(SampleCount("绝缘子", "train", 0),))

    assert ("0", "–", "–") == instances_table(data).rows[0][-3:]


def test_golden_paths_do_not_depend_on_this_machine():
    texts = "".join(path.read_text(encoding="utf-8") for path in golden.GOLDEN.iterdir())

    assert str(Path.home()) not in texts
    assert str(golden.GOLDEN.parent.parent) not in texts
