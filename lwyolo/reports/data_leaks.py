"""What the splits of a data set share: tables, pairs of images side by side, and all of it for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lwyolo.reports.document import document, table_html
from lwyolo.reports.tables import Align, Format, Table, number, render
from lwyolo.units import MISSING

if TYPE_CHECKING:
    from lwyolo.data.leaks import Leaks

PAIRS = "Pairs"
SHOWN_PAIRS = 20
SHOWN_GROUPS = 20
ALIGN: tuple[Align, ...] = ("left", "right", "left", "left", "left", "left")
PICTURE = "width: clamp(6rem, 34vw, 20rem)"
MOST_PICTURES = 60
"""Pairs that a page shows: about 2 MB."""

ROBUST = (
    "Near: hashes of what two images show differ in at most {distance} of 64 bits. This finds images that were saved "
    "again, resized, stretched, brightened, blurred a little, letterboxed or mirrored. It misses crops over 5 %, "
    "rotations, and neighbouring shots of one scene, which are no copies: name those with --group."
)
EXACT = "Only equal files were looked for: an image that was saved again is not found."


def leak_tables(leaks: Leaks, most: int | None = SHOWN_PAIRS) -> list[Table]:
    """Return what is shared, the pairs, and, with a rule, what is shared by group.

    Args:
        leaks: What was found.
        most: How many pairs and groups are listed; `None`: all.
    """
    tables = [shared_table(leaks)]
    if len(leaks.pairs):
        tables.append(pairs_table(leaks, most))
    if leaks.grouping is not None:
        tables.append(group_table(leaks))
        if any(True for _ in _group_rows(leaks)):
            tables.append(shared_groups_table(leaks, most))
    *others, last = tables
    return [*others, _with_notes(last, _closing(leaks))]


def leak_report(leaks: Leaks, fmt: Format = "text") -> str:
    """Write the tables; CSV is of all pairs alone, for programs."""
    if fmt == "csv":
        return render(pairs_table(leaks, None, full=True), "csv")
    return "\n\n".join(render(table, fmt) for table in leak_tables(leaks))


def shared_table(leaks: Leaks) -> Table:
    """Return a row for each split against the ones before it, and for each split in itself."""
    from lwyolo.data.leaks import shared_images

    order = {split: index for index, split in enumerate(leaks.splits)}
    rows = []
    for one in shared_images(leaks):
        if order[one.split] >= order[one.other]:
            share = _percent(one.equal + (one.near or 0), one.images)
            where = "itself, twice" if one.split == one.other else one.other
            rows.append((one.split, where, str(one.images), str(one.equal), number(one.near), share))
    return Table(
        header=("images of", "also in", "images", "equal files", "near", "share"),
        rows=tuple(rows),
        title="Images that stand in more than one split, or twice in one",
        stub=2,
    )


def pairs_table(leaks: Leaks, most: int | None = SHOWN_PAIRS, full: bool = False) -> Table:
    """Return a row a pair, those across splits first.

    Args:
        leaks: What was found.
        most: How many are listed; `None`: all.
        full: Whole paths; else relative to the folder that holds all images.
    """
    top = "" if full else _top(leaks)
    count = len(leaks.pairs) if most is None else min(most, len(leaks.pairs))
    rows = [
        (kind, distance, *(cell for split, image in both for cell in (split, image.removeprefix(top))))
        for kind, distance, *both in _pairs(leaks, count)
    ]
    hidden = len(leaks.pairs) - count
    notes = [f"… and {hidden} more; --save FILE.csv writes all."] if hidden else []
    notes += [f"Paths are below {top}"] if top else []
    header = ("pair", "bits", "split", "image", "split of the other", "the other")
    return Table(header, tuple(rows), ALIGN, PAIRS, tuple(notes), stub=6)


def group_table(leaks: Leaks) -> Table:
    """Return how many images of each split share a group with another split."""
    from lwyolo.data.leaks import shared_by_group

    order = {split: index for index, split in enumerate(leaks.splits)}
    rows = [
        (one.split, one.other, str(one.grouped), str(one.sharing), _percent(one.sharing, one.grouped), str(one.groups))
        for one in shared_by_group(leaks)
        if order[one.split] > order[one.other]
    ]
    header = ("images of", "share a group with", "in a group", "sharing", "share", "groups")
    grouping = leaks.grouping
    named = sum(map(bool, grouping.names)) if grouping else 0
    alone = f"{grouping.alone} images are in no group by this rule." if grouping and grouping.alone else ""
    title = f"Groups by {grouping.rule if grouping else ''}: {named}"
    return Table(header, tuple(rows), title=title, notes=(alone,) if alone else (), stub=2)


def shared_groups_table(leaks: Leaks, most: int | None = SHOWN_GROUPS) -> Table:
    """Return the groups that are in more than one split, with their images in each."""
    rows = list(_group_rows(leaks))
    hidden = 0 if most is None else max(0, len(rows) - most)
    notes = (f"… and {hidden} more; --save FILE.json writes all.",) if hidden else ()
    return Table(("group", *leaks.splits), tuple(rows[:most]), title="Groups in more than one split", notes=notes)


def leak_pairs_html(leaks: Leaks, most: int = MOST_PICTURES) -> str:
    """Return pairs side by side as a piece of HTML: pictures are in it, and it needs no style of its own.

    Args:
        leaks: What was found.
        most: How many pairs are shown; those across splits come first.
    """
    from lwyolo.reports.thumbnails import thumbnail

    top, count = _top(leaks), min(most, len(leaks.pairs))
    rows = []
    for kind, distance, *both in _pairs(leaks, count):
        cells = [f'<th scope="row">{escape(kind)}</th><td class="right">{distance}</td>']
        for split, image in both:
            address, name = thumbnail(Path(image)), escape(image.removeprefix(top))
            picture = (
                f'<img src="{address}" alt="{name}" loading="lazy" style="{PICTURE}">' if address else "not readable"
            )
            cells.append(f"<td>{picture}<br>{escape(split)}: {name}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    hidden = len(leaks.pairs) - count
    more = f'<p class="note">… and {hidden} more pairs, which are not shown.</p>' if hidden else ""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("pair", "bits", "image", "the other"))
    return (
        '<div class="scroll" role="region" tabindex="0" aria-label="Pairs of images"><table class="pairs">'
        f"<caption>Pairs of images, those across splits first</caption><thead><tr>{head}</tr></thead>\n<tbody>"
        + "\n".join(rows)
        + f"</tbody></table></div>{more}"
    )


def leaks_html(leaks: Leaks) -> str:
    """Return all that was found as a piece of HTML, for a page."""
    parts = [table_html(table) for table in leak_tables(leaks) if table.title != PAIRS]
    if len(leaks.pairs):
        parts.append(leak_pairs_html(leaks))
    return "\n".join(f"<section>{part}</section>" for part in parts)


def leaks_page(leaks: Leaks, name: str) -> str:
    """Return an HTML document that needs nothing beside it."""
    title = f"What the splits of {name} share"
    body = f"<header><h1>{escape(title)}</h1></header>\n<main>{leaks_html(leaks)}</main>"
    return document(title, body)


def leaks_json(leaks: Leaks) -> str:
    """Return everything that was found, for programs."""
    from dataclasses import asdict

    from lwyolo.data.leaks import shared_by_group, shared_groups, shared_images

    pairs = [
        {"kind": kind, "bits": int(distance), "images": [{"split": split, "file": image} for split, image in both]}
        for kind, distance, *both in _pairs(leaks, len(leaks.pairs))
    ]
    content: dict[str, Any] = {
        "leaking": leaks.leaking,
        "distance": leaks.distance,
        "shared": [asdict(one) for one in shared_images(leaks)],
        "pairs": pairs,
        "group_rule": None if leaks.grouping is None else leaks.grouping.rule,
        "shared_by_group": [asdict(one) for one in shared_by_group(leaks)],
        "groups": [asdict(one) for one in shared_groups(leaks)],
        "not_compared": [{"file": str(leaks.images[index]), "reason": why} for index, why in leaks.unread.items()],
    }
    return json.dumps(content, ensure_ascii=False, indent=2)


def _pairs(leaks: Leaks, count: int) -> Iterator[tuple[str, str, tuple[str, str], tuple[str, str]]]:
    """Yield kind, distance, and split and image of both."""
    pairs = leaks.pairs
    for row in range(count):
        kind = "equal" if pairs.exact[row] else "mirrored" if pairs.mirrored[row] else "near"
        one, other = (
            (leaks.splits[int(leaks.image_split[index])], str(leaks.images[index]))
            for index in (int(pairs.first[row]), int(pairs.second[row]))
        )
        yield kind, str(pairs.distance[row]), one, other


def _group_rows(leaks: Leaks) -> Iterator[tuple[str, ...]]:
    from lwyolo.data.leaks import shared_groups

    for group in shared_groups(leaks):
        yield (group.name, *(number(group.images.get(split, 0)) for split in leaks.splits))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else MISSING


def _top(leaks: Leaks) -> str:
    """Return the folder that holds all images, with a separator behind it."""
    folders = {os.path.dirname(image) for image in leaks.images}  # noqa: PTH120 - of a million paths
    try:
        return os.path.join(os.path.commonpath(folders), "")  # noqa: PTH118 - keeps the separator
    except ValueError:  # on several drives, or none
        return ""


def _closing(leaks: Leaks) -> tuple[str, ...]:
    """Say what was not compared, the verdict, and last what the method misses."""
    notes = []
    if leaks.unread:
        index, why = next(iter(leaks.unread.items()))
        notes.append(
            f"{len(leaks.unread)} images were compared as files only; the first: {leaks.images[index]}: {why}."
        )
    across = int(leaks.across.sum())
    verdict = f"{across} pairs stand in two splits" if across else "No pair stands in two splits"
    if leaks.grouping is not None:
        shared = sum(1 for _ in _group_rows(leaks))
        verdict += f"; {shared or 'no'} group{'s are' if shared > 1 else ' is'} in more than one split"
    notes.append(f"{verdict}.")
    notes.append(EXACT if leaks.distance is None else ROBUST.format(distance=leaks.distance))
    return tuple(notes)


def _with_notes(table: Table, notes: tuple[str, ...]) -> Table:
    from dataclasses import replace

    return replace(table, notes=(*table.notes, *notes))
