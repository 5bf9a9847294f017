"""Where a model YAML lies, and which scale its name asks for.

As upstream: `yolov8s-dyhead.yaml` is the file `yolov8-dyhead.yaml` at scale s. Unlike upstream, only the file name is
read, never the folders above it, and a file of any name takes a scale as `my-model@s.yaml`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from ultralytics.utils import ROOT as ULTRALYTICS_ROOT

from lwyolo.errors import GraphError, did_you_mean

SCALE_IN_NAME = re.compile(r"^(yolo(?:e-)?v?\d+)([nslmx])(?![a-z])(.*)$")
FAMILY = re.compile(r"^(yolo(?:e-)?v?\d+)(?![a-z\d])(.*)$")
SCALE_AT_END = re.compile(r"^(.+)@(\w+)$")
PACKAGED = (Path(__file__).parent.parent / "cfg", Path(__file__).parent.parent.parent / "cfg")


def with_scale(path: str | Path, scale: str | None) -> str:
    """Return the name that asks for `path` at `scale`.

    Example:
        >>> with_scale("cfg/yolov8-dyhead.yaml", "s"), with_scale("mine.yaml", "m"), with_scale("mine.yaml", None)
        ('cfg/yolov8s-dyhead.yaml', 'mine@m.yaml', 'mine.yaml')
    """
    path = Path(path)
    if scale is None:
        return str(path)
    stem, _ = split_scale(path)
    family = FAMILY.match(stem)
    name = f"{family[1]}{scale}{family[2]}" if family else f"{stem}@{scale}"
    return str(path.with_name(name + path.suffix))


def split_scale(path: str | Path) -> tuple[str, str | None]:
    """Split a file's stem into the stem without its scale, and the scale.

    Example:
        >>> split_scale("exp2small/yolov8s-dyhead.yaml"), split_scale("mine@m.yaml"), split_scale("yolov8-p2.yaml")
        (('yolov8-dyhead', 's'), ('mine', 'm'), ('yolov8-p2', None))
    """
    stem = Path(path).stem
    if match := SCALE_AT_END.match(stem):
        return match[1], match[2]
    if match := SCALE_IN_NAME.match(stem):
        return match[1] + match[3], match[2]
    return stem, None


def first_scale(path: str | Path) -> str | None:
    """Return the scale that upstream takes for a YAML whose name asks for none: its first; `None` without scales."""
    yaml = load_model_yaml(path)
    return str(yaml["scale"] or next(iter(yaml.get("scales") or ()), "")) or None


def find_yaml(path: str | Path) -> tuple[Path, str | None]:
    """Find the file behind a model name, and its scale.

    Looks at the path itself, then without its scale, then in the YAMLs of lwyolo, then in those of Ultralytics.

    Raises:
        GraphError: There is no such file; the message names the nearest.
    """
    path = Path(path)
    stem, scale = split_scale(path)
    names = [path.name, stem + path.suffix]
    for folder in (path.parent, *PACKAGED):
        for name in names:
            if (folder / name).is_file():
                return folder / name, scale
    if path.parent in (Path(), Path("cfg")):
        stock = sorted((ULTRALYTICS_ROOT / "cfg" / "models").rglob("*.yaml"))
        for name in names:
            for found in (file for file in stock if file.name == name):
                return found, scale
    raise GraphError(f"{path}: no such model YAML.{_nearest(path, names[-1])}")


def _nearest(path: Path, name: str) -> str:
    folders = [f for f in (path.parent, *PACKAGED) if f.is_dir()]
    choices = [file.name for folder in folders for file in folder.glob("*.y*ml")]
    return did_you_mean(name, [*choices, *(f.name for f in (ULTRALYTICS_ROOT / "cfg" / "models").rglob("*.yaml"))])


def load_model_yaml(path: str | Path) -> dict[str, Any]:
    """Read a model YAML into upstream's dictionary, with `scale` and `yaml_file` set.

    Raises:
        GraphError: The file is missing, is no YAML, or is not a mapping.
    """
    file, scale = find_yaml(path)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GraphError(f"{file}: not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise GraphError(f"{file}: found {type(content).__name__}, expected a mapping with nc:, backbone: and head:.")
    return {**content, "scale": scale or content.get("scale") or "", "yaml_file": str(path)}
