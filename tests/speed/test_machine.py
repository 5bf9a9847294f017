"""What a machine is, read from made-up systems; its ceilings as data; and the file that keeps both."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from lwyolo.errors import RecordError
from lwyolo.speed import gpu
from lwyolo.speed.machine import (
    MEMORY,
    Bandwidth,
    Cache,
    Ceilings,
    Facts,
    Machine,
    Peak,
    from_json,
    load,
    model_flops_utilisation,
    read_facts,
    save,
    to_json,
)
from lwyolo.units import MIB

KIB = 1024


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


def cpu(number: int, package: int, siblings: str, caches: dict[int, tuple[int, str, str, str]]) -> dict[str, str]:
    """The files of one CPU; caches are level, type, size and the CPUs that share one."""
    base = f"sys/devices/system/cpu/cpu{number}"
    files = {f"{base}/topology/physical_package_id": str(package), f"{base}/topology/thread_siblings_list": siblings}
    for index, values in caches.items():
        names = ("level", "type", "size", "shared_cpu_list")
        files |= {f"{base}/cache/index{index}/{name}": str(v) for name, v in zip(names, values, strict=True)}
    return files


def x86(root: Path) -> Path:
    """Two sockets of one core with two threads each; CPU 4 is offline."""
    files = {"sys/devices/system/cpu/cpu4/online": "0"}
    for number in range(4):
        package = number // 2
        pair = f"{2 * package}-{2 * package + 1}"
        files |= cpu(
            number,
            package,
            pair,
            {
                0: (1, "Data", "32K", pair),
                1: (1, "Instruction", "32K", pair),
                2: (2, "Unified", "1024K", pair),
                3: (3, "Unified", "32M", pair),
            },
        )
    block = "processor : {}\nmodel name : Xeon X\ncpu MHz : 2400.5\nflags : fpu sse2 fma avx2 avx512f avx512_vnni amx_int8{}"
    files["proc/cpuinfo"] = "\n\n".join(block.format(i, "" if i else " avx512_bf16") for i in range(4))
    files["proc/meminfo"] = "MemTotal:       16777216 kB\nMemFree: 1 kB"
    files["sys/devices/system/node/node0/cpulist"] = "0-1"
    files["sys/devices/system/node/node1/cpulist"] = "2-3"
    files["sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"] = "performance"
    files["sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"] = "3100000"
    files["sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"] = "3900000"
    return tree(root, files)


def test_reads_an_x86_server(tmp_path):
    facts = read_facts(x86(tmp_path), usable=range(4))

    assert "Xeon X" == facts.cpu
    assert (2, 2, 4, 4) == (facts.sockets, facts.cores, facts.cpus, facts.affinity)
    assert 2 == facts.numa_nodes
    assert 16 * 1024.0 == facts.ram_mib
    assert ("performance", 3100.0, 3900.0) == (facts.governor, facts.mhz, facts.max_mhz)
    assert facts.virtual is False
    expected = (
        Cache(1, "data", 32 * KIB, 2),
        Cache(1, "instruction", 32 * KIB, 2),
        Cache(2, "unified", MIB, 2),
        Cache(3, "unified", 32 * MIB, 2),
    )
    assert expected == facts.caches


def test_names_the_instruction_sets_that_all_cpus_have(tmp_path):
    assert ("FMA", "AVX2", "AVX-512", "AVX-512 VNNI", "AMX INT8") == read_facts(x86(tmp_path), usable=range(4)).isa


def test_counts_the_caches_of_usable_cpus_alone(tmp_path):
    facts = read_facts(x86(tmp_path), usable={1})

    assert (1, 1) == (facts.affinity, facts.usable_threads)
    assert {1} == {cache.instances for cache in facts.caches}


def test_reads_an_arm_board_of_unlike_cores(tmp_path):
    files = {"proc/device-tree/model": "Board 5\0", "proc/cpuinfo": "processor : 0\nFeatures : fp asimd asimddp sve"}
    for number, size in enumerate(("32K", "32K", "64K")):
        files |= cpu(number, -1, str(number), {0: (1, "Data", size, str(number))})
    facts = read_facts(tree(tmp_path, files), usable=range(3))

    assert "Board 5" == facts.cpu
    assert ("NEON", "dot product", "SVE") == facts.isa
    assert (None, 3, 3) == (facts.sockets, facts.cores, facts.cpus)
    assert (Cache(1, "data", 32 * KIB, 2), Cache(1, "data", 64 * KIB, 1)) == facts.caches
    assert (None, None, None, None) == (facts.virtual, facts.governor, facts.mhz, facts.numa_nodes)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/cpuinfo": "flags : fpu hypervisor"}, True),
        ({"proc/cpuinfo": "flags : fpu"}, False),
        ({"proc/cpuinfo": "Features : fp", "proc/device-tree/hypervisor/compatible": "kvm"}, True),
        ({"proc/cpuinfo": "Features : fp"}, None),
        ({}, None),
    ],
)
def test_tells_a_virtual_machine_only_where_the_system_does(tmp_path, files, expected):
    assert expected is read_facts(tree(tmp_path, files), usable=[0]).virtual


@pytest.mark.parametrize(
    ("own", "files", "quota", "threads", "limit"),
    [
        ("0::/", {}, None, 8, None),
        ("0::/job", {"job/cpu.max": "250000 100000", "job/memory.max": "1073741824"}, 2.5, 3, 1024.0),
        ("0::/job", {"job/cpu.max": "max 100000", "job/memory.max": "max"}, None, 8, None),
        (
            "2:cpu,cpuacct:/a\n5:memory:/a",
            {
                "cpu/a/cpu.cfs_quota_us": "50000",
                "cpu/a/cpu.cfs_period_us": "100000",
                "memory/a/memory.limit_in_bytes": "536870912",
                "memory/memory.limit_in_bytes": "9223372036854771712",
            },
            0.5,
            1,
            512.0,
        ),
        (
            "2:cpu:/\n5:memory:/",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            None,
            8,
            None,
        ),
    ],
)
def test_quota_and_limit_come_from_control_groups_of_both_versions(tmp_path, own, files, quota, threads, limit):
    tree(tmp_path, {"proc/self/cgroup": own, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}})
    facts = read_facts(tmp_path, usable=range(8))

    assert (quota, threads, limit) == (facts.quota, facts.usable_threads, facts.memory_limit_mib)


def test_what_a_system_does_not_tell_is_unknown(tmp_path):
    facts = read_facts(tmp_path, usable=[0])

    assert (None, None, None, None) == (facts.isa, facts.sockets, facts.cores, facts.virtual)
    assert () == facts.caches


CACHES = (Cache(1, "data", 32 * KIB, 2), Cache(3, "unified", 32 * MIB, 1))


def machine() -> Machine:
    peaks = (
        Peak("float32", 256, 120.0, 5, 9, 0),
        Peak("float32", 512, 96.0, 5, 20, 20),
        Peak("float16", 256, None, 0, 0, None, "not implemented"),
    )
    bandwidths = (
        Bandwidth("L1", "copy", 8192, 25.0, 0.9, 900, 20, 20),
        Bandwidth(MEMORY, "copy", 2**27, 19.2, 1e-4, 1, 20, 20),
        Bandwidth(MEMORY, "triad", 2**27, 24.0, 1e-4, 1, 20, None),
    )
    gpus = (gpu.Gpu(0, "GPU", "NVML", throttle=("idle",), peaks=(gpu.GpuPeak("float16", 8192, 300.5, 5, False),)),)
    return Machine(
        date="2026-01-01T00:00:00+00:00",
        platform="Linux",
        load=0.5,
        versions={"torch": "2.0"},
        variables={"MALLOC_TOP_PAD_": "1"},
        facts=Facts("CPU", "x86_64", ("AVX2",), 1, 2, 2, 2, None, 2, CACHES, 8192.0, None, 1, None, 2400.0, None, True),
        ceilings=(Ceilings(1, 1.4, peaks, bandwidths),),
        gpus=gpus,
        gpu_note="",
    )


def test_the_ridge_is_peak_over_bandwidth():
    one = machine().at(1)

    assert 5.0 == one.ridge()
    assert 4.0 == one.ridge(kind="triad")
    assert one.ridge("float16") is None
    assert one.ridge(level="L2") is None


def test_a_peak_of_clean_samples_goes_before_a_faster_one_that_was_disturbed():
    assert 512 == machine().at(1).peak().n


def test_no_limit_is_derived_from_a_pass_that_measured_the_call():
    assert machine().at(1).bandwidth("L1") is None
    assert machine().at(2) is None


def test_mfu_is_the_models_own_work_over_the_peak():
    assert math.isclose(0.59, model_flops_utilisation(8.744e9, 1 / 78.5e-3, 188.8), rel_tol=0.01)


def test_a_machine_survives_its_file(tmp_path):
    save(machine(), tmp_path / "machine.json")

    assert machine() == load(tmp_path / "machine.json")
    assert machine() == from_json(to_json(machine()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema=9), "m.json: schema 9; this version of lwyolo reads schema 1."),
        (lambda c: c.pop("ceilings"), "m.json: holds no machine. lwyolo hardware --save m.json writes one."),
        (lambda c: c.pop("date"), "m.json: date: missing."),
        (lambda c: c["facts"].update(coers=2), "m.json: facts.coers: unknown key. Did you mean cores?"),
        (lambda c: c["facts"].update(cores="2"), "m.json: facts.cores: found '2', expected int."),
        (
            lambda c: c["ceilings"][0].update(threads=0),
            "m.json: ceilings.0.threads: found 0, expected a positive number.",
        ),
        (
            lambda c: c["ceilings"][0]["bandwidths"][1].update(gb_per_s=-1.5),
            "m.json: ceilings.0.bandwidths.1.gb_per_s: found -1.5, expected a positive number.",
        ),
        (
            lambda c: c["ceilings"][0]["peaks"][0].update(gflops_per_s=math.nan),
            "m.json: ceilings.0.peaks.0.gflops_per_s: found nan, expected a positive number.",
        ),
        (
            lambda c: c["ceilings"][0]["bandwidths"][0].update(kind="write"),
            "m.json: ceilings.0.bandwidths.0.kind: found 'write', expected Literal['read', 'copy', 'triad'].",
        ),
    ],
)
def test_a_file_that_holds_something_else_is_refused_with_its_key(change, message):
    content = json.loads(to_json(machine()))
    change(content)

    with pytest.raises(RecordError, match=f"^{re.escape(message)}$"):
        from_json(json.dumps(content), "m.json")


def test_what_is_no_json_or_not_there_is_refused(tmp_path):
    with pytest.raises(RecordError, match="not readable as JSON"):
        from_json("{")
    with pytest.raises(RecordError, match="no such file. lwyolo hardware --save"):
        load(tmp_path / "machine.json")
