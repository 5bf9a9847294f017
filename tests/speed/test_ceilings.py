"""Ceilings of the CPU, measured on a made-up clock."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import pytest

from lwyolo.speed.machine import MEMORY, Cache, Facts, ceilings
from lwyolo.speed.machine.ceilings import Best, Pass, Sampler, choose, mover, passes, product
from lwyolo.units import MIB

KIB = 1024


def facts(**changes) -> Facts:
    caches = (
        Cache(1, "data", 32 * KIB, 2),
        Cache(1, "instruction", 32 * KIB, 2),
        Cache(2, "unified", MIB, 2),
        Cache(3, "unified", 32 * MIB, 1),
    )
    known = Facts("CPU", "x86_64", ("AVX2",), 1, 2, 2, 2, None, 2, caches, 8192.0, None, 1, None, 2400.0, None, True)
    return dataclasses.replace(known, **changes)


def test_arrays_fit_the_caches_of_all_threads_and_what_is_read_again_fits_that_of_one():
    sizes = {(one.level, one.kind): one.array_bytes for one in passes(facts(), threads=2)}

    assert ["L1", "L2", "L3", MEMORY] == list(dict.fromkeys(level for level, _ in sizes))
    assert (16 * KIB, MIB // 2) == (sizes["L1", "read"], sizes["L2", "read"])
    assert (16 * KIB, MIB // 2) == (sizes["L1", "copy"], sizes["L2", "copy"])  # two arrays in half of two caches
    assert 8 * MIB == sizes["L3", "copy"]
    assert 16 * MIB // 3 // 64 * 64 == sizes["L3", "triad"]


def test_arrays_of_memory_are_four_times_the_last_cache():
    one_thread_of_two_sockets = facts(caches=(Cache(3, "unified", 8 * MIB, 2),))

    assert {32 * MIB} == {one.array_bytes for one in passes(one_thread_of_two_sockets, 1) if one.level == MEMORY}
    assert {64 * MIB} == {one.array_bytes for one in passes(one_thread_of_two_sockets, 2) if one.level == MEMORY}
    assert {256 * MIB} == {one.array_bytes for one in passes(facts(caches=()), 2)}


def test_no_bandwidth_of_the_memory_is_claimed_where_arrays_larger_than_the_caches_have_no_room():
    assert MEMORY not in {one.level for one in passes(facts(memory_limit_mib=512.0), 2)}
    assert MEMORY in {one.level for one in passes(facts(memory_limit_mib=1024.0), 2)}


def test_a_cache_no_larger_than_those_inside_it_has_no_level():
    small_last = facts(caches=(Cache(2, "unified", MIB, 8), Cache(3, "unified", 8 * MIB, 1)))
    found = [(one.level, one.kind) for one in passes(small_last, 8) if one.level == "L3"]

    assert [("L3", "read")] == found


def test_a_quick_look_takes_the_largest_caches():
    assert ["L3", MEMORY] == list(dict.fromkeys(one.level for one in passes(facts(), 1, levels=1)))


class Clock:
    """Time passes only where something is run."""

    def __init__(self, *clean: bool | None) -> None:
        self.now, self.clean, self.calls = 0.0, list(clean) or [True], 0

    def __call__(self) -> float:
        return self.now

    def run(self, seconds: float):
        def once() -> None:
            self.calls += 1
            self.now += seconds

        return once

    def start(self) -> None:
        pass

    def stop(self) -> SimpleNamespace:
        return SimpleNamespace(clean=self.clean.pop(0) if len(self.clean) > 1 else self.clean[0])


def sampler(clock: Clock, seconds: float = 1.0, left: int = 1) -> Sampler:
    return Sampler(watch=clock, ends=seconds, left=left, clock=clock)


def test_a_sample_is_the_mean_of_calls_that_take_5_ms():
    clock = Clock()
    best = sampler(clock).best("x", clock.run(0.001))

    assert math.isclose(0.001, best.seconds)
    assert 5 == round(best.calls)
    assert (20, 20) == (best.samples, best.clean)


def test_samples_go_on_until_enough_are_clean_or_time_is_over():
    clock = Clock(False)
    best = sampler(clock, seconds=1.0).best("x", clock.run(0.01))

    assert 0 == best.clean
    assert 97 <= best.samples <= 100


def test_time_left_is_shared_among_those_to_come():
    clock = Clock(False)
    shared = sampler(clock, seconds=1.0, left=4)
    shared.best("x", clock.run(0.01))

    assert 0.25 <= clock.now <= 0.27
    shared.leave_out()
    shared.leave_out()
    shared.best("y", clock.run(0.01))
    assert 1.0 <= clock.now <= 1.03


def test_five_samples_are_taken_whatever_the_time():
    clock = Clock(False)

    assert 5 == sampler(clock, seconds=0.0).best("x", clock.run(0.5)).samples


def test_a_disturbed_sample_is_chosen_only_where_none_is_clean():
    assert Best(2.0, 3, 3, 1) == choose([(1.0, False), (2.0, True), (1.5, False)], 3)
    assert Best(1.0, 3, 2, 0) == choose([(1.0, False), (2.0, False)], 3)
    assert Best(1.0, 3, 2, None) == choose([(1.0, None), (2.0, None)], 3)


def test_a_peak_is_2n3_operations_over_time(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(ceilings, "product", lambda dtype, n: clock.run(2 * n**3 / 50e9))
    found = ceilings._peaks("float32", (256, 512), sampler(clock, left=2))

    assert [256, 512] == [peak.n for peak in found]
    assert all(math.isclose(50.0, peak.gflops_per_s) for peak in found)


def test_a_product_that_would_take_too_long_is_left_out(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(ceilings, "product", lambda dtype, n: clock.run(2 * n**3 / 1e9))
    found = ceilings._peaks("float16", (256, 512, 1024, 2048), sampler(clock, left=4))

    assert [True, True, False, False] == [peak.gflops_per_s is not None for peak in found]
    assert "one product would take about 2.1 s" == found[2].reason == found[3].reason


def test_a_type_that_torch_cannot_multiply_says_why(monkeypatch):
    def refuse():
        raise RuntimeError('"mm" not implemented for this type\nat line 3')

    monkeypatch.setattr(ceilings, "product", lambda dtype, n: refuse)
    (peak,) = ceilings._peaks("int8", (256,), sampler(Clock()))

    assert (None, 0, '"mm" not implemented for this type') == (peak.gflops_per_s, peak.samples, peak.reason)


def test_int8_is_multiplied_into_int32():
    left_times_right = product("int8", 32)()

    assert "torch.int32" == str(left_times_right.dtype)
    assert (32, 32) == tuple(left_times_right.shape)


@pytest.mark.parametrize(
    ("kind", "level", "n_bytes"),
    [("copy", "L2", 2 * MIB), ("triad", "L2", 3 * MIB), ("read", MEMORY, MIB), ("read", "L2", 64 * MIB)],
)
def test_bytes_are_those_read_and_written(kind, level, n_bytes):
    _, moved = mover(Pass(level, kind, MIB))

    assert n_bytes == moved


def test_a_pass_over_ones_gives_what_its_name_says():
    read, _ = mover(Pass(MEMORY, "read", 4096))
    triad, _ = mover(Pass(MEMORY, "triad", 4096))

    assert 1024.0 == read().item()
    assert [4.0] * 1024 == triad().tolist()


def test_bandwidth_is_bytes_over_time_and_tells_the_share_of_the_call(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(ceilings, "mover", lambda one: (clock.run(0.01), 200_000_000))
    found = ceilings._bandwidth(Pass("L2", "copy", 100_000_000), 0.002, sampler(clock))

    assert math.isclose(20.0, found.gb_per_s)
    assert math.isclose(0.2, found.call_share)
    assert found.call_bound
