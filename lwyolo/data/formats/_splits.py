"""Which split a file or folder holds, by the words in its name."""

from __future__ import annotations

import re

WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
         "testing": "test"}  # fmt: skip
_WORD = re.compile(rf"(?<![a-z])({'|'.join(sorted(WORDS, key=len, reverse=True))})(?![a-z])")


def split_in(name: str) -> str | None:
    """Return the split that a name speaks of, or `None`.

    Example:
        >>> split_in("instances_val2017"), split_in("valid"), split_in("retrained")
        ('val', 'val', None)
    """
    found = _WORD.search(name.lower())
    return WORDS[found.group()] if found else None
