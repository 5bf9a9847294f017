"""A data YAML resolved to image and label files, as Ultralytics resolves it; nothing is written, fetched or run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lwyolo.data.instances import SPLITS, one_sample_a_class
from lwyolo.errors import DataError, did_you_mean

IMAGE_SUFFIXES = frozenset("avif bmp dng heic heif jp2 jpeg jpeg2000 jpg mpo png tif tiff webp".split())


@dataclass(frozen=True, slots=True)
class DataConfig:
    """A data YAML.

    Args:
        file: The YAML.
        root: The folder that its paths are relative to.
        sources: Folders, lists or images of each split that is there.
        names: Class names by id.
        samples: Classes of each sample.
        download: What the YAML says under `download:`; never used here.
    """

    file: Path
    root: Path
    sources: dict[str, tuple[Path, ...]]
    names: dict[int, str]
    samples: dict[str, tuple[int, ...]]
    download: str | None = None


def read_data_yaml(file: Path) -> DataConfig:
    """Read and check a data YAML.

    Raises:
        DataError: With the file, the key, what was found and what was expected.
    """
    content = _load(file)
    names = _names(content, file)
    root = Path(content["path"]) if content.get("path") else file.parent
    if not root.is_absolute() and not root.exists():
        root = datasets_folder() / root
    if "train" not in content or not {"val", "validation"} & set(content):
        key = "train" if "train" not in content else "val"
        raise DataError(f"{file}: {key}: missing. A data YAML names its images under train: and val:.{did_you_mean(key, map(str, content))}")
    content.setdefault("val", content.get("validation"))
    sources = {split: _sources(content[split], root, file, split) for split in SPLITS if content.get(split)}
    return DataConfig(file, root, sources, names, _samples(content, names, file), content.get("download"))


def image_files(config: DataConfig, split: str) -> list[Path]:
    """Return the images of a split, sorted; one that is listed twice is there twice, as in training.

    Raises:
        DataError: A source is missing, or holds no image.
    """
    found: list[str] = []
    for source in config.sources[split]:
        if source.is_dir():
            found += _images_below(str(source))
        elif source.is_file():
            found += _listed(source)
        else:
            raise DataError(f"{config.file}: {split}: {source} does not exist.{_nearest(source)}")
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
    separator = os.sep
    path = f"{separator}labels{separator}".join(str(image).rsplit(f"{separator}images{separator}", 1))
    return Path(path.rsplit(".", 1)[0] + ".txt")


def datasets_folder() -> Path:
    """Return the folder where Ultralytics looks for a relative root, from its settings file."""
    loaded = sys.modules.get("ultralytics.utils")
    if loaded is not None:
        return Path(loaded.DATASETS_DIR)
    homes = [os.environ.get("YOLO_CONFIG_DIR"), os.environ.get("APPDATA"), Path.home() / ".config"]
    homes.append(Path.home() / "Library" / "Application Support")
    for home in (Path(h) for h in homes if h):
        settings = home / "Ultralytics" / "settings.json"
        if settings.is_file():
            return Path(json.loads(settings.read_text(encoding="utf-8"))["datasets_dir"])
    return Path.cwd()


def _load(file: Path) -> dict[Any, Any]:
    if file.is_dir():
        raise DataError(f"{file}: a folder, expected a data YAML.{_yaml_in(file)}")
    if not file.is_file():
        raise DataError(f"{file}: no such data YAML.{_nearest(file)}")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: found {type(content).__name__}, expected a mapping with train:, val: and names:.")
    return content


def _yaml_in(folder: Path) -> str:
    found = sorted(folder.glob("*.yaml"))
    return f" Did you mean {found[0]}?" if found else ""


def _nearest(path: Path) -> str:
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    return did_you_mean(path.name, beside)


def _names(content: dict[Any, Any], file: Path) -> dict[int, str]:
    names, nc = content.get("names"), content.get("nc")
    if names is None and nc is None:
        raise DataError(f"{file}: names: missing, expected a list or a mapping from id to name.")
    if names is None:
        names = [f"class_{i}" for i in range(int(nc))]
    if not isinstance(names, list | dict) or not names:
        raise DataError(f"{file}: names: found {names!r}, expected a list or a mapping from id to name.")
    try:
        by_id = {int(key): str(name) for key, name in (names.items() if isinstance(names, dict) else enumerate(names))}
    except (TypeError, ValueError):
        raise DataError(f"{file}: names: an id in {list(names)} is no whole number.") from None
    if sorted(by_id) != list(range(len(by_id))):
        raise DataError(f"{file}: names: ids {sorted(by_id)}, expected 0 to {len(by_id) - 1} without a gap.")
    if nc is not None and int(nc) != len(by_id):
        raise DataError(f"{file}: nc: {nc}, but names: has {len(by_id)} classes.")
    return dict(sorted(by_id.items()))


def _samples(content: dict[Any, Any], names: dict[int, str], file: Path) -> dict[str, tuple[int, ...]]:
    """Read `samples:`, a mapping from a sample to its class ids, or names where they are unique."""
    samples = content.get("samples")
    if samples is None:
        return one_sample_a_class(names)
    if not isinstance(samples, dict) or not all(isinstance(classes, list) for classes in samples.values()):
        raise DataError(f"{file}: samples: found {samples!r}, expected a mapping such as pin: [0, 1, 2].")
    return {str(sample): tuple(_class_id(c, names, f"{file}: samples: {sample}") for c in classes) for sample, classes in samples.items()}


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
    paths = []
    for entry in entries:
        path = (root / entry).resolve()
        if not path.exists() and entry.startswith("../") and not isinstance(value, list):
            path = (root / entry[3:]).resolve()
        paths.append(path)
    return tuple(paths)


def _images_below(folder: str) -> Iterator[str]:
    """Walk as `glob('**/*.*')` does: links are followed, names that start with a dot are skipped."""
    seen: set[str] = set()
    for path, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(path)
        folders[:] = [] if real in seen else [name for name in folders if not name.startswith(".")]
        if real not in seen:
            yield from (os.path.join(path, name) for name in files if "." in name and not name.startswith("."))
        seen.add(real)


def _listed(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8-sig").strip().splitlines()
    return [line.replace("./", f"{file.parent}{os.sep}", 1) if line.startswith("./") else line for line in lines]
