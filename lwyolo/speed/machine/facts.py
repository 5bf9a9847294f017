"""What the system tells of its processor and memory: Linux's /proc and /sys, of x86 and ARM; elsewhere only little."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from lwyolo import provenance
from lwyolo.speed.machine.data import Cache, Facts
from lwyolo.units import MIB

ISA = {
    "fma": "FMA",
    "avx2": "AVX2",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "avx512_fp16": "AVX-512 FP16",
    "amx_int8": "AMX INT8",
    "amx_bf16": "AMX BF16",
    "amx_fp16": "AMX FP16",
    "neon": "NEON",
    "asimd": "NEON",
    "asimdhp": "NEON FP16",
    "asimddp": "dot product",
    "i8mm": "I8MM",
    "bf16": "BF16",
    "sve": "SVE",
    "sve2": "SVE2",
    "sme": "SME",
}
"""Linux's names of instruction sets that kernels for inference are written for, and the names that people use."""

UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}
NO_LIMIT = 2**60
"""Bytes from which a limit of memory is the first version's way to say that there is none."""


def read_facts(root: Path = Path("/"), usable: Collection[int] | None = None) -> Facts:
    """Read what the system tells.

    Args:
        root: The folder that holds `proc` and `sys`.
        usable: Numbers of the CPUs that this process may run on, by default what the system says.
    """
    info = _cpuinfo(root / "proc/cpuinfo")
    cpus = _cpus(root / "sys/devices/system/cpu")
    n_cpus = len(cpus) or len(info.get("processor", ())) or os.cpu_count()
    if usable is None:
        usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(n_cpus or 1)
    groups, own = root / "sys/fs/cgroup", root / "proc/self/cgroup"
    quota = provenance.cpu_quota(groups, own)
    flags = _flags(info)
    first = next(iter(cpus.values()), root / "sys/devices/system/cpu/cpu0")
    shown_mhz = _number(next(iter(info.get("cpu MHz", ())), None))
    return Facts(
        cpu=provenance.cpu_name(root),
        architecture=platform.machine(),
        isa=None if flags is None else tuple(dict.fromkeys(name for flag, name in ISA.items() if flag in flags)),
        sockets=_distinct(cpus, "physical_package_id"),
        cores=_distinct(cpus, "thread_siblings_list"),
        cpus=n_cpus,
        affinity=len(usable),
        quota=quota,
        usable_threads=provenance.threads_within(len(usable), quota),
        caches=_caches(folder for number, folder in cpus.items() if number in usable),
        ram_mib=_ram_mib(root / "proc/meminfo"),
        memory_limit_mib=_memory_limit_mib(groups, own),
        numa_nodes=len(list((root / "sys/devices/system/node").glob("node[0-9]*"))) or None,
        governor=_read(first / "cpufreq/scaling_governor"),
        mhz=_mhz(first / "cpufreq/scaling_cur_freq") or shown_mhz,
        max_mhz=_mhz(first / "cpufreq/cpuinfo_max_freq"),
        virtual=_virtual(root, info, flags),
    )


def _cpuinfo(file: Path) -> dict[str, list[str]]:
    """Read all values of each key: one for each CPU, as a rule."""
    info: dict[str, list[str]] = {}
    for line in (_read(file) or "").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            info.setdefault(key.strip(), []).append(value.strip())
    return info


def _cpus(folder: Path) -> dict[int, Path]:
    """Return the folders of the CPUs that are online, by number; one that is not has no topology."""
    folders = {int(one.name[3:]): one for one in folder.glob("cpu[0-9]*") if one.name[3:].isdecimal()}
    return {number: folders[number] for number in sorted(folders) if (folders[number] / "topology").is_dir()}


def _distinct(cpus: Mapping[int, Path], name: str) -> int | None:
    """Count the distinct values of a file of the topology; -1 is Linux's word for unknown."""
    values = {_read(folder / "topology" / name) for folder in cpus.values()} - {None, "", "-1"}
    return len(values) or None


def _flags(info: Mapping[str, list[str]]) -> set[str] | None:
    """Return the flags of x86 or the features of ARM that all CPUs have."""
    lines = info.get("flags") or info.get("Features")
    return set.intersection(*(set(line.split()) for line in lines)) if lines else None


def _caches(cpus: Iterable[Path]) -> tuple[Cache, ...]:
    """Group the caches of some CPUs; CPUs that share one name the same list."""
    found: dict[tuple[int, str, int], set[str]] = {}
    for cpu in cpus:
        for index in sorted((cpu / "cache").glob("index[0-9]*")):
            level, kind, size = (_read(index / name) for name in ("level", "type", "size"))
            if level and kind and size:
                shared = _read(index / "shared_cpu_list") or cpu.name
                found.setdefault((int(level), kind.lower(), _bytes(size)), set()).add(shared)
    return tuple(Cache(level, kind, size, len(shared)) for (level, kind, size), shared in sorted(found.items()))


def _bytes(size: str) -> int:
    return int(size[:-1]) * UNITS[size[-1]] if size[-1] in UNITS else int(size)


def _ram_mib(file: Path) -> float | None:
    for line in (_read(file) or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) / 1024
    return provenance.ram_mib()


def _memory_limit_mib(root: Path, own: Path) -> float | None:
    """Return the least limit of all groups above, of version 2 (`memory.max`) or 1."""
    limits = []
    for folder in provenance.control_groups("memory", root, own):
        text = _read(folder / "memory.max") or _read(folder / "memory.limit_in_bytes") or "max"
        if text.isdecimal() and int(text) < NO_LIMIT:
            limits.append(int(text) / MIB)
    return min(limits, default=None)


def _virtual(root: Path, info: Mapping[str, list[str]], flags: set[str] | None) -> bool | None:
    """Tell a virtual machine: by a flag on x86; on ARM only a hypervisor that shows itself can be told."""
    if any((root / name).exists() for name in ("proc/device-tree/hypervisor", "sys/hypervisor/type")):
        return True
    return "hypervisor" in flags if flags is not None and "flags" in info else None


def _mhz(file: Path) -> float | None:
    khz = _number(_read(file))
    return khz and khz / 1000


def _number(text: str | None) -> float | None:
    return float(text) if text and text.replace(".", "", 1).isdecimal() else None


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
