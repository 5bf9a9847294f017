"""Weighted fusion of BiFPN: several feature maps of one shape, added with learned weights.

Tan, Pang and Le, "EfficientDet: Scalable and Efficient Object Detection", CVPR 2020, arXiv 1911.09070.

This is the paper's fast normalised fusion alone, sum_i w_i x_i / (eps + sum_j w_j) with w >= 0; the bidirectional
pyramid around it is drawn in the model YAML, where the convolution after each fusion is a row of its own.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from lwyolo.registry import register_module
from lwyolo.spec import Paper


@register_module(
    kind="fusion",
    paper=Paper(
        title="EfficientDet: Scalable and Efficient Object Detection",
        venue="CVPR",
        year=2020,
        url="https://arxiv.org/abs/1911.09070",
    ),
    row="[[-1, 6], 1, WeightedFusion, []]",
)
class WeightedFusion(nn.Module):
    """Weighted mean of several feature maps, with one learned weight each.

    The weights are a one-dimensional parameter without `bias` in its name: Ultralytics' optimizers apply weight decay
    to it, and Muon, which takes parameters of two and four dimensions, leaves it to SGD.

    Args:
        eps: Keeps the division defined when all weights are zero.

    Shapes:
        x: list of [B, c, H, W], all of one shape
        returns: [B, c, H, W]
    """

    def __init__(self, ch: list[int], eps: float = 1e-4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(len(ch)))
        self.eps = eps

    def normalized(self) -> Tensor:
        """Return the weights in use: none is negative, and they add up to about 1."""
        weight = torch.relu(self.weight)
        return weight / (weight.sum() + self.eps)

    def forward(self, x: list[Tensor]) -> Tensor:
        """Add the feature maps by weight."""
        weighted = [weight * level for weight, level in zip(self.normalized(), x, strict=True)]
        total: Tensor = functools.reduce(torch.add, weighted)  # stacking would copy each; ncnn fails on a sum over one
        return total
