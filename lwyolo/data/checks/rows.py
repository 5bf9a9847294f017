"""Every row as it is written, also those that Ultralytics drops: arrays, filled by a parser that never gives up.

Numbers are 32-bit, as Ultralytics holds them: its limits, and what it takes for equal, are decided in that precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lwyolo.data.instances import InstanceTable
from lwyolo.data.labels import CHUNK, parse_numbers, plain_files, read_file

BOX, POLYGON, WRONG_COLUMNS, NOT_NUMERIC, COMMENT = range(5)


@dataclass(frozen=True, slots=True, eq=False)
class RawRows:
    """Rows as written; a label file that two images share is here once, with the first of them.

    Args:
        files: [F] image whose label file was looked for, one a distinct label file.
        image: [R] image of each row, as an index into the table's images.
        line: [R] line in the label file, 0 where the format has none.
        kind: [R] `BOX`, `POLYGON`, `WRONG_COLUMNS`, `NOT_NUMERIC` or `COMMENT`.
        columns: [R] how many columns the row has.
        values: [R, 5] class, centre x, y, width, height; NaN where there is no box to be read.
        points: [R] a hash over all points of a polygon, 0 for a box.
        tokens: The first token of a row that is not numeric.
        missing: Images without a label file.
        unreadable: Why a label file cannot be read, by image.
        of_text: Whether rows come from label files; else they were converted from another format.
    """

    files: NDArray[np.int64]
    image: NDArray[np.int64]
    line: NDArray[np.int64]
    kind: NDArray[np.uint8]
    columns: NDArray[np.int64]
    values: NDArray[np.float32]
    points: NDArray[np.int64]
    tokens: dict[int, str] = field(default_factory=dict)
    missing: tuple[int, ...] = ()
    unreadable: dict[int, str] = field(default_factory=dict)
    of_text: bool = True

    def __len__(self) -> int:
        return len(self.image)

    @property
    def numeric(self) -> NDArray[np.bool_]:
        """[R] whether the row has the columns of a box or polygon, all of them numbers."""
        return self.kind <= POLYGON


@dataclass(slots=True)
class _Part:
    """Rows of one file, or of some that are plain."""

    image: NDArray[np.int64]
    line: NDArray[np.int64]
    kind: NDArray[np.uint8]
    columns: NDArray[np.int64]
    values: NDArray[np.float32]
    points: NDArray[np.int64]
    tokens: dict[int, str] = field(default_factory=dict)


def rows_of_table(table: InstanceTable, first: NDArray[np.int64]) -> RawRows:
    """Take the rows of a set whose format has no label files.

    Args:
        table: The set.
        first: [I] the first place of each image in the table.
    """
    chosen = np.flatnonzero(first[table.image] == table.image)
    count = len(chosen)
    return RawRows(
        files=np.unique(first),
        image=table.image[chosen],
        line=table.lines[chosen],
        kind=np.full(count, BOX, np.uint8),
        columns=np.full(count, 5),
        values=np.column_stack([table.cls[chosen], table.boxes[chosen]]).astype(np.float32),
        points=np.zeros(count, np.int64),
        of_text=False,
    )


def read_rows(sources: Sequence[Path], files: NDArray[np.int64], pose_columns: int = 0) -> RawRows:
    """Read label files.

    Args:
        sources: [I] the label file of each image.
        files: [F] the images to read for, one a distinct label file.
        pose_columns: Columns of a row with key points, of which Ultralytics takes the box; 0 where there are none.
    """
    parts: list[_Part] = []
    missing: list[int] = []
    unreadable: dict[int, str] = {}
    with tqdm(total=len(files), desc="Reading rows", unit="file", delay=1, leave=False) as bar:
        for start in range(0, len(files), CHUNK):
            found: list[tuple[int, bytes]] = []
            for image in files[start : start + CHUNK].tolist():
                try:
                    content = read_file(str(sources[image]))
                except OSError as error:
                    unreadable[image] = f"not readable: {error.strerror}"
                    continue
                if content:
                    found.append((image, content))
                elif not sources[image].is_file():
                    missing.append(image)
            parts += _parse_chunk(found, unreadable, pose_columns)
            bar.update(min(CHUNK, len(files) - start))
    return _join(parts, files, tuple(missing), unreadable)


def decode(content: bytes) -> tuple[str, str | None]:
    """Decode a label file; where it is not UTF-8, also say so, and guess UTF-16 from its byte-order mark."""
    try:
        return content.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: byte {error.start}"
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return content.decode("utf-16"), "UTF-16, expected UTF-8"
        except UnicodeDecodeError:
            pass
    return "", reason


def _parse_chunk(found: list[tuple[int, bytes]], unreadable: dict[int, str], pose_columns: int) -> Iterator[_Part]:
    """Parse files: those of nothing but boxes all at once, the others one by one."""
    contents, counts = plain_files([content for _, content in found])
    values = parse_numbers(b"".join(contents), int(counts.sum()))
    if values is not None:
        yield _boxes(np.array([image for image, _ in found], dtype=np.int64), counts, values)
    for (image, content), rows in zip(found, counts.tolist(), strict=True):
        if values is None or not rows:
            text, reason = decode(content)
            if reason:
                unreadable[image] = reason
            yield _parse(image, text, pose_columns)


def _boxes(images: NDArray[np.int64], counts: NDArray[np.int64], values: NDArray[np.float32]) -> _Part:
    """Return the rows of files that hold so many boxes each."""
    total = len(values)
    return _Part(
        image=np.repeat(images, counts),
        line=np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts) + 1,
        kind=np.full(total, BOX, np.uint8),
        columns=np.full(total, 5),
        values=values,
        points=np.zeros(total, np.int64),
    )


def _parse(image: int, text: str, pose_columns: int = 0) -> _Part:
    numbered = [(number, row) for number, line in enumerate(text.splitlines(), 1) if (row := line.split())]
    if pose_columns:
        numbered = [(number, row[:5] if len(row) == pose_columns else row) for number, row in numbered]
    polygons = any(len(row) > 6 and not row[0].startswith("#") for _, row in numbered)
    parsed = [_parse_row(row, polygons) for _, row in numbered]
    return _Part(
        image=np.full(len(numbered), image),
        line=np.array([number for number, _ in numbered], dtype=np.int64),
        kind=np.array([kind for kind, _, _ in parsed], dtype=np.uint8),
        columns=np.array([len(row) for _, row in numbered], dtype=np.int64),
        values=np.array([values for _, values, _ in parsed], dtype=np.float32).reshape(-1, 5),
        points=np.array([points for _, _, points in parsed], dtype=np.int64),
        tokens={
            at: next(token for token in row if not _is_number(token))
            for at, ((_, row), (kind, _, _)) in enumerate(zip(numbered, parsed, strict=True))
            if kind == NOT_NUMERIC
        },
    )


def _parse_row(row: list[str], polygons: bool) -> tuple[int, NDArray[np.float32], int]:
    """Return kind, class and box, and the hash of the points."""
    nothing = np.full(5, np.nan, np.float32)
    if row[0].startswith("#"):
        return COMMENT, nothing, 0
    try:
        values = np.array(row, dtype=np.float32)
    except ValueError:
        return NOT_NUMERIC, nothing, 0
    if len(row) == 5:
        return BOX, values, 0
    if not polygons or len(row) < 3 or len(row) % 2 == 0:
        return WRONG_COLUMNS, nothing, 0
    x, y = values[1::2], values[2::2]
    low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])
    with np.errstate(invalid="ignore"):  # infinite points; a rule tells of them
        box = np.concatenate([values[:1], (low + high) / 2, high - low])
    return POLYGON, box, hash(values.tobytes()) or 1


def _is_number(token: str) -> bool:
    try:
        np.array([token], dtype=np.float32)
    except ValueError:
        return False
    return True


def _join(
    parts: list[_Part], files: NDArray[np.int64], missing: tuple[int, ...], unreadable: dict[int, str]
) -> RawRows:
    """Put the rows in the order of the images, and of the lines of each."""
    empty = _parse(0, "")
    joined = [empty, *parts]
    image = np.concatenate([part.image for part in joined])
    line = np.concatenate([part.line for part in joined])
    order = np.lexsort((line, image))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    starts = np.cumsum([0, *(len(part.image) for part in joined)])
    return RawRows(
        files=files,
        image=image[order],
        line=line[order],
        kind=np.concatenate([part.kind for part in joined])[order],
        columns=np.concatenate([part.columns for part in joined])[order],
        values=np.concatenate([part.values for part in joined])[order],
        points=np.concatenate([part.points for part in joined])[order],
        tokens={
            int(place[start + at]): token
            for start, part in zip(starts.tolist(), joined, strict=False)
            for at, token in part.tokens.items()
        },
        missing=missing,
        unreadable=unreadable,
    )
