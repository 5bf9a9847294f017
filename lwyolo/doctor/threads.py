"""Threads and worker processes against the cores that this process may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from lwyolo.doctor.finding import NOTE, OK, PROBLEM, Finding
from lwyolo.provenance import cpu_quota as cpu_quota
from lwyolo.provenance import usable_cores
from lwyolo.units import MIB

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
WORKERS = 8
PREFETCHED = 4
BATCH_BYTES = 16 * 3 * 640 * 640
"""Ultralytics' defaults: workers, batches that each keeps ready (8.4), and a batch of 16 images as bytes."""


def look(environment: Mapping[str, str]) -> list[Finding]:
    """Look at the threads of torch, and at how Ultralytics sizes itself."""
    import torch
    from ultralytics.utils import NUM_THREADS

    usable, cores = usable_cores(), os.cpu_count() or 1
    return [
        threads_finding(torch.get_num_threads(), usable, environment),
        ultralytics_finding(NUM_THREADS, min(WORKERS, cores), usable, cores),
    ]


def threads_finding(n_threads: int, usable: int, environment: Mapping[str, str]) -> Finding:
    """Judge torch's threads: more of them than cores wait for each other, and timings mean nothing.

    Args:
        n_threads: Threads of torch.
        usable: Cores that the process may use.
        environment: The environment variables.
    """
    asked = {name: environment[name].split(",")[0] for name in VARIABLES if environment.get(name)}
    variables = ", ".join(f"{name}={environment[name]}" for name in asked) or f"{VARIABLES[0]} is not set"
    found = f"torch uses {n_threads} on {usable} usable cores ({variables})"
    remedy = "\n".join(f"export {name}={usable}" for name in asked or VARIABLES[:1])
    if n_threads > usable:
        return Finding("threads", PROBLEM, f"{found}: more threads than cores, so they wait for each other", remedy)
    if any(value.isdecimal() and int(value) > usable for value in asked.values()):
        return Finding("threads", NOTE, f"{found}: other libraries may start as many as were asked for", remedy)
    return Finding("threads", OK, found)


def ultralytics_finding(n_threads: int, n_workers: int, usable: int, cores: int) -> Finding:
    """Judge what Ultralytics starts: it counts the machine's cores, not those that the process may use.

    Args:
        n_threads: Threads that it gives torch for training on the CPU.
        n_workers: Data loader workers that it starts by default.
        usable: Cores that the process may use.
        cores: Cores of the machine.
    """
    check = "Ultralytics' threads"
    found = (
        f"{n_threads} for training on the CPU, whatever OMP_NUM_THREADS says; by default {n_workers} data loader "
        f"worker{'s' * (n_workers != 1)}"
    )
    if max(n_threads, n_workers) <= usable:
        return Finding(check, OK, found)
    return Finding(
        check,
        NOTE,
        f"{found}: counted from all {cores} cores of the machine, of which {usable} are usable",
        f"Train with workers={usable}.\nWith Python 3.13 or newer: export PYTHON_CPU_COUNT={usable}",
    )


def look_at_shared_memory(_: Mapping[str, str]) -> list[Finding]:
    """Look at the memory through which data loader workers hand over their batches; Linux alone has such a folder."""
    folder = Path("/dev/shm")  # noqa: S108 - no temporary file: the size of the file system is looked at
    if not folder.is_dir():
        return []
    return [shared_memory_finding(shutil.disk_usage(folder).free, min(WORKERS, os.cpu_count() or 1))]


def shared_memory_finding(free: int, n_workers: int) -> Finding:
    """Judge the shared memory by what a training with the default arguments may fill: containers often have 64 MiB.

    Args:
        free: Free bytes.
        n_workers: Data loader workers.
    """
    needed = n_workers * PREFETCHED * BATCH_BYTES
    found = (
        f"{free / MIB:.0f} MiB free in /dev/shm; {n_workers} workers with batches of 16 images at 640 pixels fill up "
        f"to {needed / MIB:.0f} MiB"
    )
    if free >= needed:
        return Finding("shared memory", OK, found)
    remedy = "Start the container with --shm-size=2g or --ipc=host.\nOr train with fewer workers: workers=0 needs none."
    return Finding("shared memory", NOTE, f"{found}, and a worker that finds none dies with a bus error", remedy)
