"""What a machine is and what it can do, as data that is saved and read later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lwyolo.speed.gpu import Gpu

SCHEMA = 1
CALL_BOUND = 0.1
"""Share of a pass above which the cost of the call itself, and not the memory, is what was measured."""

Kind = Literal["read", "copy", "triad"]
KINDS: tuple[Kind, ...] = ("read", "copy", "triad")
MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Cache:
    """Caches of one kind.

    Args:
        kind: `data`, `instruction` or `unified`.
        size_bytes: Of one of them.
        instances: How many of them the usable CPUs have.
    """

    level: int
    kind: str
    size_bytes: int
    instances: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What the system tells of its processor and memory; what it does not tell is `None`.

    Args:
        architecture: Such as `x86_64` or `aarch64`.
        isa: Names of the instruction sets that matter for inference.
        sockets: Processors.
        cores: Physical cores of all sockets.
        cpus: Logical CPUs that are online, more than cores with simultaneous multithreading.
        affinity: Logical CPUs that this process may run on.
        quota: Cores' worth of time that control groups grant, `None` also without a limit.
        usable_threads: Threads that can run at once under affinity and quota.
        ram_mib: Physical memory in MiB (2^20 bytes).
        memory_limit_mib: What control groups grant of it, `None` also without a limit.
        mhz: Frequency when it was read, of the first CPU.
        virtual: Whether this is a virtual machine.
    """

    cpu: str
    architecture: str
    isa: tuple[str, ...] | None
    sockets: int | None
    cores: int | None
    cpus: int | None
    affinity: int
    quota: float | None
    usable_threads: int
    caches: tuple[Cache, ...]
    ram_mib: float | None
    memory_limit_mib: float | None
    numa_nodes: int | None
    governor: str | None
    mhz: float | None
    max_mhz: float | None
    virtual: bool | None


@dataclass(frozen=True, slots=True)
class Peak:
    """The fastest product of two square matrices of one size and type.

    Args:
        n: Rows and columns; a product is 2n³ operations.
        gflops_per_s: The best sample, of the clean ones where there are any; `None` where `reason` says why not.
        calls: In each sample.
        clean: Samples that nothing disturbed; `None` where the system does not tell.
    """

    dtype: str
    n: int
    gflops_per_s: float | None
    calls: int
    samples: int
    clean: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """The fastest pass over arrays of one size.

    Args:
        level: `L1`, `L2`, `L3` or `memory`: where the arrays fit.
        kind: `read` sums an array, `copy` copies one, `triad` computes c = a + 3b.
        array_bytes: Of each of the one, two or three arrays.
        gb_per_s: Bytes read and written over time in 1e9/s; the best sample, of the clean ones where there are any.
        call_share: Share of the time that a call on one element takes: overhead of PyTorch.
        calls: In each sample.
        clean: Samples that nothing disturbed; `None` where the system does not tell.
    """

    level: str
    kind: Kind
    array_bytes: int
    gb_per_s: float
    call_share: float
    calls: int
    samples: int
    clean: int | None

    @property
    def call_bound(self) -> bool:
        """Whether the memory is faster than what was measured, since calls are too dear for arrays so small."""
        return self.call_share > CALL_BOUND


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The limits of this machine with some number of threads, as PyTorch reaches them on the CPU.

    Args:
        call_us: Time of a call on one element.
    """

    threads: int
    call_us: float
    peaks: tuple[Peak, ...]
    bandwidths: tuple[Bandwidth, ...]

    def peak(self, dtype: str = "float32") -> Peak | None:
        """Return the fastest product of a type, `None` where there is none; one from clean samples goes first."""
        found = [peak for peak in self.peaks if peak.dtype == dtype and peak.gflops_per_s is not None]
        return max(found, key=lambda peak: (peak.clean != 0, peak.gflops_per_s), default=None)

    def bandwidth(self, level: str = MEMORY, kind: Kind = "copy") -> Bandwidth | None:
        """Return the bandwidth of a level, `None` where it was not measured or calls were too dear to tell."""
        found = (one for one in self.bandwidths if (one.level, one.kind) == (level, kind) and not one.call_bound)
        return next(found, None)

    def ridge(self, dtype: str = "float32", level: str = MEMORY, kind: Kind = "copy") -> float | None:
        """Return the ridge point in FLOPs per byte: with less arithmetic for each byte, the bandwidth is the limit.

        Example:
            >>> peak = Peak("float32", 1024, 96.0, 1, 12, 12)
            >>> Ceilings(1, 1.0, (peak,), (Bandwidth("memory", "copy", 2**27, 19.2, 0.0, 1, 12, 12),)).ridge()
            5.0
        """
        peak, bandwidth = self.peak(dtype), self.bandwidth(level, kind)
        if peak is None or peak.gflops_per_s is None or bandwidth is None:
            return None
        return peak.gflops_per_s / bandwidth.gb_per_s


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine and its measured limits, with the conditions under which they hold.

    Args:
        date: ISO 8601, in UTC.
        load: Mean number of runnable threads over the minute before, `None` where the system does not tell.
        variables: Of the environment that the measuring processes were given.
        ceilings: One for each number of threads.
        gpu_note: Why a GPU, or a figure of it, is missing.
    """

    date: str
    platform: str
    load: float | None
    versions: dict[str, str]
    variables: dict[str, str]
    facts: Facts
    ceilings: tuple[Ceilings, ...]
    gpus: tuple[Gpu, ...]
    gpu_note: str
    schema: int = SCHEMA

    def at(self, threads: int) -> Ceilings | None:
        """Return the limits with some number of threads, `None` where they were not measured."""
        return next((one for one in self.ceilings if one.threads == threads), None)


def model_flops_utilisation(flops: float, per_s: float, gflops_per_s: float) -> float:
    """Return MFU: the share of the peak that a model's own FLOPs make use of, 1 being all of it.

    Args:
        flops: Of one image, as the model requires them (2 × MACCs), not as a kernel executes them.
        per_s: Images in a second.
        gflops_per_s: The peak of the same type on the same device with the same threads.

    Example:
        >>> model_flops_utilisation(8e9, 10, 160)
        0.5
    """
    return flops * per_s / (gflops_per_s * 1e9)
