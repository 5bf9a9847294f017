"""Which model runs in which runtime, found by exporting it and comparing its outputs with torch's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lwyolo.engine.deploy import prepare, steady_image
from lwyolo.errors import LwyoloError
from lwyolo.speed.parity import agreement
from lwyolo.speed.runtime import runtimes
from lwyolo.speed.runtimes._torch import decoded


@dataclass(frozen=True, slots=True)
class Support:
    """How a model fares in a runtime.

    Args:
        verdict: `agrees`, `differs`, or `refused`.
        detail: Largest differences from torch, or why it was refused.
    """

    model: str
    runtime: str
    verdict: str
    detail: str


def support(models: Sequence[str | Path], names: Sequence[str], imgsz: int = 128) -> Iterator[Support]:
    """Export each model for each runtime and compare outputs; a row for each, in order."""
    for model in models:
        for name in names:
            with tempfile.TemporaryDirectory(prefix="lwyolo-support-") as folder:
                try:
                    fused, (artifact,) = prepare(model, Path(folder), runtimes=[name], imgsz=imgsz)
                    image = steady_image(fused, (1, fused.yaml.get("channels", 3), imgsz, imgsz))
                    outputs = runtimes()[name].load(artifact.path, threads=1).run(image)
                except LwyoloError as error:
                    yield Support(Path(model).stem, name, "refused", str(error))
                    continue
            with torch.inference_mode():
                expected = decoded(fused(torch.from_numpy(image))).numpy()
            found = agreement([expected], outputs)
            yield Support(Path(model).stem, name, "agrees" if found.ok else "differs", found.reason)
