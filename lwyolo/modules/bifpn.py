"""Weighted fusion of feature maps.

Tan et al., "EfficientDet: Scalable and Efficient Object Detection", CVPR 2020, arXiv 1911.09070: fast normalised
fusion, equation O = sum_i w_i / (eps + sum_j w_j) * I_i with w_i >= 0 by a ReLU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
    """Average of several feature maps of one shape, with a learned weight each; in the place of Concat.

    The weights are one vector: optimisers that treat matrices alone, such as Muon, leave it to their fallback.

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

    def forward(self, x: list[Tensor]) -> Tensor:
        """Fuse."""
        weight = F.relu(self.weight)
        weight = weight / (self.eps + weight.sum())
        return torch.stack([level * weight[i] for i, level in enumerate(x)]).sum(0)
