"""What the glossary says of models is what the counter says."""

from __future__ import annotations

from pathlib import Path

import pytest

from lwyolo.engine.info import cost_of

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", ["glossary.md", "glossary.zh-CN.md"])
def test_what_is_said_of_models_is_so(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    v8, v12, v26, detr, dyhead = (
        cost_of(name)
        for name in ("yolov8n.yaml", "yolo12n.yaml", "yolo26n.yaml", "rtdetr-l.yaml", "cfg/yolov8n-dyhead.yaml")
    )
    figures = [
        *(f"{100 * (1 - m.deployed.macs / m.training.macs):.1f} %" for m in (v26, detr)),
        *(f"{m.deployed.memory_access_fused_bytes / 2**20:.1f}" for m in (v8, v12)),
        f"{v8.ultralytics_gflops:.3f}",
        f"{v8.training.gflops:.2f}",
        f"{dyhead.ultralytics_gflops:.2f}",
        f"{dyhead.training.gflops:.2f}",
    ]

    assert [] == [figure for figure in figures if figure not in text]
