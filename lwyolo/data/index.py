"""A data YAML resolved to image and label files, as Ultralytics resolves it; nothing is written, fetched or run."""

from __future__ import annotations

import glob
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lwyolo.data.instances import SPLITS, one_sample_a_class
from lwyolo.errors import DataError, did_you_mean

IMAGE_SUFFIXES = frozenset(
    ("avif", "bmp", "dng", "heic", "heif", "jp2", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp")
)


@dataclass(frozen=True, slots=True)
class DataConfig:
    """A data YAML.

    Args:
        file: The YAML.
        root: The folder that its paths are relative to.
        sources: Folders and lists of each split that is there.
        names: Class names by id.
        samples: Classes of each sample; a class that the YAML puts in none is its own.
        download: What the YAML says under `download:`; never used here.
    """

    file: Path
    root: Path
    sources: dict[str, tuple[Path, ...]]
    names: dict[int, str]
    samples: dict[str, tuple[int, ...]]
    download: str | None = None


def require_images(file: Path) -> DataConfig:
    """Read a data YAML before Ultralytics does: where images are missing, it would run what `download:` says.

    Raises:
        DataError: The YAML is not usable, or images are missing and `download:` is no link to an archive.
    """
    config = read_data_yaml(file)
    if not str(config.download).startswith(("https://", "http://")):
        for split in config.sources:
            image_files(config, split)
    return config


def read_data_yaml(file: Path) -> DataConfig:
    """Read and check a data YAML.

    Raises:
        DataError: With the file, the key, what was found and what was expected.
    """
    content = _load(file)
    names = _names(content, file)
    path = content.get("path") or str(file.parent)
    if not isinstance(path, str):
        raise DataError(f"{file}: path: found {path!r}, expected a folder.")
    root = Path(path)
    if not root.is_absolute() and not root.exists():
        root = datasets_folder() / root
    if "val" not in content and "validation" in content:
        content["val"] = content["validation"]
    for key in ("train", "val"):
        if key not in content:
            near = did_you_mean(key, map(str, content))
            raise DataError(f"{file}: {key}: missing. A data YAML names its images under train: and val:.{near}")
    sources = {split: _sources(content[split], root, file, split) for split in SPLITS if content.get(split)}
    if not sources:
        raise DataError(f"{file}: train: and val: are empty, expected a path or a list of paths.")
    return DataConfig(file, root, sources, names, _samples(content, names, file), content.get("download"))


def image_files(config: DataConfig, split: str) -> list[Path]:
    """Return the images of a split, sorted; one that is listed twice is there twice, as in training.

    A relative line of a list is relative to the working folder, or, where it starts with `./`, to the list.

    Raises:
        DataError: A source is missing or no list, or there is no image.
    """
    found: list[str] = []
    for source in config.sources[split]:
        if source.is_dir():
            pattern = f"{glob.escape(str(source))}{os.sep}**{os.sep}*.*"
            found += glob.glob(pattern, recursive=True)  # noqa: PTH207 - upstream's call: follows links, skips dot names
        elif source.is_file():
            found += _listed(source, f"{config.file}: {split}")
        else:
            near = did_you_mean(source.name, _beside(source, ""))
            raise DataError(f"{config.file}: {split}: {source} does not exist.{near}")
    images = sorted(path for path in found if path.rpartition(".")[2].lower() in IMAGE_SUFFIXES)
    if not images:
        where = ", ".join(map(str, config.sources[split]))
        raise DataError(f"{config.file}: {split}: no images under {where}; expected files such as .jpg or .png.")
    return [Path(path) for path in images]


def label_file(image: Path) -> Path:
    """Return the label file of an image: the last folder `images` becomes `labels`, the suffix `.txt`.

    Example:
        >>> label_file(Path("set/images/train/a.b.jpg")).as_posix()
        'set/labels/train/a.b.txt'
    """
    path = f"{os.sep}labels{os.sep}".join(str(image).rsplit(f"{os.sep}images{os.sep}", 1))
    return Path(path.rsplit(".", 1)[0] + ".txt")


def datasets_folder() -> Path:
    """Return the folder where Ultralytics looks for a relative root, from its settings file; else the working folder.

    Raises:
        DataError: The settings file does not say.
    """
    loaded = sys.modules.get("ultralytics.utils")
    if loaded is not None:
        return Path(loaded.DATASETS_DIR)
    homes = [os.environ.get("YOLO_CONFIG_DIR"), os.environ.get("APPDATA"), Path.home() / ".config"]
    homes.append(Path.home() / "Library" / "Application Support")
    for home in (Path(h) for h in homes if h):
        settings = home / "Ultralytics" / "settings.json"
        if settings.is_file():
            try:
                return Path(json.loads(settings.read_text(encoding="utf-8"))["datasets_dir"])
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{settings}: no datasets_dir in it, which a relative path: needs.") from error
    return Path.cwd()


def _load(file: Path) -> dict[Any, Any]:
    if file.is_dir():
        near = next(iter(_beside(file / "*", ".yaml")), None)
        raise DataError(f"{file}: a folder, expected a data YAML.{f' Did you mean {file / near}?' if near else ''}")
    if not file.is_file():
        raise DataError(f"{file}: no such data YAML.{did_you_mean(file.name, _beside(file, '.yaml'))}")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8", errors="ignore"))  # foreign bytes vanish upstream too
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2026-02-31
        raise DataError(f"{file}: not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: found {type(content).__name__}, expected a mapping with train:, val: and names:.")
    return content


def _beside(path: Path, suffix: str) -> list[str]:
    """Return the names in the folder of a path, sorted; none where the folder is missing."""
    folder = path.parent
    return sorted(other.name for other in folder.iterdir() if other.name.endswith(suffix)) if folder.is_dir() else []


def _names(content: dict[Any, Any], file: Path) -> dict[int, str]:
    names, nc = content.get("names"), content.get("nc")
    if names is None and nc is None:
        raise DataError(f"{file}: names: missing, expected a list or a mapping from id to name.")
    try:
        classes = None if nc is None else int(float(nc)) if float(nc) == int(float(nc)) else -1
    except (TypeError, ValueError, OverflowError):
        classes = -1
    if classes is not None and classes < 1:
        raise DataError(f"{file}: nc: found {nc!r}, expected the number of classes.")
    names = [f"class_{i}" for i in range(classes or 0)] if names is None else names
    if not isinstance(names, list | dict) or not names:
        raise DataError(f"{file}: names: found {names!r}, expected a list or a mapping from id to name.")
    try:
        by_id = {int(key): str(name) for key, name in (names.items() if isinstance(names, dict) else enumerate(names))}
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{file}: names: an id in {list(names)} is no whole number.") from None
    if sorted(by_id) != list(range(len(by_id))):
        raise DataError(f"{file}: names: ids {sorted(by_id)}, expected 0 to {len(by_id) - 1} without a gap.")
    if classes not in (None, len(by_id)):
        raise DataError(f"{file}: nc: {nc}, but names: has {len(by_id)} classes.")
    return dict(sorted(by_id.items()))


def _samples(content: dict[Any, Any], names: dict[int, str], file: Path) -> dict[str, tuple[int, ...]]:
    """Read `samples:`, a mapping from a sample to its class ids, or names where they are unique."""
    given = {} if content.get("samples") is None else content["samples"]
    if not isinstance(given, dict) or not all(isinstance(classes, list) for classes in given.values()):
        raise DataError(f"{file}: samples: found {given!r}, expected a mapping such as pin: [0, 1, 2].")
    samples: dict[str, tuple[int, ...]] = {}
    taken: dict[int, str] = {}
    for sample, classes in given.items():
        samples[str(sample)] = tuple(_class_id(c, names, f"{file}: samples: {sample}") for c in classes)
        for cls in samples[str(sample)]:
            if cls in taken:
                raise DataError(
                    f"{file}: samples: class {cls} is in two samples, {taken[cls]} and {sample}; expected in one."
                )
            taken[cls] = str(sample)
    rest = one_sample_a_class(names)
    return samples | {name: classes for name, classes in rest.items() if classes[0] not in taken}


def _class_id(value: Any, names: dict[int, str], where: str) -> int:
    if isinstance(value, int) and value in names:
        return value
    ids = [cls for cls, name in names.items() if name == str(value)]
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise DataError(f"{where}: {value!r} is the name of classes {ids}; give the id.")
    raise DataError(f"{where}: unknown class {value!r}.{did_you_mean(str(value), names.values())}")


def _sources(value: Any, root: Path, file: Path, split: str) -> tuple[Path, ...]:
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) for entry in entries):
        raise DataError(f"{file}: {split}: found {value!r}, expected a path or a list of paths.")
    paths = [(root / entry).resolve() for entry in entries]
    if isinstance(value, str) and value.startswith("../") and not paths[0].exists():
        paths = [(root / value[3:]).resolve()]
    return tuple(paths)


def _listed(file: Path, where: str) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").strip().splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: {file} is no list of images: not UTF-8 at byte {error.start}.") from None
    return [line.replace("./", f"{file.parent}{os.sep}", 1) if line.startswith("./") else line for line in lines]
