"""Records written by hand, and the tables that `tests/golden/` holds of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from lwyolo import record as r
from lwyolo.cost import Cost, LayerCost, OperatorCost
from lwyolo.cost.lint import Finding
from lwyolo.reports.cost import cost_table, latency_line
from lwyolo.reports.instances import instance_report, instances_table
from lwyolo.reports.layers import layer_table, lint_table, module_table, operator_table
from lwyolo.reports.metrics import metrics_table
from lwyolo.reports.run import run_report
from lwyolo.reports.tables import render

GOLDEN = Path(__file__).resolve().parent.parent / "golden"

STOCK = r.CostRecord(
    params=3_151_904,
    layers=72,
    macs=4_371_891_200,
    gflops=8.7437824,
    memory_access_bytes=187_432_960,
    memory_access_fused_bytes=95_211_520,
    peak_activation_bytes=None,
    uncounted={},
    imgsz=(640, 640),
    batch=1,
    dtype="float32",
    fused=True,
    counter="lwyolo operators 1",
    ultralytics_gflops=8.855,
    flops=8_838_000_000,
    activation_bytes=165_201_000,
)
DYHEAD = r.CostRecord(
    params=3_482_201,
    layers=139,
    macs=4_811_366_400,
    gflops=9.6227328,
    memory_access_bytes=261_095_424,
    memory_access_fused_bytes=None,
    peak_activation_bytes=None,
    uncounted={"aten.grid_sampler_2d": 6, "aten.fft_rfft2": 1},
    imgsz=(640, 640),
    batch=1,
    dtype="float32",
    fused=True,
    counter="lwyolo operators 1",
    ultralytics_gflops=None,
    flops=9_704_000_000,
    activation_bytes=210_400_100,
)
DEPLOYED = replace(STOCK, params=3_000_000, macs=4_000_000_000, gflops=8.0)
TRAINING = replace(STOCK, fused=False, peak_activation_bytes=13_000_000)


def layer(index: int | None, path: str, kind: str, share: int, *children: LayerCost, **more: Any) -> LayerCost:
    """Make a layer that takes so many hundredths of everything."""
    return LayerCost(
        index=index,
        from_=more.get("from_", -1 if index is not None else None),
        path=path,
        type=kind,
        calls=more.get("calls", 1),
        output_shapes=more.get("output_shapes", ((1, 64, 80, 80),)),
        params=1000 * share,
        macs=2_000_000 * share,
        flops=4_100_000 * share,
        memory_access_bytes=2**18 * share,
        memory_access_fused_bytes=2**17 * share,
        activation_bytes=2**17 * share,
        elementwise_bytes=2**16 * share,
        elementwise_fused_bytes=0,
        n_operators=3 * len(children) or 1,
        n_groups=1,
        children=children,
    )


NECK = layer(
    1, "model.1", "C2f", 60, layer(None, "model.1.cv1", "Conv", 40), layer(None, "model.1.act", "SiLU", 20, calls=3)
)
LEVELS = tuple((1, 64, side, side) for side in (80, 40, 20))
TREE = Cost(
    name="DetectionModel",
    params=100_000,
    macs=200_000_000,
    flops=410_000_000,
    memory_access_bytes=100 * 2**18,
    memory_access_fused_bytes=100 * 2**17,
    compulsory_bytes=2**20,
    activation_bytes=100 * 2**17,
    peak_activation_bytes=2**22,
    peak_at="model.1.cv1",
    layers=(
        layer(0, "model.0", "Conv", 15),
        NECK,
        layer(2, "model.2", "DyHead", 25, from_=(0, 1), output_shapes=LEVELS),
    ),
    operators=(
        OperatorCost("aten::convolution", 57, 200_000_000, 400_000_000, 90 * 2**18, 90 * 2**17, True),
        OperatorCost("my::scan", 2, 0, 0, 10 * 2**18, 10 * 2**17, False),
    ),
    input_shapes=((1, 3, 640, 640),),
    dtype="float32",
    fused=True,
)
FINDINGS = (
    Finding("G1", 1, "C2f", "1×1, 192 → 32 channels: 30 % of the memory access is due to unequal widths", 0.0123),
    Finding(
        "depthwise",
        12,
        "DWConv",
        "5×5, 64 → 64 channels and 2 more: 6.2 FLOPs a byte; the model's convolutions have 35",
        0.1,
    ),
)
LATENCY = r.LatencyRecord(
    median_ms=58.4321,
    p90_ms=61.0,
    passes=50,
    imgsz=(640, 640),
    batch=1,
    dtype="float32",
    device="cpu",
    threads=2,
    fused=True,
)


def counts(sample: str, cls_id: int, name: str, train: int, val: int, test: int) -> tuple[r.ClassCount, ...]:
    per_split = {"train": train, "val": val, "test": test}
    return tuple(r.ClassCount(sample, cls_id, name, split, n, min(n, 9)) for split, n in per_split.items())


def images(sample: str, train: int, val: int, test: int) -> tuple[r.SampleCount, ...]:
    return tuple(r.SampleCount(sample, split, n) for split, n in {"train": train, "val": val, "test": test}.items())


POWER_LINE = r.DataRecord(
    yaml="datasets/power-line.yaml",
    fingerprint="0123456789abcdef0123456789abcdef",
    names={0: "defect", 1: "rust", 2: "uninstal", 3: "burn", 4: "defect", 5: "dirty"},
    classes=(
        *counts("pin", 0, "defect", 4208, 601, 1202),
        *counts("pin", 1, "rust", 1400, 200, 400),
        *counts("pin", 2, "uninstal", 1282, 183, 367),
        *counts("Einsulator", 3, "burn", 332, 48, 95),
        *counts("Einsulator", 4, "defect", 356, 51, 101),
        *counts("Einsulator", 5, "dirty", 308, 44, 88),
    ),
    samples=(*images("pin", 6579, 940, 1880), *images("Einsulator", 951, 137, 272)),
    splits=(r.SplitCount("train", 7400, 12), r.SplitCount("val", 1060, 0), r.SplitCount("test", 2115, 3)),
    rows_written=11_270,
    instances_trained=11_266,
)
CHINESE = r.DataRecord(
    yaml="data.yaml",
    fingerprint="ffff",
    names={0: "锈蚀", 1: "缺失", 2: "破损", 3: "污秽", 4: "鸟巢"},
    classes=(
        *counts("绝缘子", 0, "锈蚀", 5, 2, 0),
        *counts("绝缘子", 1, "缺失", 10, 3, 0),
        *counts("绝缘子", 2, "破损", 1, 0, 0),
        *counts("绝缘子", 3, "污秽", 120, 33, 0),
        *counts("鸟巢", 4, "鸟巢", 2, 1, 0),
    ),
    samples=(
        r.SampleCount("绝缘子", "train", 80),
        r.SampleCount("绝缘子", "val", 20),
        r.SampleCount("鸟巢", "train", 2),
    ),
    splits=(r.SplitCount("train", 88, 0, 7), r.SplitCount("val", 20, 1)),
    rows_written=177,
    instances_trained=177,
    problems=tuple(f"labels/{i}.txt: line 1: class 9 outside of 0 to 4" for i in range(7)),
)
METRICS = r.MetricsRecord(
    split="val",
    precision=0.71234,
    recall=0.6,
    map50=0.65432,
    map50_95=0.374,
    classes=(
        r.ClassMetrics(0, "defect", 601, 940, 0.8, 0.7, 0.75, 0.44),
        r.ClassMetrics(1, "锈蚀", 200, 310, 0.62, 0.5, 0.56, 0.31),
        r.ClassMetrics(2, "uninstal", 0, 0, None, None, None, None),
    ),
    speed_ms={"preprocess": 0.31, "inference": 45.02, "loss": 0.0, "postprocess": 1.2},
)
RUN = r.RunRecord(
    state="finished",
    name="dyhead",
    started_at="2026-11-24T09:00:00+00:00",
    finished_at="2026-11-24T10:40:12+00:00",
    resumed_at=("2026-11-24T09:40:00+00:00",),
    arguments={"epochs": 3, "save_dir": "runs/detect/dyhead"},
    model=r.ModelRecord(
        name="cfg/yolov8-dyhead.yaml",
        task="detect",
        scale="n",
        yaml={},
        modules={"DyHead": "Dynamic Head: Unifying Object Detection Heads with Attentions (CVPR 2021)"},
    ),
    cost=DYHEAD,
    latency=LATENCY,
    data=POWER_LINE,
    transfer=r.TransferRecord("yolov8n.pt", 355, 417, ("22 DyHead", "23 Detect: part")),
    metrics=METRICS,
    best_epoch=2,
    epochs_run=3,
    epoch_seconds={1: 110.0, 2: 100.0, 3: 100.0},
    train_seconds=310.0,
    provenance=r.ProvenanceRecord(
        git=r.GitRecord("0123456789abcdef", "main", 0, 2, 1),
        versions={"python": "3.11.7", "lwyolo": "0.1.0", "ultralytics": "8.4.190", "torch": "2.14.1"},
        ultralytics_path="site-packages/ultralytics",
        platform="Linux-x86_64",
        cpu="AMD EPYC",
        cores=2,
        ram_mib=24_105.5,
        gpus=(),
        command=("lwyolo", "train", "--name", "two words"),
    ),
)

CASES = {
    "cost.txt": lambda: render(cost_table([("yolov8n", STOCK), ("yolov8n-dyhead", DYHEAD)])),
    "cost.md": lambda: render(cost_table([("yolov8n", STOCK), ("yolov8n-dyhead", DYHEAD)]), "markdown"),
    "cost.tex": lambda: render(cost_table([("yolov8n", STOCK), ("yolov8n-dyhead", DYHEAD)]), "latex"),
    "cost-graphs.txt": lambda: render(cost_table([("yolov8n", TRAINING), ("yolov8n", DEPLOYED)])),
    "cost-models.txt": lambda: render(
        cost_table([("a", TRAINING), ("a", DEPLOYED), ("b", replace(TRAINING, macs=1)), ("b", DYHEAD)])
    ),
    "layers.txt": lambda: render(layer_table("yolov8n-dyhead", TREE)),
    "layers.md": lambda: render(layer_table("yolov8n-dyhead", TREE), "markdown"),
    "modules.txt": lambda: render(module_table("yolov8n-dyhead", TREE)),
    "operators.txt": lambda: render(operator_table("yolov8n-dyhead", TREE)),
    "lint.txt": lambda: render(lint_table("yolov8n-dyhead", TREE, FINDINGS)),
    "lint-clean.txt": lambda: render(lint_table("yolov8n", TREE, ())),
    "latency.txt": lambda: latency_line(LATENCY),
    "instances.txt": lambda: instance_report(POWER_LINE),
    "instances.md": lambda: instance_report(POWER_LINE, "markdown"),
    "instances-per-split.md": lambda: instance_report(POWER_LINE, "markdown", per_split=True),
    "instances.csv": lambda: render(instances_table(POWER_LINE), "csv"),
    "instances-chinese.txt": lambda: instance_report(CHINESE),
    "metrics.txt": lambda: render(metrics_table(METRICS)),
    "run.txt": lambda: run_report(RUN, Path("runs/detect/dyhead")),
    "run.md": lambda: run_report(RUN, Path("runs/detect/dyhead"), "markdown"),
}
"""File in `tests/golden/`, and how its text is made."""


def text(name: str) -> str:
    """Make the text of a case, with one line break at its end."""
    return CASES[name]().rstrip("\n") + "\n"
