"""Groups of rooflines summed up by kind, and why two models of like FLOPs differ in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lwyolo.speed.roofline import Group, Roofline


@dataclass(frozen=True, slots=True)
class Sum:
    """Groups that have something in common."""

    name: str
    groups: int
    macs: int
    n_bytes: int
    ms: float
    bound_ms: float

    @property
    def gflops_per_s(self) -> float:
        """Achieved model FLOPS."""
        return 2 * self.macs / self.ms / 1e6 if self.ms else 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """One kind of groups in two models; a model without such groups has zeros."""

    kind: str
    first: Sum
    second: Sum

    @property
    def more_ms(self) -> float:
        """Time that the second model takes longer, negative where it is faster."""
        return self.second.ms - self.first.ms


def total(name: str, groups: Sequence[Group]) -> Sum:
    """Sum groups up."""
    return Sum(
        name=name,
        groups=len(groups),
        macs=sum(one.macs for one in groups),
        n_bytes=sum(one.n_bytes for one in groups),
        ms=sum(one.ms for one in groups),
        bound_ms=sum(one.bound_ms for one in groups),
    )


def sums(groups: Sequence[Group], key: Literal["kind", "verdict"]) -> list[Sum]:
    """Sum groups up by kind or by verdict, the longest first."""
    by: dict[str, list[Group]] = {}
    for group in groups:
        by.setdefault(getattr(group, key), []).append(group)
    return sorted((total(name, some) for name, some in by.items()), key=lambda one: -one.ms)


def differences(first: Roofline, second: Roofline) -> list[Difference]:
    """Compare two models kind by kind, the largest difference in time first."""
    one, other = ({found.name: found for found in sums(model.groups, "kind")} for model in (first, second))
    found = [
        Difference(kind, one.get(kind, total(kind, ())), other.get(kind, total(kind, ())))
        for kind in dict.fromkeys((*one, *other))
    ]
    return sorted(found, key=lambda one: -abs(one.more_ms))
