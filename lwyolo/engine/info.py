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
from torch.overrides import TorchFunctionMode
from ultralytics.nn import tasks
from ultralytics.nn.modules import Detect

from lwyolo.cost import Cost, profile
from lwyolo.cost.shapes import ShapeMode
from lwyolo.cost.upstream import ultralytics_gflops
from lwyolo.engine import seam
from lwyolo.engine.files import first_scale, load_model_yaml, split_scale, with_scale
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
    if Path(name).suffix in {".yaml", ".yml"} and split_scale(name)[1] is None:
        name = with_scale(name, first_scale(name))
    model = build_on_meta(load_model_yaml(name)) if Path(name).suffix in {".yaml", ".yml"} else YOLO(name).model
    cost = profile(model, imgsz, fused=fused)
    printed = ultralytics_gflops(model, imgsz)
    return Path(name).stem, cost, cost.record(ultralytics_gflops=printed)


def build_on_meta(yaml: dict[str, Any], nc: int | None = None) -> Any:
    """Build the model of a YAML on the meta device, with the strides that its real twin would have.

    Args:
        yaml: As `engine.files.load_model_yaml` returns it.
        nc: Number of classes, by default the YAML's.
    """
    cls = MODEL_CLASSES.get(head_task(yaml) or tasks.guess_model_task(yaml))
    if yaml["head"][-1][2] == "RTDETRDecoder":
        return tasks.RTDETRDetectionModel(yaml, verbose=False)
    if cls is None or not _is_detect_like(yaml):
        return YOLO(yaml["yaml_file"]).model
    model = cls.__new__(cls)
    nn.Module.__init__(model)
    model.yaml = deepcopy({**yaml, "channels": yaml.get("channels", 3), "nc": nc or yaml.get("nc", 80)})
    with WeightsOnMeta():
        model.model, model.save = tasks.parse_model(deepcopy(model.yaml), ch=model.yaml["channels"], verbose=False)
    model.names = {i: str(i) for i in range(model.yaml["nc"])}
    model.inplace = model.yaml.get("inplace", True)
    model.stride = _strides(model)
    return model.eval()


class WeightsOnMeta(TorchFunctionMode):
    """Create weights without numbers: what layers allocate lies on the meta device, and initialising it does nothing.

    `torch.device("meta")` would do too, but takes everything, also the few small tensors that layers compute with; that
    makes torch import its compiler, which takes longer than all the rest.
    """

    ALLOCATE = frozenset({torch.empty, torch.zeros, torch.ones})
    INITIALISE = frozenset(
        [getattr(torch.Tensor, name) for name in ("uniform_", "normal_", "fill_", "zero_")]
        + [value for name, value in vars(nn.init).items() if name.endswith("_") and not name.startswith("_")]
    )

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Send an allocation to the meta device, and skip an initialisation there."""
        if func in self.ALLOCATE:
            return func(*args, **{**(kwargs or {}), "device": "meta"})
        target = args[0] if args else (kwargs or {}).get("tensor")
        if func in self.INITIALISE and target is not None and target.is_meta:
            return target
        return func(*args, **(kwargs or {}))


def _is_detect_like(yaml: dict[str, Any]) -> bool:
    name = yaml["head"][-1][2] if yaml.get("head") else ""
    return head_task(yaml) is not None or issubclass(getattr(tasks, str(name), object), Detect)


def _strides(model: Any) -> Any:
    """Run the head's training path on a meta image, as upstream does on a real one, and read the strides off it."""
    head = model.model[-1]
    head.inplace = model.inplace
    model.eval()
    head.training = True
    image = torch.empty(1, model.yaml["channels"], STRIDE_IMGSZ, STRIDE_IMGSZ, device="meta")
    with torch.inference_mode(), ShapeMode():
        output = model.forward(image)
    output = output.get("one2many", output) if isinstance(output, dict) else output
    levels = output["feats"] if isinstance(output, dict) else output[0] if isinstance(output, tuple) else output
    head.stride = torch.tensor([STRIDE_IMGSZ / level.shape[-2] for level in levels])
    return head.stride
