"""One run as versioned data: configuration, cost, speed, data, metrics, provenance; where all packages meet.

A section that was not measured is `None`, never 0. Full precision is stored. Standard library only.
"""

from __future__ import annotations

from datetime import datetime, timezone

from lwyolo.record.process import current_state, this_process
from lwyolo.record.sections import (
    SCHEMA,
    ClassCount,
    ClassMetrics,
    CostRecord,
    DataRecord,
    GitRecord,
    LatencyRecord,
    LeakRecord,
    MetricsRecord,
    ModelRecord,
    ProcessRecord,
    ProvenanceRecord,
    RunRecord,
    SampleCount,
    SplitCount,
    State,
    TransferRecord,
    Weights,
    ap50_scalar,
    scalars,
)
from lwyolo.record.store import RECORD_NAME, read, write, write_text

__all__ = [
    "RECORD_NAME",
    "SCHEMA",
    "ClassCount",
    "ClassMetrics",
    "CostRecord",
    "DataRecord",
    "GitRecord",
    "LatencyRecord",
    "LeakRecord",
    "MetricsRecord",
    "ModelRecord",
    "ProcessRecord",
    "ProvenanceRecord",
    "RunRecord",
    "SampleCount",
    "SplitCount",
    "State",
    "TransferRecord",
    "Weights",
    "ap50_scalar",
    "current_state",
    "now",
    "read",
    "scalars",
    "this_process",
    "write",
    "write_text",
]


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
