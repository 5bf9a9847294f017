"""Splits by ratio: classes stratified by instances, whole groups kept together.

Greedy, groups with the rarest class first, each to the split where it mends the most: the sum over classes and images
of (share that is there - share that is wanted)² / ratio shrinks the most. A split that has its share of images takes no
further group, so that none holds more than its share and one group. Taking rare labels first is the idea of
K. Sechidis et al., "On the stratification of multi-label data", 2011; groups and the measure are ours.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from lwyolo.data.folder import new_folder
from lwyolo.data.groups import group_images, joined
from lwyolo.data.index import label_file, load_yaml
from lwyolo.data.instances import SPLITS, InstanceTable, Problem
from lwyolo.data.leaks import DISTANCE, find_leaks
from lwyolo.errors import DataError, UsageError, did_you_mean

ENOUGH = 1e-9
"""A need for images below this is none: ratios such as 0.7 are not exact in binary."""

REPLACED = frozenset(("path", "train", "val", "test", "validation", "minival", "names", "nc", "samples", "download"))
"""Keys of a data YAML that say where a set is and what its classes are."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A set that is split anew.

    Args:
        table: The set, with the new splits; an image that stood in several is there once.
        ratios: Of each split, in the order of `table.splits`.
        group: [I] index of the group of each image of `table`.
        near: Images that a near-duplicate binds to another.
        rule: How images were grouped, in words.
    """

    table: InstanceTable
    ratios: tuple[float, ...]
    group: NDArray[np.int64]
    near: int
    rule: str


def plan_split(
    table: InstanceTable,
    ratios: Sequence[float],
    names: Sequence[str] = SPLITS,
    *,
    group: str | None = None,
    near: bool = True,
    seed: int = 0,
    processes: int | None = None,
) -> Plan:
    """Split a set anew; which splits it had does not matter.

    Args:
        table: The set.
        ratios: Shares of the splits; they sum to 1.
        names: Of the splits.
        group: A rule of `lwyolo.data.groups`: images of a group stay together.
        near: Whether equal images and near-duplicates stay together.
        seed: The same seed splits the same set in the same way.
        processes: That decode images, for near-duplicates.

    Raises:
        UsageError: Ratios, names or the rule do not fit.
        DataError: There are fewer groups than splits.
    """
    check_ratios(ratios, names)
    ours = _distinct(table)
    label, bound = _bound(ours, group, near, processes)
    _, groups = np.unique(label, return_inverse=True)
    if groups.max() + 1 < len(ratios):
        raise DataError(f"{groups.max() + 1} groups of images cannot fill {len(ratios)} splits; a group is never cut.")
    counts = np.zeros((len(ours.images), len(ours.names)), dtype=np.int64)
    np.add.at(counts, (ours.image, ours.cls), 1)
    chosen = assign(groups, counts, ratios, seed)
    order = np.argsort(chosen, kind="stable")
    split = replace(_taken(ours, order), splits=tuple(names), image_split=chosen[order])
    rule = " and ".join(part for part in (group, "near-duplicates" if near else None) if part)
    return Plan(split, tuple(ratios), groups[order], bound, rule)


def check_ratios(ratios: Sequence[float], names: Sequence[str]) -> None:
    """Refuse ratios and names that make no splits.

    Raises:
        UsageError: They differ in number, do not sum to 1, or Ultralytics has no such split.
    """
    if len(ratios) != len(names):
        raise UsageError(f"{len(ratios)} ratios for {len(names)} splits ({' '.join(names)}); expected as many.")
    if min(ratios) <= 0 or abs(sum(ratios) - 1) > 1e-6:
        raise UsageError(f"ratios {' '.join(map(str, ratios))}: sum {sum(ratios):g}, expected shares that sum to 1.")
    for name in names:
        if name not in SPLITS:
            raise UsageError(
                f"no split {name!r} in Ultralytics.{did_you_mean(name, SPLITS)} It has {' '.join(SPLITS)}."
            )
    if not {"train", "val"} <= set(names) or len(set(names)) < len(names):
        raise UsageError(f"splits {' '.join(names)}: Ultralytics needs train and val, and each at most once.")


def check_labels(table: InstanceTable) -> None:
    """Refuse a set whose labels Ultralytics would not find beside the images: a list of images is not enough for it.

    Raises:
        DataError: Naming the first.
    """
    for image, source in zip(table.images, table.sources, strict=True):
        if source != label_file(image):
            raise DataError(
                f"{source}: not the label file that Ultralytics reads for {image}, so that a list of images is not "
                "enough; --images link or --images copy writes a whole set."
            )


def assign(
    group: NDArray[np.int64], instances: NDArray[np.int64], ratios: Sequence[float], seed: int = 0
) -> NDArray[np.int64]:
    """Assign images to splits.

    Args:
        group: [I] index of the group of each image.
        instances: [I, C] instances of each class.
        ratios: [S] that sum to 1.
        seed: Orders groups that are alike.

    Returns:
        [I] index of the split; none is empty where there are as many groups.
    """
    columns = np.hstack([instances, np.ones((len(group), 1), np.int64)])  # the last counts the images
    counts = np.zeros((int(group.max()) + 1, columns.shape[1]))
    np.add.at(counts, group, columns)
    share = counts / np.maximum(1, counts.sum(axis=0))
    wanted = np.array(ratios, dtype=np.float64)
    need = np.repeat(wanted[:, None], share.shape[1], axis=1)
    chosen = np.zeros(len(counts), dtype=np.int64)
    empty = np.ones(len(wanted), dtype=bool)
    order = _rarest_first(counts, seed)
    for done, index in enumerate(tqdm(order, desc="Splitting", unit="group", delay=1, leave=False)):
        own = share[index]
        change = (own @ own - 2 * need @ own) / wanted
        change[need[:, -1] <= ENOUGH] = np.inf
        if len(order) - done <= empty.sum():  # the last groups are for splits without one: no split stays empty
            change[~empty] = np.inf
        best = int(np.argmin(change))
        chosen[index] = best
        need[best] -= own
        empty[best] = False
    result: NDArray[np.int64] = chosen[group]
    return result


def write_split(plan: Plan, out: Path, data_yaml: Path | None = None) -> Path:
    """Write a list of images for each split and a data YAML, whole or not at all. No image or label is written.

    Lines are absolute paths. A relative one is taken from the working folder by Ultralytics, or, where it begins with
    `./`, from the list; but 8.3.100 breaks such a line where `../` follows.

    Args:
        plan: The splits.
        out: The folder to write; it must not exist, or be empty.
        data_yaml: Of the set that is split, of which keys such as `kpt_shape:` are kept.

    Returns:
        The data YAML.

    Raises:
        UsageError: `out` is not empty.
        DataError: Labels are not where Ultralytics looks for them, or a path cannot stand in a list.
    """
    table = plan.table
    check_labels(table)
    kept = {key: value for key, value in load_yaml(data_yaml).items() if key not in REPLACED} if data_yaml else {}
    content = {
        **{split: f"{split}.txt" for split in table.splits},
        "names": table.names,
        "samples": {name: list(classes) for name, classes in table.samples.items()},
        **kept,
    }
    with new_folder(out) as folder:
        for index, split in enumerate(table.splits):
            lines = [_line(table.images[at]) for at in np.flatnonzero(table.image_split == index).tolist()]
            (folder / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (folder / "data.yaml").write_text(text, encoding="utf-8")
    return out / "data.yaml"


def _bound(table: InstanceTable, group: str | None, near: bool, processes: int | None) -> tuple[NDArray[np.int64], int]:
    """Return [I] labels of what stays together, and how many images a near-duplicate binds."""
    label = np.arange(len(table.images), dtype=np.int64)
    if group is not None and group != "near":  # before what takes long: the rule may be refused
        label = group_images(table.images, group).group
    if not near and group != "near":
        return label, 0
    close = find_leaks(table, distance=DISTANCE, processes=processes).near
    return joined(label, close), int((np.bincount(close)[close] > 1).sum())


def _rarest_first(counts: NDArray[np.float64], seed: int) -> list[int]:
    """Order groups: by the rarest class in them, then those with most of it, then the largest; alike ones by chance."""
    total = counts[:, :-1].sum(axis=0)
    rarity = np.where(counts[:, :-1] > 0, total, np.inf)
    rarest = rarity.argmin(axis=1) if counts.shape[1] > 1 else np.zeros(len(counts), np.int64)
    rows = np.arange(len(counts))
    chance = np.random.default_rng(seed).permutation(len(counts))
    order: list[int] = np.lexsort(
        (chance, -counts[:, -1], -counts[rows, rarest], rarity.min(axis=1, initial=np.inf))
    ).tolist()
    return order


def _distinct(table: InstanceTable) -> InstanceTable:
    """Return the table with every image once, ordered by path, so that the splits that it had leave no trace."""
    first: dict[str, int] = {}
    for index, image in enumerate(table.images):
        first.setdefault(os.path.abspath(image), index)  # noqa: PTH100 - of a million paths
    return _taken(table, np.array([first[path] for path in sorted(first)], dtype=np.int64))


def _taken(table: InstanceTable, order: NDArray[np.int64]) -> InstanceTable:
    """Return some images of a table, in an order, with their instances."""
    place = np.full(len(table.images), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    keep = place[table.image] >= 0
    return replace(
        table,
        images=tuple(table.images[at] for at in order),
        sources=tuple(table.sources[at] for at in order),
        image_split=table.image_split[order],
        image=place[table.image[keep]],
        cls=table.cls[keep],
        boxes=table.boxes[keep],
        lines=table.lines[keep],
        problems=tuple(Problem(int(place[p.image]), p.file, p.reason) for p in table.problems if place[p.image] >= 0),
        sizes=None if table.sizes is None else table.sizes[order],
    )


def _line(image: Path) -> str:
    text = str(image.absolute())
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"{image!r}: a name that is not UTF-8 cannot stand in a list of images; rename it.") from None
    if text.splitlines() != [text]:
        raise DataError(f"{text!r}: a line break in a name cannot stand in a list of images; rename it.")
    return f"{text}\n"
