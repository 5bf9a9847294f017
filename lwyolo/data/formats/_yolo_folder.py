"""YOLO folders without a data YAML: splits are folders, classes a list of names or the ids in the labels."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from lwyolo.data.classes import read_names, read_samples
from lwyolo.data.files import Files
from lwyolo.data.formats._splits import split_in
from lwyolo.data.index import DataConfig, image_names, label_files, list_images, load_yaml, read_data_yaml
from lwyolo.data.instances import SPLITS, one_sample_a_class
from lwyolo.data.labels import read_labels
from lwyolo.errors import DataError, UsageError

NAME_LISTS = ("classes.txt", "obj.names", "labels/classes.txt")
MOST_CLASSES = 1000
"""Ids are believed below this where nothing says how many classes there are: LVIS has 1,203, nearly all others less."""


def is_yolo_folder(path: Path) -> bool:
    """Return whether a folder holds one data YAML, or images with a folder of labels beside them."""
    return path.is_dir() and bool(_data_yamls(path) or _image_folders(path))


def config_of(path: Path) -> tuple[DataConfig, tuple[str, ...]]:
    """Return what a data YAML of this folder would say, and remarks.

    A folder with exactly one data YAML is read through it, unless the paths in it lead nowhere.

    Raises:
        DataError: There are no images, or the data YAML is not usable.
        UsageError: There are several data YAMLs.
    """
    path = path.resolve()  # as the sources of a data YAML are; "images" alone would have no folder "/images/" in it
    yamls, folders = _data_yamls(path), _image_folders(path)
    if len(yamls) > 1:
        raise UsageError(
            f"{path}: {len(yamls)} data YAMLs: {', '.join(file.name for file in yamls)}; give one of them."
        )
    if not yamls and not folders:
        raise DataError(
            f"{path}: no YOLO set: expected a data YAML, or images/ and labels/, or train/images and train/labels."
        )
    if not yamls:
        return _by_folders(path, folders)
    config = read_data_yaml(yamls[0])
    if not folders or any(source.exists() for sources in config.sources.values() for source in sources):
        return config, ()
    remark = f"{yamls[0].name}: the paths in it do not exist here; the folders beside it are read, with its classes"
    return replace(config, root=path, sources=folders), (remark,)


def _by_folders(path: Path, folders: dict[str, tuple[Path, ...]]) -> tuple[DataConfig, tuple[str, ...]]:
    file, content = _listed_names(path)
    if content:
        names = read_names(content, file)
        return DataConfig(file, path, folders, names, read_samples(content, names, file)), ()
    config = DataConfig(path, path, folders, {cls: f"class {cls}" for cls in range(MOST_CLASSES)}, {})
    images = Files.joined([list_images(config, split)[0] for split in folders])
    rows = read_labels(label_files(images), MOST_CLASSES).rows
    names = {cls: f"class {cls}" for cls in range(int(rows[:, 0].max()) + 1 if len(rows) else 1)}
    remark = "no list of class names (classes.txt or a data YAML): classes are named by the ids in the labels"
    return replace(config, names=names, samples=one_sample_a_class(names)), (remark,)


def _data_yamls(path: Path) -> list[Path]:
    """Return the files that are data YAMLs by their keys; a broken one that is called data.yaml counts, to be told."""
    files = sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml") and file.is_file())
    return [file for file in files if _keys(file) & {"train", "val", "validation"} or file.stem == "data"]


def _keys(file: Path) -> set[str]:
    try:
        return set(map(str, load_yaml(file)))
    except DataError:
        return set()


def _image_folders(path: Path) -> dict[str, tuple[Path, ...]]:
    """Return the folders of images of each split: `images/<split>`, `<split>/images`, or `images`."""
    found: dict[str, list[Path]] = {}
    if (path / "images").is_dir() and (path / "labels").is_dir():
        for folder in _folders(path / "images"):
            if split := split_in(folder.name):
                found.setdefault(split, []).append(folder)
        found = found or {"train": [path / "images"]}
    for folder in _folders(path):
        split = split_in(folder.name)
        if split and (folder / "images").is_dir() and (folder / "labels").is_dir():
            found.setdefault(split, []).append(folder / "images")
    found = {split: [folder for folder in folders if _has_images(folder)] for split, folders in found.items()}
    return {split: tuple(found[split]) for split in SPLITS if found.get(split)}


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _has_images(folder: Path) -> bool:
    """Return whether an image lies in a folder or below it; looks no further than to the first."""
    below: list[bytes] = []
    try:
        if next(image_names(os.fsencode(folder), below, set()), None) is not None:
            return True
    except OSError:
        return False
    return any(_has_images(folder / os.fsdecode(name[:-1])) for name in below)


def _listed_names(path: Path) -> tuple[Path, dict[Any, Any]]:
    """Return the file that lists the class names, and its content as in a data YAML; empty where there is none."""
    for name in NAME_LISTS:
        file = path / name
        if file.is_file():
            lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
            names = [line.strip() for line in lines if line.strip()]
            if not names:
                raise DataError(f"{file}: no class; expected a name a line.")
            return file, {"names": names}
    for file in sorted(path.glob("*.y*ml")):
        if "names" in _keys(file):
            return file, load_yaml(file)
    return path, {}
