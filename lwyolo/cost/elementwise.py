"""The published table of element-wise work, and the operators that compute nothing.

Every addition, multiplication, division, comparison and elementary function (exp, log, sqrt, tanh, erf, …) of the
defining equation counts 1: SiLU is x / (1 + exp(-x)), with its sigmoid written out, hence 4 + 1. Work on integers and
the choice of an element (copying, gathering, padding) count 0.
"""

from __future__ import annotations


def aten(names: str) -> frozenset[str]:
    """Return the full names of torch's own operators.

    Example:
        >>> sorted(aten("mm bmm"))
        ['aten::bmm', 'aten::mm']
    """
    return frozenset(f"aten::{name}" for name in names.split())


ELEMENTWISE = {  # FLOPs per output element; whatever else torch tags as pointwise counts 1
    1: aten(
        "abs add sub rsub mul div neg sign square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos "
        "tan asin acos atan atan2 sinh cosh tanh erf erfc pow floor ceil round trunc frac relu threshold clamp_min "
        "clamp_max maximum minimum fmod remainder floor_divide eq ne lt le gt ge"
    ),
    2: aten("clamp hardtanh relu6 leaky_relu prelu _prelu_kernel rrelu softshrink hardshrink logit"),
    3: aten("softplus addcmul addcdiv lerp log_sigmoid_forward"),
    4: aten("sigmoid hardsigmoid elu celu selu"),
    5: aten("silu hardswish gelu mish glu"),
}
REDUCTIONS = {  # FLOPs per input element
    1: aten(
        "sum mean prod max min amax amin aminmax argmax argmin any all cumsum cumprod topk sort argsort median mode "
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d "
        "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d col2im scatter_add index_add scatter_reduce"
    ),
    2: aten("norm linalg_vector_norm"),
    3: aten("logsumexp"),
    4: aten("var std var_mean std_mean"),
    5: aten("softmax _softmax log_softmax _log_softmax"),
}
INTERPOLATIONS = {  # neighbours per output element: 2 an axis when linear, 4 when cubic; the nearest is a copy
    0: aten("upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact2d"),
    2: aten("upsample_linear1d"),
    4: aten("upsample_bilinear2d _upsample_bilinear2d_aa"),
    8: aten("upsample_trilinear3d"),
    16: aten("upsample_bicubic2d _upsample_bicubic2d_aa"),
}
GATHERS = aten("index _unsafe_index gather index_select embedding take")  # read what they gather, not the whole table
FILLS = aten(  # written once, read never
    "zeros zeros_like new_zeros ones ones_like new_ones full full_like new_full fill zero arange linspace eye "
    "scalar_tensor rand rand_like randn randn_like randint randperm bernoulli uniform normal exponential"
)
MOVES = aten(  # read and written, and nothing is computed
    "clone copy _to_copy cat stack constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d "
    "replication_pad1d replication_pad2d replication_pad3d repeat repeat_interleave roll flip im2col pixel_shuffle "
    "pixel_unshuffle channel_shuffle native_channel_shuffle scatter index_put index_copy index_fill masked_select "
    "slice_scatter select_scatter as_strided_copy unfold_copy tril triu where masked_fill nonzero one_hot isnan isinf "
    "isfinite logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor __and__ "
    "__or__ complex"
)
ALLOCATIONS = frozenset({"prim::device"}) | aten(  # neither read nor written
    "empty empty_like new_empty empty_strided new_empty_strided lift_fresh lift detach alias resize set item "
    "_local_scalar_dense is_nonzero _assert_async _unsafe_view unsafe_split unsafe_split_with_sizes unsafe_chunk"
)
