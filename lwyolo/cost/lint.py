"""What a model's costs warn of: the four guidelines of ShuffleNet V2, and FasterNet on depthwise convolutions.

Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018, show by their own
timings that models of equal FLOPs differ in speed, and why: G1 unequal widths and G2 groups raise memory access, G3
fragments leave little to do at once, G4 element-wise operators move much and compute little. Chen et al., "Run, Don't
Walk: Chasing Higher FLOPS for Faster Neural Networks", CVPR 2023: depthwise convolutions lower FLOPs and FLOPS alike.

The papers give no thresholds; those below are ours, and chosen so that a plain row raises nothing. A finding is a
reason to measure the latency, not a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lwyolo.cost.tree import Convolution, Cost, LayerCost

SHARE = 0.005
"""A row is named where what is found costs at least this share of the model's memory access."""
WIDTH_RATIO = 2
"""G1: one width is more than this many times the other."""
FRAGMENTS, WORK_RATIO = 8, 0.25
"""G3: so many kernels or more in one row, whose mean work is below this share of the mean kernel of the model."""
ELEMENTWISE, ELEMENTWISE_LEFT = 0.55, 0.15
"""G4: the share of a row's memory access when operators run one by one, or of what is left after merging."""
ITEMSIZE = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1}


@dataclass(frozen=True, slots=True)
class Finding:
    """A row of the YAML that a guideline warns of.

    Args:
        guideline: G1, G2, G3, G4 or depthwise.
        index: Row of the model YAML, `None` for a model without rows.
        found: What, with its figures.
        share: Of the model's eager memory access, that which is meant.
    """

    guideline: str
    index: int | None
    type: str
    found: str
    share: float


def lint(cost: Cost) -> tuple[Finding, ...]:
    """Return what the guidelines find, by guideline and then by row.

    Example:
        >>> from torch import nn
        >>> from lwyolo.cost import profile
        >>> for finding in lint(profile(nn.Sequential(nn.Conv2d(16, 64, 1)), input_shape=(1, 16, 32, 32))):
        ...     print(finding.guideline, finding.found)
        G1 1×1, 16 → 64 channels: 20 % of the memory access is due to unequal widths
    """
    return tuple(f for rule in (_widths, _groups, _fragments, _elementwise, _depthwise) for f in _apply(rule, cost))


def _apply(rule: Callable[[LayerCost, Cost], tuple[str, str, float]], cost: Cost) -> Iterator[Finding]:
    for layer in cost.layers:
        guideline, found, n_bytes = rule(layer, cost)
        share = n_bytes / max(cost.memory_access_bytes, 1)
        if found and share >= SHARE:
            yield Finding(guideline, layer.index, layer.type, found, share)


def _widths(layer: LayerCost, cost: Cost) -> tuple[str, str, float]:
    """G1: of all widths with one product, equal ones move least: hw(c1 + c2) ≥ 2·hw·√(c1·c2)."""
    meant = [
        c
        for c in _convolutions(layer)
        if c.groups == 1 and c.positions_in == c.positions_out and max(c.c1, c.c2) > WIDTH_RATIO * min(c.c1, c.c2)
    ]
    size = ITEMSIZE[cost.dtype]
    excess = sum(size * c.positions_out * (math.sqrt(c.c1) - math.sqrt(c.c2)) ** 2 for c in meant)
    part = excess / max(sum(c.memory_access_bytes for c in meant), 1)
    return "G1", _largest(meant, f"{100 * part:.0f} % of the memory access is due to unequal widths"), excess


def _groups(layer: LayerCost, cost: Cost) -> tuple[str, str, float]:
    """G2: at equal FLOPs, hw(c1 + c2) + c1·c2 / g grows with the number of groups."""
    meant = [c for c in _convolutions(layer) if 1 < c.groups < c.c1]
    n_bytes = sum(c.memory_access_bytes for c in meant)
    return "G2", _largest(meant, f"{meant[0].groups} groups, {_intensity(meant, cost)}" if meant else ""), n_bytes


def _fragments(layer: LayerCost, cost: Cost) -> tuple[str, str, float]:
    """G3: many small kernels leave a parallel device idle, and each has to be launched."""
    mean = cost.macs / max(sum(row.n_groups for row in cost.layers), 1)
    own = layer.macs / max(layer.n_groups, 1)
    if layer.n_groups < FRAGMENTS or own >= WORK_RATIO * mean:
        return "G3", "", 0
    found = f"{layer.n_groups} kernels of {own / 1e6:.2f} MMACCs on average; the model's mean is {mean / 1e6:.2f}"
    return "G3", found, layer.memory_access_bytes


def _elementwise(layer: LayerCost, cost: Cost) -> tuple[str, str, float]:
    """G4: activations, sums and products compute little for what they move."""
    eager = layer.elementwise_bytes / max(layer.memory_access_bytes, 1)
    left = layer.elementwise_fused_bytes / max(layer.memory_access_fused_bytes, 1)
    if eager < ELEMENTWISE and left < ELEMENTWISE_LEFT:
        return "G4", "", 0
    shares = f"{100 * eager:.0f} % of its bytes, and {100 * left:.0f} % when a runtime merges them"
    return "G4", f"element-wise operators move {shares}", layer.elementwise_bytes


def _depthwise(layer: LayerCost, cost: Cost) -> tuple[str, str, float]:
    """FasterNet: a depthwise convolution has few FLOPs for each byte, so its FLOPS are low too."""
    meant = [c for c in _convolutions(layer) if c.groups == c.c1 > 1]
    return "depthwise", _largest(meant, _intensity(meant, cost)), sum(c.memory_access_bytes for c in meant)


def _convolutions(layer: LayerCost) -> list[Convolution]:
    return [convolution for part in layer.walk() for convolution in part.convolutions]


def _largest(meant: Sequence[Convolution], what: str) -> str:
    """Name the convolution that moves most, and say how many others there are."""
    if not meant:
        return ""
    c = max(meant, key=lambda c: c.memory_access_bytes)
    more = f" and {len(meant) - 1} more" if len(meant) > 1 else ""
    return f"{'×'.join(map(str, c.kernel))}, {c.c1} → {c.c2} channels{more}: {what}"


def _intensity(meant: Sequence[Convolution], cost: Cost) -> str:
    """Say how many FLOPs there are for each byte, beside the mean of all of the model's convolutions."""

    def per_byte(convolutions: Sequence[Convolution]) -> float:
        return 2 * sum(c.macs for c in convolutions) / max(sum(c.memory_access_bytes for c in convolutions), 1)

    everything = [c for layer in cost.layers for c in _convolutions(layer)]
    return f"{per_byte(meant):.1f} FLOPs a byte; the model's convolutions have {per_byte(everything):.0f}"
