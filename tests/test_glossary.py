"""Both glossaries say the same, and what they compute is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from torch import nn

from lwyolo.cost import profile
from lwyolo.engine.info import cost_of

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = {name: (DOCS / name).read_text(encoding="utf-8") for name in ("glossary.md", "glossary.zh-CN.md")}
EXAMPLE = profile(nn.Conv2d(64, 128, 1, bias=False), input_shape=(1, 64, 80, 80))
DEPTHWISE = profile(nn.Conv2d(64, 64, 3, padding=1, groups=64, bias=False), input_shape=(1, 64, 80, 80))


def entries(page: str) -> list[str]:
    return re.split(r"^## ", PAGES[page], flags=re.MULTILINE)[1:]


def test_both_pages_have_the_same_entries_with_the_same_figures_commands_and_links():
    english, chinese = (entries(page) for page in PAGES)
    facts = re.compile(r"`[^`]+`|https?://[^)]+|\d[\d,.]*\d|\d")

    assert len(english) == len(chinese)
    for one, other in zip(english, chinese, strict=True):
        assert sorted(set(facts.findall(one))) == sorted(set(facts.findall(other))), one.splitlines()[0]


@pytest.mark.parametrize("page", PAGES)
def test_every_entry_has_an_example_a_mistake_and_a_command(page):
    parts = {
        "glossary.md": ("- **Example", "- **", "- **Command"),
        "glossary.zh-CN.md": ("- **例子", "- **", "- **命令"),
    }

    assert [] == [e.splitlines()[0] for e in entries(page) if not all(part in e for part in parts[page])]


@pytest.mark.parametrize("page", PAGES)
def test_the_worked_example_is_what_the_counter_says(page):
    access, figures = 4 * 1_236_992, PAGES[page]

    assert (52_428_800, 104_857_600, access) == (EXAMPLE.macs, EXAMPLE.flops, EXAMPLE.memory_access_bytes)
    assert 8_192 == EXAMPLE.params
    assert 3.125 == EXAMPLE.activation_bytes / 2**20
    assert f"{EXAMPLE.peak_activation_bytes / 2**20:.2f} MiB" in figures
    assert f"{access / 2**20:.2f} MiB" in figures
    assert f"{access / 1e6:.2f} MB" in figures
    assert ("21.2", "2.2") == (f"{EXAMPLE.arithmetic_intensity:.1f}", f"{DEPTHWISE.arithmetic_intensity:.1f}")
    assert "46 %" == f"{100 * 8.744 * 10 / 190:.0f} %"


def test_what_is_said_of_models_is_so():
    v8, v12, v26, detr, dyhead = (
        cost_of(name)
        for name in ("yolov8n.yaml", "yolo12n.yaml", "yolo26n.yaml", "rtdetr-l.yaml", "cfg/yolov8n-dyhead.yaml")
    )

    assert "15 %" == f"{100 * (1 - v12.deployed.macs / v8.deployed.macs):.0f} %"
    assert "1.9" == f"{v12.deployed.memory_access_fused_bytes / v8.deployed.memory_access_fused_bytes:.1f}"
    assert ("9.9", "3.6") == tuple(f"{100 * (1 - m.deployed.macs / m.training.macs):.1f}" for m in (v26, detr))
    assert "23" == f"{100 * (1 - v8.deployed.memory_access_bytes / v8.training.memory_access_bytes):.0f}"
    assert ("8.86", "8.74") == (f"{v8.ultralytics_gflops:.2f}", f"{v8.training.gflops:.2f}")
    assert ("8.71", "9.49") == (f"{dyhead.ultralytics_gflops:.2f}", f"{dyhead.training.gflops:.2f}")
