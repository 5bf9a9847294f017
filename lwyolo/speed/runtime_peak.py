"""The fastest dense kernels of ONNX Runtime here: `python -m lwyolo.speed.runtime_peak REQUEST`.

A ceiling has to be above whatever runs below it. The products of matrices that PyTorch computes are not always: on a
processor by AMD with AVX-512 they reached 103 GFLOPS, and a 3×3 convolution of ONNX Runtime 118, the arithmetic limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from lwyolo.errors import UsageError
from lwyolo.record.store import build
from lwyolo.speed.clean import Watch
from lwyolo.speed.machine.ceilings import Sampler
from lwyolo.speed.roofline import KernelPeak
from lwyolo.speed.runtime import Array, runtimes
from lwyolo.speed.worker import ENVIRONMENT, THREAD_VARIABLES

OPSET, IR_VERSION = 17, 8
PRODUCTS = (256, 512, 1024)
CONVOLUTIONS = ((128, 20), (64, 40), (128, 40), (256, 40))
"""Channels in and out, and height and width, of 3×3 convolutions: their weights and rows stay in the inner caches."""


def measure_kernels(threads: int, seconds: float = 3.0) -> list[KernelPeak]:
    """Measure them in a process of its own.

    Args:
        threads: Of the runtime.
        seconds: That it may take where few samples are clean; on a quiet machine it takes about one.

    Raises:
        UsageError: The process ended before it was done; with its last words.
    """
    done = subprocess.run(
        [sys.executable, "-m", "lwyolo.speed.runtime_peak", json.dumps({"threads": threads, "seconds": seconds})],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, **ENVIRONMENT, **dict.fromkeys(THREAD_VARIABLES, str(threads))},
    )
    if done.returncode:
        last = " ".join(done.stderr.split())[-300:]
        raise UsageError(f"onnxruntime: the process that measures its peak ended with {done.returncode}. {last}")
    return [build(KernelPeak, one, "measuring process", "") for one in json.loads(done.stdout)]


def measure_here(threads: int, seconds: float) -> list[KernelPeak]:
    """Measure in this process."""
    n_kernels = len(PRODUCTS) + len(CONVOLUTIONS)
    sampler = Sampler(Watch(threads), ends=time.perf_counter() + seconds, left=n_kernels)
    found = []
    with tempfile.TemporaryDirectory(prefix="lwyolo-peak-") as folder:
        file = Path(folder, "kernel.onnx")
        for n in PRODUCTS:
            run = kernel("MatMul", (n, n), (n, n), file, threads)
            found.append(_best(sampler, f"product of {n} × {n} matrices in onnxruntime", 2 * n**3, run))
        for c, side in CONVOLUTIONS:
            run = kernel("Conv", (1, c, side, side), (c, c, 3, 3), file, threads, pads=[1, 1, 1, 1])
            found.append(_best(sampler, f"3×3 convolution of {c} channels in onnxruntime", 18 * (c * side) ** 2, run))
    return found


def _best(sampler: Sampler, what: str, flops: int, run: Callable[[], object]) -> KernelPeak:
    best = sampler.best(what, run)
    return KernelPeak(what, flops / best.seconds / 1e9, best.samples, best.clean)


def kernel(
    operator: str, shape: tuple[int, ...], weight: tuple[int, ...], file: Path, threads: int, **attributes: Any
) -> Callable[[], object]:
    """Return a call of a model of one operator, whose result has the shape of its input."""
    onnx = import_module("onnx")
    drawn = np.random.default_rng(0)

    def tensor(name: str) -> Any:
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    values: Array = drawn.random(weight, dtype=np.float32)
    node = onnx.helper.make_node(operator, ["x", "w"], ["y"], **attributes)
    weights = [onnx.numpy_helper.from_array(values, "w")]
    graph = onnx.helper.make_graph([node], "kernel", [tensor("x")], [tensor("y")], weights)
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION), str(file))
    session = cast("Any", runtimes()["onnxruntime"].load(file, threads=threads))
    image: Array = drawn.random(shape, dtype=np.float32)
    return lambda: session.run(image)


def main(request: dict[str, Any]) -> None:
    """Measure, and print what was found as JSON."""
    sys.stdout.write(json.dumps([asdict(one) for one in measure_here(request["threads"], request["seconds"])]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
