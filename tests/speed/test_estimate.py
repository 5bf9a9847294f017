"""The two constants, their errors, what an estimate says of itself, and the file that keeps them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

import lwyolo
from lwyolo.cost import OperatorCost
from lwyolo.engine.calibrate import QUICK
from lwyolo.errors import RecordError, UsageError
from lwyolo.speed.calibration import Calibration, default_file, from_json, installed, load, save, to_json
from lwyolo.speed.estimate import (
    Fit,
    Point,
    best_second,
    constants,
    errors_of,
    estimate,
    leave_one_out,
    mean_and_worst,
    nearest_to_one,
    predictors,
)

PUBLISHED = """
yolo26n 42.5 2.74 281.5 32.7
yolov8n-ghost 46.0 2.85 290.2 34.8
yolo11n 53.0 3.27 280.0 38.4
yolov10n 53.5 3.38 284.0 39.7
yolov8n 63.2 4.37 250.5 49.6
yolo12n 63.4 3.74 467.2 46.0
yolov9t 65.7 4.11 319.2 47.7
yolov6n 76.4 6.46 178.8 69.8
yolov8n-p2 139.2 8.61 519.0 99.3
yolo11s 141.3 10.79 523.0 120.8
yolov8s 173.7 14.30 468.8 157.0
"""
"""Model, ms, GMACCs, fused MB, roofline ms: measured on another day by another program, on two threads of a Zen 3."""


def point(macs: int, memory_bytes: int, ms: float, model: str = "m", elementwise: int = 10**7) -> Point:
    return Point(model, 10**6, macs, memory_bytes, elementwise, ms, clean=20, samples=20)


def published() -> tuple[list[Point], dict[str, float]]:
    rows = [line.split() for line in PUBLISHED.split("\n") if line]
    points = [point(int(float(g) * 1e9), int(float(mb) * 1e6), float(ms), name) for name, ms, g, mb, _ in rows]
    return points, {row[0]: float(row[4]) for row in rows}


def fit(points: tuple[Point, ...] | None = None, **changes: object) -> Fit:
    """A fit of the convolution below: 1 ps for a multiply-accumulate, 10 ps for a byte."""
    points = points or tuple(
        point(macs, 120_000, 1.0, f"m{i}") for i, macs in enumerate((300_000, 400_000, 500_000, 600_000))
    )
    made = Fit(
        date="2026-11-24T15:00:00+00:00", runtime="onnxruntime", package="onnxruntime", runtime_version="1.32.0",
        threads=1, batch=1, precision="fp32", imgsz=(64, 64), usable_cores=2, quota=None,
        operators=("aten::convolution",), second="memory access", a_s_per_mac=1e-12, b_s=1e-11, points=points, left_out=(),
        mean_error=0.05, worst_error=0.125,
    )  # fmt: skip
    return replace(made, **changes)


@pytest.fixture(scope="module")
def cost():
    return lwyolo.profile(nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), imgsz=64)


def test_constants_of_two_models_solve_two_equations():
    a, b = constants([point(2 * 10**9, 10**8, 22.0), point(10**9, 3 * 10**8, 16.0)])

    assert (10e-12, 20e-12) == (pytest.approx(a), pytest.approx(b))


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([[1, 1], [2, 4]], [3 / 5, 0]),  # a + b = 1 and 2 a + 4 b = 1: b = -1/2
        ([[1, 1], [4, 2]], [0, 3 / 5]),
        ([[1, 2], [2, 4]], [3 / 5, 0]),  # the columns tell nothing apart
        ([[1], [2]], [3 / 5]),
    ],
)
def test_no_constant_is_negative(shares, expected):
    assert expected == pytest.approx(nearest_to_one(np.array(shares, dtype=float)).tolist())


cost_pairs = st.lists(
    st.tuples(st.integers(10**8, 10**11), st.integers(10**7, 10**10)), min_size=3, max_size=12, unique=True
)


@given(cost_pairs, st.floats(1e-13, 1e-9), st.floats(1e-12, 1e-9))
def test_constants_of_noiseless_times_are_found(costs, a, b):
    points = [point(m, q, (a * m + b * q) * 1e3) for m, q in costs]
    shares = np.array([(m / p.ms, q / p.ms) for (m, q), p in zip(costs, points, strict=True)])
    x, y = (shares / np.linalg.norm(shares, axis=0)).T
    assume(np.linalg.norm(x - (x @ y) * y) > 1e-2)  # one column is not the other, times a factor

    assert (a, b) == tuple(pytest.approx(found, rel=1e-6) for found in constants(points))


@given(cost_pairs, st.data())
def test_no_pair_of_constants_that_are_not_negative_fits_better(costs, data):
    points = [point(m, q, data.draw(st.floats(1.0, 1e4))) for m, q in costs]
    shares = np.array([(m / p.ms, q / p.ms) for (m, q), p in zip(costs, points, strict=True)])
    found = nearest_to_one(shares)

    def residual(pair):
        return float(np.square(shares @ pair - 1).sum())

    assert (found >= 0).all()
    for nudge in ((1.01, 1), (0.99, 1), (1, 1.01), (1, 0.99)):
        assert residual(found) <= residual(found * nudge) * (1 + 1e-9)
    for column in range(2):
        alone = np.eye(2)[column] * shares[:, column].sum() / np.square(shares[:, column]).sum()
        assert residual(found) <= residual(alone) * (1 + 1e-9)


def test_each_model_is_estimated_by_the_others():
    points, _ = published()
    expected = []
    for i, left in enumerate(points):
        others = points[:i] + points[i + 1 :]
        shares = np.array([(p.macs / p.ms, p.memory_bytes / p.ms) for p in others])
        a, b = np.linalg.lstsq(shares, np.ones(len(others)), rcond=None)[0]
        expected.append((a * left.macs + b * left.memory_bytes) / left.ms - 1)

    assert expected == pytest.approx(leave_one_out(points))


def test_one_constant_left_out_by_hand():
    # 1 and 2 units in 1 s each: by the other, the first takes 1/2 s and the second 2 s
    assert [-0.5, 1.0] == pytest.approx(errors_of(np.array([[1.0], [2.0]]), np.array([1.0, 1.0])))


def test_the_published_table_gives_the_published_errors():
    points, roofline = published()
    errors = {name: mean_and_worst(values) for name, values in predictors(points, roofline).items()}
    a, b = constants(points)

    assert (0.058, 0.135) == tuple(round(x, 3) for x in errors["a · MACCs + b · memory access"])
    assert (185, 18) == (round(2e-9 / a), round(1e-9 / b))
    told = {"a · MACCs + b · memory access", "roofline", "MACCs", "fused memory access"}  # it has no element-wise work
    assert ["a · MACCs + b · memory access", "roofline", "MACCs", "fused memory access"] == sorted(
        told, key=lambda name: errors[name][0]
    )


def test_the_error_of_the_quick_set_promises_no_more_than_it_holds_for_the_others():
    chosen = {source.removesuffix(".yaml") for source in QUICK}
    points, _ = published()
    quick, others = ([p for p in points if (p.model in chosen) == inside] for inside in (True, False))
    a, b = constants(quick)
    mean, worst = mean_and_worst([1e3 * (a * p.macs + b * p.memory_bytes) / p.ms - 1 for p in others])

    assert (6, 5) == (len(quick), len(others))
    assert mean <= mean_and_worst(leave_one_out(quick))[0]
    assert worst <= mean_and_worst(leave_one_out(quick))[1]


def test_a_fit_tells_its_constants_as_rates():
    assert (2000.0, 100.0) == (pytest.approx(fit().gflops_per_s), pytest.approx(fit().g_per_s))
    assert (None, None) == (fit(a_s_per_mac=0.0).gflops_per_s, fit(b_s=0.0).g_per_s)


def test_an_estimate_is_the_sum_of_both_parts(cost):
    macs = 32 * 32 * 16 * 3 * 9
    moved = 4 * (3 * 64 * 64 + 16 * 3 * 9 + 16 * 32 * 32)
    found = estimate(fit(), "conv", cost, "1.32.0", 2)

    assert pytest.approx((macs * 1e-12 + moved * 1e-11) * 1e3) == found.ms
    assert ("conv", "onnxruntime", 1, 0.05, 0.125, ()) == (
        found.model, found.runtime, found.threads, found.mean_error, found.worst_error, found.remarks,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "version", "expected"),
    [
        ({"operators": ("aten::bmm",)}, "1.32.0", "has aten::convolution, which no calibrated model has"),
        ({"imgsz": (640, 480)}, "1.32.0", "the error was found at 640 × 480"),
        ({}, "1.33.0", "onnxruntime was calibrated with onnxruntime 1.32.0, and 1.33.0 is installed now"),
        ({}, None, "onnxruntime was calibrated with onnxruntime 1.32.0, and none is installed now"),
        (
            {"points": (point(10**6, 120_000, 1.0),) * 4},
            "1.32.0",
            "extrapolated: MACCs far below those of the calibrated models",
        ),
        (
            {"points": (point(200_000, 50_000, 1.0),) * 4},
            "1.32.0",
            "extrapolated: MACCs and memory access far above those of the calibrated models",
        ),
    ],
)
def test_an_estimate_says_why_its_error_may_be_larger(cost, changes, version, expected):
    assert (expected,) == estimate(fit(**changes), "conv", cost, version, 2).remarks


def test_other_cores_than_those_calibrated_are_told(cost):
    expected = ("onnxruntime was calibrated with 2 usable cores, and there are 8",)

    assert expected == estimate(fit(), "conv", cost, "1.32.0", 8).remarks


def test_the_second_cost_is_the_one_that_leaves_the_smaller_error():
    costs = [(10**9, 10**8, 3 * 10**7), (2 * 10**9, 3 * 10**8, 10**7), (3 * 10**9, 10**8, 9 * 10**7)]
    costs += [(4 * 10**9, 5 * 10**8, 2 * 10**7), (5 * 10**9, 2 * 10**8, 6 * 10**7)]
    of_memory = [point(m, b, 1e3 * (5e-12 * m + 5e-11 * b), elementwise=e) for m, b, e in costs]
    of_work = [point(m, b, 1e3 * (5e-12 * m + 5e-10 * e), elementwise=e) for m, b, e in costs]

    assert ("memory access", "element-wise work") == (best_second(of_memory), best_second(of_work))
    assert (5e-12, 5e-10) == pytest.approx(constants(of_work, "element-wise work"))


def test_an_estimate_takes_the_second_cost_of_its_fit(cost):
    silu = replace(cost, flops=cost.flops + 10**6)
    work = fit(second="element-wise work")

    assert estimate(fit(), "conv", cost, "1.32.0", 2).ms == estimate(fit(), "conv", silu, "1.32.0", 2).ms
    assert 0.01 == pytest.approx(
        estimate(work, "conv", silu, "1.32.0", 2).ms - estimate(work, "conv", cost, "1.32.0", 2).ms
    )


def test_twice_the_largest_model_is_not_extrapolated(cost):
    points = tuple(point(cost.macs // 2, cost.memory_access_fused_bytes // 2, 1.0) for _ in range(4))

    assert () == estimate(fit(points), "conv", cost, "1.32.0", 2).remarks


def test_operators_without_a_formula_are_told(cost):
    scan = OperatorCost("mine::scan", 3, 0, 0, 0, 0, counted=False)
    unknown = replace(cost, operators=(*cost.operators, scan))

    assert ("counted without mine::scan: no formula is known",) == estimate(fit(), "scan", unknown, "1.32.0", 2).remarks


def test_another_batch_or_type_is_refused():
    conv = nn.Conv2d(3, 16, 3, bias=False)
    for settings, found in (({"batch": 2}, "batch 2, float32"), ({"dtype": "float16"}, "batch 1, float16")):
        with pytest.raises(UsageError, match=f"conv: {found}; the calibration is of batch 1, fp32"):
            estimate(fit(), "conv", lwyolo.profile(conv, imgsz=64, **settings), "1.32.0", 2)


def test_a_file_gives_back_what_was_saved(tmp_path):
    calibration = Calibration("a processor", (fit(), fit(threads=2, quota=1.5, runtime_version=None)))
    file = tmp_path / "new" / "folder" / "calibration.json"

    save(calibration, file)

    assert calibration == load(file) == from_json(to_json(calibration))


def test_a_new_fit_replaces_that_of_the_same_runtime_and_threads():
    old = Calibration("a processor", (fit(), fit(threads=2), fit(runtime="ncnn")))
    new = old.with_fits([fit(a_s_per_mac=5e-12)])

    assert [5e-12, 1e-12, 1e-12] == [one.a_s_per_mac for one in new.fits]


def broken(**changes: object) -> str:
    content = json.loads(to_json(Calibration("a processor", (fit(),))))
    for key, value in changes.items():
        place, *keys = content, *key.split("__")
        for part in keys[:-1]:
            place = place[int(part) if part.isdecimal() else part]
        place[keys[-1]] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "f.json: not readable as JSON"),
        ("[]", "f.json: holds no calibration. lwyolo calibrate --save f.json writes one."),
        (broken(schema=9), "f.json: schema 9; this version of lwyolo reads schema 1."),
        (broken(cpus="x"), "f.json: cpus: unknown key. Did you mean cpu?"),
        (broken(fits__0__a_s_per_mac=-1.0), "f.json: fits.0.a_s_per_mac: found -1.0, expected a number of 0 or more."),
        (broken(fits__0__worst_error=None), "f.json: fits.0.worst_error: found nan, expected a number of 0 or more."),
        (
            broken(fits__0__a_s_per_mac=0, fits__0__b_s=0),
            "f.json: fits.0: a_s_per_mac and b_s are both 0.",
        ),
        (broken(fits__0__points=[]), "f.json: fits.0.points: found 0 models, expected 4 or more."),
        (broken(fits__0__points__2__ms=0.0), "f.json: fits.0.points.2.ms: found 0.0, expected a positive number."),
        (broken(fits__0__threads="1"), "f.json: fits.0.threads: found '1', expected int."),
    ],
)
def test_a_file_that_holds_something_else_is_refused(text, message):
    with pytest.raises(RecordError) as error:
        from_json(text, "f.json")

    assert str(error.value).startswith(message)


def test_a_file_that_is_not_there_names_the_command(tmp_path):
    with pytest.raises(RecordError, match="no such file. lwyolo calibrate --save"):
        load(tmp_path / "calibration.json")


def test_a_file_lies_among_the_users_settings(monkeypatch):
    monkeypatch.setenv("LWYOLO_CONFIG_DIR", "/mine")
    assert Path("/mine/calibration.json") == default_file()

    monkeypatch.delenv("LWYOLO_CONFIG_DIR")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/xdg")
    monkeypatch.setattr("sys.platform", "linux")
    assert Path("/xdg/lwyolo/calibration.json") == default_file()

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert Path("/home/me/.config/lwyolo/calibration.json") == default_file()
    monkeypatch.setattr("sys.platform", "darwin")
    assert Path("/home/me/Library/Application Support/lwyolo/calibration.json") == default_file()


def test_the_version_of_a_package_is_told_without_importing_it():
    assert np.__version__ == installed("numpy")
    assert None is installed("no-such-package-of-ours")


def test_errors_lose_their_signs():
    mean, worst = mean_and_worst([0.1, -0.3])

    assert (True, True) == (math.isclose(mean, 0.2), math.isclose(worst, 0.3))
