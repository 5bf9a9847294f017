from __future__ import annotations

import os
import subprocess
import sys
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

    def write(self, busy_ticks, waited_ns):
        self.folder.mkdir(exist_ok=True)
        (self.folder / "stat").write_text(f"cpu  {busy_ticks} 0 0 999 5 0 0 0 0 0\ncpu0 1 2\n")
        for thread, ns in waited_ns.items():
            task = self.folder / "self" / "task" / thread
            task.mkdir(parents=True, exist_ok=True)
            (task / "schedstat").write_text(f"123 {ns} 45\n")

    def sample(self, watch, wall_s, own_s, busy_ticks, waited_ns):
        watch.start()
        self.now, self.own = self.now + wall_s, self.own + own_s
        self.write(busy_ticks, waited_ns)
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


def test_others_are_judged_over_a_second_so_that_ticks_alone_disturb_nothing(machine):
    watch = watch_of(machine)
    first = machine.sample(watch, 0.02, 0.02, 4, {"11": 0})  # 4 ticks are 40 ms, 20 of them ours: ticks are coarse

    assert first.clean is True
    ticks, found = 4, []
    for _ in range(60):
        ticks += 8  # 80 ms in 20 ms of 4 cores: all of them are busy
        found.append(machine.sample(watch, 0.02, 0.02, ticks, {"11": 0}))
    assert [False] * 40 == [one.clean for one in found[20:]]
    assert found[-1].others_busy == pytest.approx(0.75)


def test_others_do_not_matter_where_we_use_every_core_since_then_we_wait_for_them(machine):
    assert machine.sample(watch_of(machine, threads=4), 1.0, 1.0, 400, {"11": 0}).clean is True


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
