"""Bounds and classes of groups, checked by hand; and how kernels are told by their names."""

from __future__ import annotations

from itertools import count

import pytest

from lwyolo.errors import UsageError
from lwyolo.speed.clean import Disturbance
from lwyolo.speed.machine import Bandwidth, Cache, Ceilings, Peak
from lwyolo.speed.profiling import Node, alternate, passes_of, tensors_made
from lwyolo.speed.roofline import KernelPeak, Level, Roofs, bound_group, roofs_of, with_kernels
from lwyolo.speed.roofline_kinds import kind_of
from lwyolo.speed.roofline_sums import sums

CACHES = (Cache(1, "data", 32 * 1024, 2), Cache(1, "instruction", 64 * 1024, 2), Cache(2, "unified", 2**20, 2))
ROOFS = Roofs(
    1, 100.0, "a product", (Level("L1", 1000, None, "unknown"), Level("L2", 10_000, 50.0), Level("memory", None, 10.0))
)


def _ceilings(*bandwidths: Bandwidth, gflops: float = 90.0, clean: int | None = 20, threads: int = 1) -> Ceilings:
    return Ceilings(threads, 1.0, (Peak("float32", 512, gflops, 1, 20, clean),), bandwidths)


def _pass(level: str, kind: str, rate: float, call_share: float = 0.0, clean: int | None = 20) -> Bandwidth:
    return Bandwidth(level, kind, 64, rate, call_share, 1, 20, clean)


def _group(macs: int, n_bytes: int, ms: float):
    return bound_group(ROOFS, "model.0", "convolution 3×3", ["Conv"], macs, n_bytes, ms)


def test_compute_bound_is_twice_the_maccs_over_the_peak():
    group = _group(
        macs=50_000_000, n_bytes=100_000, ms=1.25
    )  # 100 MFLOPs at 100 GFLOPS: 1 ms; 100 kB at 10 GB/s: 10 µs
    assert (1.0, 0.01, 1.0, 0.8) == (group.compute_ms, group.memory_ms, group.bound_ms, group.share)
    assert (80.0, 1000.0, "compute-bound") == (group.gflops_per_s, group.intensity, group.verdict)


def test_memory_bound_is_the_bytes_over_the_bandwidth():
    group = _group(macs=0, n_bytes=20_000_000, ms=2.5)  # 20 MB at 10 GB/s: 2 ms
    assert ("memory", 2.0, 0.8, "memory-bound") == (group.level, group.memory_ms, group.share, group.verdict)


@pytest.mark.parametrize(("n_bytes", "level"), [(1000, "L1"), (1001, "L2"), (10_000, "L2"), (10_001, "memory")])
def test_smallest_level_that_holds_all_bytes_bounds(n_bytes, level):
    assert level == _group(0, n_bytes, 1.0).level


def test_half_of_its_bound_is_enough_to_be_called_bound():
    assert "compute-bound" == _group(50_000_000, 100_000, 2.0).verdict
    assert "below both roofs" == _group(50_000_000, 100_000, 2.01).verdict


def test_without_a_bandwidth_only_the_peak_bounds():
    near, far = _group(50_000_000, 500, 1.5), _group(50_000_000, 500, 5.0)
    assert [None, None] == [near.memory_ms, far.memory_ms]
    assert ["compute-bound", "roof unknown"] == [near.verdict, far.verdict]


def test_layout_has_no_bound_and_no_share():
    group = _group(0, 0, 0.1)
    assert (None, None, None, "layout") == (group.level, group.memory_ms, group.share, group.verdict)


def test_more_than_five_percent_faster_than_its_bound_exceeds_it():
    assert [True, False] == [_group(50_000_000, 100_000, ms).exceeds for ms in (0.95, 0.96)]  # 1/0.95 = 1.053


def test_peak_is_the_fastest_dense_kernel_of_torch_or_of_the_runtime():
    slow, fast = KernelPeak("product", 80.0, 20, 20), KernelPeak("convolution", 118.0, 20, 20)
    assert 90.0 == roofs_of(_ceilings(), CACHES, [slow]).gflops_per_s
    assert 118.0 == roofs_of(_ceilings(), CACHES, [slow, fast]).gflops_per_s


def test_later_kernels_raise_the_peak_and_never_lower_it():
    raised = with_kernels(ROOFS, [KernelPeak("convolution", 118.0, 20, 20)])
    assert ((118.0, "convolution"), ROOFS.levels) == ((raised.gflops_per_s, raised.peak_of), raised.levels)
    assert ROOFS == with_kernels(ROOFS, [KernelPeak("product", 99.0, 20, 20), KernelPeak("other", 120.0, 20, 0)])


def test_disturbed_peak_counts_only_if_forced():
    disturbed = KernelPeak("convolution", 118.0, 20, 0)
    assert 90.0 == roofs_of(_ceilings(), CACHES, [disturbed]).gflops_per_s
    assert 118.0 == roofs_of(_ceilings(), CACHES, [disturbed], force=True).gflops_per_s


def test_no_undisturbed_peak_is_refused():
    with pytest.raises(UsageError, match="no sample was undisturbed"):
        roofs_of(_ceilings(clean=0), CACHES, [])


def test_level_holds_the_caches_that_the_threads_can_use():
    sizes = [[level.size_bytes for level in roofs_of(_ceilings(threads=n), CACHES, []).levels] for n in (1, 2, 8)]
    assert [[32 * 1024, 2**20, None], [64 * 1024, 2**21, None], [64 * 1024, 2**21, None]] == sizes


def test_level_has_its_fastest_pass_unless_one_is_not_to_be_trusted():
    measured = (
        *(_pass("L1", kind, 90.0, call_share=0.5 * (kind == "copy")) for kind in ("read", "copy")),
        *(_pass("L2", kind, rate) for kind, rate in (("read", 40.0), ("triad", 60.0))),
        _pass("memory", "copy", 20.0, clean=0),
    )
    rates = {level.name: level.gb_per_s for level in roofs_of(_ceilings(*measured), CACHES, []).levels}
    assert {"L1": None, "L2": 60.0, "memory": None} == rates
    assert 20.0 == roofs_of(_ceilings(*measured), CACHES, [], force=True).levels[-1].gb_per_s


def test_sums_keep_all_time_and_work():
    groups = [_group(10, 2000, 1.0), _group(20, 0, 2.0), _group(5, 3000, 4.0)]
    (one,) = sums(groups, "kind")
    assert (3, 35, 5000, 7.0) == (one.groups, one.macs, one.n_bytes, one.ms)


@pytest.mark.parametrize(
    ("operator", "fusible", "convolution", "kind"),
    [
        ("Conv", False, ((3, 3), 1, 16), "convolution 3×3"),
        ("Conv", False, ((3, 3), 16, 16), "depthwise 3×3"),
        ("Conv", False, ((3, 3), 4, 16), "grouped convolution 3×3"),
        ("DeformConv", False, ((3, 3), 1, 16), "deformable convolution 3×3"),
        ("MatMul+Add", False, None, "matrix product"),
        ("Sigmoid+Mul", True, None, "element-wise"),
        ("Resize", False, None, "resize"),
        ("Unheard", False, None, "Unheard"),
    ],
)
def test_kind_of_an_operator(operator, fusible, convolution, kind):
    assert kind == kind_of(operator, fusible, convolution)


EXPORTED = [
    Node("/conv", "Conv", ("c",)),
    Node("/sigmoid", "Sigmoid", ("s",)),
    Node("/mul", "Mul", ("m",)),
    Node("/split", "Split", ("a", "b")),
    Node("", "Add", ("sum",)),
]


@pytest.mark.parametrize(
    ("node", "made"),
    [
        (Node("c_nchwc", "Conv", ("token",)), ("c",)),
        (Node("/mul/QuickGeluFusion/", "QuickGelu", ("token",)), ("m",)),
        (Node("/conv/OneFusion//OtherFusion/", "FusedConv", ("m",)), ("c", "m")),
        (Node("/split", "Split", ("t0", "t1")), ("a", "b")),
        (Node("unknown", "FusedAdd", ("sum",)), ("sum",)),
        (Node("ReorderOutput", "ReorderOutput", ("m",)), ()),
        (Node("Transpose_token_1", "Transpose", ("a",)), ()),
    ],
)
def test_kernel_is_known_by_its_name_or_by_what_it_writes(node, made):
    assert [made] == tensors_made([node], EXPORTED)


def test_tensor_belongs_to_the_kernel_that_is_named_after_it():
    run = [Node("c_nchwc", "Conv", ("token",)), Node("x", "Other", ("c",))]
    assert [("c",), ()] == tensors_made(run, EXPORTED)


def test_events_are_split_into_runs_and_fences_left_out():
    def node(name: str, us: int):
        return {"cat": "Node", "name": name, "dur": us, "args": {"op_name": "Conv"}}

    end = {"cat": "Session", "name": "model_run"}
    load = {"cat": "Session", "name": "session_initialization"}
    events = [load, node("a_kernel_time", 1500), node("a_fence_before", 9), end, node("a_kernel_time", 2000), end]
    assert [[("a", "Conv", 1.5)], [("a", "Conv", 2.0)]] == list(passes_of(events))


class _Watch:
    """Calls every second sample disturbed."""

    def __init__(self) -> None:
        self.samples = count()

    def start(self) -> None:
        pass

    def stop(self) -> Disturbance:
        n = next(self.samples)
        return Disturbance(float(n), 0.0, 0.0, 0, n % 2 == 0)


def test_sessions_take_turns_and_the_first_run_of_a_turn_is_not_timed():
    ran: list[str] = []
    sessions = {name: (lambda name=name: ran.append(name)) for name in ("profiled", "plain")}
    taken = alternate(sessions, _Watch(), 0.0, lambda _: None, clock=lambda: 0.0)
    assert ["profiled"] * 4 + ["plain"] * 4 == ran[:8]
    assert [1, 2, 3, 5, 6, 7] == [run.index for run in taken["plain"][:6]]
    assert min(len(runs) for runs in taken.values()) >= 10


def test_turns_end_when_enough_runs_were_clean():
    taken = alternate(dict.fromkeys(("profiled", "plain"), lambda: None), _Watch(), 1.0, lambda _: None, lambda: 0.0)
    assert 21 <= min(sum(run.clean for run in runs) for runs in taken.values()) < 21 + 3
