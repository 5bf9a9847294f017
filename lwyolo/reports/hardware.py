"""What a machine is and what it can do: its facts, its measured ceilings, and its GPUs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lwyolo.reports.tables import Table, number
from lwyolo.units import MIB, MISSING

if TYPE_CHECKING:
    from lwyolo.speed.gpu import Gpu
    from lwyolo.speed.machine import Bandwidth, Cache, Ceilings, Facts, Kind, Machine, Peak

KINDS: tuple[Kind, ...] = ("read", "copy", "triad")

PEAK_NOTE = (
    "The best sample, as a ceiling must be, of the clean ones where there are any; a sample is the mean of calls that "
    "take 5 ms or more. 2n³ operations; int8 counts integer operations. Clean: samples that neither the scheduler nor "
    "other processes disturbed, of those taken."
)
BANDWIDTH_NOTE = (
    "Bytes that an operation reads and writes, by STREAM's rule: read sums an array (N), copy (2N), triad c = a + 3b "
    "(3N), of float32; what a cache reads before it overwrites it is not counted. Ridge: peak of float32 over the "
    "bandwidth of a copy; with fewer FLOPs for each byte the bandwidth is the limit."
)
CALL_NOTE = "≥: more than 10 % of the time is the cost of the call, so the memory is faster, and no limit is derived."
DISTURBED_NOTE = "?: no sample was clean, so the true limits are probably higher. Measure again on a quieter machine."
UTILIZATION_NOTE = (
    "utilization.gpu is the share of the sample period in which at least one kernel ran: one block on one of many SMs "
    "gives 100 %. How much of the GPU computes is told by achieved FLOPS over the peak (MFU), which it hides."
)


def hardware_tables(machine: Machine) -> list[Table]:
    """Return the tables of a machine: facts, peaks, bandwidths, GPUs."""
    tables = [facts_table(machine), peak_table(machine.ceilings), bandwidth_table(machine.ceilings)]
    return [*tables, gpu_table(machine.gpus, machine.gpu_note)] if machine.gpus else tables


def facts_table(machine: Machine) -> Table:
    """Return what the system tells of itself, and when."""
    facts = machine.facts
    rows = (
        ("Processor", facts.cpu),
        ("Architecture", facts.architecture),
        ("Instruction sets", MISSING if facts.isa is None else ", ".join(facts.isa) or "none that matter here"),
        ("Sockets, cores, CPUs", ", ".join(number(n) for n in (facts.sockets, facts.cores, facts.cpus))),
        ("Usable", _usable(facts)),
        ("Caches", "\n".join(_cache(cache) for cache in facts.caches) or MISSING),
        ("Memory", _memory(facts)),
        ("NUMA nodes", number(facts.numa_nodes)),
        ("Frequency", _frequency(facts)),
        ("Virtual machine", MISSING if facts.virtual is None else "yes" if facts.virtual else "no"),
        (
            "GPU",
            f"{len(machine.gpus)}, below" if machine.gpus else f"none found; {machine.gpu_note}".removesuffix("; "),
        ),
        ("Software", f"{machine.platform}\ntorch {machine.versions.get('torch', MISSING)}"),
        ("Measured", f"{machine.date}, load {number(machine.load, 2)} before"),
    )
    return Table(("", ""), rows, ("left", "left"), title="This machine")


def _usable(facts: Facts) -> str:
    quota = "no quota" if facts.quota is None else f"a quota of {facts.quota:g} cores"
    return f"{facts.usable_threads} threads: {facts.affinity} CPUs by affinity, {quota}"


def _cache(cache: Cache) -> str:
    size = f"{cache.size_bytes / MIB:g} MiB" if cache.size_bytes >= MIB else f"{cache.size_bytes / 1024:g} KiB"
    return f"L{cache.level} {cache.kind}: {cache.instances} × {size}"


def _memory(facts: Facts) -> str:
    ram = MISSING if facts.ram_mib is None else f"{facts.ram_mib / 1024:.1f} GiB"
    return ram if facts.memory_limit_mib is None else f"{ram}, limited to {facts.memory_limit_mib / 1024:.1f} GiB"


def _frequency(facts: Facts) -> str:
    if facts.mhz is None and facts.max_mhz is None and facts.governor is None:
        return MISSING
    return f"{number(facts.mhz)} of {number(facts.max_mhz)} MHz, governor {facts.governor or MISSING}"


def peak_table(ceilings: Sequence[Ceilings]) -> Table:
    """Return a row for each number of threads and type, a column for each size of matrix."""
    sizes = sorted({peak.n for one in ceilings for peak in one.peaks})
    rows, notes = [], [PEAK_NOTE]
    for one in ceilings:
        for dtype in dict.fromkeys(peak.dtype for peak in one.peaks):
            peaks = {peak.n: peak for peak in one.peaks if peak.dtype == dtype}
            cells = (_peak(peaks.get(n)) for n in sizes)
            best = one.peak(dtype)
            rows.append((str(one.threads), dtype, *cells, _peak(best), _clean(best)))
    header = ("Threads", "Type", *(f"n = {n}" for n in sizes), "Peak", "Clean")
    notes += _left_out(ceilings)
    notes += _marks((peak for one in ceilings for peak in one.peaks), ())
    return Table(header, tuple(rows), title="Products of n × n matrices (GFLOPS)", notes=tuple(notes), stub=2)


def _left_out(ceilings: Sequence[Ceilings]) -> list[str]:
    """Say what was not measured and why, once for each type and number of threads."""
    first: dict[tuple[str, int], Peak] = {}
    for one in ceilings:
        for peak in one.peaks:
            if peak.reason:
                first.setdefault((peak.dtype, one.threads), peak)
    return [
        f"{dtype} with {threads} thread{'s' * (threads != 1)} is not measured from n = {peak.n} on: {peak.reason}."
        for (dtype, threads), peak in first.items()
    ]


def bandwidth_table(ceilings: Sequence[Ceilings]) -> Table:
    """Return a row for each number of threads and level of the memory."""
    rows = []
    for one in ceilings:
        for level in dict.fromkeys(bandwidth.level for bandwidth in one.bandwidths):
            kinds = {bandwidth.kind: bandwidth for bandwidth in one.bandwidths if bandwidth.level == level}
            measured = list(kinds.values())
            rates = (_bandwidth(kinds.get(kind)) for kind in KINDS)
            rows.append((str(one.threads), level, _sizes(measured), *rates, _clean(*measured), _ridge(one, level)))
    header = ("Threads", "Level", "Arrays", "Read", "Copy", "Triad", "Clean", "Ridge\n(FLOP/byte)")
    calls = ", ".join(f"{one.call_us:.1f} µs with {one.threads}" for one in ceilings)
    notes = (BANDWIDTH_NOTE, f"A call on one element takes, by threads: {calls}.")
    marks = _marks((), (bandwidth for one in ceilings for bandwidth in one.bandwidths))
    return Table(header, tuple(rows), title="Memory bandwidth (GB/s)", notes=(*notes, *marks), stub=2)


def _rate(rate: float | None, clean: int | None, call_bound: bool = False) -> str:
    """Write a rate: `≥` where calls were what took the time, `?` where no sample was clean."""
    return MISSING if rate is None else f"{'≥ ' * call_bound}{number(rate, 1)}{' ?' * (clean == 0)}"


def _peak(one: Peak | None) -> str:
    return MISSING if one is None else _rate(one.gflops_per_s, one.clean)


def _bandwidth(one: Bandwidth | None) -> str:
    return MISSING if one is None else _rate(one.gb_per_s, one.clean, one.call_bound)


def _ridge(one: Ceilings, level: str) -> str:
    """Write the ridge point; it is no surer than the two rates that it comes from."""
    peak, bandwidth = one.peak(), one.bandwidth(level)
    disturbed = 0 in (peak and peak.clean, bandwidth and bandwidth.clean)
    return _rate(one.ridge(level=level), 0 if disturbed else None)


def _sizes(measured: Sequence[Bandwidth]) -> str:
    """Write the size of the arrays of each kind of pass, in one unit."""
    unit, word = (MIB, "MiB") if measured[0].array_bytes >= MIB else (1024, "KiB")
    return f"{'/'.join(dict.fromkeys(f'{one.array_bytes / unit:.3g}' for one in measured))} {word}"


def _clean(*measured: Peak | Bandwidth | None) -> str:
    """Sum the clean samples up, of those taken."""
    clean = [one.clean for one in measured if one is not None and one.clean is not None]
    samples = sum(one.samples for one in measured if one is not None)
    return f"{sum(clean)} of {samples}" if clean else MISSING


def _marks(peaks: Iterable[Peak], bandwidths: Iterable[Bandwidth]) -> list[str]:
    """Explain the marks that were used."""
    bandwidths = list(bandwidths)
    dirty = 0 in {one.clean for one in peaks} | {one.clean for one in bandwidths}
    return [CALL_NOTE] * any(one.call_bound for one in bandwidths) + [DISTURBED_NOTE] * dirty


def gpu_table(gpus: Sequence[Gpu], note: str) -> Table:
    """Return a column for each GPU."""
    lines = {
        "SMs": [number(gpu.sm_count) for gpu in gpus],
        "Memory used, of (MiB)": [f"{number(gpu.memory_used_mib)}, {number(gpu.memory_mib)}" for gpu in gpus],
        "SM clock, of (MHz)": [f"{number(gpu.sm_mhz)}, {number(gpu.sm_max_mhz)}" for gpu in gpus],
        "Memory clock, of (MHz)": [f"{number(gpu.memory_mhz)}, {number(gpu.memory_max_mhz)}" for gpu in gpus],
        "Clocks held back by": [_throttle(gpu) for gpu in gpus],
        "Power (W), temperature (°C)": [f"{number(gpu.power_w)}, {number(gpu.temperature_c)}" for gpu in gpus],
        "utilization.gpu (%)": [_percent(gpu.utilization_gpu) for gpu in gpus],
        "utilization.memory (%)": [_percent(gpu.utilization_memory) for gpu in gpus],
        "Told by": [f"{gpu.source}, driver {gpu.driver}" if gpu.driver else gpu.source for gpu in gpus],
    }
    for dtype in dict.fromkeys(peak.dtype for gpu in gpus for peak in gpu.peaks):
        lines[f"Peak of {dtype} (TFLOPS)"] = [_gpu_peak(gpu, dtype) for gpu in gpus]
    rows = tuple((what, *cells) for what, cells in lines.items())
    notes = [UTILIZATION_NOTE]
    notes += [f"{g.name}: {p.dtype}: not measured: {p.reason}." for g in gpus for p in g.peaks if p.reason]
    notes += [f"{note[0].upper()}{note[1:]}."] if note else []
    return Table(("", *(f"{gpu.index}: {gpu.name}" for gpu in gpus)), rows, title="GPUs", notes=tuple(notes))


def _throttle(gpu: Gpu) -> str:
    return MISSING if gpu.throttle is None else ",\n".join(gpu.throttle) or "nothing"


def _percent(share: float | None) -> str:
    return number(None if share is None else 100 * share)


def _gpu_peak(gpu: Gpu, dtype: str) -> str:
    """Write a peak with its size; TF32 changes what float32 means."""
    peak = next((peak for peak in gpu.peaks if peak.dtype == dtype), None)
    if peak is None or peak.tflops_per_s is None:
        return MISSING
    tf32 = ", TF32 allowed" if peak.tf32 and dtype == "float32" else ""
    return f"{number(peak.tflops_per_s, 1)} (n = {peak.n}{tf32})"
