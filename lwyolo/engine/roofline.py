"""The roofline of a model in ONNX Runtime: exported, profiled, its kernels put beside what the file's operators cost.

Kernels and operators meet by the tensors that they make. What the runtime fused belongs together, and so do our fused
operators: a group is whatever hangs together by either. A kernel that makes nothing which our count knows, since it
only changes a layout, is a group of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from lwyolo import provenance
from lwyolo.cost.onnx.listing import FileOperator, Listing, list_operators
from lwyolo.engine.deploy import Artifact, prepare
from lwyolo.errors import UsageError
from lwyolo.speed import machine as machines
from lwyolo.speed.machine import Effort, Machine
from lwyolo.speed.profiling import Kernel, Profile
from lwyolo.speed.roofline import Group, Roofline, Roofs, bound_group, roofs_of, with_kernels
from lwyolo.speed.roofline_kinds import LAYOUT, kind_of
from lwyolo.speed.runtime_peak import measure_kernels

RUNTIME = "onnxruntime"
EFFORT = Effort(dtypes=("float32",), sizes=(256, 512, 1024), seconds=4.0)


def check(threads: int, file: Path | None = None) -> Machine | None:
    """Refuse what cannot be measured, before anything is; return the machine that a file holds.

    Raises:
        UsageError: There are more threads than cores, or the file is of another processor.
        RecordError: The file cannot be read.
    """
    if threads > (cores := provenance.usable_cores()):
        raise UsageError(f"--threads {threads}: this process may use {cores} cores; more threads wait for each other.")
    if file is None:
        return None
    found = machines.load(file)
    if found.facts.cpu != (here := provenance.cpu_name()):
        raise UsageError(f"--machine {file}: it holds the limits of {found.facts.cpu}; this machine is {here}.")
    return found


def measure_roofs(
    threads: int, known: Machine | None = None, *, force: bool = False, say: Callable[[str], object] = lambda _: None
) -> tuple[Roofs, tuple[str, ...]]:
    """Return the limits of this machine, and remarks on where they come from.

    Args:
        threads: That the model will run on.
        known: What was measured before; what it lacks for so many threads is measured.
        force: Take also limits that no clean sample stands behind.
        say: Told what is being measured.

    Raises:
        UsageError: No sample of the peak was undisturbed.
    """
    found = known
    remarks: tuple[str, ...] = ()
    ceilings = known.at(threads) if known else None
    if found is None or ceilings is None:
        remarks = (f"--machine has no limits with {threads} threads; they were measured now.",) if known else ()
        found = machines.measure([threads], EFFORT, say)
        (ceilings,) = found.ceilings
    say("kernels of onnxruntime")
    return roofs_of(ceilings, found.facts.caches, measure_kernels(threads), force), remarks


def export(
    source: str | Path,
    folder: Path,
    *,
    scale: str | None = None,
    imgsz: int | tuple[int, int] = 640,
    batch: int = 1,
) -> Artifact:
    """Export a model YAML, a checkpoint or a stock name for the runtime; arguments and errors as `prepare` has them."""
    _, [artifact] = prepare(source, folder, runtimes=[RUNTIME], scale=scale, imgsz=imgsz, batch=batch)
    return artifact


def raised(roofs: Roofs, force: bool = False) -> Roofs:
    """Measure the runtime's dense kernels again, after models ran: the machine may be quieter, its clock higher."""
    return with_kernels(roofs, measure_kernels(roofs.threads), force)


def roofline(name: str, artifact: Artifact, found: Profile, roofs: Roofs, remarks: Sequence[str] = ()) -> Roofline:
    """Hold a model against the limits of this machine.

    Args:
        name: Of the model.
        artifact: As `export` returns it.
        found: Its profile, on as many threads as the limits are of.
        roofs: The limits.
        remarks: To be kept with it.
    """
    listing = list_operators(artifact.path, artifact.imgsz, batch=artifact.batch)
    groups, unmapped = group_kernels(listing, found.kernels, roofs)
    return Roofline(
        name=name,
        imgsz=artifact.imgsz,
        batch=artifact.batch,
        runtime=f"{RUNTIME} {found.version}",
        cpu=provenance.cpu_name(),
        roofs=roofs,
        groups=tuple(groups),
        whole_ms=median(found.whole_ms),
        runs=found.runs,
        clean=found.clean,
        disturbed=found.disturbed,
        unmapped_macs=unmapped,
        remarks=tuple(remarks),
    )


def group_kernels(listing: Listing, kernels: Sequence[Kernel], roofs: Roofs) -> tuple[list[Group], int]:
    """Put each kernel into one group, and return the groups and the MACCs of operators that no kernel was found for."""
    operators = listing.operators
    makers: dict[str, list[int]] = {}
    for index, operator in enumerate(operators):
        for name in operator.tensors:
            makers.setdefault(name, []).append(index)
    made = [[index for name in kernel.makes for index in makers.get(name, ())] for kernel in kernels]
    part = _join(operators, made)
    by_part: dict[int, list[Kernel]] = {}
    alone: list[Kernel] = []
    for kernel, indices in zip(kernels, made, strict=True):
        (by_part.setdefault(part[indices[0]], []) if indices else alone).append(kernel)
    n_bytes = listing.bytes_of(part)
    members: dict[int, list[FileOperator]] = {}
    for operator, root in zip(operators, part, strict=True):
        members.setdefault(root, []).append(operator)
    groups = [_group(members[root], some, n_bytes[root], roofs) for root, some in by_part.items()]
    groups += [bound_group(roofs, one.name, LAYOUT, [one.operator], 0, 0, _median_ms([one])) for one in alone]
    unmapped = sum(one.macs for root, some in members.items() if root not in by_part for one in some)
    return groups, unmapped


def _join(operators: Sequence[FileOperator], made: Sequence[Sequence[int]]) -> list[int]:
    """Return the group of each operator, by the number of its first one.

    An operator that no kernel makes was folded into one that reads its result, or else into one that makes its input.
    """
    part = [operator.group for operator in operators]

    def join(a: int, b: int) -> None:
        low, high = sorted((part[a], part[b]))
        part[:] = [low if one == high else one for one in part]

    for indices in made:
        for index in indices[1:]:
            join(indices[0], index)
    readers: list[list[int]] = [[] for _ in operators]
    for index, operator in enumerate(operators):
        for producer in operator.reads:
            readers[producer].append(index)
    run = {index for indices in made for index in indices}
    for near in (readers, [operator.reads for operator in operators]):
        for index in reversed(range(len(operators))):
            if not {part[one] for one in run} & {part[index]} and near[index]:
                join(index, near[index][0])
    return part


def _group(members: Sequence[FileOperator], kernels: Sequence[Kernel], n_bytes: int, roofs: Roofs) -> Group:
    lead = max(members, key=lambda one: (one.macs, not one.fusible, one.flops))
    shape = (
        None if lead.convolution is None else (lead.convolution.kernel, lead.convolution.groups, lead.convolution.c1)
    )
    kind = kind_of(lead.name, lead.fusible, shape)
    macs = sum(one.macs for one in members)
    names = [kernel.operator for kernel in kernels]
    return bound_group(roofs, lead.path or lead.tensors[-1], kind, names, macs, n_bytes, _median_ms(kernels))


def _median_ms(kernels: Sequence[Kernel]) -> float:
    """Median over runs of the time that kernels take together."""
    return median(map(sum, zip(*(kernel.ms for kernel in kernels), strict=True)))
