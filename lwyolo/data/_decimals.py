"""Rows of plain decimal numbers such as `0.512`, many at once, to the bit as Python's `float` reads each.

A number of at most 15 digits is a whole number below 2^53 over a power of ten up to 10^22. Both are exact as doubles,
so their quotient is the double nearest to the text (W. D. Clinger, "How to read floating point numbers accurately",
1990). Anything else is left to a parser of the general case.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHARACTERS = b"0123456789. \n"
LONGEST = 16
EXACT = 1 << 53
POWERS = np.array([float(f"1e{power}") for power in range(LONGEST + 1)])
DOT, SPACE, LINE_END, ZERO = b". \n0"


def read_decimals(text: bytes, columns: int) -> NDArray[np.float64] | None:
    r"""Return [rows, columns] numbers, or `None` where the text is anything but such rows, each ended by a line end.

    Example:
        >>> read_decimals(b"0 .5\n12 0.25\n", 2).tolist()
        [[0.0, 0.5], [12.0, 0.25]]
        >>> read_decimals(b"0 5e-1\n", 2), read_decimals(b"0  5\n", 2)
        (None, None)
    """
    if not text.endswith(b"\n") or text.translate(None, CHARACTERS):
        return None
    characters = np.frombuffer(text + bytes(LONGEST), np.uint8)
    ends = np.flatnonzero(characters[: len(text)] <= SPACE)
    starts = np.concatenate([[0], ends[:-1] + 1])
    length = ends - starts
    if len(ends) % columns or length.min() < 1 or length.max() > LONGEST:
        return None
    gaps = characters[ends].reshape(-1, columns)
    if (gaps[:, :-1] != SPACE).any() or (gaps[:, -1] != LINE_END).any():
        return None
    value, places, dots = _digits(characters, starts, length)
    if dots.max() > 1 or (length == dots).any() or value.max() > EXACT:
        return None
    numbers: NDArray[np.float64] = value / POWERS[places]
    return numbers.reshape(-1, columns)


def _digits(
    characters: NDArray[np.uint8], starts: NDArray[np.int64], length: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int8]]:
    """Return for each number its digits as a whole number, how many stand behind the dot, and the number of dots."""
    value = np.zeros(len(starts), np.int64)
    places, dots = np.zeros(len(starts), np.int8), np.zeros(len(starts), np.int8)
    for at in range(int(length.max())):
        character = characters[starts + at]
        inside = at < length
        dot = inside & (character == DOT)
        digit = inside & ~dot
        value = np.where(digit, value * 10 + (character - ZERO), value)
        places += digit & (dots > 0)
        dots += dot
    return value, places, dots
