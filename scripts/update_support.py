"""Write docs/runtimes.md: which model runs in which runtime, found by running it there.

`python scripts/update_support.py` exports every model YAML of cfg/, and a few stock detectors, for each runtime, and
compares its outputs with torch's. It takes a few minutes on two cores; the page is written when all is known.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lwyolo.engine.support import Support

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "runtimes.md"
STOCK = ("yolov8n", "yolo11n", "yolo12n", "yolov10n", "yolo26n")
RUNTIMES = ("torchscript", "onnxruntime", "openvino", "ncnn")
PACKAGES = ("ultralytics", "torch", "onnx", "onnxruntime", "openvino", "ncnn", "pnnx")
IMGSZ = 128
OTHERS = " It can be tried in "
"""Begins what a refusal says of other runtimes; the table says it too."""
TEXT = """# Which model runs in which runtime

{made}

Each model is built at its first scale (`yolov8n-dyhead` is `cfg/yolov8-dyhead.yaml` at scale n), fused, exported by
Ultralytics' exporter, and run on one image of {imgsz} × {imgsz} pixels at fp32. Boxes are decoded and not suppressed.
A model **agrees** where every coordinate of a box lies within {tolerance:g} of the box's longer side (at least
{side:g} px) from torch's, and every score within {tolerance:g} of the highest score (at least {score:g}). Cells hold
the largest differences: of a coordinate in pixels, and of a score.

Models are built without training: their batch norms are given statistics first, and the image is one on which torch
agrees with itself when all pixels are a little brighter, since a deep network without training can magnify rounding.
ncnn holds no head that works without suppression of boxes; a model that has one is exported with its other head there.
"""
AFTER = """\
RT-DETR is left out: `lwyolo.YOLO` builds detectors with YOLO heads, and cannot build it from a YAML.

A checkpoint of your own is compared in the same way before `lwyolo bench` times it; see [speed.md](speed.md).
"""


def models() -> list[str]:
    """Return every YAML of cfg/ at its first scale, by name, and the stock detectors."""
    from lwyolo.engine.files import first_scale, with_scale

    ours = [with_scale(file, first_scale(file)) for file in sorted((ROOT / "cfg").glob("*.yaml"))]
    return [*ours, *(f"{name}.yaml" for name in STOCK)]


def page(rows: Sequence[Support]) -> str:
    """Write the page; reasons that are the same are told once, as a footnote."""
    from lwyolo.reports.tables import Table, render, wrap
    from lwyolo.speed.parity import SMALLEST_SCORE, SMALLEST_SIDE, TOLERANCE

    found = {(row.model, row.runtime): row for row in rows}
    names, columns = (list(dict.fromkeys(part)) for part in ((r.model for r in rows), (r.runtime for r in rows)))
    reasons = list(dict.fromkeys(reason for row in rows if (reason := why_not(row))))
    cells = tuple((name, *(cell(found[name, column], reasons) for column in columns)) for name in names)
    table = render(Table(("Model", *columns), cells, ("left",) * (1 + len(columns))), "markdown")
    platforms = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    versions = ", ".join([platforms, *(f"{name} {version(name)}" for name in PACKAGES)])
    text = TEXT.format(
        made=wrap(f"Written by `python scripts/update_support.py`; do not edit it by hand. {versions}.", 120),
        imgsz=IMGSZ,
        tolerance=TOLERANCE["fp32"],
        side=SMALLEST_SIDE,
        score=SMALLEST_SCORE,
    )
    notes = "".join(f"[^{i}]: {reason}\n" for i, reason in enumerate(reasons, 1))
    return "\n".join(part for part in (text, f"{table}\n", AFTER, notes) if part)


def cell(row: Support, reasons: Sequence[str]) -> str:
    """Word the verdict, with what it rests on."""
    note = f" [^{reasons.index(reason) + 1}]" if (reason := why_not(row)) else ""
    if row.max_box_px is None:
        return f"{row.verdict}{note}"
    largest = f"{row.max_box_px:.1g} px, {row.max_score:.1g}" if row.max_box_px or row.max_score else "equal"
    return f"{row.verdict}: {largest}{note}"


def why_not(row: Support) -> str:
    """Return why a model does not agree, empty where it does."""
    return "" if row.verdict == "agrees" else row.detail.partition(OTHERS)[0]


def main() -> int:
    """Run all models, and write the page when all is known."""
    os.environ.update(YOLO_OFFLINE="true", YOLO_VERBOSE="false", YOLO_AUTOINSTALL="false")
    from tqdm import tqdm

    from lwyolo.engine.support import support
    from lwyolo.record import write_text
    from lwyolo.speed.runtime import runtimes

    if missing := [reason for name in RUNTIMES if (reason := runtimes()[name].missing())]:
        raise SystemExit(f"the page tells of {', '.join(RUNTIMES)}, and all have to be here. {'. '.join(missing)}")
    chosen, rows = models(), []
    with tqdm(support(chosen, RUNTIMES, IMGSZ), total=len(chosen) * len(RUNTIMES), unit="export") as bar:
        for row in bar:
            rows.append(row)
            bar.set_description(f"{row.model} in {row.runtime}: {row.verdict}")
    write_text(PAGE, page(rows))
    print(f"{PAGE.relative_to(ROOT)}: {len(chosen)} models in {len(RUNTIMES)} runtimes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
