from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from lwyolo.reports.document import table_html
from lwyolo.reports.speed_page import conditions_table, speed_page
from lwyolo.reports.speed_picture import SHAPES, Axis, ratio_picture, time_picture
from lwyolo.reports.tables import Table
from lwyolo.speed.fairness import Conditions
from lwyolo.speed.result import Failure, Result, against

HOSTILE = "</script><b>&\"'</b>"
CONDITIONS = Conditions(
    imgsz=(640, 480), batch=1, threads=2, precision="fp32", runtime="onnxruntime", runtime_version="1.30",
    device="cpu", graph="fused", suppression="torchvision", cpu="a CPU", usable_cores=4, quota=None, governor=None,
    load=0.25, platform="Linux", python="3.11", versions={"torch": "2.9"}, variables={"KMP_BLOCKTIME": "0"},
)  # fmt: skip


def result(name="a", ms=10.0, clean=True, spread=0.0, rounds=20, **conditions):
    """Stages of 1, 6 and 2 tenths of `ms`, and `ms` from end to end; rounds differ by `spread`, one sample each."""
    samples = []
    for number in range(rounds):
        whole = ms + spread * (number % 2)
        stages = {"preprocess": 0.1 * ms, "forward": 0.6 * ms, "suppression": 0.2 * ms, "end_to_end": whole}
        samples.append({**stages, "round": number, "clean": clean, "candidates": 7, "boxes": 3})
    return Result(
        name=name, conditions=dataclasses.replace(CONDITIONS, **conditions), load_ms=120.4, first_ms=33.0,
        candidates=7, boxes=3, size_bytes=3 * 2**20, peak_bytes=None, agreement="differs from torch: by 0 px",
        normalised=False, samples=tuple(samples), images_per_s={1: 50.0},
    )  # fmt: skip


class Page(HTMLParser):
    """The elements of a page, and all of its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, kind):
        return [attributes for _, attributes in self.tags if attributes.get("class") == kind]


def percent(text):
    assert text.endswith("%")
    return float(text[:-1])


def shown(page):
    """Return the rows of each table without the tags in them."""
    bodies = re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL)
    rows = [re.findall(r"<tr.*?</tr>", body) for body in bodies]
    return [[re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table] for table in rows]


def test_stages_of_a_pass_are_stacked_in_its_order():
    picture = Page(time_picture([result(ms=10.0)]))
    bars = [(float(bar["x"][:-1]), float(bar["width"][:-1])) for tag, bar in picture.tags if tag == "rect"]

    assert ["preprocess", "forward", "suppression"] == [bar["class"] for tag, bar in picture.tags if tag == "rect"]
    assert [6.0, 2.0] == pytest.approx([bars[1][1] / bars[0][1], bars[2][1] / bars[0][1]], abs=0.02)
    assert [bars[0][0] + bars[0][1], bars[1][0] + bars[1][1]] == pytest.approx([bars[1][0], bars[2][0]], abs=0.02)
    assert "preprocess: 1.00 ms" in picture.text


def test_lengths_are_drawn_to_one_scale_for_all():
    picture = Page(time_picture([result(ms=10.0), result("b", ms=20.0)]))
    first, second = (percent(dot["cx"]) for dot in picture.of("median"))
    origin = percent(picture.of("preprocess")[0]["x"])

    assert 2.0 == pytest.approx((second - origin) / (first - origin), abs=0.01)


def test_the_interval_and_p90_lie_where_the_summary_says():
    picture = Page(time_picture([result(ms=10.0, spread=2.0)]))  # medians of rounds are 10 and 12, in turn
    place = percent(picture.of("median")[0]["cx"]) - percent(picture.of("preprocess")[0]["x"])
    ends = picture.of("halo")[0]
    origin = percent(picture.of("preprocess")[0]["x"])

    assert [10 / 11, 12 / 11, 12 / 11] == pytest.approx(
        [(percent(x) - origin) / place for x in (ends["x1"], ends["x2"], picture.of("p90")[0]["x1"])], abs=0.01
    )


def test_a_result_without_a_clean_sample_is_a_dash_and_leaves_the_others():
    picture = Page(time_picture([result("a", clean=False), result("b")]))

    assert "–, no clean sample" in picture.text
    assert 1 == len(picture.of("median"))
    assert 3 == [tag for tag, _ in picture.tags].count("rect")
    assert "preprocess: 0.00 ms" not in picture.text


@pytest.mark.parametrize("rounds", [1, 20])
def test_a_page_without_any_clean_sample_has_dashes_and_no_axis(rounds):
    found = [result("a", clean=False, rounds=rounds), result("b", clean=False, rounds=rounds)]
    page = Page(speed_page(found, [against(found[1], found[0])], []))

    assert 2 == page.text.count("–, no clean sample")
    assert "–, not enough clean rounds" in page.text
    assert ([], []) == (page.of("tick"), page.of("one"))


def test_a_median_of_too_few_rounds_has_no_interval():
    picture = Page(time_picture([result(rounds=3)]))

    assert (1, 0) == (len(picture.of("median")), len(picture.of("interval")))


@pytest.mark.parametrize(
    ("ms", "rounds", "verdict"),
    [
        (8.0, 20, "faster"),
        (12.0, 20, "slower"),
        (10.0, 20, "no difference shown"),
        (10.0, 3, "not enough clean rounds"),
    ],
)
def test_a_verdict_is_told_by_shape_and_by_words(ms, rounds, verdict):
    picture = Page(ratio_picture([against(result("b", ms, rounds=rounds), result("a"))]))
    marks = [attributes for tag, attributes in picture.tags if tag == "path"]

    assert [SHAPES[verdict]] == [mark["d"] for mark in marks]
    assert f"b onnxruntime {ms / 10:.3f}, {verdict}" in picture.text
    assert len(SHAPES) == len(set(SHAPES.values()))


def test_ratios_lie_on_their_side_of_equal_times():
    base = result("base")
    picture = Page(ratio_picture([against(result("b", 8.0), base), against(result("c", 12.0), base)]))
    one = percent(picture.of("one")[0]["x1"])
    faster, slower = (percent(mark["x"]) for mark in picture.of("at"))

    assert faster < one < slower
    assert one - faster == pytest.approx(slower - one, abs=0.02)


def test_bases_are_named_once_or_each():
    a, b, c = result("a"), result("b", 11.0), result("c", 12.0)

    assert "<h2>Against a</h2>" in speed_page([a, b, c], [against(b, a), against(c, a)], [])
    several = speed_page([a, b, c], [against(b, a), against(c, b)], [])
    assert "<h2>Against the base</h2>" in several
    assert "b / a onnxruntime 1.100, slower" in Page(several).text


@pytest.mark.parametrize(("low", "high"), [(0, 0.004), (0, 7), (0, 99_999), (0.99, 1.01), (0.2, 4.1)])
def test_ticks_are_round_few_and_in_range(low, high):
    ticks = Axis(low, high).ticks()

    assert 3 <= len(ticks) <= 7
    assert low <= ticks[0] < ticks[-1] <= high
    assert all(len(f"{tick:g}".replace(".", "").strip("0")) <= 4 for tick in ticks)


def test_rows_that_are_sorted_name_their_model():
    tables = shown(speed_page([result("a"), result("b")], [], []))

    assert [["a", "onnxruntime 1.30"]] * 4 + [["b", "onnxruntime 1.30"]] * 4 == [row[:2] for row in tables[0]]
    assert ["a", "onnxruntime", "120", "33", "3.00", "–", "50.0"] == tables[1][0]


def test_conditions_that_differ_name_the_results_that_have_them():
    table, differing = conditions_table([result("a"), result("b", threads=4, load=0.5, quota=2.0)])
    rows = {(row[0], row[1]): row[2] for row in table.rows}

    assert {("threads", "2"): "≠ a in onnxruntime", ("threads", "4"): "≠ b in onnxruntime"} == {
        key: value for key, value in rows.items() if key[0] == "threads"
    }
    assert {"threads", "quota"} == {table.rows[i][0] for i in differing}
    assert "all" == rows["imgsz", "640 × 480"] == rows["version: torch", "2.9"] == rows["governor", "–"]
    assert ("quota", "no limit") in rows
    assert ("runtime", "onnxruntime 1.30") in rows
    assert ("variable: KMP_BLOCKTIME", "0") in rows


def test_a_version_that_one_result_lacks_is_a_difference():
    table, differing = conditions_table([result("a"), result("b", versions={})])

    assert [("version: torch", "2.9"), ("version: torch", "–")] == [table.rows[i][:2] for i in differing]


def test_what_was_not_measured_stands_with_its_reason():
    page = speed_page([result()], [], [Failure("a", "ncnn", "ncnn: no such operator; use b")])

    assert "<li><strong>a in ncnn</strong>: no such operator; use b</li>" in page
    assert "Not measured" not in speed_page([result()], [], [])


def test_hostile_names_stay_text():
    found = [result(HOSTILE, runtime=HOSTILE, cpu=HOSTILE), result("b", runtime=HOSTILE)]
    page = Page(speed_page(found, [against(found[0], found[1], force=True)], [Failure(HOSTILE, HOSTILE, HOSTILE)]))

    assert [1, 0] == [[tag for tag, _ in page.tags].count(tag) for tag in ("script", "b")]
    assert page.text.count(HOSTILE) >= 8


def test_the_page_needs_nothing_beside_it():
    page = speed_page([result(), result("b")], [against(result("b"), result())], [])
    attributes = [attributes for _, attributes in Page(page).tags]

    assert [] == re.findall(r"https?://|url\(|@import|\bimport\b|fetch\(", page)
    assert [] == [one for one in attributes if {"src", "href"} & one.keys()]
    assert "$" not in page


def test_every_colour_that_is_used_is_defined():
    page = speed_page([result(), result("b")], [against(result("b"), result())], [])

    used, defined = (set(re.findall(form, page)) for form in (r"var\((--[\w-]+)\)", r"(--[\w-]+):"))

    assert {"--share"} == used - defined  # a row sets it


def test_every_column_of_a_sortable_table_is_a_header():
    page = Page(table_html(Table(("a", "b"), (("x", "1"),)), sortable=True))

    assert [("th", "col"), ("th", "col"), ("th", "row")] == [(t, a["scope"]) for t, a in page.tags if "scope" in a]
    assert ["0"] == [attributes["tabindex"] for _, attributes in page.tags if "tabindex" in attributes]
