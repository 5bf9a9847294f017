"""One HTML page, in one file, of a data set: the user's table, problems, pictures, tables and examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lwyolo.data.instances import InstanceTable
from lwyolo.data.statistics import RATIO_EDGES, SIDE_EDGES, max_over_min, normalised_entropy
from lwyolo.record import DataRecord
from lwyolo.reports.data import Finding, class_table, drift_table, findings_table, size_table
from lwyolo.reports.data_picture import (
    MOST_CELLS,
    MOST_CLASSES,
    class_picture,
    heat_picture,
    histogram_picture,
    largest,
    matrix_picture,
    per_image_picture,
    split_legend,
)
from lwyolo.reports.data_words import Words
from lwyolo.reports.document import asset, document, table_html
from lwyolo.reports.instances import instances_table, splits_table
from lwyolo.reports.tables import Table, number
from lwyolo.reports.thumbnails import class_legend, example_figures, problem_figures
from lwyolo.units import MISSING

if TYPE_CHECKING:
    from lwyolo.data.statistics import Statistics

MOST_FINDINGS = 1000
PLAIN = {"data", "dataset", "annotations", "instances"}
"""Names that tell nothing of a set."""
MAPS, MOST_LEGEND = 8, 24
"""Classes that have a map of their own, and classes up to which their colours are told."""


def data_page(
    record: DataRecord,
    table: InstanceTable,
    statistics: Statistics,
    findings: Sequence[Finding] = (),
    leaks_html: str = "",
    lang: str = "en",
    *,
    per_split: bool = False,
    remarks: Sequence[str] = (),
) -> str:
    """Return an HTML document that needs nothing beside it: no other file, no network.

    Args:
        record: The counts of the table.
        table: With `sizes` where images may be opened for thumbnails.
        statistics: Of the table.
        findings: What checks say; images that are dropped are added where no finding names their file.
        leaks_html: What a search for leaks shows, as HTML; empty: no such section.
        lang: `en` or `zh`.
        per_split: Add the instances of each split to the user's table.
        remarks: Sentences to be read with the counts.
    """
    say = Words(lang)
    root = _folder(record.yaml)
    every = _all_findings(table, findings)
    sections = [
        ("summary", "Summary", _summary(record, statistics, say)),
        ("instances", "Instance table", _instances(record, per_split, remarks, say)),
        ("problems", "Problems", _problems(table, every, root, say)),
        ("leaks", "Leaks", leaks_html),
        ("classes", "Classes", _classes(record, statistics, say)),
        ("sizes", "Sizes", _sizes(statistics, say)),
        ("shapes", "Shapes and places", _shapes(statistics, say)),
        ("together", "Classes together", _together(statistics, say)),
        ("splits", "Splits", _tables([drift_table(statistics, say)])),
        ("examples", "Examples", _examples(table, root, say)),
    ]
    shown = [(key, say(heading), content) for key, heading, content in sections if content]
    title = say("Data set {name}", name=_name(record.yaml))
    links = "".join(f'<li><a href="#{key}">{heading}</a></li>' for key, heading, _ in shown)
    body = "\n".join(
        [
            f'<header><h1>{escape(title)}</h1><p class="conditions">{escape(_conditions(record, statistics, say))}</p>',
            f'<nav aria-label="{say("Parts of this page")}"><ul>{links}</ul></nav></header>',
            "<main>",
            *(f'<section id="{key}"><h2>{head}</h2>\n{content}\n</section>' for key, head, content in shown),
            "</main>",
        ]
    )
    language = {"zh": "zh-CN"}.get(lang, lang)
    return document(title, body, css=asset("data_page.css"), js=asset("data_page.js"), lang=language)


def _all_findings(table: InstanceTable, findings: Sequence[Finding]) -> list[Finding]:
    named = {file for _, _, file, _, _ in findings}
    problems = [("dropped", "error", str(p.file), 0, p.reason) for p in table.problems if str(p.file) not in named]
    return [*findings, *problems]


def _folder(source: str) -> Path:
    """Return the folder of a data set, which its paths are shown relative to."""
    path = Path(source).resolve()
    return path if path.is_dir() and path.name not in PLAIN else path.parent


def _name(source: str) -> str:
    """Return what a data set is called: its folder where its file is called as many are."""
    path = Path(source).resolve()
    return (path.parent.name if path.stem in PLAIN else path.name) or source


def _conditions(record: DataRecord, found: Statistics, say: Words) -> str:
    parts = [record.yaml, say("training size {imgsz} px", imgsz=found.imgsz)]
    if record.fingerprint:
        parts.append(say("fingerprint {fingerprint}", fingerprint=record.fingerprint))
    return " · ".join(parts)


def _summary(record: DataRecord, found: Statistics, say: Words) -> str:
    items = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)} <small>{escape(remark)}</small></dd></div>"
        for name, value, remark in _figures(record, found, say)
    )
    return f'<dl class="figures">{"".join(items)}</dl>'


def _figures(record: DataRecord, found: Statistics, say: Words) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and remark of each figure of the summary."""
    background, dropped, images = (
        sum(getattr(s, what) for s in record.splits) for what in ("background", "dropped", "images")
    )
    of, counts = found.weighed
    empty = int((found.instances.sum(axis=0) == 0).sum())
    yield say("Images"), str(images), say("{count} background, {dropped} dropped", count=background, dropped=dropped)
    yield (
        say("Instances"),
        number(record.instances_trained),
        say("{rows} rows written", rows=number(record.rows_written)),
    )
    told = (
        say("{count} without an instance", count=empty)
        if empty
        else say("{count} samples", count=len(_samples(record)))
    )
    yield say("Classes"), str(len(found.names)), told
    median, most = _per_image(found)
    yield say("Boxes in an image"), median, say("median, at most {most}", most=most)
    split = of if of != "all" else say("all")
    entropy = number(normalised_entropy(counts), 2)
    ratio = number(max_over_min(counts), 1)
    yield say("Largest over smallest class"), ratio, say("in {split}, entropy {entropy}", split=split, entropy=entropy)
    yield say("Small boxes"), *_small(found, say)


def _samples(record: DataRecord) -> set[str]:
    return {count.sample for count in record.samples}


def _per_image(found: Statistics) -> tuple[str, str]:
    """Return the median and the largest number of boxes in an image."""
    counts = found.per_image.sum(axis=0)
    if not counts.sum():
        return MISSING, MISSING
    below = np.cumsum(counts)
    middle = [int(np.searchsorted(below, place, side="right")) for place in ((below[-1] - 1) // 2, below[-1] // 2)]
    return f"{sum(middle) / 2:g}", str(int(np.flatnonzero(counts)[-1]))


def _small(found: Statistics, say: Words) -> tuple[str, str]:
    """Return the share of small boxes, and that at the training size."""
    if found.pixels is None or not found.pixels.areas.sum():
        return MISSING, say("sizes were not read") if found.pixels is None else ""
    shares = [f"{100 * areas[:, 0].sum() / areas.sum():.0f} %" for areas in (found.pixels.areas, found.pixels.areas_at)]
    return shares[0], say("{share} at {imgsz} px", share=shares[1], imgsz=found.imgsz)


def _instances(record: DataRecord, per_split: bool, remarks: Sequence[str], say: Words) -> str:
    table = replace(instances_table(record, per_split=per_split, say=say), title=say("Instances by sample and class"))
    splits = replace(splits_table(record, remarks=remarks, say=say), title=say("Images of each split"))
    return f'<div class="users">{table_html(table)}</div>\n{table_html(splits)}'


def _problems(table: InstanceTable, findings: Sequence[Finding], root: Path, say: Words) -> str:
    if not findings:
        return f"<p>{say('No problem was found.')}</p>"
    top = f"{root}/"
    short = [(rule, level, file.removeprefix(top), line, text) for rule, level, file, line, text in findings]
    listed = table_html(findings_table(short, MOST_FINDINGS, say), sortable=True, filtered=say("Filter rows"))
    note = say("A dashed box is drawn as its row was written; Ultralytics drops it with its image.")
    pictures = _gallery(problem_figures(table, findings, root, say), note) if table.sizes is not None else ""
    return f'<div class="wide">{listed}</div>\n{pictures}'


def _examples(table: InstanceTable, root: Path, say: Words) -> str:
    if table.sizes is None:
        return f"<p>{say('Thumbnails are left out: images were not opened.')}</p>"
    figures = _gallery(example_figures(table, root, say), say("One image for each class, the rarest first."))
    legend = class_legend(table.names) if len(table.names) <= MOST_LEGEND else ""
    return f"{legend}\n{figures}" if figures else ""


def _gallery(figures: Iterable[str], note: str) -> str:
    shown = list(figures)
    return f'<p class="note">{note}</p>\n<div class="gallery">{"".join(shown)}</div>' if shown else ""


def _classes(record: DataRecord, found: Statistics, say: Words) -> str:
    hint = say("How the picture is read: point at a mark, or focus it and use the arrow keys.")
    if len(found.names) > MOST_CLASSES:
        counts = {"shown": MOST_CLASSES, "count": len(found.names)}
        hint = f"{say('The picture shows the {shown} largest of {count} classes.', **counts)} {hint}"
    caption = f"{split_legend(found)}{escape(hint)}"
    table = table_html(class_table(record, found, say), sortable=True, filtered=say("Filter rows"))
    return f"{_plot(class_picture(found, say), caption)}\n{table}"


def _sizes(found: Statistics, say: Words) -> str:
    if found.pixels is None:
        return ""
    of_image, at_size = say("of the image"), say("at the training size")
    label, limits = say("Boxes by √area in pixels"), (32.0, 96.0)
    pictures = [
        _plot(histogram_picture(SIDE_EDGES, counts, f"{label}, {what}", limits, say), f"{label}, {what}")
        for counts, what in ((found.pixels.sides, of_image), (found.pixels.sides_at, f"{at_size} ({found.imgsz})"))
    ]
    return f'<div class="plots">{"".join(pictures)}</div>\n{_tables([size_table(found, say)])}'


def _shapes(found: Statistics, say: Words) -> str:
    pictures = [_plot(per_image_picture(found, say), f"{say('Images by the number of boxes')}{split_legend(found)}")]
    if found.pixels is not None:
        label = say("Boxes by width / height")
        pictures.append(_plot(histogram_picture(RATIO_EDGES, found.pixels.ratios, label, (1.0,), say), label))
    maps = [(say("all classes"), found.centres.sum(axis=0))]
    if len(found.names) > 1:
        maps += [(f"{cls} {found.names[cls]}", found.centres[cls]) for cls in largest(found, MAPS)]
    heats = (
        _plot(heat_picture(cells, label, say), escape(say("{name}: {count} boxes", name=label, count=int(cells.sum()))))
        for label, cells in maps
    )
    heading = say("Where the centres of boxes lie")
    return f'<div class="plots">{"".join(pictures)}</div>\n<h3>{heading}</h3><div class="maps">{"".join(heats)}</div>'


def _together(found: Statistics, say: Words) -> str:
    if len(found.names) < 2:
        return ""
    legend = " · ".join(f"{cls} {found.names[cls]}" for cls in largest(found, MOST_CELLS))
    return _plot(matrix_picture(found, say), f"{say('Images that hold both classes')}. {escape(legend)}")


def _plot(picture: str, caption: str) -> str:
    return f'<figure class="plotted">{picture}<figcaption>{caption}</figcaption></figure>'


def _tables(tables: Sequence[Table | None]) -> str:
    return "\n".join(table_html(table, sortable=True) for table in tables if table is not None)
