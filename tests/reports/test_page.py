from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from lwyolo.cost import Cost, LayerCost, OperatorCost
from lwyolo.reports.page import MEASURES, cost_page
from lwyolo.units import MIB

HOSTILE = "</script><b>&\"'</b><!--"


def layer(path, type_, params, macs, *, index=None, from_=None, calls=1, children=()):
    return LayerCost(
        index=index,
        from_=from_,
        path=path,
        type=type_,
        calls=calls,
        output_shapes=((1, 8, 4, 4),),
        params=params,
        macs=macs,
        flops=2 * macs + 16,
        memory_access_bytes=10 * MIB * (1 + len(children)),
        memory_access_fused_bytes=5 * MIB * (1 + len(children)),
        activation_bytes=3 * MIB * (1 + len(children)),
        elementwise_bytes=0,
        elementwise_fused_bytes=0,
        n_operators=1,
        n_groups=1,
        children=children,
    )


def operator(name, macs, *, calls=3, counted=True):
    return OperatorCost(name, calls, macs, 2 * macs, 7 * MIB, 4 * MIB, counted)


def cost(layers, operators=(), *, fused=True, input_shapes=((1, 3, 64, 64),)):
    def total(attribute):
        return sum(getattr(one, attribute) for one in layers)

    return Cost(
        name="Model",
        **{attribute: total(attribute) for attribute, _, _ in MEASURES},
        compulsory_bytes=MIB,
        peak_activation_bytes=2 * MIB,
        peak_at="model.1.cv1",
        layers=tuple(layers),
        operators=tuple(operators),
        input_shapes=input_shapes,
        dtype="float32",
        fused=fused,
    )


CONV = layer("model.0", "Conv", 1_000, 2_000_000, index=0, from_=-1)
BLOCK = layer(
    "model.1",
    "C2f",
    3_000,
    6_000_000,
    index=1,
    from_=(-1, 0),
    children=(layer("model.1.cv1", "Conv", 2_500, 4_000_000), layer("model.1.act", "SiLU", 0, 0, calls=2)),
)
OPERATORS = (operator("aten::convolution", 8_000_000), operator("aten::silu", 0))
SMALL = cost((CONV, BLOCK), OPERATORS)


class Page(HTMLParser):
    """The elements of a page, the cells of its tables by row, and its text by element."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.rows, self.data, self._open = [], [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self._open = [tag, attributes]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self._open = []

    def handle_data(self, data):
        if self._open and self._open[0] in ("th", "td"):
            self.rows[-1][-1] += data
        if self._open and self._open[1].get("id") == "data":
            self.data += data

    def rows_of(self, first):
        return [row for row in self.rows if row and row[0] == first]


def embedded(page):
    return json.loads(Page(page).data)


def test_every_layer_has_one_row_with_its_figures():
    page = Page(cost_page([("small", SMALL)]))

    assert [
        ["0", "-1", "Conv", "8×4×4", "1000", "25.0", "2.0", "25.0", "10.0", "25.0", "5.0", "25.0", "3.0", "25.0"]
    ] == page.rows_of("0")
    assert [
        ["1", "(-1,0)", "C2f", "8×4×4", "3000", "75.0", "6.0", "75.0", "30.0", "75.0", "15.0", "75.0", "9.0", "75.0"]
    ] == page.rows_of("1")


def test_every_operator_has_one_row_with_its_figures():
    page = Page(cost_page([("small", SMALL)]))

    assert [["aten::convolution", "3", "8.0", "100.0", "16.0", "7.0", "17.5", "4.0"]] == page.rows_of(
        "aten::convolution"
    )
    assert [["aten::silu", "3", "0.0", "0.0", "0.0", "7.0", "17.5", "4.0"]] == page.rows_of("aten::silu")


def test_figures_of_the_model_are_named_with_their_units():
    page = cost_page([("small", SMALL)])
    figures = dict(re.findall(r"<dt>(.+?)</dt><dd>(.+?)</dd>", page))
    words = {name: re.sub(r"<.+?>", "", value) for name, value in figures.items()}

    assert {
        "Parameters": "0.00 M 0.02 MiB in fp32",
        "MACCs": "0.008 GMACCs 0.016 GFLOPs as papers count",
        "FLOPs": "0.016 GFLOPs with element-wise work",
        "Memory access, eager": "40.00 MiB operators one by one",
        "Memory access, fused": "20.00 MiB at least 1.00 MiB",
        "Activations written": "12.00 MiB by all operators",
        "Peak of activations": "2.00 MiB a lower bound; at model.1.cv1",
        "Arithmetic intensity": "0.8 FLOPs per byte, fused",
    } == words
    assert "64 × 64, batch 1, float32; lwyolo operators 1" in page


def test_the_picture_is_drawn_from_figures_that_add_up_to_the_totals():
    data = embedded(cost_page([("small", SMALL)]))
    model = data["models"][0]

    assert [label for _, label, _ in MEASURES] == [measure["label"] for measure in data["measures"]]
    assert [getattr(SMALL, attribute) for attribute, _, _ in MEASURES] == model["figures"]
    assert model["figures"] == [sum(part) for part in zip(*(one["figures"] for one in model["children"]), strict=True)]


def test_the_picture_keeps_the_tree_and_the_order_of_execution():
    conv, block = embedded(cost_page([("small", SMALL)]))["models"][0]["children"]

    assert {
        "path": "model.0",
        "type": "Conv",
        "figures": [2_000_000, 4_000_016, 10 * MIB, 5 * MIB, 1_000, 3 * MIB],
        "index": 0,
        "from": "-1",
        "out": [[1, 8, 4, 4]],
    } == conv
    assert ["model.1.cv1", "model.1.act"] == [child["path"] for child in block["children"]]
    assert 2 == block["children"][1]["calls"]


def test_the_kinds_that_take_most_room_come_first():
    assert ["C2f", "Conv", "SiLU"] == embedded(cost_page([("small", SMALL)]))["kinds"]


def test_hostile_names_stay_text():
    hostile = cost((layer(HOSTILE, HOSTILE, 1, 1, index=0),), (operator(HOSTILE, 1, counted=False),))
    page = cost_page([(HOSTILE, hostile), (HOSTILE, hostile)])
    tags = [tag for tag, _ in Page(page).tags]
    model = embedded(page)["models"][0]

    assert [2, 0, 2] == [tags.count(tag) for tag in ("script", "b", "section")]
    assert "<!--" not in page
    assert f"{HOSTILE}, deployed graph" == model["path"]
    assert [HOSTILE, HOSTILE] == [model["children"][0][key] for key in ("path", "type")]
    assert 2 == len(Page(page).rows_of(HOSTILE)) - 2  # beside the operators' rows, two in the table of the models


def test_the_page_needs_nothing_beside_it():
    page = cost_page([("small", SMALL), ("other", SMALL)])
    attributes = [attributes for _, attributes in Page(page).tags]

    assert [] == re.findall(r"https?://|url\(|@import|\bimport\b|fetch\(", page)
    assert {"#model-0", "#model-1"} == {one["href"] for one in attributes if "href" in one}
    assert [] == [one for one in attributes if "src" in one]
    assert "$" not in re.sub(r"\$\{", "", page)  # no placeholder is left; the script has template literals


def test_operators_without_a_formula_are_named_and_marked():
    costly = cost((CONV,), (operator("aten::convolution", 1), operator("my::magic", 0, calls=4, counted=False)))
    page = cost_page([("small", costly)])

    assert "missing in MACCs and FLOPs: my::magic × 4." in page
    assert [["my::magic", "4", "–", "–", "–", "7.0", "70.0", "4.0", "NO FORMULA"]] == Page(page).rows_of("my::magic")
    assert 1 == [attributes.get("class") for tag, attributes in Page(page).tags if tag == "tr"].count("marked")
    assert 'class="uncounted"' not in cost_page([("small", SMALL)])


def test_two_graphs_of_a_model_stand_side_by_side():
    training = cost((CONV, BLOCK, layer("model.2", "Conv", 4_000, 8_000_000, index=2)), OPERATORS, fused=False)
    page = cost_page([("small", training), ("small", SMALL)])
    comparison = Page(page).rows_of("  against training")

    assert ["small, training graph", "small, deployed graph"] == [m["path"] for m in embedded(page)["models"]]
    assert 1 == len(comparison)
    assert "-50.0 %" in comparison[0]  # parameters and MACCs
    assert 2 == len(Page(page).rows_of("aten::convolution"))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("count", [1, 2])
def test_a_model_that_takes_no_images_is_shown(count):
    page = cost_page([("mlp", cost((CONV,), input_shapes=((2, 16), (2, 4))))] * count)

    assert "input 2×16, 2×4, float32" in page


def test_a_model_without_any_cost_is_shown():
    nothing = cost((), ())

    assert [0] * len(MEASURES) == embedded(cost_page([("nothing", nothing)]))["models"][0]["figures"]


@pytest.mark.slow
def test_the_largest_yolov8_fits_in_200_kb():
    from lwyolo.engine.info import cost_of

    deployed = cost_of("yolov8x.yaml", graphs=("deployed",)).graphs[0]
    assert 200_000 > len(cost_page([("yolov8x", deployed)]).encode())
