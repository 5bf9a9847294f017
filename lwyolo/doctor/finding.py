"""What a check says: a frozen finding, and the errors that a broken installation raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lwyolo.errors import LwyoloError

State = Literal["ok", "note", "problem"]
OK: State = "ok"
NOTE: State = "note"
PROBLEM: State = "problem"

FAILURES = (ImportError, OSError, RuntimeError, AttributeError, ValueError, LwyoloError)
"""What importing or calling a broken package raises; `ValueError` is NumPy's for a binary built for another version."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of one check.

    Args:
        check: What was looked at.
        state: `problem`: wrong figures or a crash; `note`: worth knowing; `ok` otherwise.
        found: What was found, in one paragraph.
        remedy: What to do, one step or command a line; empty where there is nothing to do.
    """

    check: str
    state: State
    found: str
    remedy: str = ""


def describe(error: BaseException) -> str:
    """Word an error in one line, without the pages that torch appends."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
