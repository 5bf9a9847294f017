from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lwyolo.modules.bifpn import WeightedFusion

weights = st.lists(st.floats(-2, 2, width=32), min_size=2, max_size=5)


def fusion(values):
    module = WeightedFusion([8] * len(values))
    module.weight.data = torch.tensor(values)
    return module


@given(values=weights)
def test_weights_are_not_negative_and_add_up_to_at_most_one(values):
    used = fusion(values).normalized()

    assert (used >= 0).all()
    assert used.sum() <= 1 + 1e-6


@given(values=st.lists(st.floats(0.25, 2, width=32), min_size=2, max_size=5))
def test_equal_inputs_give_about_that_input(values):
    x = torch.rand(2, 8, 3, 5)

    torch.testing.assert_close(fusion(values)([x] * len(values)), x, rtol=5e-4, atol=0)


def test_new_weights_give_the_mean():
    x = [torch.rand(1, 8, 4, 4) for _ in range(3)]

    torch.testing.assert_close(WeightedFusion([8, 8, 8])(x), sum(x) / 3, rtol=1e-4, atol=0)


def test_the_paper_s_equation():
    x = [torch.tensor([[[[1.0]]]]), torch.tensor([[[[10.0]]]]), torch.tensor([[[[100.0]]]])]

    assert (1 * 1 + 3 * 100) / (1 + 3 + 1e-4) == pytest.approx(fusion([1.0, -2.0, 3.0])(x).item())


def test_all_weights_zero_is_defined():
    x = torch.rand(1, 8, 4, 4)

    assert torch.equal(torch.zeros_like(x), fusion([0.0, -1.0])([x, x]))


def test_one_weight_an_input():
    assert [4] == [p.numel() for p in WeightedFusion([8] * 4).parameters()]


def test_half_precision_stays():
    x = torch.rand(1, 8, 4, 4).half()

    assert torch.float16 == WeightedFusion([8, 8]).half()([x, x]).dtype
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.bfloat16 == WeightedFusion([8, 8])([x.bfloat16(), x.bfloat16()]).dtype
