"""Trainers: Ultralytics' own, with the record, the hooks, our weight transfer and our columns in results.csv.

They live here and not in a script because the workers of several GPUs import the trainer's class first: that import
puts the seam in place and registers all modules.
"""

from __future__ import annotations

import os
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn
from ultralytics.models.yolo.detect import DetectionTrainer as StockDetectionTrainer
from ultralytics.models.yolo.obb import OBBTrainer as StockOBBTrainer
from ultralytics.models.yolo.pose import PoseTrainer as StockPoseTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer as StockSegmentationTrainer
from ultralytics.nn import tasks
from ultralytics.utils import DEFAULT_CFG, LOGGER, RANK
from ultralytics.utils.callbacks import get_default_callbacks

from lwyolo import hook, record, registry
from lwyolo.data.index import require_images
from lwyolo.engine import seam
from lwyolo.engine.weights import transfer
from lwyolo.record import RECORD_NAME, RunRecord

if TYPE_CHECKING:
    Base = StockDetectionTrainer
else:
    Base = object


class RecordingTrainer(Base):  # type: ignore[valid-type, misc]  # Ultralytics is untyped
    """Mixin that gives a stock trainer a record and its hooks.

    Attributes:
        record: What is known of this run so far; hooks fill it.
    """

    def __init__(self, cfg: Any = DEFAULT_CFG, overrides: dict[str, Any] | None = None, _callbacks: Any = None) -> None:
        seam.install()
        registry.discover("lwyolo.hooks")
        self.record = RunRecord()
        callbacks = copy(_callbacks) if _callbacks else get_default_callbacks()
        callbacks = hook.attach(callbacks, [cls() for cls in registry.HOOKS.values()])
        super().__init__(cfg, overrides, callbacks)

    def train(self) -> Any:
        """Train; a run that fails or is interrupted says so in its record before the error goes on."""
        try:
            return super().train()
        except KeyboardInterrupt:
            self._close_record("interrupted", "KeyboardInterrupt")
            raise
        except BaseException as error:
            self._close_record("failed", f"{type(error).__name__}: {error}")
            raise

    def get_dataset(self) -> Any:
        """Check the data YAML before Ultralytics does: where images are missing, it would run what `download:` says.

        Raises:
            DataError: The YAML is not usable or images are missing, and `download:` is no link to an archive.
        """
        if str(self.args.data).lower().endswith((".yaml", ".yml")) and Path(self.args.data).is_file():
            require_images(Path(self.args.data))
        return super().get_dataset()

    def get_model(self, cfg: Any = None, weights: nn.Module | None = None, verbose: bool = True) -> Any:
        """Build the model, and take from `weights` what fits, row by row.

        Where a checkpoint is named by `pretrained`, it is read here: until 8.4 Ultralytics loads it by key into another
        model first, and hands over that one.
        """
        model = super().get_model(cfg=cfg, weights=None, verbose=verbose)
        pretrained = self.args.pretrained
        if weights is not None and self.resume:
            model.load(weights)
            return model
        if isinstance(pretrained, str | Path):
            weights = load_checkpoint(pretrained)
        if weights is not None:
            self.record.transfer = transfer(model, weights, str(getattr(weights, "pt_path", None) or pretrained))
            if RANK in {-1, 0}:
                LOGGER.info(transfer_summary(self.record.transfer))
        return model

    def save_metrics(self, metrics: dict[str, float]) -> None:
        """Write a line of results.csv, with our columns at its end."""
        super().save_metrics({**metrics, **self.extra_scalars()})

    def extra_scalars(self) -> dict[str, float]:
        """Return cost, latency and AP50 of each class (NaN without ground truth); the same names in every epoch."""
        metrics = self.validator.metrics
        ap50 = dict(zip((int(c) for c in metrics.ap_class_index), metrics.box.ap50, strict=False))
        per_class = {
            record.ap50_scalar(cls, str(name)): float(ap50.get(cls, float("nan")))
            for cls, name in self.data["names"].items()
        }
        return {**record.scalars(self.record), **per_class}

    def write_record(self) -> None:
        """Write the record beside args.yaml; only the first process of a run does."""
        if RANK in {-1, 0} and self.save_dir.is_dir():
            record.write(self.record, self.save_dir / RECORD_NAME)

    def _close_record(self, state: record.State, error: str) -> None:
        if not self._launches_workers():
            self.record.state, self.record.error, self.record.finished_at = state, error, record.now()
            self.write_record()

    def _launches_workers(self) -> bool:
        """Whether this process only starts the workers of several GPUs, which write the record themselves."""
        devices = [d for d in str(self.args.device or "").strip("[]()").split(",") if d.strip().isdigit()]
        return len(devices) > 1 and "LOCAL_RANK" not in os.environ


def load_checkpoint(path: str | Path) -> nn.Module:
    """Open a checkpoint with the installed version's own function; versions before 8.4 call it by another name."""
    opener = getattr(tasks, "load_checkpoint", None) or tasks.attempt_load_one_weight
    model: nn.Module = opener(path)[0]
    return model


def transfer_summary(moved: record.TransferRecord) -> str:
    """Say what was taken from a checkpoint, and which rows were not."""
    rows = "".join(f"\n  not or only in part: {row}" for row in moved.rows_missing)
    return f"Transferred {moved.taken} of {moved.total} tensors from {moved.source}{rows}"


class DetectionTrainer(RecordingTrainer, StockDetectionTrainer):
    """Detection, recorded."""


class SegmentationTrainer(RecordingTrainer, StockSegmentationTrainer):
    """Instance segmentation, recorded."""


class PoseTrainer(RecordingTrainer, StockPoseTrainer):
    """Pose estimation, recorded."""


class OBBTrainer(RecordingTrainer, StockOBBTrainer):
    """Oriented boxes, recorded."""


TRAINERS = {"detect": DetectionTrainer, "segment": SegmentationTrainer, "pose": PoseTrainer, "obb": OBBTrainer}
