"""`profile`: what one forward pass of a model costs on paper, per layer, without running its arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lwyolo.cost.copying import copy_with, fuse, is_fused, meta_copy, weight_storages
from lwyolo.cost.memory import compulsory_bytes, fused_bytes, peak_activation
from lwyolo.cost.paths import Call, CallTree
from lwyolo.cost.shapes import ShapeMode, tensors_in
from lwyolo.cost.trace import OperatorTrace, Step
from lwyolo.cost.tree import Cost, LayerCost, OperatorCost
from lwyolo.errors import CostError, did_you_mean

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}
OUTSIDE = "(outside of layers)"


def profile(
    model: nn.Module,
    imgsz: int | tuple[int, int] = 640,
    *,
    batch: int = 1,
    channels: int | None = None,
    fused: bool | None = None,
    input_shape: tuple[int, ...] | list[tuple[int, ...]] | None = None,
    dtype: str = "float32",
    strict: bool = False,
    device: str = "meta",
) -> Cost:
    """Profile one forward pass, in evaluation mode, of a copy of a model; the model itself stays as it is.

    The pass is the second one: what a first pass makes and keeps, such as a head's anchors, is not part of it.

    Args:
        model: An Ultralytics model, or any module; it may live on any device, the meta device included.
        imgsz: Image height and width in pixels, or one number for both.
        batch: Images in the pass.
        channels: Channels of the image; by default what the model's YAML says, else 3.
        fused: `True` profiles the deployed graph (`fuse()` on the copy), `False` insists on the training graph,
            `None` takes the model as it is.
        input_shape: Shape of the whole input, batch first, for a module that takes no image; a list of shapes for one
            that takes a list of levels.
        dtype: Type of weights and activations: float32, float16, bfloat16 or float64.
        strict: Refuse a model with operators that have no formula.
        device: `meta`, where nothing is computed, or `cpu`, for a model whose graph depends on the numbers in it.

    Raises:
        CostError: The model cannot be copied, fused or run; or, if `strict`, an operator has no formula.

    Example:
        >>> cost = profile(nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), imgsz=64)
        >>> cost.params, cost.macs, cost.macs == 32 * 32 * 16 * 3 * 9
        (432, 442368, True)
    """
    if dtype not in DTYPES:
        raise CostError(f"dtype={dtype!r}: expected one of {', '.join(DTYPES)}.{did_you_mean(dtype, DTYPES)}")
    if fused is False and is_fused(model):
        raise CostError(f"fused=False: {type(model).__name__} is fused already, and its training graph is gone.")
    twin = _copy(model, DTYPES[dtype], device)
    if fused and not is_fused(twin):
        fuse(twin)
    shapes = _input_shapes(model, imgsz, batch, channels, input_shape)
    tensors = [torch.zeros(shape, dtype=DTYPES[dtype], device=device) for shape in shapes]
    traced = _trace(twin, tensors if isinstance(input_shape, list) else tensors[0])
    cost = _build(traced, twin, shapes, dtype, bool(fused) or is_fused(twin))
    if strict and cost.uncounted:
        missing = ", ".join(f"{name} ({calls} calls)" for name, calls in cost.uncounted.items())
        raise CostError(f"{cost.name}: operators without a formula: {missing}. Give each one with @op_cost.")
    return cost


def _copy(model: nn.Module, dtype: torch.dtype, device: str) -> nn.Module:
    if device == "meta":
        return meta_copy(model, dtype)
    return copy_with(model, lambda t: nn.Parameter(t.detach().clone(), t.requires_grad) if isinstance(t, nn.Parameter)
                     else t.clone()).to(device, dtype).eval()  # fmt: skip


def _input_shapes(
    model: nn.Module, imgsz: int | tuple[int, int], batch: int, channels: int | None, given: Any
) -> tuple[tuple[int, ...], ...]:
    if given is not None:
        return tuple(tuple(shape) for shape in given) if isinstance(given, list) else (tuple(given),)
    yaml = getattr(model, "yaml", None)
    height, width = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
    return ((batch, channels or (yaml.get("channels", 3) if isinstance(yaml, dict) else 3), height, width),)


@dataclass(slots=True)
class _Totals:
    """Sums over steps."""

    macs: int = 0
    flops: int = 0
    eager: int = 0
    fused: int = 0
    written: int = 0
    calls: int = 0
    counted: bool = True

    def add(self, step: Step, fused: int) -> None:
        self.macs += step.work.macs
        self.flops += step.flops
        self.eager += step.n_bytes
        self.fused += fused
        self.written += sum(access.n_bytes for access in step.writes)
        self.calls += 1
        self.counted &= step.counted

    def __iadd__(self, other: _Totals) -> _Totals:
        for name in ("macs", "flops", "eager", "fused", "written"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


@dataclass(slots=True)
class _Traced:
    tree: CallTree
    trace: OperatorTrace
    outputs: set[int] = field(default_factory=set)


def _trace(model: nn.Module, inputs: Tensor | list[Tensor]) -> _Traced:
    """Run once to fill caches, then once to trace."""
    tree = CallTree(model)
    trace = OperatorTrace(tree, weight_storages(model))
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its one operator hides the products inside from the CPU's count
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            with ShapeMode():
                model(_fresh(inputs))
            with tree.following(), trace:
                result = model(_fresh(inputs))
    except Exception as error:
        raise CostError(_why(model, inputs, tree, error)) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    return _Traced(tree, trace, {trace.value_of(t) for t in tensors_in(result)})


def _fresh(inputs: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
    return list(inputs) if isinstance(inputs, list) else inputs


def _why(model: nn.Module, inputs: Tensor | list[Tensor], tree: CallTree, error: Exception) -> str:
    shapes = ", ".join(str(tuple(t.shape)) for t in tensors_in(inputs))
    where = f" in {tree.current.path}" if tree.current.path else ""
    return f"{type(model).__name__} on an input of shape {shapes} fails{where}: {type(error).__name__}: {error}"


def _build(traced: _Traced, model: nn.Module, shapes: Sequence[tuple[int, ...]], dtype: str, fused: bool) -> Cost:
    steps, values, outputs = traced.trace.steps, traced.trace.values, traced.outputs
    total, own, operators = _Totals(), dict[Call, _Totals](), dict[str, _Totals]()
    for step, n_fused in zip(steps, fused_bytes(steps, values, outputs)):
        total.add(step, n_fused)
        own.setdefault(step.call, _Totals()).add(step, n_fused)
        operators.setdefault(step.name, _Totals()).add(step, n_fused)
    peak, at = peak_activation(steps, values, outputs)
    return Cost(
        name=type(model).__name__,
        params=sum(p.numel() for p in model.parameters()),
        macs=total.macs,
        flops=total.flops,
        memory_access_bytes=total.eager,
        memory_access_fused_bytes=total.fused,
        compulsory_bytes=compulsory_bytes(steps, values, outputs),
        activation_bytes=total.written,
        peak_activation_bytes=peak,
        peak_at=steps[at].call.path if steps else "",
        layers=_layers(traced.tree.root, own, model),
        operators=_operators(operators),
        input_shapes=tuple(shapes),
        dtype=dtype,
        fused=fused,
    )


def _operators(operators: dict[str, _Totals]) -> tuple[OperatorCost, ...]:
    costs = [OperatorCost(n, t.calls, t.macs, t.flops, t.eager, t.fused, t.counted) for n, t in operators.items()]
    return tuple(sorted(costs, key=lambda c: (-c.macs, -c.memory_access_bytes, c.name)))


def _layers(root: Call, own: dict[Call, _Totals], model: nn.Module) -> tuple[LayerCost, ...]:
    params = _own_params(root, model)
    rows = [_layer(call, own, params) for call in root.children.values()]
    rest, n_params = own.get(root, _Totals()), params.get(root, 0)
    if rest.calls or n_params or not rows:
        outside = LayerCost(None, None, root.path, OUTSIDE if rows else type(model).__name__, root.calls, root.outputs,
                            n_params, rest.macs, rest.flops, rest.eager, rest.fused, rest.written)  # fmt: skip
        rows.append(outside)
    return tuple(rows)


def _layer(call: Call, own: dict[Call, _Totals], params: dict[Call, int]) -> LayerCost:
    children = tuple(_layer(child, own, params) for child in call.children.values())
    total = _Totals()
    for below in call.walk():
        total += own.get(below, _Totals())
    row, from_, kind = (getattr(call.module, name, None) for name in ("i", "f", "type"))
    return LayerCost(
        index=row if isinstance(row, int) else None,
        from_=tuple(from_) if isinstance(from_, list) else from_ if isinstance(from_, int) else None,
        path=call.path,
        type=kind.rpartition(".")[2] if isinstance(kind, str) and isinstance(row, int) else type(call.module).__name__,
        calls=call.calls,
        output_shapes=call.outputs,
        params=sum(params.get(below, 0) for below in call.walk()),
        macs=total.macs,
        flops=total.flops,
        memory_access_bytes=total.eager,
        memory_access_fused_bytes=total.fused,
        activation_bytes=total.written,
        children=children,
    )


def _own_params(root: Call, model: nn.Module) -> dict[Call, int]:
    """Give each parameter to the innermost call whose path leads to it."""
    by_path: dict[str, Call] = {}
    for call in root.walk():
        by_path.setdefault(call.path, call)
    params: dict[Call, int] = {}
    for name, parameter in model.named_parameters():
        path = name
        while path not in by_path:
            path = path.rpartition(".")[0]
        params[by_path[path]] = params.get(by_path[path], 0) + parameter.numel()
    return params
