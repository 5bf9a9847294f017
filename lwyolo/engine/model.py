"""`YOLO`: Ultralytics' own, with our trainers, our YAML look-up, and checks before a checkpoint or an export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ultralytics
from torch import nn
from ultralytics.nn import tasks
from ultralytics.nn.modules import OBB, Detect, Pose, Segment

from lwyolo.engine import seam
from lwyolo.engine.checkpoint import check_checkpoint
from lwyolo.engine.files import load_model_yaml, with_scale
from lwyolo.engine.trainer import TRAINERS
from lwyolo.errors import GraphError, UsageError, did_you_mean
from lwyolo.registry import MODULES
from lwyolo.spec import ModuleSpec

VIA_ONNX = ("onnx", "engine", "mnn", "saved_model", "pb", "deepx", "qnn", "xilinx")
"""Export formats that Ultralytics makes from an ONNX file."""

TASKS = ((Segment, "segment"), (Pose, "pose"), (OBB, "obb"), (Detect, "detect"))


class YOLO(ultralytics.YOLO):
    """Ultralytics' `YOLO` for model YAMLs with registered modules; everything that it does works as before.

    Args:
        model: A model YAML, a checkpoint, or a name that Ultralytics knows.
        task: As upstream; read from the head when absent.
        verbose: Print the model's rows.
        scale: Scale of a model YAML: n, s, m, l or x; by default the letter in the file name.

    Raises:
        GraphError: The YAML is missing or cannot be built.
        PluginError: A checkpoint needs a package that is not installed.
    """

    def __init__(
        self,
        model: str | Path = "yolo11n.yaml",
        task: str | None = None,
        verbose: bool = False,
        scale: str | None = None,
    ) -> None:
        seam.install()
        is_yaml = Path(model).suffix.lower() in {".yaml", ".yml"} if isinstance(model, str | Path) else False
        if scale is not None and not is_yaml:
            raise UsageError(f"scale={scale!r} needs a model YAML, found {model}: a checkpoint has its scale already.")
        if Path(str(model)).suffix == ".pt" and Path(str(model)).is_file():
            check_checkpoint(str(model))
        elif Path(str(model)).suffix == ".pt" and Path(str(model)).parent != Path():  # no name that could be fetched
            raise missing_model(str(model))
        super().__init__(model=with_scale(str(model), scale) if is_yaml else model, task=task, verbose=verbose)

    @property
    def task_map(self) -> dict[str, dict[str, Any]]:
        """Upstream's map, with our trainer where there is one."""
        stock = super().task_map
        return {
            task: {**parts, **({"trainer": TRAINERS[task]} if task in TRAINERS else {})}
            for task, parts in stock.items()
        }

    def _new(self, cfg: str, task: str | None = None, **kwargs: Any) -> None:
        yaml = load_model_yaml(cfg)
        task = task or head_task(yaml) or tasks.guess_model_task(yaml)
        if task is None:
            last = yaml["head"][-1]
            if last[2] == "RTDETRDecoder":
                raise GraphError(
                    f"{cfg}: the last row is {last}. RT-DETR has a class of its own, ultralytics.RTDETR; lwyolo info "
                    "counts it, and models with YOLO's heads are built, trained and timed."
                )
            raise GraphError(
                f"{cfg}: the last row is {last}, which is no head that Ultralytics knows. End the model with Detect "
                "or a subclass of it, or give task=."
            )
        super()._new(cfg, task=task, **kwargs)

    def _load(self, weights: str, task: str | None = None) -> None:
        try:
            super()._load(weights, task=task)
        except (FileNotFoundError, ConnectionError) as error:  # a stock name is fetched, where there is a network
            raise missing_model(weights) from error

    def export(self, **kwargs: Any) -> str:
        """Export as upstream does, after asking the registered modules in the model whether they can.

        Raises:
            UsageError: A module cannot be exported to the format, or not at the opset asked for.
        """
        prepare_export(self.model, kwargs)
        return str(super().export(**kwargs))


def missing_model(path: str) -> UsageError:
    """Return the error for a model file that is not there, with the nearest in its folder."""
    folder = Path(path).parent
    beside = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    return UsageError(f"{path}: no such model.{did_you_mean(Path(path).name, beside)}")


def head_task(yaml: dict[str, Any]) -> str | None:
    """Return the task of a registered head, whatever its name; `None` for a built-in one, which upstream knows."""
    head = yaml["head"][-1] if isinstance(yaml.get("head"), list) and yaml["head"] else None
    spec = MODULES.get(head[2]) if isinstance(head, list) and len(head) == 4 and isinstance(head[2], str) else None
    return next((task for base, task in TASKS if spec and issubclass(spec.cls, base)), None)


def registered_in(model: nn.Module) -> list[ModuleSpec]:
    """Return the specs of the registered modules that stand anywhere in a model, ordered by name."""
    present = {type(module) for module in model.modules()}
    return [spec for spec in MODULES.values() if spec.cls in present]


def prepare_export(model: nn.Module, arguments: dict[str, Any]) -> None:
    """Check the export arguments against the modules, and set what they need; `arguments` is changed in place."""
    fmt = str(arguments.get("format", "torchscript")).lower()
    for spec in registered_in(model):
        reason = dict(spec.no_export).get(fmt)
        if reason:
            raise UsageError(f"format={fmt}: {spec.name} cannot be exported: {reason}")
        if fmt in VIA_ONNX and spec.onnx_opset:
            if (arguments.get("opset") or spec.onnx_opset) < spec.onnx_opset:
                raise UsageError(f"opset={arguments['opset']}: {spec.name} needs at least {spec.onnx_opset}.")
            arguments["opset"] = max(arguments.get("opset") or 0, spec.onnx_opset)
    if fmt in VIA_ONNX and any(spec.onnx_opset for spec in registered_in(model)):
        from lwyolo.modules._onnx import register_deform_conv2d

        register_deform_conv2d()
