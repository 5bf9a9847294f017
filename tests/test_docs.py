"""What the documentation states is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lwyolo.cli import parse
from lwyolo.cost import lint
from lwyolo.cost.elementwise import ELEMENTWISE, REDUCTIONS

ROOT = Path(__file__).resolve().parent.parent
COST = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
PAGES = [
    "README.md",
    "README.zh-CN.md",
    "docs/cost.md",
    "docs/glossary.md",
    "docs/glossary.zh-CN.md",
    "CONTRIBUTING.md",
]
WORDS = {
    "hard sigmoid": "hardsigmoid",
    "leaky relu": "leaky_relu",
    "hard swish": "hardswish",
    "variance": "var",
}
OTHERWISE = {"comparisons", "batch", "sampling", "mask", "sampled"}
"""Words of rows whose formulas are proven in `tests/cost`."""


def published():
    """Names and weights of the table of element-wise work, where a row has one weight."""
    for weight, names in re.findall(r"^\| (\d) \| (.+) \|$", COST, re.MULTILINE):
        for name in re.split(r"[,;] ", re.sub(r"\(.*?\)", "", names)):
            word = name.strip().rstrip("*")
            if not set(word.split()) & OTHERWISE:
                yield pytest.param(WORDS.get(word, word), int(weight), id=word)


@pytest.mark.parametrize(("name", "weight"), list(published()))
def test_the_published_weights_of_element_wise_work_are_those_in_use(name, weight):
    tables = (*ELEMENTWISE.items(), *REDUCTIONS.items())
    known = {operator.removeprefix("aten::"): w for w, operators in tables for operator in operators}

    assert weight == known[name]


def test_the_published_thresholds_are_those_in_use():
    flat = " ".join(COST.split())

    assert (2, True) == (lint.WIDTH_RATIO, "more than twice the other" in flat)
    assert f"it runs {lint.FRAGMENTS} kernels or more" in flat
    assert (0.25, True) == (lint.WORK_RATIO, "below a quarter of the model's mean" in flat)
    assert (
        f"move {100 * lint.ELEMENTWISE:.0f} % of its bytes one by one, or {100 * lint.ELEMENTWISE_LEFT:.0f} % when"
        in flat
    )
    assert f"at least {100 * lint.SHARE:.1f} % of the model's bytes" in flat


def commands():
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"(?:^|`)(?:\$ )?lwyolo ([a-z][^`\n]*)", text, re.MULTILINE):
            yield pytest.param(re.split(r"\s+#", line)[0].split(), id=f"{page}: {line[:60]}")


@pytest.mark.parametrize("arguments", list(commands()))
def test_every_command_that_a_page_names_is_understood(arguments):
    assert parse([a.strip("…") for a in arguments if a != "…"]).run is not None


def test_a_table_of_weights_was_found():
    assert 30 <= len(list(published()))
