"""The layer graph as an SVG: complete, without overlaps, and readable."""

from __future__ import annotations

import functools
import itertools
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lwyolo.cost import Cost, LayerCost
from lwyolo.reports.drawing import EM, NAME, SMALL, TITLE, fit, layer_graph_svg, text_width

SVG = "{http://www.w3.org/2000/svg}"
OURS = [
    "yolo11-dyhead", "yolo11-dyheadlite", "yolo26-dyhead", "yolo26-dyheadlite", "yolov8-bifpn", "yolov8-dyhead",
    "yolov8-dyheadlite", "yolov8-dysample", "yolov8-fasterc2f", "yolov8-shareddetect", "yolov8-slimneck", "yolov8-timm",
]  # fmt: skip
STOCK = [
    "yolov3-tiny", "yolov5n", "yolov6n", "yolov8n", "yolov8n-p2", "yolov8n-p6", "yolov8n-cls", "yolov8n-seg",
    "yolov8n-obb", "yolov9t", "yolov9e", "yolov10n", "yolo11n", "yolo12n", "yolo26n", "yolo26n-sem", "rtdetr-l",
]  # fmt: skip
MODELS = [*(f"cfg/{name}.yaml" for name in OURS), *(f"{name}.yaml" for name in STOCK)]


@functools.cache
def drawn(model: str) -> ET.Element:
    from lwyolo.engine.info import cost_of

    one = cost_of(model, imgsz=320, graphs=("deployed",))
    return ET.fromstring(layer_graph_svg(one.name, one.graphs[0]))


def layer(
    index: int | None = 0, from_=-1, shapes=((1, 8, 32, 32),), type_: str = "Conv", params: int = 10
) -> LayerCost:
    return LayerCost(
        index=index, from_=from_, path=f"model.{index}", type=type_, calls=1, output_shapes=tuple(shapes),
        params=params, macs=10 * params, flops=20 * params, memory_access_bytes=0, memory_access_fused_bytes=0,
        activation_bytes=0, elementwise_bytes=0, elementwise_fused_bytes=0, n_operators=1, n_groups=1,
    )  # fmt: skip


def cost(*layers: LayerCost, image=(1, 3, 64, 64)) -> Cost:
    return Cost(
        name="Net", params=sum(row.params for row in layers), macs=sum(row.macs for row in layers), flops=0,
        memory_access_bytes=0, memory_access_fused_bytes=0, compulsory_bytes=0, activation_bytes=0,
        peak_activation_bytes=0, peak_at="", layers=layers, operators=(), input_shapes=(image,), dtype="float32",
        fused=True,
    )  # fmt: skip


def picture(*layers: LayerCost, name: str = "net", **settings) -> ET.Element:
    return ET.fromstring(layer_graph_svg(name, cost(*layers, **settings)))


def boxes(svg) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, right and bottom of each box."""
    found = {}
    for group in svg.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        x, y, width, height = (float(rect.get(side)) for side in ("x", "y", "width", "height"))
        found[group.get("data-layer")] = (x, y, x + width, y + height)
    return found


def lines(svg) -> list[tuple[str, str, list[tuple[float, float]]]]:
    """Start, end and corners of each line."""
    return [
        (
            line.get("data-from"),
            line.get("data-to"),
            [tuple(map(float, at.split(","))) for at in line.get("points").split()],
        )
        for line in svg.iter(f"{SVG}polyline")
        if line.get("class") == "line"
    ]


def segments(svg):
    """Source and rectangle of each straight part of each line."""
    for source, _, points in lines(svg):
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            yield source, (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


def overlap(a, b, margin: float = 0.0) -> bool:
    return all(a[i] < b[i + 2] - margin and b[i] < a[i + 2] - margin for i in (0, 1))


def assert_readable(svg) -> None:
    placed = boxes(svg)
    assert [] == [pair for pair in itertools.combinations(placed, 2) if overlap(placed[pair[0]], placed[pair[1]])]
    parts = list(segments(svg))
    for source, part in parts:
        thick = (part[0] - 0.1, part[1] - 0.1, part[2] + 0.1, part[3] + 0.1)
        assert [] == [key for key, box in placed.items() if overlap(thick, box, margin=0.2)], (source, part)
    for (one, a), (other, b) in itertools.combinations(parts, 2):
        if one != other and (a[0] == a[2]) == (b[0] == b[2]):  # both upright or both level
            near = (a[0] - 1, a[1] - 1, a[2] + 1, a[3] + 1)
            assert not overlap(near, (b[0] - 1, b[1] - 1, b[2] + 1, b[3] + 1)), (one, a, other, b)
    for group in svg.iter(f"{SVG}g"):
        left, top, right, bottom = placed[group.get("data-layer")]
        for text in group.iter(f"{SVG}text"):
            size = NAME if text.get("class") == "name" else SMALL
            assert left < float(text.get("x"))
            assert float(text.get("x")) + text_width("".join(text.itertext()), size) < right
            assert top + size <= float(text.get("y")) < bottom
    _, _, width, height = map(float, svg.get("viewBox").split())
    corners = [(x, y) for _, _, points in lines(svg) for x, y in points] + [box[2:] for box in placed.values()]
    assert all(0 < x < width and 0 < y < height for x, y in corners)


@pytest.mark.parametrize("model", MODELS)
def test_every_row_is_drawn_once_with_all_that_it_reads(model):
    from lwyolo.engine.files import load_model_yaml

    yaml = load_model_yaml(model)
    rows = [*yaml["backbone"], *yaml["head"]]
    edges = set()
    for index, row in enumerate(rows):
        sources = row[0] if isinstance(row[0], list) else [row[0]]
        numbers = [source + index if source < 0 else source for source in sources]
        edges |= {("input" if number < 0 else str(number), str(index)) for number in numbers}
    svg = drawn(model)

    assert ["input", *map(str, range(len(rows)))] == [group.get("data-layer") for group in svg.iter(f"{SVG}g")]
    assert edges == {(source, target) for source, target, _ in lines(svg)}


@pytest.mark.parametrize("model", MODELS)
def test_nothing_overlaps_and_no_line_is_taken_for_another(model):
    assert_readable(drawn(model))


@pytest.mark.parametrize("model", MODELS)
def test_lines_start_and_end_at_their_boxes(model):
    placed = boxes(drawn(model))
    for source, target, points in lines(drawn(model)):
        for key, (x, y) in ((source, points[0]), (target, points[-1])):
            left, top, right, bottom = placed[key]
            on_side = min(abs(x - left), abs(x - right)) < 0.02 and top <= y <= bottom
            assert on_side or (min(abs(y - top), abs(y - bottom)) < 0.02 and left <= x <= right), (source, target)


STRIDES = st.sampled_from([1, 2, 4, 8])


@st.composite
def graphs(draw):
    """Rows that read any rows before them, over one level or several."""
    layers = []
    for index in range(draw(st.integers(1, 14))):
        before = st.integers(-1, index - 1)
        from_ = draw(st.one_of(st.just(-1), st.lists(before, min_size=1, max_size=4, unique=True).map(tuple)))
        from_ = tuple(f - index if f < 0 else f for f in from_) if isinstance(from_, tuple) else from_
        strides = draw(st.lists(STRIDES, min_size=1, max_size=3, unique=True))
        shapes = [(1, 8, 64 // stride, 64 // stride) for stride in strides]
        layers.append(layer(index, from_, [(1, 84, 100)] if draw(st.integers(0, 9)) == 0 else shapes))
    return layers


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(graphs())
def test_any_graph_is_readable(layers):
    assert_readable(picture(*layers))


def test_a_coarser_level_stands_lower():
    svg = drawn("cfg/yolov8-dyhead.yaml")
    top = {key: box[1] for key, box in boxes(svg).items()}

    assert top["0"] < top["1"] < top["3"] < top["5"] < top["7"]  # P1, P2, P3, P4, P5 of the backbone
    assert top["7"] > top["10"] > top["13"]  # the FPN goes up
    assert top["16"] < top["19"]  # the PAN goes down again


def test_levels_are_labelled_with_stride_and_size():
    words = ["".join(text.itertext()) for text in drawn("cfg/yolov8-dyhead.yaml").iter(f"{SVG}text")]

    for label, size in (("P1/2", 160), ("P2/4", 80), ("P3/8", 40), ("P4/16", 20), ("P5/32", 10)):
        assert f"{size}×{size}" == words[words.index(label) + 1]


def test_a_layer_over_several_levels_spans_them_and_names_each():
    svg = drawn("cfg/yolov8-dyhead.yaml")
    placed = boxes(svg)
    (dyhead,) = (group for group in svg.iter(f"{SVG}g") if group.get("data-layer") == "22")
    to_detect = [points for source, target, points in lines(svg) if (source, target) == ("22", "23")]

    assert placed["22"][1] <= placed["3"][1]
    assert placed["9"][3] <= placed["22"][3]
    assert ["22 DyHead", "64×40×40", "64×20×20", "64×10×10"] == [
        "".join(t.itertext()) for t in dyhead.iter(f"{SVG}text")
    ]
    assert 3 == len(to_detect)
    assert all(2 == len(points) and points[0][1] == points[1][1] for points in to_detect)  # straight, one a level


def test_a_classifier_ends_on_its_last_level():
    placed = boxes(drawn("yolov8n-cls.yaml"))

    assert (placed["8"][0], placed["8"][2]) == (placed["9"][0], placed["9"][2])
    assert placed["8"][3] < placed["9"][1]


def test_bars_compare_each_layer_with_the_largest():
    svg = picture(layer(0, params=40), layer(1, params=10), layer(2, params=0))
    widths = {
        group.get("data-layer"): [float(r.get("width")) for r in group.iter(f"{SVG}rect") if r.get("class") == "macs"]
        for group in svg.iter(f"{SVG}g")
    }

    assert [] == widths["2"] == widths["input"]
    assert widths["1"][0] == pytest.approx(widths["0"][0] / 4, abs=0.1)


def test_layers_without_rows_are_a_chain_and_what_runs_outside_is_left_out():
    svg = picture(layer(None, None), layer(None, None), layer(None, None, type_="(outside of layers)"))

    assert [("input", "0"), ("0", "1")] == [(source, target) for source, target, _ in lines(svg)]


def test_inputs_that_are_no_images_are_drawn():
    svg = picture(layer(None, None, shapes=[(1, 10)]), image=(1, 7))

    assert ["input", "0"] == list(boxes(svg))


def test_a_model_without_layers_shows_its_input():
    assert ["input"] == list(boxes(picture()))


@pytest.mark.parametrize(
    "name", ["a<b>&\"'", "</svg><script>alert(1)</script>", "\x00\ud800\x1b[0m", "卷积" * 80, "x" * 500]
)
def test_hostile_names_are_text_that_fits(name):
    svg = picture(layer(0, type_=name), name=name)
    title = next(text for text in svg.iter(f"{SVG}text") if text.get("class") == "title")
    _, _, width, _ = map(float, svg.get("viewBox").split())

    assert_readable(svg)
    assert [] == list(svg.iter(f"{SVG}script"))
    assert float(title.get("x")) + text_width(title.text, TITLE) < width
    assert name[:3].replace("\x00", "�").replace("\ud800", "�").replace("\x1b", "�") == title.text[:3]


def test_a_chinese_character_counts_twice():
    assert text_width("卷积", 10) == text_width("abcd", 10) == 40 * EM
    assert "卷…" == fit("卷积层", 10, 3 * 10 * EM)


def test_the_same_model_gives_the_same_picture():
    rows = (layer(0), layer(1, (0, -1)), layer(2, shapes=[(1, 8, 16, 16)]))

    assert layer_graph_svg("net", cost(*rows)) == layer_graph_svg("net", cost(*rows))
