"""Which model runs in which runtime, found by exporting it and comparing its outputs with torch's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from lwyolo.engine.deploy import prepare, steady_image
from lwyolo.engine.model import registered_in
from lwyolo.errors import LwyoloError, UsageError
from lwyolo.speed.parity import Agreement, agreement
from lwyolo.speed.runtime import Array, runtimes
from lwyolo.speed.runtimes._torch import decoded

Fate = Literal["agrees", "differs", "refused"]


@dataclass(frozen=True, slots=True)
class Support:
    """How a model fares in a runtime.

    Args:
        detail: Largest differences from torch, or why it was refused.
        max_box_px: Largest difference of a box's coordinate; `None` where nothing was compared.
        max_score: Largest difference of a score.
    """

    model: str
    runtime: str
    verdict: Fate
    detail: str
    max_box_px: float | None = None
    max_score: float | None = None


def support(models: Sequence[str | Path], names: Sequence[str], imgsz: int = 128) -> Iterator[Support]:
    """Export each model for each runtime and compare outputs; a row for each, in order."""
    for model in models:
        for name in names:
            try:
                found = _compare(model, name, imgsz)
            except LwyoloError as error:
                yield Support(Path(model).stem, name, "refused", str(error))
                continue
            fate: Fate = "agrees" if found.ok else "differs"
            yield Support(Path(model).stem, name, fate, found.reason, found.max_box_px, found.max_score)


def _compare(source: str | Path, name: str, imgsz: int) -> Agreement:
    """Compare what a runtime makes of one image with what torch makes of it.

    Raises:
        LwyoloError: The model cannot be built, exported, loaded or run.
    """
    with tempfile.TemporaryDirectory(prefix="lwyolo-support-") as folder:
        fused, (artifact,) = prepare(source, Path(folder), runtimes=[name], imgsz=imgsz)
        image = steady_image(fused, (1, fused.yaml.get("channels", 3), imgsz, imgsz))
        outputs = _run(fused, name, artifact.path, image)
    with torch.inference_mode():
        expected = decoded(fused(torch.from_numpy(image))).numpy()
    return agreement([expected], outputs)


def _run(fused: Any, name: str, path: Path, image: Array) -> list[Array]:
    try:
        return runtimes()[name].load(path, threads=1).run(image)
    except UsageError:
        raise
    except Exception as error:  # a runtime raises what it likes; it becomes an error that names the modules
        ours = ", ".join(spec.name for spec in registered_in(fused))
        what = f"a model with {ours}" if ours else "the model"
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise UsageError(f"{name}: {what} is exported and cannot be run: {words}") from error
