"""Work on many files shared among processes, where threads would not help: decoding, and reading headers.

The processes are started by command, not by `multiprocessing`: that would import the user's main file again, which in a
training script may start the training again, and daemonic workers may not use it at all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from lwyolo.data.files import NUL
from lwyolo.provenance import usable_cores

MANY = 200
"""From here on a second process does more than it costs to start."""
PROGRAM = "from lwyolo.data.processes import work; work()"

Work = Callable[[Sequence[bytes]], Any]
"""Importable by its name; takes paths as the system's calls take them, and returns what JSON can hold."""


class Share:
    """A process with its share; files stand for pipes, so that neither side waits for the other to read.

    Args:
        work: What is done.
        paths: The share.
        stack: Ends the process.
    """

    def __init__(self, work: Work, paths: Sequence[bytes], stack: ExitStack) -> None:
        self._work, self._paths = work, paths
        self._process: subprocess.Popen[bytes] | None
        given, self._answer = _temporary(stack), _temporary(stack)
        given.write(NUL.join([work.__module__.encode(), work.__name__.encode(), *paths]))
        given.seek(0)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)}
        command, errors = [sys.executable, "-c", PROGRAM], subprocess.DEVNULL
        try:
            process = subprocess.Popen(command, stdin=given, stdout=self._answer, stderr=errors, env=environment)
        except OSError:  # no more processes are allowed here
            self._process = None
            return
        self._process = process
        stack.callback(process.wait)
        stack.callback(process.kill)

    def result(self) -> Any:
        """Wait for what was found. Where the process could not do its work, it is done here."""
        if self._process is None or self._process.wait() != 0:
            return self._work(self._paths)
        self._answer.seek(0)
        return json.loads(self._answer.read())


def work() -> None:
    """Read a function's name and paths on standard input, write what it gives on standard output."""
    module, name, *paths = sys.stdin.buffer.read().split(NUL)
    sys.stdout.write(json.dumps(getattr(import_module(module.decode()), name.decode())(paths)))


def map_files(work: Work, files: Sequence[Path], what: str, processes: int | None = None) -> list[Any]:
    """Return what is found for each file; this process takes its share.

    Args:
        work: Returns a list, with an entry for each path.
        files: All of them.
        what: The bar says.
        processes: How many; by default as many as there are cores, where there are many files.
    """
    count = min(processes or (usable_cores() if len(files) >= MANY else 1), max(1, len(files)))
    paths = [os.fsencode(file) for file in files]
    found: list[Any] = [None] * len(paths)
    with ExitStack() as stack:
        shares = [(start, Share(work, paths[start::count], stack)) for start in range(1, count)]
        own = tqdm(paths[::count], desc=what, unit="img", unit_scale=count, delay=1, leave=False)
        found[::count] = [work([path])[0] for path in own]
        for start, share in shares:
            found[start::count] = share.result()
    return found


def _temporary(stack: ExitStack) -> IO[bytes]:
    return stack.enter_context(tempfile.TemporaryFile())
