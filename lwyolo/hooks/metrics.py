"""How a run went: time of each epoch, the best one, and the validation of its weights, class by class."""

from __future__ import annotations

from typing import Any

from lwyolo import record
from lwyolo.hook import Hook, register_hook
from lwyolo.record import ClassMetrics, MetricsRecord


@register_hook
class MetricsHook(Hook):
    """Fills epochs, times and metrics, and closes the record.

    `on_fit_epoch_end` fires once more after the last epoch, with the best weights: an epoch counts only where a
    training epoch ended before it.
    """

    def __init__(self) -> None:
        self.trained_epoch = -1

    def on_train_epoch_end(self, trainer: Any) -> None:
        """Remember that this epoch was trained."""
        self.trained_epoch = trainer.epoch

    def on_fit_epoch_end(self, trainer: Any) -> None:
        """Store the time of the epoch under its number; an epoch that is repeated replaces itself.

        The best epoch is the one whose weights Ultralytics keeps as best.pt. Its early stopping forgets that epoch when
        a run is resumed by an older version, so the rule by which the file is written is asked instead.
        """
        if trainer.epoch != self.trained_epoch:
            return
        run = trainer.record
        run.epoch_seconds[trainer.epoch + 1] = float(trainer.epoch_time)
        run.epochs_run = max(run.epoch_seconds)
        run.train_seconds = sum(run.epoch_seconds.values())
        if trainer.best_fitness == trainer.fitness:
            run.best_epoch = trainer.epoch + 1
        trainer.write_record()

    def on_train_end(self, trainer: Any) -> None:
        """Store the validation of the best weights and close the record."""
        run = trainer.record
        run.arguments["batch"] = trainer.batch_size  # halved in the first epoch where memory ran out
        run.metrics = validation(
            trainer.validator,
            trainer.data["names"],
            split=str(trainer.args.split),
            weights="best" if trainer.best.exists() else "last",
        )
        run.state, run.finished_at = "finished", record.now()
        trainer.write_record()


def validation(
    validator: Any, names: dict[int, str], *, split: str = "val", weights: record.Weights = "best"
) -> MetricsRecord:
    """Read a validator of Ultralytics into a record; every class has a row, also one without ground truth.

    Args:
        validator: After a validation.
        names: All classes of the data set.
        split: What was validated on.
        weights: What was validated.
    """
    box = validator.metrics.box
    row = {int(cls): i for i, cls in enumerate(validator.metrics.ap_class_index)}
    instances, images = (_counts(validator, name) for name in ("nt_per_class", "nt_per_image"))

    def figure(values: Any, cls: int) -> float | None:
        return float(values[row[cls]]) if cls in row else None

    return MetricsRecord(
        split=split,
        precision=float(box.mp),
        recall=float(box.mr),
        map50=float(box.map50),
        map50_95=float(box.map),
        classes=tuple(
            ClassMetrics(
                cls_id=cls,
                cls_name=str(name),
                images=images.get(cls, 0),
                instances=instances.get(cls, 0),
                precision=figure(box.p, cls),
                recall=figure(box.r, cls),
                ap50=figure(box.ap50, cls),
                ap50_95=figure(box.ap, cls),
            )
            for cls, name in names.items()
        ),
        speed_ms={stage: float(value) for stage, value in validator.speed.items()},
        weights=weights,
    )


def _counts(validator: Any, name: str) -> dict[int, int]:
    """Return counts by class id; 8.3 keeps them on the validator, later versions on its metrics."""
    values = getattr(validator.metrics if hasattr(validator.metrics, name) else validator, name)
    return {} if values is None else {cls: int(value) for cls, value in enumerate(values)}
