"""The table that `profile` returns, what it leaves alone, and what it refuses."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from lwyolo.cost import Cost, profile
from lwyolo.errors import CostError
from lwyolo.record import CostRecord


class Twice(nn.Module):
    """One convolution and one activation object, both called `k` times."""

    def __init__(self, k: int):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.act = nn.SiLU()
        self.k = k

    def forward(self, x):
        for _ in range(self.k):
            x = self.act(self.conv(x))
        return x


def snapshot(model):
    """All that a forward pass could change: numbers, flags, and the attributes of every module."""
    flags = [
        (name, module.training, sorted(vars(module)), len(module._forward_hooks))
        for name, module in model.named_modules()
    ]
    plain = [
        (name, key, value.clone() if isinstance(value, torch.Tensor) else value)
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, (torch.Tensor, int, float, str, tuple))
    ]
    return flags, plain, {key: value.clone() for key, value in model.state_dict().items()}


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return a == b


@pytest.mark.parametrize("fused", [None, True])
@pytest.mark.parametrize("training", [True, False])
def test_model_of_the_caller_stays_as_it_is(stock, fused, training):
    model = stock("yolov8n")
    model(torch.zeros(1, 3, 64, 64))  # fills the anchors of another size
    model.train(training)
    before, random_state = snapshot(model), torch.get_rng_state()

    profile(model, 96, fused=fused)

    after = snapshot(model)
    model.eval()
    assert equal(before, after)
    assert torch.equal(random_state, torch.get_rng_state())


def test_first_call_equals_the_second_and_one_after_use(stock):
    model = stock("yolov8n")
    first, second = profile(model, 64), profile(model, 64)
    model(torch.zeros(1, 3, 64, 64))

    assert first == second == profile(model, 64)


@pytest.mark.parametrize("name", ["yolov8n", "yolo26n"])
def test_layer_rows_and_operators_sum_to_the_totals(stock, name):
    cost = profile(stock(name), 160)

    for figure in ("macs", "flops", "memory_access_bytes", "memory_access_fused_bytes"):
        assert getattr(cost, figure) == sum(getattr(layer, figure) for layer in cost.layers), figure
        assert getattr(cost, figure) == sum(getattr(operator, figure) for operator in cost.operators), figure
    for figure in ("params", "activation_bytes"):
        assert (
            sum(getattr(layer, figure) for layer in cost.layers)
            == {
                "params": cost.params,
                "activation_bytes": cost.activation_bytes,
            }[figure]
        )
    assert cost.params == sum(p.numel() for p in stock(name).parameters())


def test_every_module_holds_at_least_what_its_children_hold(stock):
    for layer in profile(stock("yolov8n"), 160).layers:
        for module in layer.walk():
            assert module.macs >= sum(child.macs for child in module.children)
            assert module.params >= sum(child.params for child in module.children)


def test_rows_are_those_of_the_yaml(stock):
    cost = profile(stock("yolov8n"), 640)

    assert list(range(23)) == [layer.index for layer in cost.layers]
    assert (0, -1, "Conv", ((1, 16, 320, 320),)) == tuple(
        getattr(cost.layers[0], name) for name in ("index", "from_", "type", "output_shapes")
    )
    assert ((15, 18, 21), "Detect", ((1, 84, 8400),)) == tuple(
        getattr(cost.layers[22], name) for name in ("from_", "type", "output_shapes")
    )
    assert 16 * 320 * 320 * 3 * 9 == cost.layers[0].macs


def test_shared_activation_is_placed_where_it_was_called(stock):
    """Ultralytics has one SiLU object for the whole network; by identity all of it would lie in the first layer."""
    calls = [m for layer in profile(stock("yolov8n"), 160).layers for m in layer.walk() if m.type == "SiLU"]

    assert 57 == len(calls)
    assert {1} == {m.calls for m in calls}
    assert all(m.path.endswith(".act") for m in calls)
    assert 57 == len({m.path for m in calls})


@pytest.mark.parametrize("k", [1, 2, 5])
def test_module_called_k_times_counts_k_times(k):
    cost = profile(Twice(k), input_shape=(1, 4, 8, 8))

    assert k * 8 * 8 * 4 * 4 * 9 == cost.macs
    assert [("conv", k), ("act", k)] == [(layer.path, layer.calls) for layer in cost.layers]
    assert 4 * 4 * 9 == cost.params


def test_parameter_that_two_modules_share_is_counted_once():
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    model[1].weight = model[0].weight

    cost = profile(model, input_shape=(1, 6))

    assert 6 * 6 + 6 + 6 == cost.params == sum(layer.params for layer in cost.layers)


def test_what_a_model_does_itself_is_the_last_row():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.scale = nn.Parameter(torch.zeros(4))

        def forward(self, x):
            return self.linear(x) * self.scale

    rows = [(r.type, r.params, r.flops) for r in profile(Scaled(), input_shape=(2, 4)).layers]

    assert [("Linear", 20, 64), ("(outside of layers)", 4, 8)] == rows


def test_module_without_children_is_its_own_row():
    (row,) = profile(nn.Conv2d(3, 4, 1), 8).layers

    assert ("Conv2d", 8 * 8 * 12, ((1, 4, 8, 8),)) == (row.type, row.macs, row.output_shapes)


def test_image_may_be_oblong_and_of_other_channels():
    cost = profile(nn.Conv2d(1, 4, 1), (8, 6), batch=3, channels=1)

    assert (((3, 1, 8, 6),), 3 * 8 * 6 * 4) == (cost.input_shapes, cost.macs)


def test_levels_are_given_as_a_list_of_shapes():
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, levels):
            return [self.conv(level) for level in levels]

    cost = profile(Head(), input_shape=[(1, 4, 8, 8), (1, 4, 4, 4)])

    assert (64 + 16) * 16 == cost.macs
    assert ((1, 4, 4, 4),) == cost.layers[0].output_shapes


def test_block_that_pads_to_a_fixed_size_costs_the_same_at_any_size():
    """Extrapolated from small images, as Ultralytics counts, such a block is off by the ratio of areas."""

    class FixedGrid(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 1)

        def forward(self, x):
            return self.conv(nn.functional.interpolate(x, size=(20, 20)))

    assert 400 * 24 == profile(FixedGrid(), 32).macs == profile(FixedGrid(), 640).macs


def test_tensor_kept_beside_the_weights_meets_meta_tensors():
    class Grid(nn.Module):
        def __init__(self):
            super().__init__()
            self.grid = torch.ones(8, 8)

        def forward(self, x):
            return x * self.grid

    assert 2 * 64 == profile(Grid(), 8, channels=2).flops


def test_model_on_the_meta_device_gives_the_same_table(stock):
    from copy import deepcopy

    model = deepcopy(stock("yolov8n"))
    model.to("meta")

    assert profile(stock("yolov8n"), 160, fused=True) == profile(model, 160, fused=True)


def test_yolo_object_is_profiled_by_its_network():
    from ultralytics import YOLO

    model = YOLO("yolov8n.yaml")

    assert "DetectionModel" == profile(model, 64).name


def test_record_keeps_the_figures_and_how_they_were_taken(stock):
    cost = profile(stock("yolov8n"), (64, 96), fused=True)

    record = cost.record(ultralytics_gflops=8.7)

    assert isinstance(record, CostRecord)
    assert (cost.params, cost.macs, 2 * cost.macs / 1e9) == (record.params, record.macs, record.gflops)
    assert ((64, 96), 1, "float32", True, 8.7) == (
        record.imgsz, record.batch, record.dtype, record.fused, record.ultralytics_gflops,
    )  # fmt: skip
    assert cost.peak_activation_bytes == record.peak_activation_bytes
    assert 23 == record.layers


def test_record_of_what_takes_no_image_is_refused():
    with pytest.raises(
        CostError, match=r"Linear was profiled on an input of shape \(1, 4\); a record needs \[B, C, H, W\]"
    ):
        profile(nn.Linear(4, 4), input_shape=(1, 4)).record()


def test_cost_cannot_be_changed():
    cost = profile(nn.Conv2d(3, 4, 1), 8)

    with pytest.raises(dataclasses.FrozenInstanceError):
        cost.macs = 0
    assert isinstance(cost, Cost)


def test_a_tuple_of_levels_shows_all_of_them_and_a_head_its_result():
    class Split(nn.Module):
        def forward(self, x):
            return x.split([1, 3], dim=1)

    class Head(nn.Module):
        def forward(self, x):
            return x, [x, x]

    (split,) = profile(nn.Sequential(Split()), input_shape=(1, 4, 8, 8)).layers
    (head,) = profile(nn.Sequential(Head()), input_shape=(1, 4, 8, 8)).layers

    assert ((1, 1, 8, 8), (1, 3, 8, 8)) == split.output_shapes
    assert ((1, 4, 8, 8),) == head.output_shapes
