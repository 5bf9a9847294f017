from __future__ import annotations

import math
import os
import random
import shutil
import subprocess
import sys
import threading
import time

import pytest

from lwyolo.speed import clean
from lwyolo.speed.clean import Watch


class Machine:
    """Made-up counters of a machine."""

    def __init__(self, folder, monkeypatch, cores=4):
        self.folder, self.now, self.own = folder, 0.0, 0.0
        monkeypatch.setattr(clean.os, "cpu_count", lambda: cores)
        monkeypatch.setattr(clean.time, "process_time", lambda: self.own)
        self.write(0, {"11": 0})

    def write(self, busy_ticks, waited_ns, stolen_ticks=0):
        shutil.rmtree(self.folder, ignore_errors=True)
        for thread, ns in waited_ns.items():
            task = self.folder / "self" / "task" / thread
            task.mkdir(parents=True)
            (task / "schedstat").write_text(f"123 {ns} 45\n")
        (self.folder / "stat").write_text(f"cpu  {busy_ticks} 0 0 999 5 0 0 {stolen_ticks} 0 0\ncpu0 1 2\n")

    def sample(self, watch, wall_s, own_s, busy_ticks, waited_ns, stolen_ticks=0):
        watch.start()
        self.now, self.own = self.now + wall_s, self.own + own_s
        self.write(busy_ticks, waited_ns, stolen_ticks)
        return watch.stop()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path / "proc", monkeypatch)


def watch_of(machine, threads=1):
    return Watch(threads, machine.folder, lambda: machine.now)


def test_a_sample_that_nobody_disturbed_is_clean(machine):
    found = machine.sample(watch_of(machine), 0.1, 0.1, 10, {"11": 100_000})

    assert (True, 0.1, 0.0) == (found.clean, found.delay_ms, found.others_busy)
    assert pytest.approx(100) == found.wall_ms


@pytest.mark.parametrize(("waited_ms", "expected"), [(3.2, True), (3.4, False)])
def test_threads_may_wait_for_3_percent_and_0_3_ms(machine, waited_ms, expected):
    assert expected is machine.sample(watch_of(machine), 0.1, 0.1, 10, {"11": int(waited_ms * 1e6)}).clean


def test_a_thread_that_appears_during_a_sample_counts(machine):
    assert 5.0 == machine.sample(watch_of(machine), 0.1, 0.1, 10, {"11": 0, "12": 5_000_000}).delay_ms


def test_a_thread_that_ends_during_a_sample_takes_its_count_with_it(machine):
    machine.write(0, {"11": 0, "12": 9_000_000})

    assert 0.5 == machine.sample(watch_of(machine), 0.1, 0.1, 10, {"11": 500_000}).delay_ms


def test_a_new_thread_with_the_number_of_an_old_one_hides_nothing(machine):
    machine.write(0, {"11": 0, "12": 90_000_000})
    found = machine.sample(watch_of(machine), 0.1, 0.1, 10, {"11": 50_000_000, "12": 1_000_000})

    assert (51.0, False) == (found.delay_ms, found.clean)


@pytest.mark.parametrize("hertz", [100, 250])
@pytest.mark.parametrize("sample_ms", [1, 2, 5, 8, 15, 70])
@pytest.mark.parametrize("in_a_row", [1, 20])
def test_ticks_alone_disturb_nothing(machine, monkeypatch, hertz, sample_ms, in_a_row):
    monkeypatch.setattr(clean.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(clean, "delays", lambda proc: {"11": 0})
    monkeypatch.setattr(clean, "system_ms", lambda proc: (10.0 * math.floor(ticks * 100 / hertz), 0.0))
    watch, rng, ticks, found = watch_of(machine), random.Random(0), 0, []

    def work(seconds):
        nonlocal ticks
        end = machine.now + seconds
        ticks += math.floor(end * hertz) - math.floor(machine.now * hertz)  # whoever runs at a tick is charged it
        machine.now, machine.own = end, machine.own + seconds

    for _ in range(1000 // in_a_row):
        machine.now += rng.uniform(0.02, 0.05)
        for _ in range(in_a_row):
            watch.start()
            work(sample_ms / 1e3 * rng.uniform(1, 1.05))
            found.append(watch.stop().clean)
            work(0.002)

    assert {True} == set(found)


def test_others_are_judged_over_a_second_of_samples(machine):
    watch = watch_of(machine)
    first = machine.sample(watch, 0.02, 0.02, 3, {"11": 0})  # 3 ticks are 30 ms, 20 of them ours: ticks are coarse

    assert first.clean is True
    ticks, found = 3, []
    for _ in range(60):
        ticks += 8  # 80 ms in 20 ms of 4 cores: all of them are busy
        found.append(machine.sample(watch, 0.02, 0.02, ticks, {"11": 0}))
    assert [False] * 40 == [one.clean for one in found[20:]]
    assert found[-1].others_busy == pytest.approx(0.75)


def test_others_do_not_matter_where_we_use_every_core_since_then_we_wait_for_them(machine):
    assert machine.sample(watch_of(machine, threads=4), 1.0, 1.0, 400, {"11": 0}).clean is True


def test_what_the_host_took_matters_there_too_since_no_thread_is_seen_to_wait_for_it(machine):
    watch = watch_of(machine, threads=4)

    assert [True, False] == [
        machine.sample(watch, 1.0, 1.0, 400, {"11": 0}, stolen).clean for stolen in (10, 110)
    ]  # 0.1 s and then 1 s of 4 s


def test_what_the_host_took_is_of_others_also_where_the_kernel_counts_it_as_ours(machine):
    found = machine.sample(watch_of(machine), 1.0, 1.0, 60, {"11": 0}, stolen_ticks=40)  # ours are 0.6 s of the 1.0

    assert (0.1, False) == (found.others_busy, found.clean)


@pytest.mark.parametrize(("waited_ns", "expected"), [(0, None), (50_000_000, False)])
def test_without_the_counters_of_the_system_no_sample_is_clean_but_one_may_be_disturbed(machine, waited_ns, expected):
    (machine.folder / "stat").unlink()
    watch = watch_of(machine)
    watch.start()
    machine.now += 0.1
    (machine.folder / "self" / "task" / "11" / "schedstat").write_text(f"200 {waited_ns} 46\n")
    found = watch.stop()

    assert (expected, None) == (found.clean, found.others_busy)


def test_what_was_known_of_the_system_before_says_nothing_of_this_sample(machine):
    watch = watch_of(machine)
    before = machine.sample(watch, 0.1, 0.1, 10, {"11": 0}).clean
    (machine.folder / "stat").unlink()
    watch.start()
    machine.now += 0.1

    assert (True, None) == (before, watch.stop().clean)


def test_a_kernel_that_has_the_file_and_does_not_count_tells_nothing(machine):
    (machine.folder / "self" / "task" / "11" / "schedstat").write_text("0 0 0\n")
    watch = watch_of(machine)
    watch.start()
    machine.now += 0.1
    found = watch.stop()

    assert (None, None) == (found.clean, found.delay_ms)


def test_where_the_system_tells_nothing_a_sample_is_neither(tmp_path):
    watch = Watch(1, tmp_path)
    watch.start()
    found = watch.stop()

    assert (None, None, None) == (found.clean, found.delay_ms, found.others_busy)


@pytest.mark.skipif(not clean.delays(), reason="this system has no schedstat")
def test_a_process_on_the_same_core_is_seen(monkeypatch):
    core = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    hog = subprocess.Popen([sys.executable, "-c", f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"])
    try:
        os.sched_setaffinity(0, {core})
        time.sleep(0.3)
        watch = Watch(1)
        watch.start()
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
        found = watch.stop()
    finally:
        os.sched_setaffinity(0, before)
        hog.kill()
        hog.wait()

    assert found.clean is False
    assert found.delay_ms > 20


@pytest.mark.skipif(not clean.delays(), reason="this system has no schedstat")
def test_a_process_that_nobody_disturbs_has_clean_samples():
    watch, found = Watch(os.cpu_count()), []
    for _ in range(20):  # a shared machine may disturb some, not each
        watch.start()
        time.sleep(0.05)
        found.append(watch.stop())
        if found[-1].clean:
            break

    assert found[-1].clean, found


@pytest.mark.skipif(not clean.delays(), reason="this system has no schedstat")
def test_a_reading_of_30_threads_takes_less_than_half_a_millisecond():
    done, watch, times = threading.Event(), Watch(1), []
    waiting = [threading.Thread(target=done.wait) for _ in range(29)]
    for thread in waiting:
        thread.start()
    try:
        assert len(clean.delays()) >= 30
        for _ in range(100):
            start = time.perf_counter()
            watch.start()
            times.append(time.perf_counter() - start)
    finally:
        done.set()
        for thread in waiting:
            thread.join()

    assert min(times) < 0.5e-3  # the fastest: what a shared machine adds is not ours
