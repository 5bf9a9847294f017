"""One candidate in a process of its own: `python -m lwyolo.speed.worker` answers one JSON line with another.

A process of its own, since what a process did before changes what it measures: its allocator, its thread pools, and
which modules it has imported. It does nothing between two requests. Whatever a library prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from lwyolo.errors import LwyoloError
from lwyolo.speed import stages
from lwyolo.speed.clean import Watch
from lwyolo.speed.runtime import Array, Session, runtimes

ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",  # else each activation is mapped anew, and page faults are what is timed
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
    "TOKENIZERS_PARALLELISM": "false",
}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Worker:
    """A candidate, once it is loaded: its session, and the frames that it is given."""

    session: Session
    request: dict[str, Any]

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        """Load the artifact and make the first call; both are told apart."""
        import torch

        torch.set_num_threads(request["threads"])
        if request["torchvision"]:
            import torchvision  # noqa: F401  suppression of boxes takes it where it is imported
        runtime = runtimes()[request["runtime"]]
        self.request, size = request, tuple(request["imgsz"])
        self.watch = Watch(request["threads"])
        start = time.perf_counter()
        self.session = runtime.load(
            Path(request["artifact"]),
            threads=request["threads"],
            precision=request["precision"],
            device=request["device"],
        )
        loaded = time.perf_counter()
        self.frames = [stages.frame(seed) for seed in range(request["batch"])]
        self.image = stages.preprocess(self.frames, size, request["channels"])
        called = time.perf_counter()
        self.session.run(self.image)
        return {
            "load_ms": (loaded - start) * 1e3,
            "first_ms": (time.perf_counter() - called) * 1e3,
            "version": runtime.version(),
            "suppression": stages.suppression_path(),
        }

    def outputs(self, request: dict[str, Any]) -> dict[str, Any]:
        """Write what the session makes of an image to a file, for comparison."""
        image = np.load(request["image"])
        np.savez(request["to"], *self.session.run(image))
        return {}

    def round(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take samples, after one call that is not timed."""
        self.session.run(self.image)
        return {"samples": [self._sample() for _ in range(request["samples"])]}

    def _sample(self) -> dict[str, Any]:
        size, channels = tuple(self.request["imgsz"]), self.request["channels"]
        self.watch.start()
        start = time.perf_counter()
        image = stages.preprocess(self.frames, size, channels)
        before = time.perf_counter()
        outputs = self.session.run(image)
        after = time.perf_counter()
        candidates, boxes = self._boxes(outputs[0])
        end = time.perf_counter()
        disturbance = self.watch.stop()
        return {
            "preprocess": (before - start) * 1e3,
            "forward": (after - before) * 1e3,
            "suppression": (end - after) * 1e3,
            "end_to_end": (end - start) * 1e3,
            "device": self.session.device_ms,
            "candidates": candidates,
            "boxes": boxes,
            "clean": disturbance.clean,
            "waited": disturbance.waited,
            "delay_ms": disturbance.delay_ms,
            "others_busy": disturbance.others_busy,
            "minor_faults": disturbance.minor_faults,
        }

    def _boxes(self, output: Array) -> tuple[int, int]:
        if not self.request["classes"]:
            return 0, 0
        return stages.postprocess(output, self.request["classes"], self.request["end_to_end"])

    def throughput(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run batches back to back in blocks, and count images a second in each."""
        self.session.run(self.image)
        return {"blocks": [self._block(request["seconds"]) for _ in range(request["blocks"])]}

    def _block(self, seconds: float) -> dict[str, Any]:
        self.watch.start()
        start, passes = time.perf_counter(), 0
        while (passed := time.perf_counter() - start) < seconds:
            self.session.run(self.image)
            passes += 1
        return {"images_per_s": passes * self.request["batch"] / passed, "clean": self.watch.stop().clean}


def serve(lines: TextIO, out: TextIO) -> None:
    """Answer requests until there are no more; an error of a library is answered too, with its kind and words."""
    worker = Worker()
    handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "load": worker.load,
        "outputs": worker.outputs,
        "round": worker.round,
        "throughput": worker.throughput,
    }
    for line in lines:
        request = json.loads(line)
        try:
            answer = handlers[request["do"]](request)
        except LwyoloError as error:
            answer = {"error": str(error)}
        except Exception as error:  # whatever a runtime raises is told to the parent, which names the candidate
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        print(json.dumps(answer), file=out, flush=True)


def main() -> None:
    """Keep the protocol's channel to ourselves: everything else that is printed goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, out)


if __name__ == "__main__":
    main()
