"""Measure this machine: each number of threads in a fresh process, since what a process did before changes results."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from lwyolo import provenance
from lwyolo.errors import UsageError
from lwyolo.record import now
from lwyolo.record.store import build
from lwyolo.speed.gpu import Gpu, look
from lwyolo.speed.machine.data import Ceilings, Machine
from lwyolo.speed.machine.facts import read_facts
from lwyolo.speed.worker import ENVIRONMENT, THREAD_VARIABLES


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Args:
        dtypes: Types of products, as torch names them.
        sizes: Rows of their matrices, ascending.
        levels: How many caches, the largest ones; `None`: all.
        seconds: For all numbers of threads together, the start of processes left out.
    """

    dtypes: tuple[str, ...] = ("float32", "bfloat16", "float16", "int8")
    sizes: tuple[int, ...] = (256, 512, 1024, 2048)
    levels: int | None = None
    seconds: float = 26.0


QUICK = Effort(dtypes=("float32",), sizes=(512, 1024), levels=1, seconds=1.0)


def measure(threads: Sequence[int], effort: Effort, said: Callable[[str], object] = lambda _: None) -> Machine:
    """Measure this machine.

    Args:
        threads: Numbers of threads, each measured apart.
        effort: How much is measured.
        said: Is told what is measured.

    Raises:
        UsageError: A measuring process ended before it was done; with its last words.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    ceilings = tuple(_in_a_process(n, effort, effort.seconds / len(threads), said) for n in threads)
    gpus, note = _gpus()
    return Machine(
        date=now(),
        platform=platform.platform(),
        load=load,
        versions=provenance.versions(),
        variables=dict(ENVIRONMENT),
        facts=read_facts(),
        ceilings=ceilings,
        gpus=gpus,
        gpu_note=note,
    )


def _gpus() -> tuple[tuple[Gpu, ...], str]:
    import torch

    return look(torch)


def _in_a_process(threads: int, effort: Effort, seconds: float, said: Callable[[str], object]) -> Ceilings:
    """Measure one number of threads: the process prints a line for each thing it measures, and one for the result."""
    request = {
        "threads": threads,
        "dtypes": effort.dtypes,
        "sizes": effort.sizes,
        "levels": effort.levels,
        "seconds": seconds,
    }
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "lwyolo.speed.machine.probe", json.dumps(request)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **ENVIRONMENT, **dict.fromkeys(THREAD_VARIABLES, str(threads))},
        )
        found: dict[str, Any] | None = None
        with process:
            for line in cast("Any", process.stdout):
                answer = json.loads(line)
                found = answer.get("ceilings")
                if found is None:
                    said(f"{threads} thread{'s' * (threads != 1)}: {answer['measures']}")
        if found is None or process.returncode:
            errors.seek(0)
            last = " ".join(errors.read().split())[-300:]
            raise UsageError(f"--threads {threads}: the measuring process ended with {process.returncode}. {last}")
    ceilings: Ceilings = build(Ceilings, found, "measuring process", "")
    return ceilings
