"""A rule: what it looks for, how bad that is, what Ultralytics does about it, and what a repair does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lwyolo.data.instances import Box
from lwyolo.registry import Registry, discover

if TYPE_CHECKING:
    from lwyolo.data.checks.context import Context

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")

Repair = Literal[
    "keep", "leave out", "leave out others", "remove row", "clip", "to boxes",
    "recode", "relocate", "once", "add", "trim", "not copied",
]  # fmt: skip
REPAIRS: dict[Repair, str] = {
    "keep": "kept as it is, and said",
    "leave out": "the image is left out",
    "leave out others": "the first image is kept, the others are left out",
    "remove row": "the row is removed",
    "clip": "the box is clipped to the image; where nothing sure remains, the image is left out",
    "to boxes": "polygons become their bounding boxes",
    "recode": "UTF-16 is written as UTF-8; another file's image is left out",
    "relocate": "the label is written where it is looked for",
    "once": "the image is there once",
    "add": "the image is there",
    "trim": "the bytes after the end of the picture are cut off, in a copy",
    "not copied": "not copied",
}
"""What `--fix` can do to what a rule finds, in the words of the rule table."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Args:
        file: Where to mend it.
        what: What is wrong, in words; the place is not repeated in them.
        line: Line in the file, from 1; 0 where it is the whole file.
        image: The image that it concerns, as an index into the table's images; `None` where it is none or many.
        row: The row that it concerns, as an index into the rows as written.
        box: The box of that row, for drawing it.
        rule: Name of the rule, filled in by `run_checks`.
    """

    file: Path
    what: str
    line: int = 0
    image: int | None = None
    row: int | None = None
    box: Box | None = None
    rule: str = ""


Check = Callable[["Context"], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A registered rule.

    Args:
        name: What `--rule` takes.
        severity: `error`: data are lost or a result is false; `warning`: probably not meant; `info`: to be known.
        what: What it looks for.
        upstream: What Ultralytics does about it.
        repair: What `--fix` does about it, one of `REPAIRS`.
        check: Finds it.
        deep: Whether it decodes images, and so runs with `--deep` only.
    """

    name: str
    severity: Severity
    what: str
    upstream: str
    repair: Repair
    check: Check
    deep: bool = False


RULES: Registry[Rule] = Registry("check rule")


def rule(
    name: str, severity: Severity, *, what: str, upstream: str, repair: Repair = "keep", deep: bool = False
) -> Callable[[Check], Check]:
    """Register the decorated check as the rule `name`."""

    def decorate(check: Check) -> Check:
        RULES.add(name, Rule(name, severity, what, upstream, repair, check, deep))
        return check

    return decorate


def all_rules() -> list[Rule]:
    """Return every rule, the worst first, then by name."""
    discover("lwyolo.data.checks")
    return sorted(RULES.values(), key=lambda item: (SEVERITIES.index(item.severity), item.name))


def find_rule(name: str) -> Rule:
    """Return a rule by its name.

    Raises:
        UnknownNameError: There is no such rule; the message names the nearest.
    """
    discover("lwyolo.data.checks")
    return RULES[name]
