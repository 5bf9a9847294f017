"""Both glossaries say the same, name commands that exist, and compute rightly; all is derived here, without a counter."""

from __future__ import annotations

import math
import re
import statistics
from pathlib import Path

import pytest

from lwyolo.cli import parse

ROOT = Path(__file__).resolve().parent.parent
PAGES = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("glossary.md", "glossary.zh-CN.md")}
LABELS = {
    "glossary.md": ("**Unit:**", "- **Example.**", "- **Mistake.**", "- **Command.**"),
    "glossary.zh-CN.md": ("**单位：**", "- **算例。**", "- **常见错误。**", "- **命令。**"),
}
TERMS = [
    "flops",
    "flops-speed",
    "maccs",
    "mac",
    "parameters",
    "activations",
    "arithmetic-intensity",
    "memory-bandwidth",
    "latency",
    "throughput",
    "gpu-utilisation",
    "simt",
    "roofline",
    "mfu",
    "graphs",
    "ultralytics-gflops",
]
NUMBER = re.compile(r"(?<![A-Za-z0-9_.,])\d+(?:,\d{3})*(?:\.\d+)?")
URL = re.compile(r"https?://[^)]+")
COMMAND = re.compile(r"`lwyolo ([^`]+)`")

AREA, OUT = 80 * 80, 80 * 80 * 128
MACCS, DEPTHWISE_MACCS = AREA * 64 * 128, AREA * 64 * 9
WORK, DEPTHWISE_WORK = 2 * MACCS, 2 * DEPTHWISE_MACCS
ELEMENTS, DEPTHWISE_ELEMENTS = AREA * (64 + 128) + 64 * 128, 2 * AREA * 64 + 64 * 9
BYTES, DEPTHWISE_BYTES = 4 * ELEMENTS, 4 * DEPTHWISE_ELEMENTS
NORM, SILU = 2 * OUT + 4 * 128, 2 * OUT
EAGER, FUSED = ELEMENTS + NORM + SILU, ELEMENTS + 128
INTENSITY, DEPTHWISE_INTENSITY = f"{WORK / BYTES:.1f}", f"{DEPTHWISE_WORK / DEPTHWISE_BYTES:.2f}"
PASSES = [90, 21, 20, 22, 21, 20, 23, 21, 22, 26, 21]
P90_RANK = math.ceil(0.9 * len(PASSES))
WARPS = 132 * 64
V8, V12 = 4_371_993_600, 3_735_481_600
V26, V26_FUSED = 3_040_627_200, 2_740_153_600
DETR, DETR_FUSED = 54_768_076_800, 52_801_996_800
V8_NORMS = (  # channels behind all convolutions with a batch norm, by resolution: backbone, neck, head
    16 * 320**2
    + (32 + 3 * 32) * 160**2
    + (64 + 4 * 64 + 3 * 64) * 80**2
    + (128 + 4 * 128 + 3 * 128 + 64 + 3 * 128) * 40**2
    + (256 + 3 * 256 + 128 + 256 + 128 + 3 * 256) * 20**2
    + 2 * (64 + 80) * (80**2 + 40**2 + 20**2)
)


def mib(elements: int, digits: int) -> str:
    return f"{4 * elements / 2**20:.{digits}f}"


def less(before: int, after: int) -> str:
    return f"{100 * (1 - after / before):.1f}"


def seconds_needed(flops: int, n_bytes: int) -> list[str]:
    """Milliseconds at 20 GB/s, and at 100 GFLOPS."""
    return [f"{1e3 * n_bytes / 20e9:.3f}", f"{1e3 * flops / 100e9:.3f}"]


def mfu(ms: float) -> str:
    return f"{100 * 2 * V8 / (ms / 1e3) / 190.4e9:.0f}"


WORKED = {  # every number of every example: what is given, then what follows from it
    "flops": [1, 2, 5, 80, 128, MACCS, WORK, f"{WORK / 1e9:.3f}", 5 * OUT, WORK + 5 * OUT],
    "flops-speed": [1, "0.0012", WORK, f"{WORK / 0.0012 / 1e9:.1f}"],
    "maccs": [1, 9, 64, 80, 128, MACCS, f"{MACCS / 1e9:.3f}", DEPTHWISE_MACCS],
    "mac": [1, 4, 64, 128, AREA, ELEMENTS, NORM, SILU, 0, EAGER, FUSED, mib(EAGER, 2), mib(FUSED, 2)],
    "parameters": [1, 2, 4, 9, 64, 128, 64 * 128, *(size * 64 * 128 // 1024 for size in (4, 2, 1)), 64 * 9],
    "activations": [1, 4, 64, 128, AREA, OUT, mib(OUT, 3), AREA * 64, mib(AREA * 64 + OUT, 2)],
    "arithmetic-intensity": [
        *(1, WORK, BYTES, INTENSITY, DEPTHWISE_WORK, DEPTHWISE_BYTES, DEPTHWISE_INTENSITY),
        *(f"{WORK / DEPTHWISE_WORK:.1f}", f"{BYTES / DEPTHWISE_BYTES:.1f}"),
    ],
    "memory-bandwidth": [
        *(1, 20, 100, BYTES, *seconds_needed(WORK, BYTES)),
        *seconds_needed(DEPTHWISE_WORK, DEPTHWISE_BYTES),
    ],
    "latency": [
        *(*PASSES, len(PASSES), (len(PASSES) + 1) // 2, statistics.median(PASSES)),
        *(P90_RANK, sorted(PASSES)[P90_RANK - 1], f"{statistics.mean(PASSES):.1f}"),
    ],
    "throughput": [16, 20, 200, 16 * 1000 // 200, 1000 // 20, 200 // 20],
    "gpu-utilisation": [
        *(1, 10, 20, 100, 132, f"{100 / 132:.2f}", 100 * 10 * 20 // 1000),
        f"{132 * 10 * 0.020 / 1:.0f}",
    ],
    "simt": [
        *(1, 10, 16, 20, 64, 132, 20 * 20 * 16, 20 * 20 * 16 // 32, WARPS, f"{100 * 20 * 20 * 16 / 32 / WARPS:.1f}"),
        *(OUT, OUT // 32, f"{OUT / 32 / WARPS:.1f}", 10 + 10),
    ],
    "roofline": [
        *(1, 20, 100, 100 // 20, INTENSITY, min(100, int(20 * WORK / BYTES)), DEPTHWISE_INTENSITY),
        f"{min(100, 20 * DEPTHWISE_WORK / DEPTHWISE_BYTES):.0f}",
    ],
    "mfu": [
        *("63.2", "78.5", "190.4", 2, f"{2 * V8 / 1e9:.3f}", "0.0632", f"{2 * V8 / 0.0632 / 1e9:.1f}"),
        *(mfu(63.2), mfu(78.5)),
    ],
    "graphs": [640, V8, V26, V26_FUSED, less(V26, V26_FUSED), DETR, DETR_FUSED, less(DETR, DETR_FUSED)],
    "ultralytics-gflops": [
        *(1, 8, 32, 640, WORK, OUT, WORK + 8 * OUT, f"{100 * 8 * OUT / WORK:.2f}", f"{2 * V8 / 1e9:.3f}"),
        *(f"{V8_NORMS / 1e9:.6f}", f"{(2 * V8 + 8 * V8_NORMS) / 1e9:.3f}", 640 // 32, (640 // 32) ** 2),
    ],
}


def entries(page: str) -> dict[str, str]:
    """Text of each entry by its anchor."""
    parts = re.split(r'^## <a id="([\w-]+)"></a>', PAGES[page], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def example(page: str, term: str) -> str:
    """Text of an entry's example, with its table."""
    start, end = LABELS[page][1:3]
    return entries(page)[term].split(start)[1].split(end)[0]


def facts(text: str) -> set[str]:
    return {*NUMBER.findall(URL.sub("", text)), *URL.findall(text), *re.findall(r"`[^`]+`", text)}


@pytest.mark.parametrize("page", PAGES)
def test_both_pages_have_the_same_terms_in_the_same_order(page):
    assert list(entries(page)) == TERMS
    assert re.findall(r"^\| \[.+\]\(#([\w-]+)\)", PAGES[page], re.MULTILINE) == TERMS


@pytest.mark.parametrize("term", TERMS)
def test_both_pages_give_the_same_figures_commands_and_links(term):
    english, chinese = (entries(page)[term] for page in PAGES)

    assert facts(english) == facts(chinese)


@pytest.mark.parametrize("term", TERMS)
def test_a_chinese_heading_gives_the_english_term(term):
    english, chinese = (entries(page)[term].splitlines()[0].casefold() for page in PAGES)

    assert [] == [part for part in english.split(", ") if part not in chinese]


@pytest.mark.parametrize("page", PAGES)
def test_every_entry_has_a_unit_an_example_a_mistake_and_a_command(page):
    once = [1] * len(LABELS[page])

    assert dict.fromkeys(TERMS, once) == {
        term: [text.count(label) for label in LABELS[page]] for term, text in entries(page).items()
    }


@pytest.mark.parametrize("page", PAGES)
def test_links_within_a_page_lead_to_an_entry(page):
    assert [] == [anchor for anchor in re.findall(r"\]\(#([^)]+)\)", PAGES[page]) if anchor not in TERMS]


@pytest.mark.parametrize("command", sorted({c for page in PAGES.values() for c in COMMAND.findall(page)}))
def test_every_command_that_is_named_is_understood(command):
    assert parse(command.split()).parser.prog == f"lwyolo {command.split()[0]}"


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("term", TERMS)
def test_every_number_of_a_worked_example_follows_from_what_is_given(page, term):
    expected = {f"{value:,}" if isinstance(value, int) else value for value in WORKED[term]}

    assert expected == set(NUMBER.findall(URL.sub("", example(page, term))))


@pytest.mark.parametrize("page", PAGES)
def test_the_two_layers_of_the_examples_cost_what_their_table_says(page):
    rows = [
        f"= {MACCS:,} | 80 · 80 · 64 · 9 = {DEPTHWISE_MACCS:,}",
        f"{WORK:,} | {DEPTHWISE_WORK:,}",
        f"{ELEMENTS:,} | {DEPTHWISE_ELEMENTS:,}",
        f"{BYTES:,} | {DEPTHWISE_BYTES:,}",
        f"{64 * 128:,} | {64 * 9}",
        f"{INTENSITY} | {DEPTHWISE_INTENSITY}",
    ]

    assert [] == [row for row in rows if f"{row} |\n" not in PAGES[page]]


@pytest.mark.parametrize("page", PAGES)
def test_the_passes_of_the_latency_example_are_all_there(page):
    assert PASSES == [
        int(n)
        for n in re.search(r"\d+(?:(?:, |、)\d+){10}", example(page, "latency"))[0].replace("、", ", ").split(", ")
    ]


@pytest.mark.parametrize("page", PAGES)
def test_what_is_said_of_detectors_agrees_with_the_hand_counts_and_the_readme(page):
    by_hand = (ROOT / "tests" / "cost" / "test_ground_truth.py").read_text(encoding="utf-8")
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    text = entries(page)

    assert [] == [macs for macs in (V8, V12, V26, V26_FUSED, DETR, DETR_FUSED) if f"{macs:_}" not in by_hand]
    assert {f"{V8 / 1e9:.3f}", f"{2 * V8 / 1e9:.3f}", f"{(2 * V8 + 8 * V8_NORMS) / 1e9:.3f}"} <= facts(text["flops"])
    assert {f"{100 * (1 - V12 / V8):.0f}", "440.4", "233.7", f"{440.4 / 233.7:.1f}"} <= facts(text["mac"])
    assert {f"{100 * (1 - V12 / V8):.0f}"} <= facts(text["latency"])
    assert {"8.71", "9.49"} <= facts(text["ultralytics-gflops"])
    assert "Ultralytics prints 8.71 GFLOPs for the training graph" in readme
    assert "2 × our MACCs (9.49)" in readme
