"""Rules on which files belong together: labels that are missing, empty, lost or shared, images that are never seen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lwyolo.data.checks.context import Context
from lwyolo.data.checks.rule import Finding, rule
from lwyolo.data.index import IMAGE_SUFFIXES, label_file

OTHER_SUFFIXES = frozenset(("gif", "jfif", "jpe", "pbm", "pgm", "ppm", "svg", "tga", "ico", "pcx"))
NO_LABELS = ("classes.txt", "notes.txt", "obj.txt")
"""Text files that labelling tools put beside labels."""


@rule(
    "label-missing", "warning", what="An image without a label file.",
    upstream="Keeps it as background: objects in it are taught to be none.",
)  # fmt: skip
def check_missing(context: Context) -> Iterator[Finding]:
    """Find images that nobody labelled."""
    bare = {context.table.splits.index(split) for split in _unlabelled(context)}
    for image in context.rows.missing:
        told = image in context.headers.reasons or int(context.table.image_split[image]) in bare
        if not told and misplaced_label(context, image) is None:
            yield context.at_image(image, f"no label file {context.table.sources[image].name}")


@rule(
    "split-unlabelled", "error", what="train or val without a single label file.",
    upstream="Refuses to train; of val, it measures nothing.",
)  # fmt: skip
def check_unlabelled(context: Context) -> Iterator[Finding]:
    """Find splits whose labels are elsewhere, or nowhere."""
    for split in _unlabelled(context):
        image = context.table.images[
            int(np.flatnonzero(context.table.image_split == context.table.splits.index(split))[0])
        ]
        label = label_file(image)
        yield context.at_key(split, f"{split}: no image has a label file; that of {image.name} would be {label}")


@rule("label-empty", "info", what="A label file without a row.", upstream="Keeps the image as background.")
def check_empty(context: Context) -> Iterator[Finding]:
    """Find label files that say that there is nothing."""
    if not context.rows.of_text:
        return
    empty = np.setdiff1d(context.rows.files, context.rows.image)
    for image in np.setdiff1d(empty, [*context.rows.missing, *context.rows.unreadable]).tolist():
        if image not in context.headers.reasons:
            yield context.at_label(image, "no row in it")


@rule(
    "label-unreadable", "error", what="A label file that is not UTF-8, or may not be read.",
    upstream="Drops the image with all its boxes.", repair="recode",
)  # fmt: skip
def check_unreadable(context: Context) -> Iterator[Finding]:
    """Find label files that are no text."""
    return (context.at_label(image, reason) for image, reason in sorted(context.rows.unreadable.items()))


@rule(
    "label-misplaced", "error", repair="relocate", upstream="Never reads it, and keeps the image as background.",
    what="A label that is not where it is looked for: its name or folder differs in upper and lower case.",
)  # fmt: skip
def check_misplaced(context: Context) -> Iterator[Finding]:
    """Find labels behind `Images/`, `Labels/` and `.TXT`."""
    for image in context.rows.missing:
        found = misplaced_label(context, image)
        if found is not None:
            yield Finding(found, f"looked for as {context.table.sources[image]}", image=image)


@rule("label-orphan", "warning", what="A label file without an image.", upstream="Never sees it.", repair="not copied")
def check_orphans(context: Context) -> Iterator[Finding]:
    """Find label files that no image leads to."""
    if context.config is None or not context.rows.of_text:
        return
    known = {str(context.table.sources[image]) for image in context.rows.files.tolist()}
    sources = [source for sources in context.config.sources.values() for source in sources]
    for path in sorted(_label_candidates(context, sources) - known - set(map(str, sources))):
        name = os.path.basename(path)  # noqa: PTH119 - of a million paths
        if name not in NO_LABELS and not name.startswith(("README", ".")) and not _has_image(context, path):
            yield Finding(Path(path), "no image has this label")


@rule(
    "label-shared", "warning", what="Two images with one label file: `a.jpg` and `a.png`.",
    upstream="Keeps both, each with all the boxes: they count twice.", repair="leave out others",
)  # fmt: skip
def check_shared(context: Context) -> Iterator[Finding]:
    """Find label files that are read for several images."""
    if not context.rows.of_text:
        return
    owners: dict[Path, int] = {}
    for image in context.distinct.tolist():
        label = context.table.sources[image]
        owner = owners.setdefault(label, image)
        if owner != image and label.is_file():
            names = context.table.images[owner].name, context.table.images[image].name
            yield context.at_label(image, f"read for {names[0]} and again for {names[1]}")


@rule(
    "image-ignored", "info", upstream="Never lists it.", repair="not copied",
    what="An image whose format or name Ultralytics skips in a folder: a GIF, a name that starts with a dot.",
)  # fmt: skip
def check_ignored(context: Context) -> Iterator[Finding]:
    """Find images that are in no count."""
    if context.config is None:
        return
    folders = {source for sources in context.config.sources.values() for source in sources if source.is_dir()}
    found = {path for folder in folders for path in _walk(str(folder)) if _ignored(path, str(folder))}
    for path in sorted(found):
        hidden = path.rpartition(".")[2].lower() in IMAGE_SUFFIXES
        yield Finding(Path(path), "its name, or its folder's, starts with a dot" if hidden else "not a format it lists")


def _unlabelled(context: Context) -> list[str]:
    """Return those of train and val in which no image has a label file."""
    if not context.rows.of_text:
        return []
    found = ~np.isin(context.owner, context.rows.missing)
    labelled = set(context.table.image_split[found].tolist())
    return [split for at, split in enumerate(context.table.splits) if split != "test" and at not in labelled]


def misplaced_label(context: Context, image: int) -> Path | None:
    """Return the label of an image that has none, where one lies under a name that differs in case only."""
    path = context.table.images[image]
    wanted = [context.table.sources[image]]
    parts = list(path.parts)
    at = max((at for at, part in enumerate(parts[:-1]) if part.lower() == "images"), default=None)
    if at is not None:
        wanted.append(Path(*parts[:at], "labels", *parts[at + 1 :]).with_suffix(".txt"))
    found = (_in_any_case(context, label) for label in wanted)
    return next((label for label in found if label is not None and label.is_file()), None)


def _in_any_case(context: Context, path: Path) -> Path | None:
    """Return the path as it is spelt on disk, letters' case aside; the last three parts may differ."""
    base, parts = Path(*path.parts[:-3]), path.parts[-3:]
    for part in parts:
        names = context.names(str(base))
        spelt = part if part in names.values() else names.get(part.lower())
        if spelt is None:
            return None
        base /= spelt
    return base


def _label_candidates(context: Context, sources: list[Path]) -> set[str]:
    """Return the text files in the folders where labels of the set lie."""
    found: set[str] = set()
    for folder in {label_file(source / "x.jpg").parent for source in sources if source.is_dir()}:
        found |= {path for path in _walk(str(folder)) if path.endswith(".txt")}
    if any(source.is_file() for source in sources):
        for parent in {str(context.table.sources[image].parent) for image in context.rows.files.tolist()}:
            found |= {os.path.join(parent, name) for name in context.names(parent).values() if name.endswith(".txt")}  # noqa: PTH118
    return found


def _has_image(context: Context, label: str) -> bool:
    """Whether an image has this label, though no list names it: left out on purpose, as a rule."""
    image = f"{os.sep}images{os.sep}".join(label.rsplit(f"{os.sep}labels{os.sep}", 1))[:-4]
    names = context.names(os.path.dirname(image))  # noqa: PTH120 - of a million paths
    return any(f"{os.path.basename(image)}.{suffix}".lower() in names for suffix in IMAGE_SUFFIXES | OTHER_SUFFIXES)  # noqa: PTH119


def _walk(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder, followlinks=True):
        yield from (f"{parent}{os.sep}{name}" for name in names)


def _ignored(path: str, folder: str) -> bool:
    suffix = path.rpartition(".")[2].lower()
    parts = Path(path[len(folder) :]).parts
    if parts[-1].startswith("._"):  # what macOS writes beside a file; no image
        return False
    return suffix in OTHER_SUFFIXES or (suffix in IMAGE_SUFFIXES and any(part.startswith(".") for part in parts))
