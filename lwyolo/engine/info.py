"""What a model costs, from a YAML, a checkpoint, a stock name or an ONNX file, without training it.

A YAML is built on torch's meta device: its layers have shapes and no numbers, so yolov8x takes as little memory and
nearly as little time as yolov8n.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from ultralytics.nn import tasks
from ultralytics.nn.modules import Detect

from lwyolo import cost as paper
from lwyolo.cost import Cost
from lwyolo.cost.copying import is_fused
from lwyolo.cost.shapes import ShapeMode
from lwyolo.cost.upstream import ultralytics_gflops
from lwyolo.engine import seam
from lwyolo.engine.files import first_scale, load_model_yaml, split_scale, with_scale
from lwyolo.engine.model import YOLO, head_task
from lwyolo.errors import CostError
from lwyolo.record import CostRecord

STRIDE_IMGSZ = 256
MODEL_CLASSES = {
    "detect": tasks.DetectionModel,
    "segment": tasks.SegmentationModel,
    "pose": tasks.PoseModel,
    "obb": tasks.OBBModel,
    "classify": tasks.ClassificationModel,
}


@dataclass(frozen=True, slots=True)
class ModelCost:
    """What a model costs; a graph that it does not have, or that was not asked for, is `None`.

    Args:
        training: With batch norms, and with branches that only training uses.
        deployed: After `fuse()`: batch norms folded, unused branches removed; or as an ONNX file holds it.
        ultralytics_gflops: What Ultralytics prints for the model, `None` where its counter fails.
    """

    name: str
    training: Cost | None
    deployed: Cost | None
    ultralytics_gflops: float | None

    @property
    def graphs(self) -> tuple[Cost, ...]:
        """Both graphs, the training graph first."""
        return tuple(cost for cost in (self.training, self.deployed) if cost is not None)

    def records(self) -> list[tuple[str, CostRecord]]:
        """Return the name with the record of each graph."""
        return [(self.name, cost.record(ultralytics_gflops=self.ultralytics_gflops)) for cost in self.graphs]


def cost_of(
    source: str | Path,
    scale: str | None = None,
    imgsz: int | tuple[int, int] | None = None,
    *,
    graphs: Sequence[str] = ("training", "deployed"),
    batch: int = 1,
    dtype: str = "float32",
    strict: bool = False,
) -> ModelCost:
    """Return what a model costs.

    Args:
        source: A model YAML, a checkpoint (`.pt`), a stock name such as `yolo11n.yaml`, or an ONNX file.
        scale: Scale of a YAML; by default the letter in its name.
        imgsz: Height and width, or one number for both, in pixels; by default 640, or what an ONNX file says.
        graphs: `training`, `deployed`, or both; a fused checkpoint and an ONNX file have the deployed graph alone.
        batch: Images in the pass.
        dtype: Of weights and activations; an ONNX file has its own.
        strict: Refuse a model with operators that have no formula.

    Raises:
        GraphError: The YAML is missing or cannot be built.
        CostError: The model cannot be profiled.
    """
    if Path(source).suffix == ".onnx":
        from lwyolo.cost.onnx.file import onnx_cost

        return ModelCost(Path(source).name, None, onnx_cost(Path(source), imgsz, batch=batch, strict=strict), None)
    name, model = load_for_cost(source, scale)
    size = imgsz or 640
    wanted = [graph == "deployed" for graph in graphs]
    if is_fused(model) and True in wanted:
        wanted = [True]
    costs = {
        fused: paper.profile(model, size, batch=batch, dtype=dtype, strict=strict, fused=fused) for fused in wanted
    }
    return ModelCost(name, costs.get(False), costs.get(True), ultralytics_gflops(model, size))


def load_for_cost(source: str | Path, scale: str | None = None, on_meta: bool = True) -> tuple[str, Any]:
    """Return the name of a model and the model; that of a YAML is without weights unless `on_meta` is false."""
    seam.install()
    name = with_scale(source, scale)
    if Path(name).suffix not in {".yaml", ".yml"}:
        return Path(name).stem, YOLO(name).model
    if split_scale(name)[1] is None:
        name = with_scale(name, first_scale(name))
    yaml = load_model_yaml(name)
    only_one = len(yaml.get("scales") or ()) < 2
    return Path(source if only_one else name).stem, build_on_meta(yaml) if on_meta else _build_for_real(yaml)


@functools.wraps(paper.profile)
def profile(model: nn.Module | str | Path, *args: Any, **kwargs: Any) -> Cost:
    """Profile a module, or whatever `cost_of` takes."""
    if not isinstance(model, (str, Path)):
        return paper.profile(model, *args, **kwargs)
    if Path(model).suffix == ".onnx":
        from lwyolo.cost.onnx.file import onnx_cost

        if fixed := sorted(set(kwargs) - {"imgsz", "batch", "strict"}):
            raise CostError(f"{model}: {', '.join(fixed)}: an ONNX file has its own graph, type and input.")
        return onnx_cost(Path(model), *args, **kwargs)
    return paper.profile(load_for_cost(model)[1], *args, **kwargs)


def build_on_meta(yaml: dict[str, Any], nc: int | None = None) -> Any:
    """Build the model of a YAML on the meta device, with the strides that its real twin would have.

    Args:
        yaml: As `engine.files.load_model_yaml` returns it.
        nc: Number of classes, by default the YAML's.
    """
    cls = MODEL_CLASSES.get(head_task(yaml) or tasks.guess_model_task(yaml))
    if cls is None or yaml["head"][-1][2] == "RTDETRDecoder" or not _is_detect_like(yaml):
        return _build_for_real(yaml)
    model = cls.__new__(cls)
    nn.Module.__init__(model)
    model.yaml = deepcopy({**yaml, "channels": yaml.get("channels", 3), "nc": nc or yaml.get("nc", 80)})
    with WeightsOnMeta():
        model.model, model.save = tasks.parse_model(deepcopy(model.yaml), ch=model.yaml["channels"], verbose=False)
    model.names = {i: str(i) for i in range(model.yaml["nc"])}
    model.inplace = model.yaml.get("inplace", True)
    model.stride = _strides(model)
    return model.eval()


def _build_for_real(yaml: dict[str, Any]) -> Any:
    """Build a model with its weights; RT-DETR has another class in Ultralytics than what `YOLO` builds."""
    if yaml["head"][-1][2] == "RTDETRDecoder":
        return tasks.RTDETRDetectionModel(yaml, verbose=False)
    return YOLO(yaml["yaml_file"]).model


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
