"""The COCO format: one JSON file a split, boxes in pixels as `x y width height` from the upper left corner.

Category ids may have gaps; classes are numbered from 0 in their order. Boxes of crowds stand for groups of objects,
which detectors are not trained on, and are left out, as Ultralytics' own conversion leaves them out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from lwyolo.data.files import Files, as_files
from lwyolo.data.formats._coco_file import CocoFile, load_coco
from lwyolo.data.formats._coco_images import ImageFinder
from lwyolo.data.formats._splits import split_in
from lwyolo.data.formats.base import data_format
from lwyolo.data.instances import SPLITS, InstanceTable, Problem, one_sample_a_class
from lwyolo.errors import DataError, UsageError

PATTERNS = (
    "*/_annotations.coco.json", "_annotations.coco.json", "annotations/instances_*.json", "instances_*.json",
    "annotations/*.json", "*.json",
)  # fmt: skip
"""Where the files of a set lie, the surest first: Roboflow's, COCO's own, and names of splits such as `train.json`."""


def _is_coco(path: Path) -> bool:
    return (path.suffix.lower() == ".json" and path.is_file()) or bool(_json_files(path))


@data_format("coco", detects=_is_coco)
def read_coco(path: Path, splits: Path | None = None) -> InstanceTable:
    """Read a COCO JSON, or a folder with one for each split.

    Raises:
        DataError: A file is no COCO JSON, the files disagree, or no image is found; the message names file and field.
        UsageError: `splits` is given: each file is a split.
    """
    if splits is not None:
        raise UsageError(f"{splits}: a COCO set has a split in each JSON; split lists are not taken.")
    files = _by_split([path] if path.is_file() else _json_files(path), path)
    loaded = {split: load_coco(file) for split, file in tqdm(files.items(), desc="Reading", delay=1, leave=False)}
    ids, names, remarks = _classes(list(loaded.values()))
    parts = [_part(content, split, ids) for split, content in loaded.items()]
    counts = [len(part.images) for part in parts]
    starts = np.cumsum([0, *counts[:-1]]).tolist()
    return InstanceTable(
        names=names,
        samples=one_sample_a_class(names),
        splits=tuple(loaded),
        images=Files.joined([as_files(part.images) for part in parts]),
        sources=Files.joined([as_files(part.sources) for part in parts]),
        image_split=np.repeat(np.arange(len(counts)), counts),
        image=np.concatenate([part.image + start for part, start in zip(parts, starts, strict=True)]),
        cls=np.concatenate([part.cls for part in parts]),
        boxes=np.concatenate([part.boxes for part in parts]),
        lines=np.zeros(sum(len(part.cls) for part in parts), np.int64),
        rows_written=sum(content.written for content in loaded.values()),
        problems=tuple(
            Problem(problem.image + start, problem.file, problem.reason)
            for part, start in zip(parts, starts, strict=True)
            for problem in part.problems
        ),
        sizes=np.concatenate([part.sizes for part in parts]),
        remarks=(*remarks, *(remark for content in loaded.values() for remark in content.remarks)),
    )


def _json_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return next((found for pattern in PATTERNS if (found := _named(path, pattern))), [])


def _named(path: Path, pattern: str) -> list[Path]:
    files = sorted(path.glob(pattern))
    return [file for file in files if file.name.startswith(("_annotations", "instances_")) or split_in(file.stem)]


def _by_split(files: list[Path], path: Path) -> dict[str, Path]:
    """Return the file of each split, in the order train, val, test."""
    if not files:
        raise DataError(f"{path}: no COCO JSON; expected annotations/instances_*.json or */_annotations.coco.json.")
    found: dict[str, Path] = {}
    for file in files:
        split = split_in(file.stem) or (split_in(file.parent.name) if file.name.startswith("_") else None) or "train"
        if split in found:
            raise DataError(f"{file}: the split {split}, as {found[split]} is; expected one file for each split.")
        found[split] = file
    return {split: found[split] for split in SPLITS if split in found}


def _classes(loaded: list[CocoFile]) -> tuple[dict[int, int], dict[int, str], list[str]]:
    """Return the class of each category id, the class names, and what was made of the ids in words."""
    categories: dict[int, tuple[str, str, Path]] = {}
    for content in loaded:
        for number, (name, parent) in content.categories.items():
            before = categories.setdefault(number, (name, parent, content.file))
            if before[0] != name:
                raise DataError(f"{content.file}: category {number} is {name!r}, but {before[0]!r} in {before[2]}.")
    remarks = []
    used = {category for content in loaded for category in content.category.tolist()}
    parents = {parent for number, (_, parent, _) in categories.items() if number != 0}
    if 0 in categories and 0 not in used and categories[0][0] in parents:
        remarks.append(
            f"category 0 ({categories[0][0]}) is only the parent of the others, as in Roboflow's exports: no class"
        )
        del categories[0]
    if not categories:
        raise DataError(f"{loaded[0].file}: categories: empty, expected at least one with an id and a name.")
    ids = {number: cls for cls, number in enumerate(sorted(categories))}
    if any(number != cls for number, cls in ids.items()):
        remarks.append(f"category ids become class ids in ascending order: {_runs(ids)}")
    return ids, {cls: categories[number][0] for number, cls in ids.items()}, remarks


def _runs(ids: dict[int, int]) -> str:
    """Write a mapping in runs: `1-11 -> 0-10, 13-25 -> 11-23`."""
    runs: list[tuple[int, int, int]] = []
    for number, cls in ids.items():
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number, runs[-1][2])
        else:
            runs.append((number, number, cls))
    return ", ".join(
        f"{first}-{last} -> {cls}-{cls + last - first}" if last > first else f"{first} -> {cls}"
        for first, last, cls in runs
    )


def _part(content: CocoFile, split: str, ids: dict[int, int]) -> InstanceTable:
    """Return the table of one file."""
    finder = ImageFinder(content.file, split)
    found = [finder.find(name) for name in tqdm(content.names, desc="Finding images", delay=1, leave=False)]
    if content.names and not any(found):
        raise DataError(f"{content.file}: images: {content.names[0]} is in none of {', '.join(finder.searched())}.")
    folder = content.file.parent
    images = Files.of(path or folder / name for path, name in zip(found, content.names, strict=True))
    reason = f"no such image in {', '.join(finder.searched())}"
    problems = tuple(Problem(at, images[at], reason) for at, path in enumerate(found) if not path)
    keep = np.array([path is not None for path in found], dtype=bool)[content.image]
    image = content.image[keep]
    sizes = content.sizes[image]
    scale = np.hstack([sizes, sizes])
    corner, extent = content.boxes[keep, :2], content.boxes[keep, 2:]
    return InstanceTable(
        names={}, samples={}, splits=(split,),
        images=images,
        sources=Files.of(content.file for _ in content.names),
        image_split=np.zeros(len(images), np.int64),
        image=image,
        cls=np.array([ids[number] for number in content.category[keep].tolist()], dtype=np.int64),
        boxes=np.hstack([corner + extent / 2, extent]) / scale,
        lines=np.zeros(len(image), np.int64),
        problems=problems,
        sizes=content.sizes.astype(np.int64),
    )  # fmt: skip
