"""Headers read by several processes at once, where the first ones show that it is worth it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import numpy as np
from tqdm import tqdm

from lwyolo.data.files import Files
from lwyolo.data.images import Headers, collect
from lwyolo.data.processes import Share
from lwyolo.provenance import usable_cores

STEP = 500
WORTH_S = 0.8
"""More processes are started where reading what is left would take longer than this: several times their start."""


def read_in_processes(files: Files, processes: int | None) -> list[Headers]:
    """Return the headers of consecutive parts of the files; some at the start and a share are read in this process.

    Args:
        files: The images.
        processes: How many; by default as many as there are cores, if the first images show that it is worth it.
    """
    with ExitStack() as stack, tqdm(desc="Reading image headers", unit="img", delay=1, leave=False) as bar:
        start = time.perf_counter()
        first = collect(files.raw(0, STEP))
        done = len(first.kinds)
        left_s = (time.perf_counter() - start) / max(1, done) * (len(files) - done)
        count = processes or (usable_cores() if left_s > WORTH_S else 1)
        bounds = np.linspace(done, len(files), count + 1).astype(int).tolist()
        shares = [Share(plain_headers, files.raw(low, high), stack) for low, high in pairwise(bounds[1:]) if high > low]
        bar.reset(bounds[1])
        bar.update(done)
        own = [_read(files, low, min(low + STEP, bounds[1]), bar) for low in range(done, bounds[1], STEP)]
        return [first, *own, *(_headers(*share.result()) for share in shares)]


def plain_headers(paths: Sequence[bytes]) -> list[Any]:
    """Return the headers of images as JSON holds them."""
    headers = collect(paths)
    return [
        headers.sizes.tolist(), list(headers.kinds), headers.orientation.tolist(), list(headers.modes),
        list(headers.reasons.items()), list(headers.rewritten),
    ]  # fmt: skip


def _headers(sizes: Any, kinds: Any, orientation: Any, modes: Any, reasons: Any, rewritten: Any) -> Headers:
    array = np.array(sizes, dtype=np.int64).reshape(-1, 2)
    return Headers(array, kinds, np.array(orientation, dtype=np.int64), modes, dict(reasons), tuple(rewritten))


def _read(files: Files, start: int, stop: int, bar: tqdm[Any]) -> Headers:
    headers = collect(files.raw(start, stop))
    bar.update(stop - start)
    return headers
