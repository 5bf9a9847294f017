"""The page of a data set."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from lwyolo.data.instances import InstanceTable, Problem
from lwyolo.data.statistics import data_record, statistics
from lwyolo.errors import UsageError
from lwyolo.reports.data import data_report
from lwyolo.reports.data_page import data_page
from lwyolo.reports.data_picture import HEIGHT, TOP, histogram_picture, largest
from lwyolo.reports.data_words import CHINESE, Words
from lwyolo.reports.thumbnails import thumbnail

HOSTILE = "</script><b>&\"'</b>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr",
)  # fmt: skip
PROBE = """<script>addEventListener("load", () => {
  const table = document.querySelector("#classes table"), field = document.querySelector("#classes .filter input");
  const column = (i) => [...table.tBodies[0].rows].filter((r) => !r.hidden).map((r) => r.cells[i].textContent);
  const said = { images: [...document.images].map((i) => i.naturalWidth > 0), before: column(0) };
  table.tHead.rows[0].cells[3].querySelector("button").click();
  said.sorted = column(3);
  field.value = "rust"; field.dispatchEvent(new Event("input"));
  said.filtered = column(1);
  said.told = document.querySelector("#classes output").textContent;
  const plot = document.querySelector("#classes svg.plot");
  plot.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  said.tip = document.querySelector(".tip").textContent;
  said.overflow = document.documentElement.scrollWidth - innerWidth;
  document.documentElement.dataset.said = JSON.stringify(said);
});</script></body>"""


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self._script = [], "", False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._script = tag in ("script", "style")

    def handle_data(self, data):
        self.text += "" if self._script else data

    def of(self, tag, kind=""):
        return [a for t, a in self.tags if t == tag and kind in [*(a.get("class") or "").split(), ""]]


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> InstanceTable:
    """Five images on disk: one of two classes, a background, a dropped one with a row of class 9, one that is broken."""
    import cv2

    folder = tmp_path_factory.mktemp("page")
    files = [folder / f"images/train/{number}.jpg" for number in range(5)]
    files[0].parent.mkdir(parents=True)
    for file in files:
        cv2.imwrite(str(file), np.full((300, 400, 3), 90, np.uint8))
    files[4].write_bytes(b"no image")
    labels = [folder / f"{number}.txt" for number in range(5)]
    labels[3].write_text("9 .5 .5 .2 .2\nnonsense\n1 .25 .5 .5 .2\n")
    return InstanceTable(
        names={0: "defect", 1: "rust", 2: "defect"},
        samples={"pin": (0, 1), "insulator": (2,)},
        splits=("train", "val"),
        images=files,
        sources=labels,
        image_split=np.array([0, 0, 1, 0, 1]),
        image=np.array([0, 0, 0, 2]),
        cls=np.array([0, 1, 0, 2]),
        boxes=np.array([[0.5, 0.5, 0.5, 0.5], [0.2, 0.2, 0.1, 0.1], [0.8, 0.2, 0.1, 0.1], [0.5, 0.5, 0.9, 0.9]]),
        lines=np.array([1, 2, 3, 1]),
        rows_written=7,
        problems=(Problem(3, labels[3], "line 1: class 9"), Problem(4, files[4], "not readable")),
        sizes=np.array([[400, 300]] * 4 + [[0, 0]]),
    )


def page_of(table, **more):
    return data_page(data_record(table, "set/data.yaml", "abc"), table, statistics(table), **more)


def test_the_page_holds_every_section_and_the_users_table(table):
    page = Page(page_of(table))

    assert ["summary", "instances", "problems", "classes", "sizes", "shapes", "together", "splits", "examples"] == [
        a["id"] for a in page.of("section")
    ]
    assert [f"#{a['id']}" for a in page.of("section")] == [a["href"] for a in page.of("a")]
    assert "0-defect-2" in page.text
    assert "Rows written in label files: 7; instances that Ultralytics trains on: 4." in page.text


def test_leaks_stand_where_they_are_given(table):
    assert '<section id="leaks"><h2>Leaks</h2>\n<p>twins</p>' in page_of(table, leaks_html="<p>twins</p>")


def test_images_are_inlined_and_boxes_lie_where_they_are(table):
    text = page_of(table)
    page = Page(text[text.index('id="examples"') :])

    assert {True} == {a["src"].startswith("data:image/jpeg;base64,/9j/") for a in page.of("img")}
    assert 2 == len(page.of("img"))  # image 0 stands for classes 0 and 1, image 2 for class 2
    box = next(a for a in page.of("rect") if a["width"] == "50.00%")
    assert ("25.00%", "25.00%", "50.00%") == (box["x"], box["y"], box["height"])
    assert "0 defect" in page.text


def test_dropped_images_are_shown_with_their_rows_as_written(table):
    text = page_of(table)
    page = Page(text[text.index('id="problems"') : text.index('id="classes"')])

    assert "line 1: class 9" in page.text
    assert [("class-1", "dropped"), ("class-1", "dropped")] == [tuple(a["class"].split()) for a in page.of("g")]
    assert ["9", "1 rust"] == re.findall(r'text-anchor="\w+">([^<]*)</text></g>', text)[:2]
    assert 1 == len(page.of("p", "absent"))


def test_findings_come_first_and_mark_their_box(table):
    finding = ("tiny", "warning", str(table.sources[0]), 2, "0.5 px high")
    text = page_of(table, findings=[finding])
    text = text[text.index('id="problems"') : text.index('id="classes"')]
    page = Page(text)

    assert ["kept", "marked", "kept"] == [a["class"].split()[1] for a in page.of("g")][:3]
    assert ["tiny", "dropped", "dropped"] == re.findall(r'<tr class=""><th scope="row" class="left">(\w+)<', text)[:3]
    assert re.search(r"0\.5 px high", page.text)


def test_a_clean_set_says_so(table):
    assert "No problem was found." in page_of(replace(table, problems=()))


def test_without_sizes_no_image_is_opened(table, monkeypatch):
    import cv2

    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("opened"))
    page = Page(page_of(replace(table, sizes=None)))

    assert "Thumbnails are left out: images were not opened." in page.text
    assert "sizes" not in [a["id"] for a in page.of("section")]


def test_hostile_names_stay_text(table):
    hostile = replace(table, names={0: HOSTILE, 1: HOSTILE, 2: "x"}, samples={HOSTILE: (0, 1), "y": (2,)})
    findings = [(HOSTILE, "error", str(table.sources[0]), 1, HOSTILE)]
    page = Page(data_page(data_record(hostile, HOSTILE), hostile, statistics(hostile), findings, remarks=(HOSTILE,)))

    assert 1 == len(page.of("script"))
    assert [] == [a for a in page.of("b") if not a]
    assert page.text.count(HOSTILE) >= 10


def test_the_page_needs_nothing_beside_it(table):
    page = page_of(table)

    assert [] == re.findall(r"https?://|url\(|@import|\bimport\b|fetch\(", page)
    assert {"data"} == {a["src"].split(":")[0] for _, a in Page(page).tags if "src" in a}
    assert "img-src data:" in page


def test_every_colour_that_is_used_is_defined(table):
    page = page_of(table)
    used, defined = (set(re.findall(form, page)) for form in (r"var\((--[\w-]+)\)", r"(--[\w-]+):"))

    assert {"--share"} >= used - defined


def test_the_chinese_page_has_chinese_words(table):
    text = page_of(table, lang="zh", per_split=True, findings=[("tiny", "warning", "a.txt", 2, "small")])
    page = Page(text)

    assert '<html lang="zh-CN">' in text
    assert ["概要", "实例表", "问题", "类别"] == re.findall(r"<h2>(.*?)</h2>", text)[:4]
    assert [] == re.findall(r"\b(?:instances in|images with|Rows written|boxes by|Filter)\b", page.text)
    assert "tiny" in page.text


def test_every_chinese_sentence_takes_the_values_of_its_english():
    fields = {english: sorted(set(re.findall(r"\{(\w+)\}", english))) for english in CHINESE}

    assert fields == {english: sorted(set(re.findall(r"\{(\w+)\}", chinese))) for english, chinese in CHINESE.items()}
    with pytest.raises(UsageError, match="expected one of en, zh"):
        Words("fr")


def test_no_chinese_sentence_is_without_use(root):
    files = [*(root / "lwyolo/reports").glob("*.py"), root / "lwyolo/cli/_data/stats.py"]
    nodes = [
        node for file in files if file.stem != "data_words" for node in ast.walk(ast.parse(file.read_text("utf-8")))
    ]

    assert set() == set(CHINESE) - {node.value for node in nodes if isinstance(node, ast.Constant)}


def test_the_report_as_text_holds_the_same_tables(table):
    text = data_report(data_record(table, "set"), statistics(table), remarks=("Images were not opened.",))

    # train has 2 and 1 and 0: weights at 1 are 1/2, 1 and their mean 3/4, over a mean of 3/4
    assert "| 0 | defect | pin | 2 | 0 | 2 | 50.0 | 1 | 0 | 0.828 | 0.667 |" in text
    assert "| train – val | 3 / 1 | too few | too few | too few |" in text
    assert "Imbalance in train: the largest class has 2.0 times the instances of the smallest" in text
    assert "Classes without an instance in train: 2 defect." in text


def test_a_histogram_is_cut_to_what_it_holds_and_marks_limits_inside():
    edges = 2.0 ** np.arange(9)
    picture = Page(histogram_picture(edges, np.array([0, 0, 4, 0, 2, 0, 0, 0]), "x", limits=(2.0, 8.0)))
    bars, full = picture.of("rect", "bar"), HEIGHT - TOP

    assert [("0.00%", 1.0), ("33.33%", 0.0), ("66.67%", 0.5)] == [(b["x"], float(b["height"]) / full) for b in bars]
    assert ["33.33%"] == [a["x1"] for a in picture.of("line", "limit")]
    assert "x: 4 to 8: 4 boxes" in picture.text


def test_only_the_largest_classes_are_drawn(table):
    assert [0, 1] == largest(statistics(table), 2)


def test_a_large_image_becomes_a_small_one_and_a_broken_one_none(tmp_path):
    import base64

    import cv2

    file = tmp_path / "a.jpg"
    cv2.imwrite(str(file), np.full((3000, 4000, 3), 90, np.uint8))
    content = base64.b64decode(thumbnail(file, 4000).partition(",")[2])

    assert (240, 320, 3) == cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape
    file.write_bytes(b"")
    assert (None, None) == (thumbnail(file), thumbnail(tmp_path / "none.jpg"))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: the page is not run here")
@pytest.mark.parametrize(("width", "lang"), [(1200, "en"), (400, "zh")])
def test_the_page_works_in_a_browser(table, tmp_path, width, lang):
    import json

    file = tmp_path / "index.html"
    file.write_text(page_of(replace(table, problems=()), lang=lang).replace("</body>", PROBE), encoding="utf-8")
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--window-size={width},900", f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=4000", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    said = json.loads(dict(Page(done.stdout).tags)["html"]["data-said"])

    assert [] == [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert [True, True] == said["images"]
    assert (["0", "1", "2"], ["2", "1", "0"], ["rust"], "1 / 3") == (
        said["before"], said["sorted"], said["filtered"], said["told"],
    )  # fmt: skip
    assert said["tip"].startswith("0 defect")
    assert said["overflow"] <= 0


def test_the_page_can_be_written_for_a_set_without_instances(table):
    empty = replace(table, image=table.image[:0], cls=table.cls[:0], boxes=table.boxes[:0], lines=table.lines[:0])

    assert "0-defect-0" in Page(page_of(empty)).text
