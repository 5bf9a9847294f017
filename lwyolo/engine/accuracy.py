"""mAP of a model in a runtime: Ultralytics' own validation, whose forward pass is done by a candidate's process."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils import LOGGER

from lwyolo.data.index import DataConfig
from lwyolo.errors import UsageError
from lwyolo.speed.result import Accuracy
from lwyolo.speed.rounds import Candidate, Process


class RemoteModule(nn.Module):
    """A detector whose forward pass runs in a candidate's process.

    Args:
        process: Of a candidate that is loaded.
        folder: Where images and outputs are handed over.
        names: Class names by id.
        stride: The largest.
    """

    def __init__(self, process: Process, folder: Path, names: Mapping[int, str], stride: int) -> None:
        super().__init__()
        self.process, self.folder = process, folder
        self.names, self.stride = dict(names), torch.tensor([float(stride)])

    def __deepcopy__(self, memo: dict[int, Any]) -> RemoteModule:
        """Return itself: there is one process, and upstream copies what it fuses."""
        return self

    def fuse(self, verbose: bool = False) -> RemoteModule:
        """Return itself: what the process runs is fused."""
        return self

    def forward(self, images: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        """Run images, of which a last batch may have fewer than the artifact takes.

        Shapes:
            images: [B, C, H, W]
            returns: [B, 4 + classes, anchors] or [B, boxes, 6]
        """
        missing = self.process.candidate.batch - len(images)
        batch = torch.cat([images, images.new_zeros(missing, *images.shape[1:])]) if missing else images
        file, outputs = self.folder / "images.npy", self.folder / "outputs.npz"
        np.save(file, batch.float().cpu().numpy())
        self.process.ask("outputs", image=str(file), to=str(outputs))
        with np.load(outputs) as found:
            return torch.from_numpy(found[found.files[0]])[: len(images)]


class Validator(DetectionValidator):
    """Ultralytics' validator at one image size, with a head that is known to need suppression of boxes or not."""

    def __init__(self, candidate: Candidate, save_dir: Path, args: dict[str, Any]) -> None:
        super().__init__(save_dir=save_dir, args=args)
        self.candidate = candidate

    def build_dataset(self, img_path: Any, mode: str = "val", batch: int | None = None) -> Any:
        """Build the data set, with images of the candidate's height and width."""
        dataset = super().build_dataset(img_path, mode=mode, batch=batch)
        dataset.transforms.transforms[0].new_shape = self.candidate.imgsz
        return dataset

    def init_metrics(self, model: Any) -> None:
        """Take the kind of head from the candidate, since the module is none of Ultralytics'."""
        super().init_metrics(model)
        self.end2end = self.candidate.end_to_end


def check_classes(names: Mapping[int, str], config: DataConfig) -> None:
    """Refuse a data set of other classes.

    Raises:
        UsageError: The model predicts another number of classes than the data set names.
    """
    if len(names) != len(config.names):
        raise UsageError(
            f"--data {config.file}: it names {len(config.names)} classes, and the model predicts {len(names)}; its mAP "
            "would mean nothing."
        )


def accuracy(process: Process, folder: Path, names: Mapping[int, str], stride: int, data: Path) -> Accuracy:
    """Measure the mAP of a candidate on the validation images of a data set, thresholds as in `yolo val`.

    Args:
        process: Of the candidate, loaded.
        folder: For files that are handed over.
        names: Class names of the model by id.
        stride: Its largest.
        data: A data YAML whose images are there.
    """
    candidate = process.candidate
    args = {
        "task": "detect", "mode": "val", "data": str(data), "imgsz": max(candidate.imgsz), "batch": candidate.batch,
        "device": "cpu", "workers": 0, "rect": False, "plots": False, "save_json": False, "verbose": False,
    }  # fmt: skip
    if candidate.end_to_end:
        args["nms"] = False
    level = LOGGER.level
    LOGGER.setLevel(logging.ERROR)
    try:
        validator = Validator(candidate, folder / "validation", args)
        with torch.inference_mode():
            validator(model=RemoteModule(process, folder, names, stride))
    finally:
        LOGGER.setLevel(level)
    box = validator.metrics.box
    return Accuracy(map50=float(box.map50), map50_95=float(box.map), images=int(validator.seen), data=data.name)
