"""`profile`: what one forward pass of a model costs on paper, per layer, without running its arithmetic."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lwyolo.cost.caches import state_of, warm_head
from lwyolo.cost.copying import fuse, is_fused, meta_copy, real_copy
from lwyolo.cost.paths import CallTree
from lwyolo.cost.shapes import ShapeMode, tensors_in
from lwyolo.cost.trace import OperatorTrace
from lwyolo.cost.tree import Cost
from lwyolo.cost.tree_builder import build_cost
from lwyolo.errors import CostError, did_you_mean

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}
Inputs = Tensor | list[Tensor]


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

    The pass is a second one: what the first makes and keeps, such as a head's anchors, is not part of it.

    Args:
        model: An Ultralytics model, or any module; it may live on any device, the meta device included. Where it is
            called as `lwyolo.profile`, also a model YAML, a checkpoint, a stock name or an ONNX file.
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
    model = _unwrap(model)
    if dtype not in DTYPES:
        raise CostError(f"dtype={dtype!r}: expected one of {', '.join(DTYPES)}.{did_you_mean(dtype, DTYPES)}")
    if fused is False and is_fused(model):
        raise CostError(f"fused=False: {type(model).__name__} is fused already, and its training graph is gone.")
    twin = meta_copy(model, DTYPES[dtype]) if device == "meta" else real_copy(model, DTYPES[dtype], device)
    if fused and not is_fused(twin):
        fuse(twin)
    shapes = _input_shapes(model, imgsz, batch, channels, input_shape)
    tensors = [torch.zeros(shape, dtype=DTYPES[dtype], device=device) for shape in shapes]
    tree, trace, outputs = _trace(twin, tensors if isinstance(input_shape, list) else tensors[0])
    deployed = bool(fused) or is_fused(twin)
    cost = build_cost(tree.root, tree.own_params(), trace.steps, trace.values, outputs, shapes, dtype, deployed)
    if strict and cost.uncounted:
        missing = ", ".join(f"{name} ({calls} calls)" for name, calls in cost.uncounted.items())
        raise CostError(f"{cost.name}: operators without a formula: {missing}. Give each one with @op_cost.")
    return cost


def _unwrap(model: nn.Module) -> nn.Module:
    """Return the network inside of a parallel wrapper or of Ultralytics' `YOLO`."""
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return _unwrap(model.module)
    if not isinstance(model, nn.Module):
        raise CostError(f"profile() takes a torch.nn.Module, and got {type(model).__name__}.")
    inner = getattr(model, "model", None)
    return inner if hasattr(type(model), "task_map") and isinstance(inner, nn.Module) else model


def _input_shapes(
    model: nn.Module, imgsz: int | tuple[int, int], batch: int, channels: int | None, given: Any
) -> tuple[tuple[int, ...], ...]:
    if given is not None:
        return tuple(tuple(shape) for shape in given) if isinstance(given, list) else (tuple(given),)
    yaml = getattr(model, "yaml", None)
    height, width = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
    return ((batch, channels or (yaml.get("channels", 3) if isinstance(yaml, dict) else 3), height, width),)


def _trace(model: nn.Module, inputs: Inputs) -> tuple[CallTree, OperatorTrace, set[int]]:
    """Run once to fill caches, then once to trace; return the values that the pass returns besides."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one operator on the CPU, several on the meta device
    try:
        tree = CallTree(model)
        held = (t for m in tree.modules for t in (*m._parameters.values(), *m._buffers.values()))
        weights = tuple(t for t in held if t is not None)
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            if not warm_head(model, inputs):
                with tree.following():
                    _run(model, inputs, tree, ShapeMode())
            kept = state_of(tree.modules)
            trace, result = _traced(model, inputs, tree, weights)
            if state_of(tree.modules) != kept:
                trace, result = _traced(model, inputs, tree, weights)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    return tree, trace, {trace.value_of(t) for t in tensors_in(result)}


def _traced(model: nn.Module, inputs: Inputs, tree: CallTree, weights: tuple[Tensor, ...]) -> tuple[OperatorTrace, Any]:
    """Run once under a trace of its own; return the trace, and what the pass returns."""
    tree.restart()
    trace = OperatorTrace(tree, weights)
    with tree.following():
        return trace, _run(model, inputs, tree, trace)


def _run(model: nn.Module, inputs: Inputs, tree: CallTree, mode: ShapeMode) -> Any:
    try:
        with mode:
            return model(list(inputs) if isinstance(inputs, list) else inputs)
    except CostError:
        raise
    except Exception as error:  # whatever a model's forward raises becomes an error of ours, never a figure
        raise CostError(_why(model, inputs, tree, error)) from error


def _why(model: nn.Module, inputs: Inputs, tree: CallTree, error: Exception) -> str:
    """Say where a pass failed, and what helps."""
    shapes = ", ".join(str(tuple(t.shape)) for t in tensors_in(inputs))
    at = tree.current
    given = ", ".join(str(shape) for shape in at.inputs)
    where = f" in {at.path} ({at.type}), given {given}" if at.path else ""
    cause = " ".join(str(error).split())[:300]
    hint = ""
    stride = getattr(model, "stride", None)
    step = int(stride.max()) if isinstance(stride, Tensor) and not stride.is_meta else 0
    sides = [side for t in tensors_in(inputs) for side in t.shape[2:]]
    if step and any(side % step for side in sides):
        hint = f" Image sides must be multiples of {step}."
    elif "meta" in str(error).lower():
        hint = " Where the graph depends on numbers, or an operator has no meta kernel, device='cpu' runs it for real."
    what = f"{type(error).__name__}: {cause.rstrip('.')}."
    return f"{type(model).__name__} on an input of shape {shapes} fails{where}: {what}{hint}"
