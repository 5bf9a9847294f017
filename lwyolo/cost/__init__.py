"""What a model costs on paper, without a clock: parameters, operations and memory access, per layer and operator."""

from __future__ import annotations

from lwyolo.cost.operations import Work, op_cost
from lwyolo.cost.profiler import profile
from lwyolo.cost.tree import Cost, LayerCost, OperatorCost

__all__ = ["Cost", "LayerCost", "OperatorCost", "Work", "op_cost", "profile"]
