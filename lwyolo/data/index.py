"""A data YAML resolved to image and label files, as Ultralytics resolves it; nothing is written, fetched or run."""

from __future__ import annotations

import heapq
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lwyolo.data.classes import read_names, read_samples
from lwyolo.data.files import Files
from lwyolo.data.instances import SPLITS
from lwyolo.errors import DataError, did_you_mean

IMAGE_SUFFIXES = frozenset(
    ("avif", "bmp", "dng", "heic", "heif", "jp2", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp")
)
SUFFIXES = frozenset(suffix.encode() for suffix in IMAGE_SUFFIXES)
SEPARATOR = os.sep.encode()
IMAGES, LABELS = (f"{os.sep}{name}{os.sep}".encode() for name in ("images", "labels"))


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
        pose_columns: Columns of a label row with key points, by `kpt_shape:`; 0 where there is none.
    """

    file: Path
    root: Path
    sources: dict[str, tuple[Path, ...]]
    names: dict[int, str]
    samples: dict[str, tuple[int, ...]]
    download: str | None = None
    pose_columns: int = 0


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
    content = load_yaml(file)
    names = read_names(content, file)
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
    samples, poses = read_samples(content, names, file), _pose_columns(content, file)
    return DataConfig(file, root, sources, names, samples, content.get("download"), poses)


def image_files(config: DataConfig, split: str) -> Files:
    """Return the images of a split, sorted; one that is listed twice is there twice, as in training.

    A relative line of a list is relative to the working folder, or, where it starts with `./`, to the list.

    Raises:
        DataError: A source is missing or no list, or there is no image.
    """
    return list_images(config, split)[0]


def list_images(config: DataConfig, split: str) -> tuple[Files, list[int]]:
    """Return the images of a split as `image_files` does, and the indices of those that are no file.

    Raises:
        DataError: A source is missing or no list, or there is no image.
    """
    sources = config.sources[split]
    no_file: set[bytes] = set()
    if len(sources) == 1 and sources[0].is_dir():
        images = Files.of(images_below(os.fsencode(sources[0]), no_file))
    else:
        images = Files.of(sorted(path for source in sources for path in _images_of(source, config, split, no_file)))
    if not images:
        where = ", ".join(map(str, sources))
        raise DataError(f"{config.file}: {split}: no images under {where}; expected files such as .jpg or .png.")
    if not no_file:
        return images, []
    paths = (path for chunk in images.chunks() for path in chunk)
    return images, [at for at, path in enumerate(paths) if path in no_file]


def images_below(folder: bytes, no_file: set[bytes]) -> Iterator[bytes]:
    """Yield the images in a folder and all below it, sorted as whole paths are; those that are no file enter `no_file`.

    As in Ultralytics' search, links are followed, names that start with a dot are skipped, and a folder whose name ends
    as that of an image is taken for one.
    """
    folders: list[bytes] = []
    try:
        images = Files.of(image_names(folder, folders, no_file)).in_order()
    except OSError:
        return
    names = (name for chunk in images.chunks() for name in chunk)
    for name in heapq.merge(sorted(folders), names) if folders else names:
        path = folder + SEPARATOR + name
        if name.endswith(SEPARATOR):
            yield from images_below(path[:-1], no_file)
        else:
            yield path


def image_names(folder: bytes, folders: list[bytes], no_file: set[bytes]) -> Iterator[bytes]:
    """Yield the names of images in a folder; those of folders, a separator at the end, enter `folders`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(b"."):
                continue
            if _is_folder(entry):
                folders.append(name + SEPARATOR)
            if b"." in name and name.rpartition(b".")[2].lower() in SUFFIXES:
                if not entry.is_file():
                    no_file.add(folder + SEPARATOR + name)
                yield name


def label_file(image: Path) -> Path:
    """Return the label file of an image: the last folder `images` becomes `labels`, the suffix `.txt`.

    Example:
        >>> label_file(Path("set/images/train/a.b.jpg")).as_posix()
        'set/labels/train/a.b.txt'
    """
    return Path(os.fsdecode(_label_of(os.fsencode(image))))


def label_files(images: Files) -> Files:
    """Return the label file of every image."""
    return Files.of(_label_of(path) for chunk in images.chunks() for path in chunk)


def _label_of(image: bytes) -> bytes:
    return LABELS.join(image.rsplit(IMAGES, 1)).rsplit(b".", 1)[0] + b".txt"


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


def load_yaml(file: Path) -> dict[Any, Any]:
    """Return the mapping that a data YAML is.

    Raises:
        DataError: It is missing, no YAML or no mapping.
    """
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


def _sources(value: Any, root: Path, file: Path, split: str) -> tuple[Path, ...]:
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) for entry in entries):
        raise DataError(f"{file}: {split}: found {value!r}, expected a path or a list of paths.")
    try:
        paths = [(root / entry).resolve() for entry in entries]
    except (ValueError, RuntimeError, OSError) as error:  # a zero byte, a lone surrogate; a link to itself
        raise DataError(f"{file}: {split}: found {value!r}, which is no path: {error}.") from None
    if isinstance(value, str) and value.startswith("../") and not paths[0].exists():
        paths = [(root / value[3:]).resolve()]
    return tuple(paths)


def _images_of(source: Path, config: DataConfig, split: str, no_file: set[bytes]) -> Iterator[bytes]:
    if source.is_dir():
        yield from images_below(os.fsencode(source), no_file)
    elif source.is_file():
        for line in _listed(source, f"{config.file}: {split}"):
            path = os.fsencode(line)
            if path.rpartition(b".")[2].lower() in SUFFIXES:
                if not os.path.isfile(path):  # noqa: PTH113 - a list may have a million lines
                    no_file.add(path)
                yield path
    else:
        near = did_you_mean(source.name, _beside(source, ""))
        raise DataError(f"{config.file}: {split}: {source} does not exist.{near}")


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _pose_columns(content: dict[Any, Any], file: Path) -> int:
    shape = content.get("kpt_shape")
    if shape is None:
        return 0
    if not isinstance(shape, list) or len(shape) != 2 or not all(isinstance(value, int) for value in shape):
        raise DataError(f"{file}: kpt_shape: found {shape!r}, expected [key points, 2 or 3 numbers a point].")
    return 5 + shape[0] * shape[1] if shape[0] else 0


def _listed(file: Path, where: str) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").strip().splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: {file} is no list of images: not UTF-8 at byte {error.start}.") from None
    if any("\0" in line for line in lines):
        raise DataError(f"{where}: {file} is no list of images: a line holds a zero byte.")
    lines = [line.replace("./", f"{file.parent}{os.sep}", 1) if line.startswith("./") else line for line in lines]
    return [line.replace("/", os.sep) for line in lines] if os.sep != "/" else lines
