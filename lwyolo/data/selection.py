"""Some images of an instance table, with their instances; and splits from lists, for formats that have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lwyolo.data.index import IMAGE_SUFFIXES
from lwyolo.data.instances import SPLITS, InstanceTable
from lwyolo.errors import DataError, did_you_mean


def rows_by_image(table: InstanceTable) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort the instances by image: those of image `i` are `order[starts[i] : starts[i + 1]]`.

    Shapes:
        returns: [N], [I + 1]
    """
    order = np.argsort(table.image, kind="stable")
    return order, np.searchsorted(table.image[order], np.arange(len(table.images) + 1))


def assign_splits(table: InstanceTable, folder: Path) -> InstanceTable:
    """Return the images that split lists name, in these splits.

    Args:
        table: A set of any format; the splits that it has are forgotten.
        folder: Holds `train.txt`, `val.txt`, `test.txt`, or some of them: a stem or a file name a line.

    Raises:
        DataError: There is no such list, or a line names no image, or several.
    """
    lists = {split: _names(folder / f"{split}.txt") for split in SPLITS}
    lists = {split: names for split, names in lists.items() if names}
    if not lists:
        raise DataError(f"{folder}: no train.txt, val.txt or test.txt with a stem in it.")
    by_stem: dict[str, list[int]] = {}
    for index, image in enumerate(table.images):
        by_stem.setdefault(image.stem, []).append(index)
    chosen: list[int] = []
    for split, names in lists.items():
        for name in names:
            found = by_stem.get(name, [])
            if len(found) != 1:
                how_many = f"{len(found)} images have" if found else "no image has"
                near = "" if found else did_you_mean(name, by_stem)
                raise DataError(f"{folder / f'{split}.txt'}: {how_many} the name {name}.{near}")
            chosen += found
    image_split = np.repeat(np.arange(len(lists)), [len(names) for names in lists.values()])
    left_out = len(table.images) - len(set(chosen))
    remarks = (f"{left_out} images are in no list of {folder} and are left out",) if left_out else ()
    return replace(
        take_images(table, chosen),
        splits=tuple(lists),
        image_split=image_split,
        remarks=(*table.remarks, *remarks),
    )


def take_images(table: InstanceTable, chosen: Sequence[int]) -> InstanceTable:
    """Return some images, in the order given, with their instances and problems."""
    order, starts = rows_by_image(table)
    rows = [order[starts[index] : starts[index + 1]] for index in chosen]
    row = np.concatenate([np.zeros(0, np.int64), *rows])
    problems = {problem.image: problem for problem in table.problems}
    return replace(
        table,
        images=[table.images[index] for index in chosen],
        sources=[table.sources[index] for index in chosen],
        image_split=table.image_split[list(chosen)],
        image=np.repeat(np.arange(len(chosen)), [len(of_image) for of_image in rows]),
        cls=table.cls[row],
        boxes=table.boxes[row],
        lines=table.lines[row],
        rows_written=len(row),
        problems=tuple(replace(problems[old], image=new) for new, old in enumerate(chosen) if old in problems),
        sizes=None if table.sizes is None else table.sizes[list(chosen)],
    )


def _names(file: Path) -> list[str]:
    """Read a list, and take the suffix of an image off its lines."""
    if not file.is_file():
        return []
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8: byte {error.start}.") from None
    names = [Path(line.strip()) for line in lines if line.strip()]
    return [name.stem if name.suffix[1:].lower() in IMAGE_SUFFIXES else name.name for name in names]
