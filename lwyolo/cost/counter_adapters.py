"""How other counters are called, and what their figures mean; each is imported when it is asked."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from importlib import metadata
from typing import NamedTuple

from torch import Tensor, nn

from lwyolo.cost.upstream import ultralytics_gflops
from lwyolo.errors import CostError


class Figure(NamedTuple):
    """What a counter returns: its figure in G, and as multiply-accumulates."""

    printed: float
    macs: float


def _get_flops(model: nn.Module, image: Tensor) -> Figure:
    """Ask on the meta device: there it gives the same, and on the CPU it runs the model on memory that nobody wrote.

    What is no number there (NaN) ends the process where it becomes an offset of a deformable convolution.
    """
    gflops = ultralytics_gflops(model, (image.shape[2], image.shape[3]))
    if gflops is None:
        raise CostError("gives 0.0: it knows nothing of this model, or hides an error; `lwyolo doctor` looks for one")
    return Figure(gflops, gflops * 1e9 / 2)


def _thop(model: nn.Module, image: Tensor) -> Figure:
    if installed_version("thop"):
        raise CostError("shares its import name with the original thop; `lwyolo doctor` says how to mend it")
    import thop

    return _macs(thop.profile(model, inputs=(image,), verbose=False)[0])


def _fvcore(model: nn.Module, image: Tensor) -> Figure:
    from fvcore.nn import FlopCountAnalysis

    return _macs(FlopCountAnalysis(model, image).total())


def _calflops(model: nn.Module, image: Tensor) -> Figure:
    from calflops import calculate_flops

    flops, macs, _ = calculate_flops(model, args=[image], print_results=False, output_as_string=False)
    return Figure(flops / 1e9, macs)


def _ptflops(backend: str) -> Callable[[nn.Module, Tensor], Figure]:
    def count(model: nn.Module, image: Tensor) -> Figure:
        from ptflops import get_model_complexity_info

        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            macs, _ = get_model_complexity_info(
                model,
                tuple(image.shape[1:]),
                input_constructor=lambda _: image,
                print_per_layer_stat=False,
                as_strings=False,
                backend=backend,
            )
        if macs is None:
            raise CostError(f"gives None: {printed.getvalue().strip().splitlines()[-1]}")
        return _macs(macs)

    return count


def _torchinfo(model: nn.Module, image: Tensor) -> Figure:
    import torchinfo

    return _macs(torchinfo.summary(model, input_data=image, verbose=0, device="cpu").total_mult_adds)


def _flop_counter_mode(model: nn.Module, image: Tensor) -> Figure:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(image)
    flops = counter.get_total_flops()
    return Figure(flops / 1e9, flops / 2)


def _macs(count: float) -> Figure:
    return Figure(count / 1e9, count)


class Counter(NamedTuple):
    """A counter: how it is called, and what its figure means."""

    name: str
    distribution: str
    unit: str
    convention: str
    measure: Callable[[nn.Module, Tensor], Figure]


COUNTERS = (
    Counter(
        "Ultralytics get_flops",
        "ultralytics",
        "GFLOPs",
        "2 × what ultralytics-thop counts, on small images that are then extrapolated, which is wrong for a block that "
        "works on a fixed size.",
        _get_flops,
    ),
    Counter(
        "ultralytics-thop",
        "ultralytics-thop",
        "GMACs",
        "Multiply-accumulates of modules and of matrix products; a norm counts 4 an element. Misses convolutions that "
        "are called as functions (F.conv2d), and deformable ones.",
        _thop,
    ),
    Counter(
        "fvcore",
        "fvcore",
        "Gflops",
        "A multiply-accumulate is one flop; a batch norm counts 2 an element. Misses deformable convolutions and "
        "attention that is called as one function.",
        _fvcore,
    ),
    Counter(
        "calflops",
        "calflops",
        "GFLOPs",
        "Its FLOPs add norms and activations; compared are its MACs, of contractions alone. They miss einsum, products "
        "written as `@`, attention called as one function, and deformable convolutions.",
        _calflops,
    ),
    Counter(
        "ptflops, pytorch",
        "ptflops",
        "GMac",
        "Multiply-accumulates of modules; norms, activations and poolings count too. Misses what is called as a "
        "function: F.conv2d, einsum, `@`, attention.",
        _ptflops("pytorch"),
    ),
    Counter(
        "ptflops, aten",
        "ptflops",
        "GMac",
        "Multiply-accumulates of torch's operators; a bias counts 1 an element. Misses deformable convolutions and "
        "attention that the CPU runs as one operator.",
        _ptflops("aten"),
    ),
    Counter(
        "torchinfo",
        "torchinfo",
        "G mult-adds",
        "Parameters of each module times the positions of its output, biases too. Misses whatever has no parameters "
        "of its own: F.conv2d, matrix products, einsum, attention.",
        _torchinfo,
    ),
    Counter(
        "torch FlopCounterMode",
        "torch",
        "GFLOPs",
        "2 × multiply-accumulates of torch's operators. Misses deformable convolutions and attention that the CPU runs "
        "as one operator.",
        _flop_counter_mode,
    ),
)


def installed_version(distribution: str) -> str | None:
    """Return the version of a distribution, `None` where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
