"""What `profile` names as missing, and what it refuses, with the whole message."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from lwyolo.cost import profile
from lwyolo.errors import CostError


class Sorting(nn.Module):
    """Uses an operator that has no formula."""

    def forward(self, x):
        return torch.searchsorted(x.flatten(), x)


def test_operator_without_a_formula_is_named_with_its_calls_and_bytes():
    cost = profile(Sorting(), input_shape=(1, 8))

    assert {"aten::searchsorted": 1} == cost.uncounted
    (operator,) = (o for o in cost.operators if not o.counted)
    assert ("aten::searchsorted", 1, 8 * 4 + 8 * 4 + 8 * 8) == (
        operator.name,
        operator.calls,
        operator.memory_access_bytes,
    )


def message(call):
    with pytest.raises(CostError) as error:
        call()
    return str(error.value)


def test_strict_refuses_operators_without_a_formula():
    assert (
        "Sorting: operators without a formula: aten::searchsorted (1 calls). Give each one with @op_cost."
        == message(lambda: profile(Sorting(), input_shape=(1, 8), strict=True))
    )


def test_deployed_graph_of_a_model_without_fuse_is_refused():
    assert "Conv2d has no fuse(), so no deployed graph of its own; leave out fused=True." == message(
        lambda: profile(nn.Conv2d(3, 4, 1), 8, fused=True)
    )


def test_training_graph_of_a_fused_model_is_refused(stock):
    model = deepcopy(stock("yolov8n")).fuse(verbose=False)

    assert "fused=False: DetectionModel is fused already, and its training graph is gone." == message(
        lambda: profile(model, 64, fused=False)
    )
    assert profile(model, 64).fused


def test_failure_names_the_module_the_input_and_the_cause():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.Conv2d(5, 4, 1)))

    assert message(lambda: profile(model, 8)).startswith(
        "Sequential on an input of shape (1, 3, 8, 8) fails in 1.0 (Conv2d), given (1, 4, 8, 8): RuntimeError: "
    )


def test_size_that_the_strides_do_not_divide_is_explained(stock):
    assert message(lambda: profile(stock("yolov8n"), 100)).endswith("Image sides must be multiples of 32.")


def test_graph_that_depends_on_numbers_runs_on_the_cpu():
    class Selecting(nn.Module):
        def forward(self, x):
            return x[x >= 0].sum() if bool((x >= 0).all()) else x

    text = message(lambda: profile(Selecting(), input_shape=(1, 8)))

    assert "device='cpu' runs it for real" in text
    assert 2 * 8 + 8 == profile(Selecting(), input_shape=(1, 8), device="cpu").flops


def test_unknown_dtype_is_answered_with_the_nearest():
    assert "dtype='float61': expected one of float32, float16, bfloat16, float64. Did you mean float64?" == message(
        lambda: profile(nn.Conv2d(3, 4, 1), 8, dtype="float61")
    )


def test_what_is_no_module_is_refused():
    assert "profile() takes a torch.nn.Module, and got str." == message(lambda: profile("yolov8n.yaml"))


def test_lazy_module_is_refused():
    assert "0 (LazyLinear) has no shapes yet: run one forward pass first." == message(
        lambda: profile(nn.Sequential(nn.LazyLinear(3)), input_shape=(1, 4))
    )
