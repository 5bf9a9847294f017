"""Many label files at once: what `verdict.judge` says of each, at the speed of reading them.

Opening a file costs more than parsing it, and a Python object for each number more than both. So the files are read
with the system's own calls, those without any peculiarity are parsed together, and the rules are checked on all rows at
once. A file that is in any way not plain goes to `judge`, which alone decides about it.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lwyolo.data._decimals import read_decimals
from lwyolo.data.files import Files
from lwyolo.data.verdict import TOLERANCE, Verdict, dropped, judge

CHUNK = 4096
PLAIN = b"0123456789.-+eE \n"
"""What a file of plain numbers is written in: no tab, no comment, no `nan`, nothing that is white space elsewhere."""
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # never waits for a pipe's writer
BLOCK = 1 << 16
ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(32))


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What is trained on of many label files.

    Args:
        rows: [N, 5] class and box (centre x, y, width, height; normalised), in the order of files and of their rows.
        file: [N] index of the file of each row.
        lines: [N] line of each row in its file, counted from 1.
        written: Rows in all files.
        reasons: Why the image of a file is dropped, by the file's index.
        polygons: Files whose polygons (segments or turned boxes) became boxes.
        poses: Files whose key points were cut off.
    """

    rows: NDArray[np.float32]
    file: NDArray[np.int64]
    lines: NDArray[np.int64]
    written: int
    reasons: dict[int, str]
    polygons: int = 0
    poses: int = 0


def read_labels(files: Files, nc: int, pose_columns: int = 0) -> Labels:
    """Read and judge label files; one that is missing is empty.

    Args:
        files: Label files.
        nc: Number of classes.
        pose_columns: Columns of a row with key points, 0 where there are none; see `judge`.
    """
    parts: list[Labels] = []
    with tqdm(total=len(files), desc="Reading labels", unit="file", delay=1, leave=False) as bar:
        for start in range(0, len(files), CHUNK):
            paths = files.raw(start, start + CHUNK)
            parts.append(_read_chunk(paths, start, nc, pose_columns))
            bar.update(len(paths))
    return _joined(parts)


def read_file(path: bytes | str) -> bytes:
    """Return the content of a file; what is missing, a folder or a pipe is empty.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        handle = os.open(path, FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    try:
        content = os.read(handle, BLOCK)
        if len(content) == BLOCK:
            parts = [content]
            while part := os.read(handle, BLOCK):
                parts.append(part)
            content = b"".join(parts)
    except IsADirectoryError:
        return b""
    finally:
        os.close(handle)
    return content


def _read_chunk(paths: list[bytes], first: int, nc: int, pose_columns: int) -> Labels:
    contents: list[bytes] = []
    verdicts: dict[int, Verdict] = {}
    for at, path in enumerate(paths):
        try:
            contents.append(read_file(path))
        except OSError as error:
            contents.append(b"")
            verdicts[at] = dropped(f"not readable: {error.strerror}")
    plain, counts = plain_files(contents)
    rows = parse_numbers(b"".join(plain), int(counts.sum()))
    if rows is None:
        rows, counts = np.zeros((0, 5), np.float32), np.zeros_like(counts)
    file = np.repeat(np.arange(len(paths)), counts)
    doubtful = np.zeros(len(paths), dtype=bool)
    doubtful[file[_out_of_range(rows, nc) | _repeated(rows, file)]] = True
    doubtful |= (counts == 0) & (np.fromiter(map(len, contents), np.int64, len(contents)) > 0)
    verdicts |= {int(at): judge(contents[at], nc, pose_columns) for at in np.flatnonzero(doubtful)}
    lines = np.arange(len(file)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    keep = ~doubtful[file]
    fast = Labels(rows[keep], file[keep] + first, lines[keep], int(counts[~doubtful].sum()), {})
    return _merged(fast, {at + first: verdict for at, verdict in verdicts.items()})


def plain_files(contents: list[bytes]) -> tuple[list[bytes], NDArray[np.int64]]:
    """Return the files that are rows of five numbers at first sight, each row ended, and how many rows each has."""
    plain: list[bytes] = []
    counts = np.zeros(len(contents), np.int64)
    for at, content in enumerate(contents):
        if b"\r" in content:
            content = content.replace(b"\r\n", b"\n")
        if not content.endswith(b"\n"):
            if not content:
                continue
            content += b"\n"
        rows = content.count(b"\n")
        if content.count(b" ") == 4 * rows and not content.translate(None, PLAIN):
            counts[at] = rows
            plain.append(content)
    return plain, counts


def parse_numbers(text: bytes, count: int) -> NDArray[np.float32] | None:
    """Return [count, 5] numbers, rounded as `judge` rounds them, or `None` where the text is anything else."""
    if not text:
        return np.zeros((0, 5), np.float32)
    decimals = read_decimals(text, 5)
    if decimals is not None:
        return decimals.astype(np.float32)
    try:
        with warnings.catch_warnings():  # of text that is all blanks
            warnings.simplefilter("ignore")
            rows = np.loadtxt(BytesIO(text), dtype=np.float32, comments=None, ndmin=2)
    except ValueError:
        return None
    return rows if rows.shape == (count, 5) else None


def _out_of_range(rows: NDArray[np.float32], nc: int) -> NDArray[np.bool_]:
    """[N] whether a row may break a rule; all that is negative is left to `judge`."""
    cls = rows[:, :1]
    wrong = np.hstack([rows < 0, rows[:, 1:] > 1 + TOLERANCE, cls >= nc, np.floor(cls) != cls])
    found: NDArray[np.bool_] = np.any(wrong, axis=1)
    return found


def _repeated(rows: NDArray[np.float32], file: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[N] whether a row may be equal to another of its file: of equal rows the 64-bit hashes are equal."""
    key = file.astype(np.uint64)
    for column in (rows + np.float32(0)).view(np.uint32).T:  # -0 becomes 0
        key = (key ^ column) * ODD[0]
        key ^= key >> ODD[1]
    order = np.sort(key)
    twice = order[1:][order[1:] == order[:-1]]
    return np.isin(key, twice) if len(twice) else np.zeros(len(rows), dtype=bool)


def _merged(fast: Labels, verdicts: dict[int, Verdict]) -> Labels:
    if not verdicts:
        return fast
    slow = sorted(verdicts.items())
    file = np.concatenate([fast.file, np.repeat([at for at, _ in slow], [len(verdict.rows) for _, verdict in slow])])
    order = np.argsort(file, kind="stable")
    return Labels(
        np.concatenate([fast.rows, *(verdict.rows for _, verdict in slow)])[order],
        file[order],
        np.concatenate([fast.lines, *(verdict.lines for _, verdict in slow)])[order],
        fast.written + sum(verdict.written for _, verdict in slow),
        {at: verdict.reason for at, verdict in slow if verdict.reason},
        sum(verdict.kind == "polygons" for _, verdict in slow),
        sum(verdict.kind == "poses" for _, verdict in slow),
    )


def _joined(parts: list[Labels]) -> Labels:
    return Labels(
        np.concatenate([np.zeros((0, 5), np.float32), *(part.rows for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.file for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.lines for part in parts)]),
        sum(part.written for part in parts),
        {at: reason for part in parts for at, reason in part.reasons.items()},
        sum(part.polygons for part in parts),
        sum(part.poses for part in parts),
    )
