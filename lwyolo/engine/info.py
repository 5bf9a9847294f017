"""What a model costs, from a YAML, a checkpoint or a stock name, without training it.

A YAML is built on torch's meta device: its layers have shapes and no numbers, so yolov8x takes as little memory and
nearly as little time as yolov8n.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.nn import tasks
from ultralytics.nn.modules import Detect

from lwyolo.cost import Cost, profile
from lwyolo.cost.upstream import ultralytics_gflops
from lwyolo.engine import seam
from lwyolo.engine.files import load_model_yaml, with_scale
from lwyolo.engine.model import YOLO, head_task
from lwyolo.record import CostRecord

STRIDE_IMGSZ = 256
MODEL_CLASSES = {
    "detect": tasks.DetectionModel,
    "segment": tasks.SegmentationModel,
    "pose": tasks.PoseModel,
    "obb": tasks.OBBModel,
    "classify": tasks.ClassificationModel,
}


def model_cost(
    source: str | Path, scale: str | None = None, imgsz: int | tuple[int, int] = 640, fused: bool = True
) -> tuple[str, Cost, CostRecord]:
    """Return the name of a model, its cost as a tree, and its cost as a record.

    Args:
        source: A model YAML, a checkpoint (`.pt`), or a stock name such as `yolo11n.yaml`.
        scale: Scale of a YAML; by default the letter in its name.
        imgsz: Height and width, or one number for both, in pixels.
        fused: Count the deployed graph, with batch norms folded and unused branches removed.

    Raises:
        GraphError: The YAML is missing or cannot be built.
        CostError: The model cannot be profiled.
    """
    seam.install()
    name = with_scale(source, scale)
    model = build_on_meta(load_model_yaml(name)) if Path(name).suffix in {".yaml", ".yml"} else YOLO(name).model
    cost = profile(model, imgsz, fused=fused)
    printed = ultralytics_gflops(model, imgsz)
    return Path(name).stem, cost, cost.record(ultralytics_gflops=printed)


def build_on_meta(yaml: dict[str, Any], nc: int | None = None) -> nn.Module:
    """Build the model of a YAML on the meta device, with the strides that its real twin would have.

    Args:
        yaml: As `engine.files.load_model_yaml` returns it.
        nc: Number of classes, by default the YAML's.
    """
    cls = MODEL_CLASSES.get(head_task(yaml) or tasks.guess_model_task(yaml))
    if cls is None or not _is_detect_like(yaml):
        return YOLO(yaml["yaml_file"]).model
    model = cls.__new__(cls)
    nn.Module.__init__(model)
    model.yaml = deepcopy({**yaml, "channels": yaml.get("channels", 3), "nc": nc or yaml.get("nc", 80)})
    with torch.device("meta"):
        model.model, model.save = tasks.parse_model(deepcopy(model.yaml), ch=model.yaml["channels"], verbose=False)
    model.names = {i: str(i) for i in range(model.yaml["nc"])}
    model.inplace = model.yaml.get("inplace", True)
    model.stride = _strides(model)
    return model.eval()


def _is_detect_like(yaml: dict[str, Any]) -> bool:
    name = yaml["head"][-1][2] if yaml.get("head") else ""
    return head_task(yaml) is not None or issubclass(getattr(tasks, str(name), object), Detect)


def _strides(model: nn.Module) -> torch.Tensor:
    """Run the head's training path on a meta image, as upstream does on a real one, and read the strides off it."""
    head = model.model[-1]
    head.inplace = model.inplace
    model.eval()
    head.training = True
    image = torch.zeros(1, model.yaml["channels"], STRIDE_IMGSZ, STRIDE_IMGSZ, device="meta")
    output = model.forward(image)
    output = output.get("one2many", output) if isinstance(output, dict) else output
    levels = output["feats"] if isinstance(output, dict) else output[0] if isinstance(output, tuple) else output
    head.stride = torch.tensor([STRIDE_IMGSZ / level.shape[-2] for level in levels])
    return head.stride
