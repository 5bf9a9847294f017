"""Rules on the data YAML and its lists: what is lost, what is there twice, and what both trains and measures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np

from lwyolo.data.checks.context import Context
from lwyolo.data.checks.rule import Finding, rule


@rule(
    "list-line-lost", "error", repair="add", upstream="Skips the line without a word.",
    what="A line of a list that is not taken for an image: a blank behind the name, most often.",
)  # fmt: skip
def check_lost_lines(context: Context) -> Iterator[Finding]:
    """Find lines of lists that name no image to Ultralytics."""
    for file, lines in context.lists.items():
        for line in lines:
            if not line.kept:
                blank = "a blank behind the name" if line.text != line.text.rstrip() else "not the name of an image"
                yield Finding(file, f"{line.path}: {blank}", line.number)


@rule(
    "source-twice", "error", what="A folder or list that a split names twice, or that lies in another of its folders.",
    upstream="Counts every image in it twice.", repair="once",
)  # fmt: skip
def check_sources(context: Context) -> Iterator[Finding]:
    """Find sources that hold each other."""
    for split, (inner, outer) in _nested(context):
        same = "named twice" if inner == outer else f"lies in {outer}, which is named too"
        yield context.at_key(split, f"{split}: {inner} {same}")


@rule(
    "image-listed-twice", "error", what="An image that is listed twice in one split.",
    upstream="Counts it twice.", repair="once",
)  # fmt: skip
def check_listed_twice(context: Context) -> Iterator[Finding]:
    """Find images that stand twice in one split, where no source stands twice as a whole."""
    nested = {split for split, _ in _nested(context)}
    for number, split in enumerate(context.table.splits):
        of_split = np.flatnonzero(context.table.image_split == number)
        if split not in nested:
            first, count = np.unique(context.places[of_split], return_counts=True)
            for place, times in zip(first[count > 1].tolist(), count[count > 1].tolist(), strict=True):
                last = int(of_split[context.places[of_split] == place][-1])
                yield context.at_list(last, f"{context.table.images[place].name} is listed {times} times in {split}")


@rule(
    "val-is-train", "error", what="val, or test, holds the very images of train.",
    upstream="Accepts it: every figure is then of images that were trained on.",
)  # fmt: skip
def check_same_splits(context: Context) -> Iterator[Finding]:
    """Find a split that is the training set again."""
    for first, second, shared in _shared(context):
        if first == "train" and len(shared) == _distinct(context, first) == _distinct(context, second):
            yield context.at_key(second, f"{second} holds the {len(shared)} images of train")


@rule(
    "image-in-two-splits", "error", what="An image that is in train and in another split.",
    upstream="Trains on it and measures on it.",
)  # fmt: skip
def check_two_splits(context: Context) -> Iterator[Finding]:
    """Find images that are trained on and measured, where the splits are not the same as a whole."""
    for first, second, shared in _shared(context):
        if first == "train" and not len(shared) == _distinct(context, first) == _distinct(context, second):
            yield from (context.at_image(image, f"in {first} and in {second}") for image in shared)


@rule(
    "test-shares-val", "info", what="Images that are in val and in test.",
    upstream="Accepts it: the figures of test are then not independent of the choice of weights, which val made.",
)  # fmt: skip
def check_val_and_test(context: Context) -> Iterator[Finding]:
    """Find a test set that is not one."""
    for first, second, shared in _shared(context):
        if first != "train":
            yield context.at_key(second, f"{len(shared)} images of {second} are in {first}")


@rule(
    "cache-shared", "info", what="Splits whose labels lie in one folder.",
    upstream="Writes one label cache for both, over and over: every run scans all labels anew.",
)  # fmt: skip
def check_cache(context: Context) -> Iterator[Finding]:
    """Find splits whose first labels have one parent: that is where the cache goes."""
    if context.config is None or not context.rows.of_text:
        return
    same = {(first, second) for first, second, shared in _shared(context) if len(shared) == _distinct(context, second)}
    parents = {
        split: context.table.sources[int(np.flatnonzero(context.table.image_split == number)[0])].parent
        for number, split in enumerate(context.table.splits)
    }
    for first, second in combinations(context.table.splits, 2):
        if parents[first] == parents[second] and (first, second) not in same:
            yield context.at_key(second, f"{first} and {second} share {parents[second]}.cache")


@rule(
    "class-unused", "warning", what="A class that no row has.",
    upstream="Builds an output for it that is never taught; it has no AP.",
)  # fmt: skip
def check_unused(context: Context) -> Iterator[Finding]:
    """Find classes without a row, also among those that are dropped."""
    used = set(context.rows.values[context.rows.numeric, 0].tolist())
    for cls, name in context.table.names.items():
        if cls not in used:
            yield context.at_key("names", f"class {cls} ({name}) has no row")


@rule(
    "class-untrained", "warning", what="A class that another split has, but train has not.",
    upstream="Measures it; its AP is near 0 and pulls the mean down.",
)  # fmt: skip
def check_untrained(context: Context) -> Iterator[Finding]:
    """Find classes that are measured and not taught."""
    table = context.table
    if "train" not in table.splits or len(table.splits) == 1:
        return
    pairs = Counter(zip(table.split.tolist(), table.cls.tolist(), strict=True))
    train = table.splits.index("train")
    for cls, name in table.names.items():
        others = sum(count for (split, of), count in pairs.items() if of == cls and split != train)
        if others and not pairs[train, cls]:
            yield context.at_key("names", f"class {cls} ({name}): {others} in other splits, none in train")


def _nested(context: Context) -> list[tuple[str, tuple[Path, Path]]]:
    if context.config is None:
        return []
    return [
        (split, (second, first) if first == second or first in second.parents else (first, second))
        for split, sources in context.config.sources.items()
        for first, second in combinations(sources, 2)
        if first == second or first in second.parents or second in first.parents
    ]


def _shared(context: Context) -> list[tuple[str, str, list[int]]]:
    """Return pairs of splits with the images that both have, as first places."""
    table = context.table
    of = {split: context.places[table.image_split == number] for number, split in enumerate(table.splits)}
    found = [(a, b, np.intersect1d(of[a], of[b]).tolist()) for a, b in combinations(table.splits, 2)]
    return [(a, b, shared) for a, b, shared in found if shared]


def _distinct(context: Context, split: str) -> int:
    return len(np.unique(context.places[context.table.image_split == context.table.splits.index(split)]))
