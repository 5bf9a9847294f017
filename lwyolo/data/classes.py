"""The classes of a data set, and the samples that they belong to, as a YAML file declares them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lwyolo.data.instances import one_sample_a_class
from lwyolo.errors import DataError, did_you_mean


def read_names(content: dict[Any, Any], file: Path) -> dict[int, str]:
    """Read `names:`, a list or a mapping from id to name, or, without it, `nc:`, their number.

    Raises:
        DataError: There is neither, they do not fit together, or ids have gaps.
    """
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


def read_samples(content: dict[Any, Any], names: dict[int, str], file: Path) -> dict[str, tuple[int, ...]]:
    """Read `samples:`, a mapping from a sample to its class ids, or names where they are unique.

    Raises:
        DataError: It is no such mapping, names an unknown class, or puts one in two samples.
    """
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
