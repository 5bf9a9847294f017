"""The validation of a run, class by class."""

from __future__ import annotations

from lwyolo.record import MetricsRecord
from lwyolo.reports.tables import Table
from lwyolo.units import MISSING, fraction, milliseconds


def metrics_table(metrics: MetricsRecord) -> Table:
    """Return one row a class, also for one without ground truth, under the mean over the classes that have some."""
    mean = (metrics.precision, metrics.recall, metrics.map50, metrics.map50_95)
    instances = str(sum(cls.instances for cls in metrics.classes))
    rows = [("all", "", "", instances, *map(fraction, mean))]
    for cls in metrics.classes:
        figures = map(fraction, (cls.precision, cls.recall, cls.ap50, cls.ap50_95))
        rows.append((cls.cls_name, str(cls.cls_id), str(cls.images), str(cls.instances), *figures))
    speed = ", ".join(f"{stage} {milliseconds(value)}" for stage, value in metrics.speed_ms.items())
    missing = f"{MISSING} marks a class without ground truth in this split; it has no part in the mean."
    return Table(
        header=("Class", "Id", "Images", "Instances", "Precision", "Recall", "AP50", "AP50-95"),
        rows=tuple(rows),
        title=f"Validation of the {metrics.weights} weights on the split {metrics.split}",
        notes=(
            *([missing] if any(cls.ap50 is None for cls in metrics.classes) else []),
            *([f"Time per image: {speed}."] if speed else []),
        ),
    )
