"""A repaired copy of a data set, with a log of every change; the original is only read.

What each rule's repair is stands in the rule itself. Where it is not sure what was meant, an image is left out rather
than a row: an object that loses its row would be taught as background.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from tqdm import tqdm

from lwyolo.data.checks.context import Context, make_context, run_checks
from lwyolo.data.checks.decoding import decode_error
from lwyolo.data.checks.files import misplaced_label
from lwyolo.data.checks.rule import Finding, Repair, find_rule
from lwyolo.data.files import Files
from lwyolo.data.folder import new_folder, refuse_inside
from lwyolo.data.images import END_OF_JPEG
from lwyolo.data.index import IMAGE_SUFFIXES, label_file, load_yaml
from lwyolo.data.repair_rows import Change, RowRepairs, can_clip, new_text
from lwyolo.data.verdict import judge
from lwyolo.data.writers.base import place
from lwyolo.data.writers.yolo import data_yaml
from lwyolo.errors import DataError

LOG = "fixes.csv"
HEADER = ("file", "line", "rule", "before", "after")
LEFT_OUT = "image left out"
STRUCTURAL = {
    "once": "there once",
    "add": "there",
    "recode": "written as UTF-8",
    "trim": "cut off after its end",
    "not copied": "not copied",
}
PLACES = ("path", "train", "val", "validation", "test", "minival", "download", "names", "nc")
"""Keys of a data YAML that the copy has of its own."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was written.

    Args:
        data_yaml: Of the copy.
        images: How many it has.
        changes: Everything that differs from the original.
        kept: Findings that were left as they are, by rule.
    """

    data_yaml: Path
    images: int
    changes: tuple[Change, ...]
    kept: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the findings lead to: images that are left out, by first place; what is done to rows; JPEGs to be cut."""

    out: frozenset[int]
    rows: RowRepairs
    trimmed: frozenset[int]
    changes: list[Change]
    kept: Counter[str]


def repair(context: Context, out: Path) -> Repaired:
    """Write a copy of a set in which what can be repaired safely is repaired: a YOLO set with links to the images.

    Args:
        context: The set.
        out: The folder to write; it must not exist, or be empty, and lie in no folder of the set.

    Raises:
        UsageError: `out` is not empty, or lies in the set.
        DataError: train or val would hold no image.
    """
    files = (context.table.images, context.table.sources)
    refuse_inside(out, {Path(os.path.dirname(path)) for paths in files for path in paths})  # noqa: PTH120
    context, changes = _settled(context)
    plan = _plan(context, run_checks(context), changes)
    with new_folder(out) as folder:
        counts = _write(context, plan, folder)
        if not counts["train"] or not counts["val"]:
            raise DataError(f"{out}: Ultralytics needs images in train and val; the copy would have {dict(counts)}.")
        (folder / "data.yaml").write_text(_yaml(context, list(counts)), encoding="utf-8")
        (folder / LOG).write_text(_log(plan.changes), encoding="utf-8", errors="backslashreplace")
    return Repaired(out / "data.yaml", counts.total(), tuple(plan.changes), dict(plan.kept))


def _settled(context: Context) -> tuple[Context, list[Change]]:
    """Return the set with the lines that its lists lose and with its misplaced labels, so that checks see all of it."""
    table = context.table
    found = {image: label for image in context.rows.missing if (label := misplaced_label(context, image))}
    lost = list(_lost(context))
    changes = [Change(file, line, "list-line-lost", str(path), STRUCTURAL["add"]) for path, _, file, line in lost]
    changes += [Change(label, 0, "label-misplaced", str(label), str(table.sources[i])) for i, label in found.items()]
    if not changes:
        return context, []
    added = [path for path, *_ in lost]
    table = replace(
        table,
        images=Files.of([*table.images, *added]),
        sources=Files.of([*(found.get(i, label) for i, label in enumerate(table.sources)), *map(label_file, added)]),
        image_split=np.concatenate([table.image_split, np.array([split for _, split, *_ in lost], dtype=np.int64)]),
    )
    return make_context(table, context.config, imgsz=context.imgsz, deep=context.deep), changes


def _lost(context: Context) -> Iterator[tuple[Path, int, Path, int]]:
    """Yield the images that lists lose: path, split, list and line."""
    for number, split in enumerate(context.table.splits):
        for source in context.config.sources.get(split, ()) if context.config else ():
            for line in context.lists.get(source, ()):
                if not line.kept and line.path.rpartition(".")[2].lower() in IMAGE_SUFFIXES:
                    yield Path(line.path), number, source, line.number


def _plan(context: Context, findings: Sequence[Finding], changes: list[Change]) -> _Plan:
    """Decide what is done about each finding, and note it; `changes` holds what was done already."""
    out: set[int] = set()
    rows = RowRepairs()
    trimmed: set[int] = set()
    done = {(change.file, change.line) for change in changes}
    kept: Counter[str] = Counter()
    for finding in findings:
        action = find_rule(finding.rule).repair
        image = -1 if finding.image is None else int(context.first[finding.image])
        if action in ("leave out", "leave out others") or not _sure(context, finding, action):
            out.add(image)
            changes.append(_change(finding, f"{LEFT_OUT}: {context.table.images[image].name}"))
        elif action in ("remove row", "clip", "to boxes"):
            rows.add(action, finding)
        elif action in ("once", "recode", "trim", "not copied"):
            changes.append(_change(finding, STRUCTURAL[action]))
            trimmed |= {image} if action == "trim" else set()
        elif (finding.file, finding.line) not in done:
            kept[finding.rule] += 1
    return _Plan(frozenset(out), rows, frozenset(trimmed), changes, kept)


def _sure(context: Context, finding: Finding, action: Repair) -> bool:
    """Whether a repair that depends on what is found can be made."""
    if action == "recode":
        return finding.image is not None and context.rows.unreadable[finding.image].startswith("UTF-16")
    return action != "clip" or can_clip(context, finding)


def _change(finding: Finding, after: str) -> Change:
    return Change(finding.file, finding.line, finding.rule, finding.what, after)


def _write(context: Context, plan: _Plan, folder: Path) -> Counter[str]:
    """Write images and labels, and return the number of images of each split."""
    table = context.table
    counts: Counter[str] = Counter()
    taken: set[tuple[str, str]] = set()
    for image in tqdm(_chosen(context, plan), desc="Writing", unit="img", delay=1, leave=False):
        split, path = table.splits[table.image_split[image]], table.images[image]
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        text = new_text(context, plan.rows, int(context.owner[image]), plan.changes)
        stem = _free(path.stem, split, taken)
        if stem != path.stem:
            plan.changes.append(Change(path, 0, "name", path.name, f"{stem}{path.suffix}"))
        if text is not None:
            reason = judge(text, len(table.names), context.config.pose_columns if context.config else 0).reason
            if reason:
                raise DataError(f"{table.sources[image]}: not repaired, Ultralytics would drop the image: {reason}.")
            (folder / "labels" / split / f"{stem}.txt").write_bytes(text)
        target = folder / "images" / split / f"{stem}{path.suffix}"
        if not (int(context.first[image]) in plan.trimmed and _trim(path, target)):
            place(path, target, "link")
        counts[split] += 1
    return counts


def _chosen(context: Context, plan: _Plan) -> list[int]:
    """Return the images of the copy: of each split, each once."""
    there = ~np.isin(context.first, list(plan.out))
    keys = context.table.image_split * len(context.first) + context.places
    _, firsts = np.unique(keys[there], return_index=True)
    chosen: list[int] = np.sort(np.flatnonzero(there)[firsts]).tolist()
    return chosen


def _free(stem: str, split: str, taken: set[tuple[str, str]]) -> str:
    """Return a name that no image of the split has, in any case of its letters."""
    name, number = stem, 1
    while (split, name.lower()) in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add((split, name.lower()))
    return name


def _trim(image: Path, target: Path) -> bool:
    """Copy a JPEG up to its end; return whether the copy is a whole image."""
    content = image.read_bytes()
    target.write_bytes(content[: content.rfind(END_OF_JPEG) + len(END_OF_JPEG)])
    if decode_error(target):
        target.unlink()
        return False
    return True


def _yaml(context: Context, splits: list[str]) -> str:
    """Return the text of the copy's data YAML: its own places, and the other keys of the original."""
    own = yaml.safe_load(data_yaml(context.table))
    own = {key: value for key, value in own.items() if key not in context.table.splits or key in splits}
    file = context.config.file if context.config else None
    others = load_yaml(file) if file and file.is_file() else {}
    others = {key: value for key, value in others.items() if key not in PLACES and key not in own}
    return yaml.safe_dump({**own, **others}, sort_keys=False, allow_unicode=True)


def _log(changes: Sequence[Change]) -> str:
    text = io.StringIO()
    rows = [(str(one.file), one.line or "", one.rule, one.before, one.after) for one in changes]
    csv.writer(text, lineterminator="\n").writerows([HEADER, *rows])
    return text.getvalue()
