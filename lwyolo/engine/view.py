"""A model as an ONNX file, for a program that shows graphs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lwyolo.engine.files import with_scale
from lwyolo.engine.model import YOLO
from lwyolo.errors import UsageError


def export_for_viewing(
    source: str | Path, folder: Path, scale: str | None = None, imgsz: int | tuple[int, int] = 640
) -> Path:
    """Export a model to an ONNX file in a folder; nothing is written beside the model.

    Args:
        source: A model YAML, a checkpoint, or a stock name.
        folder: An existing one.
        scale: Scale of a YAML, where its name has none.
        imgsz: One side for both, or height and width, in pixels.

    Raises:
        UsageError: The model has a module that cannot be exported.
    """
    model = YOLO(source, scale=scale)
    name = Path(with_scale(source, scale)).stem
    model.model.pt_path = str(folder / f"{name}.pt")  # upstream writes an export beside its checkpoint
    size = imgsz if isinstance(imgsz, int) else list(imgsz)
    try:
        file = model.export(format="onnx", imgsz=size, device="cpu", simplify=find_spec("onnxslim") is not None)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UsageError(
            f"{source}: cannot be exported to ONNX: {reason[0]}. Its layers can be drawn without: --svg FILE."
        ) from error
    return Path(file)
