"""Deformable convolution for torch's TorchScript-based ONNX exporter, which Ultralytics calls and which lacks it."""

from __future__ import annotations

from typing import Any

import torch
from torch.onnx import symbolic_helper

DEFORM_CONV_OPSET = 19


def register_deform_conv2d(opset: int = DEFORM_CONV_OPSET) -> None:
    """Teach the exporter `torchvision::deform_conv2d` as the standard operator `DeformConv`, which opset 19 introduced.

    Args:
        opset: The opset that will be exported.
    """
    register = torch.onnx.register_custom_op_symbolic  # type: ignore[attr-defined]  # documented, not in __all__
    register("torchvision::deform_conv2d", _deform_conv2d, max(opset, DEFORM_CONV_OPSET))


@symbolic_helper.parse_args("v", "v", "v", "v", "v", "i", "i", "i", "i", "i", "i", "i", "i", "b")
def _deform_conv2d(
    g: Any,
    x: Any,
    weight: Any,
    offset: Any,
    mask: Any,
    bias: Any,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> Any:
    shape = symbolic_helper._get_tensor_sizes(weight)
    return g.op(
        "DeformConv",
        x,
        weight,
        offset,
        bias,
        *([mask] if use_mask else []),
        dilations_i=[dilation_h, dilation_w],
        group_i=groups,
        kernel_shape_i=shape[2:],
        offset_group_i=offset_groups,
        pads_i=[pad_h, pad_w, pad_h, pad_w],
        strides_i=[stride_h, stride_w],
    )
