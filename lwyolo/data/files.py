"""Many paths in one block of bytes: a million files are not a million objects."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

NUL = b"\0"
"""Stands between two paths: the one byte that no path holds."""
CHUNK = 8192


class Files(Sequence[Path]):
    """A sequence of paths that makes a `Path` only when one is asked for.

    Example:
        >>> files = Files.of(["images/a.jpg", "images/b.jpg"])
        >>> files[1].as_posix(), files.raw(0, 1), len(files)
        ('images/b.jpg', [b'images/a.jpg'], 2)
    """

    __slots__ = ("_block", "_starts")

    def __init__(self, block: bytes, starts: NDArray[np.int64]) -> None:
        self._block = block
        self._starts = starts

    @classmethod
    def of(cls, paths: Iterable[str | bytes | Path]) -> Files:
        """Take paths, a part at a time, so that a generator is never held whole."""
        block = bytearray()
        lengths: list[NDArray[np.int64]] = []
        source = iter(paths)
        while part := [path if isinstance(path, bytes) else os.fsencode(path) for path in islice(source, CHUNK)]:
            block += NUL.join(part) + NUL
            lengths.append(np.fromiter(map(len, part), np.int64, len(part)) + 1)
        starts = np.zeros(sum(map(len, lengths)) + 1, np.int64)
        if lengths:
            np.cumsum(np.concatenate(lengths), out=starts[1:])
        return cls(bytes(block), starts)

    @classmethod
    def joined(cls, parts: Sequence[Files]) -> Files:
        """Put several sequences one behind the other."""
        shifts = np.cumsum([0, *(len(part._block) for part in parts)])
        starts = [part._starts[:-1] + shift for part, shift in zip(parts, shifts, strict=False)]
        return cls(b"".join(part._block for part in parts), np.concatenate([*starts, shifts[-1:]]).astype(np.int64))

    def in_order(self) -> Files:
        """Return the paths sorted by their bytes, which is the order of their characters too."""
        lengths = np.diff(self._starts)
        inside = np.arange(lengths.max(initial=0)) < lengths[:, None]
        table = np.zeros(inside.shape, np.uint8)
        table[inside] = np.frombuffer(self._block, np.uint8)
        order = np.argsort(table.view(f"S{inside.shape[1]}")[:, 0], kind="stable") if table.size else np.arange(0)
        starts = np.zeros_like(self._starts)
        np.cumsum(lengths[order], out=starts[1:])
        return Files(table[order][inside[order]].tobytes(), starts)

    def raw(self, start: int, stop: int) -> list[bytes]:
        """Return the paths from `start` up to `stop` as bytes, as the system's calls take them."""
        stop = min(stop, len(self))
        return self._block[self._starts[start] : self._starts[stop] - 1].split(NUL) if start < stop else []

    def chunks(self) -> Iterator[list[bytes]]:
        """Yield all paths as bytes, a list at a time."""
        for start in range(0, len(self), CHUNK):
            yield self.raw(start, start + CHUNK)

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> Files: ...
    def __getitem__(self, index: int | slice) -> Path | Files:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                return Files.of(self[at] for at in range(start, stop, step))
            stop = max(start, stop)
            cut = self._starts[start : stop + 1]
            return Files(self._block[cut[0] : cut[-1]], cut - cut[0])
        at = range(len(self))[index]  # an IndexError of its own, and negative numbers
        return Path(os.fsdecode(self._block[self._starts[at] : self._starts[at + 1] - 1]))

    def __iter__(self) -> Iterator[Path]:
        for chunk in self.chunks():
            yield from map(Path, map(os.fsdecode, chunk))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Files):
            return self._block == other._block
        if isinstance(other, Sequence):
            return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as a list: it is compared by content

    def __repr__(self) -> str:
        return f"Files({len(self)} paths)"


def as_files(paths: Sequence[Path]) -> Files:
    """Return the same paths as `Files`."""
    return paths if isinstance(paths, Files) else Files.of(paths)
