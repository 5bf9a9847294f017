"""What is printed of a machine."""

from __future__ import annotations

import dataclasses

from lwyolo.reports.hardware import hardware_tables
from lwyolo.reports.tables import WIDTH, render
from lwyolo.speed.gpu import Gpu, GpuPeak
from lwyolo.speed.machine import Bandwidth, Cache, Ceilings, Facts, Machine, Peak

UNKNOWN = Facts("CPU", "arm64", None, None, None, 4, 4, None, 4, (), None, None, None, None, None, None, None)
KNOWN = dataclasses.replace(
    UNKNOWN,
    isa=("FMA", "AVX2"),
    sockets=1,
    cores=2,
    quota=1.5,
    usable_threads=2,
    caches=(Cache(1, "data", 32768, 2), Cache(3, "unified", 2**25, 1)),
    ram_mib=24576.0,
    memory_limit_mib=2048.0,
    governor="performance",
    mhz=2400.0,
    max_mhz=3100.0,
    virtual=True,
)


def ceilings(threads: int = 1, clean: int | None = 20) -> Ceilings:
    peaks = (
        Peak("float32", 256, 93.04, 5, 20, clean),
        Peak("float32", 512, 96.0, 5, 20, clean),
        Peak("float16", 256, 3.2, 1, 20, clean),
        Peak("float16", 512, None, 0, 0, None, "one product would take about 0.8 s"),
    )
    bandwidths = (
        Bandwidth("L1", "read", 16384, 130.0, 1e-3, 9, 20, clean),
        Bandwidth("L1", "copy", 8192, 20.0, 0.9, 900, 20, clean),
        Bandwidth("memory", "read", 2**27, 23.7, 1e-4, 1, 20, clean),
        Bandwidth("memory", "copy", 2**27, 19.2, 1e-4, 1, 20, clean),
    )
    return Ceilings(threads, 1.4, peaks, bandwidths)


def text(**changes) -> str:
    machine = Machine(
        "2026-01-01T00:00:00+00:00", "Linux", 0.5, {"torch": "2.0"}, {}, KNOWN, (ceilings(),), (), "no NVML"
    )
    return "\n\n".join(render(table) for table in hardware_tables(dataclasses.replace(machine, **changes)))


def line(content: str, start: str) -> list[str]:
    return next(row.split() for row in content.splitlines() if row.startswith(start))


def test_facts_are_listed():
    found = text()

    assert "FMA, AVX2" in found
    assert "2 threads: 4 CPUs by affinity, a quota of 1.5 cores" in found
    assert "L1 data: 2 × 32 KiB" in found
    assert "L3 unified: 1 × 32 MiB" in found
    assert "24.0 GiB, limited to 2.0 GiB" in found
    assert "2400 of 3100 MHz, governor performance" in found
    assert "none found; no NVML" in found


def test_what_is_unknown_is_a_dash():
    found = text(facts=UNKNOWN)

    assert ["Instruction", "sets", "–"] == line(found, "Instruction sets")
    assert ["Sockets,", "cores,", "CPUs", "–,", "–,", "4"] == line(found, "Sockets")
    for what in ("Caches", "Memory", "Frequency", "Virtual machine", "NUMA nodes"):
        assert "–" == line(found, what)[-1]


def test_peaks_stand_by_threads_type_and_size():
    found = text(ceilings=(ceilings(1), ceilings(2)))

    assert ["1", "float32", "93.0", "96.0", "96.0", "20", "of", "20"] == line(found, "1        float32")
    assert ["2", "float16", "3.2", "–", "3.2", "20", "of", "20"] == line(found, "2        float16")
    assert "float16 with 2 threads is not measured from n = 512 on: one product would take about 0.8 s." in found


def test_bandwidths_stand_by_level_with_the_ridge_of_a_copy():
    found = text()

    assert ["1", "memory", "128", "MiB", "23.7", "19.2", "–", "40", "of", "40", "5.0"] == line(found, "1        memory")
    assert ["1", "L1", "16/8", "KiB", "130.0", "≥", "20.0", "–", "40", "of", "40", "–"] == line(found, "1        L1")
    assert "≥: more than 10 %" in found


def test_a_ceiling_of_no_clean_sample_is_marked_and_explained():
    assert "96.0 ?" in text(ceilings=(ceilings(clean=0),))
    assert ["5.0", "?"] == line(text(ceilings=(ceilings(clean=0),)), "1        memory")[-2:]
    assert "?: no sample was clean" in text(ceilings=(ceilings(clean=0),))
    assert "?" not in text()


def test_where_cleanness_is_unknown_nothing_is_marked():
    found = text(ceilings=(ceilings(clean=None),))

    assert ["1", "float32", "93.0", "96.0", "96.0", "–"] == line(found, "1        float32")
    assert "?" not in found


GPU = Gpu(
    index=0,
    name="H-something",
    source="NVML and torch",
    driver="580.1",
    sm_count=132,
    memory_mib=81920.0,
    memory_used_mib=1024.0,
    sm_mhz=1200.0,
    sm_max_mhz=1980.0,
    throttle=("software power cap", "software thermal slowdown"),
    utilization_gpu=1.0,
    peaks=(
        GpuPeak("float32", 8192, 50.04, 5, tf32=True),
        GpuPeak("float16", 8192, None, 0, tf32=True, reason="CUDA out of memory"),
    ),
)


def test_utilization_of_a_gpu_is_printed_with_its_meaning():
    found = text(gpus=(GPU,), gpu_note="")
    flat = " ".join(found.split())

    assert ["utilization.gpu", "(%)", "100"] == line(found, "utilization.gpu")
    assert ["SMs", "132"] == line(found, "SMs")
    assert "share of the sample period in which at least one kernel ran" in flat
    assert "achieved FLOPS over the peak (MFU)" in flat
    assert "software power cap" in found
    assert "50.0 (n = 8192, TF32 allowed)" in found
    assert "H-something: float16: not measured: CUDA out of memory." in found


def test_a_gpu_of_which_little_is_known_has_dashes():
    found = text(gpus=(Gpu(0, "Old", "torch"),), gpu_note="no NVML")

    assert "–" == line(found, "Clocks held back by")[-1]
    assert "–" == line(found, "utilization.gpu")[-1]
    assert "No NVML." in found


def test_text_fits_a_terminal():
    everything = text(ceilings=(ceilings(1, 0), ceilings(64, 0)), gpus=(GPU, GPU), gpu_note="x " * 100)

    assert max(map(len, everything.splitlines())) <= WIDTH
