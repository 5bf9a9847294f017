"""What tables, sentences and pictures say of rooflines; figures are chosen so that they can be checked by hand."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from lwyolo.reports.roofline import difference_table, explanation, group_table, kind_table, remarks, roofline_tables
from lwyolo.reports.roofline_picture import Axis, roofline_page, roofline_svg
from lwyolo.reports.tables import WIDTH, render
from lwyolo.speed.roofline import Group, Level, Roofline, Roofs, bound_group

ROOFS = Roofs(
    1, 100.0, "product", (Level("L2", 10_000, None, "faster than calls can tell"), Level("memory", None, 10.0))
)


def _group(name: str, kind: str, macs: int, n_bytes: int, ms: float) -> Group:
    return bound_group(ROOFS, name, kind, ["Conv"], macs, n_bytes, ms)


GROUPS = (
    _group("model.0.conv", "convolution 3×3", 200_000_000, 4_000_000, 5.0),  # 400 MFLOPs: bound 4 ms, 80 GFLOPS
    _group("model.1.<b>", "convolution 3×3", 50_000_000, 2_000_000, 4.0),  # bound 1 ms
    _group("model.2", "concat/copy", 0, 10_000_000, 1.25),  # bound 1 ms
    _group("ReorderInput", "layout", 0, 0, 0.5),
)


def _model(name: str = "first", groups: tuple[Group, ...] = GROUPS, whole_ms: float = 11.0) -> Roofline:
    return Roofline(name, (640, 640), 1, "onnxruntime 1.0", "CPU", ROOFS, groups, whole_ms, 30, 21, False, 0)


def test_kinds_sum_to_the_model():
    rows = {row[0]: row for row in kind_table(_model()).rows}
    assert ("convolution 3×3", "2", "0.500", "5.7", "9.00", "55.6", "5.00", "55.6", "83.7") == rows["convolution 3×3"]
    assert ("layout", "1", "0.000", "0.0", "0.50", "–", "–", "–", "4.7") == rows["layout"]
    assert ("sum", "4", "0.500", "15.3", "10.75", "46.5", "6.00", "55.8", "100.0") == rows["sum"]


def test_groups_stand_slowest_first_with_their_class():
    rows = group_table(_model(), 3).rows
    assert ["model.0.conv", "model.1.<b>", "model.2"] == [row[0] for row in rows]
    assert ["compute-bound", "below both roofs", "memory-bound"] == [row[7] for row in rows]
    assert 4 == len(group_table(_model(), None).rows)


def test_sum_and_whole_are_put_beside_each_other():
    assert "Groups sum to 10.75 ms, the whole takes 11.00 ms without the profiler (ratio 0.977)" in " ".join(
        remarks(_model())
    )


def test_time_by_class_is_told():
    words = "compute-bound 5.0 ms (46.5 %), below both roofs 4.0 ms (37.2 %), memory-bound 1.2 ms (11.6 %), layout 0.5"
    assert words in " ".join(remarks(_model()))


def test_groups_above_their_bound_are_named_and_counted():
    too_fast = _group("model.9", "matrix product", 500_000_000, 20_000, 8.0)  # bound 10 ms: 125 %
    assert "No group is faster than its bound by more than 5 %." in list(remarks(_model()))
    assert "1 of 5 groups are faster than their bound by more than 5 %: model.9 (125 %)." in " ".join(
        remarks(_model(groups=(*GROUPS, too_fast)))
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"disturbed": True}, "disturbed ones count too"),
        ({"unmapped_macs": 500_000_000}, "as no kernel was found for them: 1.000 GFLOPs"),
        ({"remarks": ("measured now",)}, "measured now"),
        ({}, "held against the peak alone: L2 (faster than calls can tell)"),
    ],
)
def test_what_figures_lack_is_said(change, words):
    assert words in " ".join(remarks(replace(_model(), **change)))


SECOND = _model(
    "second",
    (
        _group("model.0", "convolution 3×3", 250_000_000, 6_000_000, 10.0),
        _group("model.1", "depthwise 3×3", 10_000_000, 6_000_000, 4.0),
    ),
)


def test_difference_is_split_into_work_and_speed():
    first, second = _model(), SECOND  # 10.75 ms for 0.50 GFLOPs, 14.0 ms for 0.52 GFLOPs
    words = list(explanation(first, second))
    assert words[0].startswith("second takes 14.0 ms in its groups, 3.2 ms more than first (10.8 ms), with 1.04 times ")
    assert "first its FLOPs would take 11.2 ms: +0.4 ms by the number of FLOPs, +2.8 ms by how fast" in words[1]
    assert words[2].startswith(
        "By kind: depthwise 3×3 +4.0 ms (0.02 GFLOPs at 5 GFLOPS against none); concat/copy -1.2 ms"
    )
    assert "lwyolo bench second --vs first" in words[3]


def test_differences_by_kind_add_up():
    rows = difference_table(_model(), SECOND).rows
    assert pytest.approx(3.25, abs=0.02) == sum(float(row[3]) for row in rows)
    assert ("convolution 3×3", "9.00", "10.00", "+1.00", "0.500", "0.500", "55.6", "50.0") in rows


def test_two_models_are_compared_and_one_is_not():
    assert [3, 6] == [len(roofline_tables(models)) for models in ([_model()], [_model(), SECOND])]


def test_text_fits_a_terminal():
    text = "\n".join(render(table) for table in roofline_tables([_model(), SECOND]))
    assert max(map(len, text.splitlines())) <= WIDTH


def test_logarithmic_axis_ends_at_round_numbers_and_spaces_powers_evenly():
    axis = Axis([0.3, 70.0], 0.0, 100.0)
    assert (0.2, 100.0, 0.0, 100.0) == (axis.low, axis.high, axis.at(0.2), axis.at(100.0))
    assert axis.at(10.0) - axis.at(1.0) == pytest.approx(axis.at(100.0) - axis.at(10.0))


def _elements(svg: str, tag: str) -> list[ET.Element]:
    return list(ET.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{tag}"))


def test_each_group_with_flops_is_a_mark_below_the_peak():
    svg = roofline_svg([_model()])
    circles = _elements(svg, "circle")
    diamonds = [one for one in _elements(svg, "rect") if "rotate(45" in one.get("transform", "")]
    assert (1, 1) == (len(circles), len(diamonds))  # compute-bound, and below both roofs
    (peak,) = (one for one in _elements(svg, "text") if (one.text or "").startswith("peak 100 GFLOPS"))
    assert float(circles[0].get("cy", 0)) > float(peak.get("y", 0))


def test_area_of_a_mark_is_its_time():
    first, second = (
        float(_elements(roofline_svg([_model(groups=(one,) * 2)]), "circle")[0].get("r", 0))
        for one in (GROUPS[0], replace(GROUPS[0], ms=4.5))
    )
    assert first == second  # each takes half of its model's time
    (large, *_), small = (
        [float(one.get("r", 0)) for one in _elements(roofline_svg([_model(groups=groups)]), "circle")]
        for groups in ((GROUPS[0],), (GROUPS[0],) * 4)
    )
    assert large == pytest.approx(2 * small[0], abs=0.1)


def test_page_is_one_file_and_shows_names_as_text():
    page = roofline_page([_model(), SECOND])
    assert "model.1.&lt;b&gt;" in page
    assert "<b>" not in page
    assert [] == re.findall(r"""(?:src|href)=|url\(|@import""", page)
    assert {"first", "second"} <= set(re.findall(r">(\w+)</text>", page))
