"""Run a model for its shapes only, without torch's own meta kernels where we have a rule.

torch writes most meta kernels in Python: a batch norm takes 1 ms, a grid_sample 20 ms, and the first of them imports
sympy and torch._dynamo, 1.7 s. The rules cover nearly everything that a detector does; the rest is left to torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from lwyolo.cost.operations import operator_name
from lwyolo.cost.rules import ELEMENTWISE, RULES


@dataclass(frozen=True, slots=True)
class Operator:
    """What a schema says of an operator: whether it only makes a view, is made of others, which arguments it writes."""

    name: str
    view: bool
    composite: bool
    pointwise: bool
    written: tuple[tuple[int, str], ...]


@cache
def describe(func: Any) -> Operator:
    """Read the schema of an operator overload."""
    schema = func._schema
    written = tuple((i, a.name) for i, a in enumerate(schema.arguments) if a.alias_info and a.alias_info.is_write)
    aliases = any(result.alias_info and not result.alias_info.is_write for result in schema.returns)
    composite = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    view = (aliases and not written) or torch.Tag.inplace_view in func.tags
    return Operator(operator_name(func), view, composite, torch.Tag.pointwise in func.tags, written)


def tensors_in(*values: Any) -> list[Tensor]:
    """Every tensor in nested tuples, lists and dicts, in order."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            if value and type(value[0]) is not int:  # a shape, or strides
                found += tensors_in(*value)
        elif isinstance(value, dict) and value:
            found += tensors_in(*value.values())
    return found


class ShapeMode(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its base class untyped
    """Answer operators on the meta device by the rules of `rules.py`; it changes no result, only the time taken.

    Under `torch.inference_mode`, composite operators arrive whole: one with a rule is answered as it is, any other is
    taken apart.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True makes torch wrap the method below in torch._dynamo.disable, whose import takes 1.1 s

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        operator = describe(func)
        kwargs = kwargs or {}
        if operator.composite and not self.keeps_whole(operator):
            # torch's compiled decomposition, which is what runs, and not `decompose` with its Python variants
            with self:
                return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
        return self.run(operator, func, args, kwargs)

    def keeps_whole(self, operator: Operator) -> bool:
        """Whether a composite operator is answered as one."""
        return operator.name in RULES

    def run(self, operator: Operator, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the operator's result."""
        return answer(operator, func, args, kwargs, tensors_in(args, kwargs))


def answer(operator: Operator, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor]) -> Any:
    """Return an operator's result, by our rule on the meta device and by torch elsewhere, given its operands."""
    if any(t.is_meta for t in tensors) and any(not t.is_meta and t.dim() > 0 for t in tensors):
        args, kwargs = _to_meta(args), _to_meta(kwargs)  # what a module keeps beside its weights, such as a grid
        tensors = tensors_in(args, kwargs)
    rule = RULES.get(operator.name)
    options = {name: value for name, value in kwargs.items() if value is not None and value is not False}
    ours = rule is not None and bool(tensors) and all(t.is_meta for t in tensors)
    if not ours or (operator.name not in ELEMENTWISE and (options or operator.written)):
        return func(*args, **kwargs)
    result = rule(*args, **options) if rule else NotImplemented
    if result is not NotImplemented and operator.written:
        fits = result.shape == tensors[0].shape and result.dtype == tensors[0].dtype
        result = tensors[0] if fits else NotImplemented
    return func(*args, **kwargs) if result is NotImplemented else result


def _to_meta(values: Any) -> Any:
    return tree_map(lambda v: v.to("meta") if isinstance(v, Tensor) and v.dim() > 0 else v, values)
