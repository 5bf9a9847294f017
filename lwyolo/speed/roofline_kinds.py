"""Kinds that groups of operators are summed up by."""

from __future__ import annotations

LAYOUT = "layout"
KINDS = {
    **dict.fromkeys(("MatMul", "Gemm", "Einsum", "Attention"), "matrix product"),
    **dict.fromkeys(("Resize", "Upsample", "GridSample"), "resize"),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"), "pooling"),
    **dict.fromkeys(("Concat", "Reshape", "Transpose", "Slice", "Gather", "GatherElements", "GatherND"), "concat/copy"),
    **dict.fromkeys(("Pad", "Tile", "Expand", "DepthToSpace", "SpaceToDepth", "ScatterND"), "concat/copy"),
    **dict.fromkeys(("Softmax", "LogSoftmax", "ReduceMean", "ReduceSum", "ReduceMax"), "softmax/reduction"),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization", "InstanceNormalization"), "normalisation"),
    **dict.fromkeys(("TopK", "NonZero", "ArgMax", "NonMaxSuppression"), "selection"),
}
"""Kinds of ONNX operators that are neither convolutions nor element-wise."""


def kind_of(operator: str, fusible: bool, convolution: tuple[tuple[int, ...], int, int] | None = None) -> str:
    """Name the kind of an operator.

    Args:
        operator: ONNX's name, or some joined by `+`.
        fusible: Whether it works element by element.
        convolution: Kernel, groups and input channels, where it is one.

    Example:
        >>> kind_of("Conv", False, ((3, 3), 64, 64)), kind_of("Conv", False, ((1, 1), 1, 64)), kind_of("Add", True)
        ('depthwise 3×3', 'convolution 1×1', 'element-wise')
    """
    if convolution is not None:
        kernel, groups, c1 = convolution
        what = "convolution" if groups == 1 else "depthwise" if groups == c1 else "grouped convolution"
        what = {"DeformConv": "deformable convolution", "ConvTranspose": "transposed convolution"}.get(operator, what)
        return f"{what} {'×'.join(map(str, kernel))}"
    if fusible:
        return "element-wise"
    return next((KINDS[part] for part in operator.split("+") if part in KINDS), operator)
