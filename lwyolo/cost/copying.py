"""Copies of a model that share nothing with it that a forward pass could change."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from lwyolo.cost.shapes import ShapeMode
from lwyolo.errors import CostError


def copy_with(model: nn.Module, twin: Callable[[Tensor], Tensor]) -> nn.Module:
    """Copy a model's structure; each parameter and buffer is replaced by `twin` of it, once, however often it is used.

    Other tensors, such as a head's strides, keep their numbers and their device.

    Raises:
        CostError: A lazy module has no shapes yet, or a part of the model refuses to be copied.
    """
    memo: dict[int, object] = {}
    for module in model.modules():
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None and id(tensor) not in memo:
                memo[id(tensor)] = twin(tensor)
        memo.update({id(t): t.detach().clone() for t in vars(module).values() if isinstance(t, Tensor) and not t.is_leaf})
    try:
        return copy.deepcopy(model, memo)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise CostError(f"{type(model).__name__} cannot be copied for profiling: {error}") from error


def meta_copy(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Copy a model to the meta device: shapes without numbers, floating-point weights as `dtype`, in evaluation mode."""

    def twin(tensor: Tensor) -> Tensor:
        if torch.nn.parameter.is_lazy(tensor):
            raise CostError(f"{type(model).__name__} has a lazy module without shapes; run one forward pass first.")
        empty = torch.empty_strided(
            tensor.shape, tensor.stride(), dtype=dtype if tensor.is_floating_point() else tensor.dtype, device="meta"
        )
        return nn.Parameter(empty, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty

    twin_model = copy_with(model, twin).eval()
    _restore_stride(twin_model)
    return twin_model


def _restore_stride(model: nn.Module) -> None:
    """Give a head whose strides were moved to the meta device the numbers that the model itself kept: anchors need them."""
    numbers = getattr(model, "stride", None)
    for module in model.modules():
        stride = getattr(module, "stride", None)
        if isinstance(stride, Tensor) and stride.is_meta and isinstance(numbers, Tensor) and not numbers.is_meta:
            module.stride = numbers.clone()


def fuse(model: nn.Module) -> None:
    """Turn a copy into the graph that is deployed, by its own `fuse()`.

    Raises:
        CostError: The model has no `fuse()`.
    """
    if not callable(getattr(model, "fuse", None)):
        raise CostError(f"{type(model).__name__} has no fuse(), so it has no deployed graph of its own; pass fused=None.")
    device = next((tensor.device for tensor in weight_storages(model)), torch.device("cpu"))
    with device, ShapeMode(), torch.random.fork_rng(devices=[]), torch.no_grad():  # new layers are made on `device`
        model.fuse(verbose=False)  # type: ignore[operator]


def is_fused(model: nn.Module) -> bool:
    """Whether a model says that `fuse()` has nothing left to do."""
    answer = getattr(model, "is_fused", None)
    return bool(answer()) if callable(answer) else False


def weight_storages(model: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers: what a pass reads and no pass makes."""
    yield from model.parameters()
    yield from model.buffers()
