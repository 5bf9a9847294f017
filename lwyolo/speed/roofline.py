"""The roofline of a model: what bounds each group of its operators, and how near to that bound it runs.

A group cannot take less time than its arithmetic at the machine's peak, nor than its bytes at the bandwidth of the
smallest cache that holds them all. Both are measured, and so is its time. FLOPs are 2 × MACCs, what the model asks for
(model FLOPS): a kernel that computes a convolution with fewer multiplications (Winograd) may exceed the peak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from lwyolo.errors import UsageError

if TYPE_CHECKING:
    from lwyolo.speed.machine import Cache, Ceilings

ATTAINED, TOLERATED = 0.5, 1.05
"""Share of its bound from which a group is called bound by it, and above which the bound must be wrong."""
MEMORY, PEAK_DTYPE = "memory", "float32"

Verdict = Literal["compute-bound", "memory-bound", "below both roofs", "roof unknown", "layout"]
VERDICTS: tuple[Verdict, ...] = ("compute-bound", "memory-bound", "below both roofs", "roof unknown", "layout")


@dataclass(frozen=True, slots=True)
class Level:
    """A cache, or the memory.

    Args:
        name: `L1`, `L2`, `L3` or `memory`.
        size_bytes: Of all instances that the threads can use; `None` for the memory.
        gb_per_s: The fastest of its passes; `None` where that is not known.
        reason: Why it is not.
    """

    name: str
    size_bytes: int | None
    gb_per_s: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KernelPeak:
    """What a dense kernel reached at best, of clean samples where there are any; `clean` is `None` where unknown."""

    what: str
    gflops_per_s: float
    samples: int
    clean: int | None


@dataclass(frozen=True, slots=True)
class Roofs:
    """The limits of a machine with some number of threads.

    Args:
        gflops_per_s: The peak.
        peak_of: What reached it.
        levels: From the innermost cache to the memory.
    """

    threads: int
    gflops_per_s: float
    peak_of: str
    levels: tuple[Level, ...]

    def level_of(self, n_bytes: int) -> Level | None:
        """Return the innermost level that holds so many bytes, `None` where the machine tells of no memory."""
        return next((one for one in self.levels if one.size_bytes is None or n_bytes <= one.size_bytes), None)


@dataclass(frozen=True, slots=True)
class Group:
    """Operators that a runtime runs together, or the fused operators behind some of its kernels.

    Args:
        name: The module that holds its largest operator; the kernel, where it has none.
        kind: Such as `convolution 3×3`.
        kernels: In the runtime's words, in order.
        n_bytes: Read and written, with element-wise operators merged; 0 for kernels that only change the layout.
        ms: Median over runs of its kernels together.
        compute_ms: That its MACCs take at the peak.
        level: The innermost that holds its bytes.
        memory_ms: That its bytes take there; `None` where that bandwidth is not known.
    """

    name: str
    kind: str
    kernels: tuple[str, ...]
    macs: int
    n_bytes: int
    ms: float
    compute_ms: float
    level: str | None
    memory_ms: float | None

    @property
    def gflops_per_s(self) -> float:
        """Achieved model FLOPS."""
        return 2 * self.macs / self.ms / 1e6 if self.ms else 0.0

    @property
    def intensity(self) -> float | None:
        """FLOPs for each byte."""
        return 2 * self.macs / self.n_bytes if self.n_bytes else None

    @property
    def bound_ms(self) -> float:
        """The least that it can take."""
        return max(self.compute_ms, self.memory_ms or 0.0)

    @property
    def share(self) -> float | None:
        """Share of what its bound allows, 1 being all of it; `None` where it has no bound."""
        return self.bound_ms / self.ms if self.ms and self.bound_ms else None

    @property
    def exceeds(self) -> bool:
        """Whether it is faster than its bound by more than 5 %, so that the bound is wrong."""
        return self.share is not None and self.share > TOLERATED

    @property
    def verdict(self) -> Verdict:
        """What limits it; half of what is attainable, or more, is called bound."""
        if not self.n_bytes:
            return "layout"
        if self.share is not None and self.share >= ATTAINED:
            return "compute-bound" if self.compute_ms >= (self.memory_ms or 0.0) else "memory-bound"
        return "roof unknown" if self.memory_ms is None else "below both roofs"


@dataclass(frozen=True, slots=True)
class Roofline:
    """A model on a machine.

    Args:
        runtime: With its version.
        whole_ms: Median of a pass without the profiler.
        runs: With the profiler.
        clean: Of these, undisturbed.
        disturbed: Whether disturbed runs are used too.
        unmapped_macs: Of operators that no kernel was found for.
    """

    name: str
    imgsz: tuple[int, int]
    batch: int
    runtime: str
    cpu: str
    roofs: Roofs
    groups: tuple[Group, ...]
    whole_ms: float
    runs: int
    clean: int
    disturbed: bool
    unmapped_macs: int
    remarks: tuple[str, ...] = ()

    @property
    def macs(self) -> int:
        """Of all groups."""
        return sum(group.macs for group in self.groups)

    @property
    def sum_ms(self) -> float:
        """Of all groups."""
        return sum(group.ms for group in self.groups)

    @property
    def sum_ratio(self) -> float:
        """Groups together over the whole."""
        return self.sum_ms / self.whole_ms

    @property
    def bound_ms(self) -> float:
        """Bounds of all groups together."""
        return sum(group.bound_ms for group in self.groups)

    @property
    def exceeding(self) -> tuple[Group, ...]:
        """Groups that are faster than their bound."""
        return tuple(group for group in self.groups if group.exceeds)


def roofs_of(ceilings: Ceilings, caches: Sequence[Cache], kernels: Sequence[KernelPeak], force: bool = False) -> Roofs:
    """Return the limits for float32 from what was measured.

    The peak is the fastest of all dense kernels. A level whose passes are bound by calls, or disturbed, has no
    bandwidth: a bound has to be true.

    Args:
        ceilings: As PyTorch reaches them.
        caches: Of the machine.
        kernels: Of the runtime.
        force: Take also what no clean sample stands behind.

    Raises:
        UsageError: No peak was measured, or no sample of any was clean.
    """
    torch_peaks = [
        KernelPeak(f"product of {one.n} × {one.n} matrices in torch", one.gflops_per_s, one.samples, one.clean)
        for one in ceilings.peaks
        if one.dtype == PEAK_DTYPE and one.gflops_per_s is not None
    ]
    sizes: dict[str, int] = {}
    for cache in sorted(caches, key=lambda cache: (cache.level, cache.size_bytes)):
        if cache.kind != "instruction":  # of unlike cores, the larger cache of a level
            sizes[f"L{cache.level}"] = cache.size_bytes * min(cache.instances, ceilings.threads)
    levels = [_level(ceilings, name, size, force) for name, size in sizes.items()]
    roofs = Roofs(ceilings.threads, 0.0, "", (*levels, _level(ceilings, MEMORY, None, force)))
    roofs = with_kernels(roofs, [*torch_peaks, *kernels], force)
    if not roofs.gflops_per_s:
        raise UsageError(
            f"the machine's peak with {roofs.threads} thread{'s' * (roofs.threads != 1)}: no sample was undisturbed, "
            "so the true one is probably higher. Measure again on a quieter machine, or use --force."
        )
    return roofs


def with_kernels(roofs: Roofs, kernels: Sequence[KernelPeak], force: bool = False) -> Roofs:
    """Raise the peak to the fastest of some kernels, where it is higher; disturbed ones count only if `force`."""
    usable = [one for one in kernels if force or one.clean != 0]
    best = max(usable, key=lambda one: one.gflops_per_s, default=None)
    if best is None or best.gflops_per_s <= roofs.gflops_per_s:
        return roofs
    return replace(roofs, gflops_per_s=best.gflops_per_s, peak_of=best.what)


def _level(ceilings: Ceilings, name: str, size: int | None, force: bool) -> Level:
    passes = [one for one in ceilings.bandwidths if one.level == name]
    reason = ""
    if not passes:
        reason = "not measured"
    elif any(one.call_bound for one in passes):
        reason = "faster than calls can tell"
    elif not force and any(one.clean == 0 for one in passes):
        reason = "no sample was undisturbed"
    return Level(name, size, None if reason else max(one.gb_per_s for one in passes), reason)


def bound_group(
    roofs: Roofs, name: str, kind: str, kernels: Sequence[str], macs: int, n_bytes: int, ms: float
) -> Group:
    """Return a group with its bounds.

    Example:
        >>> roofs = Roofs(1, 100.0, "a product", (Level("L2", 2**20, None), Level("memory", None, 20.0)))
        >>> group = bound_group(roofs, "conv", "convolution 3×3", ["Conv"], 50_000_000, 4_000_000, 1.6)
        >>> group.compute_ms, group.memory_ms, group.share, group.verdict
        (1.0, 0.2, 0.625, 'compute-bound')
    """
    level = roofs.level_of(n_bytes) if n_bytes else None
    rate = level.gb_per_s if level else None
    return Group(
        name=name,
        kind=kind,
        kernels=tuple(kernels),
        macs=macs,
        n_bytes=n_bytes,
        ms=ms,
        compute_ms=2 * macs / roofs.gflops_per_s / 1e6,
        level=level.name if level else None,
        memory_ms=None if rate is None else n_bytes / rate / 1e6,
    )
