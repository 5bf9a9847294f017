"""The sections of a record: frozen data, one class each, and `RunRecord`, which holds them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA = 1

State = Literal["running", "finished", "failed", "interrupted"]
Weights = Literal["best", "last"]


@dataclass(frozen=True, slots=True)
class CostRecord:
    """What one forward pass costs on paper.

    `gflops` is 2 × `macs` / 1e9, of contractions only; `flops` adds element-wise work. `activation_bytes` is what all
    operators write together, `peak_activation_bytes` what is alive at once, at least.
    """

    params: int
    layers: int
    macs: int
    gflops: float
    memory_access_bytes: int | None
    memory_access_fused_bytes: int | None
    peak_activation_bytes: int | None
    uncounted: dict[str, int]
    imgsz: tuple[int, int]
    batch: int
    dtype: str
    fused: bool
    counter: str
    ultralytics_gflops: float | None = None
    flops: int | None = None
    activation_bytes: int | None = None

    @property
    def arithmetic_intensity(self) -> float | None:
        """FLOPs for each byte of fused memory access; `None` where either was not counted."""
        n_bytes = self.memory_access_fused_bytes
        return self.flops / n_bytes if self.flops is not None and n_bytes else None


@dataclass(frozen=True, slots=True)
class LatencyRecord:
    """Time of one forward pass; `median_ms` is `None` where it was not measured, `reason` then says why.

    Args:
        passes: That were timed, of which `clean` were disturbed by nothing; figures are of those, where that is known.
        low_ms: Lower end of the median's 95 % interval, and `high_ms` its upper end.
    """

    median_ms: float | None
    p90_ms: float | None
    passes: int
    imgsz: tuple[int, int]
    batch: int
    dtype: str
    device: str
    threads: int
    fused: bool
    runtime: str = "torch eager"
    reason: str | None = None
    clean: int | None = None
    low_ms: float | None = None
    high_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Instances of one class in one split, and the images that hold at least one of them."""

    sample: str
    cls_id: int
    cls_name: str
    split: str
    instances: int
    images: int


@dataclass(frozen=True, slots=True)
class SplitCount:
    """Images of one split: all of them, those trained on without an instance, and those that Ultralytics drops."""

    split: str
    images: int
    background: int
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class SampleCount:
    """Images of one split that hold at least one instance of a sample (a group of classes of one subject)."""

    sample: str
    split: str
    images: int


@dataclass(frozen=True, slots=True)
class LeakRecord:
    """Equal files in different splits of a data set; near-duplicates are not looked for.

    Args:
        images: How many, each content counted once.
        pairs: An example of each of the first of them: a file, and an equal one in another split.
        unproven: Files that are likely equal to another, and were not compared whole, to spare time.
    """

    images: int
    pairs: tuple[tuple[str, str], ...]
    unproven: int = 0


@dataclass(frozen=True, slots=True)
class DataRecord:
    """The data set of a run: where it is, its fingerprint, and its counts per class, sample and split.

    `leaks` is `None` where nobody looked for them.
    """

    yaml: str
    fingerprint: str
    names: dict[int, str]
    classes: tuple[ClassCount, ...]
    samples: tuple[SampleCount, ...]
    splits: tuple[SplitCount, ...]
    rows_written: int | None = None
    instances_trained: int | None = None
    problems: tuple[str, ...] = ()
    leaks: LeakRecord | None = None


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """Validation of one class; metrics are `None` for a class without ground truth in the split."""

    cls_id: int
    cls_name: str
    images: int
    instances: int
    precision: float | None
    recall: float | None
    ap50: float | None
    ap50_95: float | None


@dataclass(frozen=True, slots=True)
class MetricsRecord:
    """Validation of the weights that a run ends with, with Ultralytics' own definition of AP.

    `weights` says which: `best`, or `last` where a run saved no best ones. `speed_ms` is per image and stage.
    """

    split: str
    precision: float
    recall: float
    map50: float
    map50_95: float
    classes: tuple[ClassMetrics, ...]
    speed_ms: dict[str, float]
    weights: Weights = "best"


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """Weights taken from another checkpoint, counted in tensors; `rows_missing` are YAML rows that got none or part."""

    source: str
    taken: int
    total: int
    rows_missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """The model: its YAML as read (before scaling), its scale, and the registered modules in it with their papers."""

    name: str
    task: str
    scale: str | None
    yaml: dict[str, Any]
    modules: dict[str, str]


@dataclass(frozen=True, slots=True)
class GitRecord:
    """The working tree: `added`, `modified` and `untracked` count files; all 0 means clean."""

    commit: str
    branch: str
    added: int
    modified: int
    untracked: int

    @property
    def clean(self) -> bool:
        """Whether the tree equals the commit."""
        return not (self.added or self.modified or self.untracked)


@dataclass(frozen=True, slots=True)
class ProvenanceRecord:
    """Code, versions and hardware of a run. `git` is `None` outside a repository."""

    git: GitRecord | None
    versions: dict[str, str]
    ultralytics_path: str
    platform: str
    cpu: str
    cores: int
    ram_mib: float | None
    gpus: tuple[str, ...]
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """The process that trains. `started` tells it from a later one with the same number; empty where unknown."""

    pid: int
    host: str
    started: str


@dataclass(slots=True)
class RunRecord:
    """One training. `state` is `running` until the end; `current_state` tells a dead run by its process.

    `train_seconds` is the time of all epochs with their validations, over all resumptions.
    """

    state: State = "running"
    schema: int = SCHEMA
    name: str = ""
    process: ProcessRecord | None = None
    started_at: str = ""
    finished_at: str | None = None
    resumed_at: tuple[str, ...] = ()
    arguments: dict[str, Any] = field(default_factory=dict)
    model: ModelRecord | None = None
    cost: CostRecord | None = None
    latency: LatencyRecord | None = None
    data: DataRecord | None = None
    transfer: TransferRecord | None = None
    metrics: MetricsRecord | None = None
    best_epoch: int | None = None
    epochs_run: int = 0
    epoch_seconds: dict[int, float] = field(default_factory=dict)
    train_seconds: float | None = None
    error: str | None = None
    provenance: ProvenanceRecord | None = None


def scalars(record: RunRecord) -> dict[str, float]:
    """Return the figures of a run that its epochs do not change, for loggers and results.csv; NaN is unmeasured.

    The names are the same for every run, so that a table keeps its columns when a run is resumed.
    """
    cost, latency = record.cost, record.latency
    figures = {
        "cost/params": cost.params if cost else None,
        "cost/gmaccs": cost.macs / 1e9 if cost else None,
        "cost/gflops": cost.gflops if cost else None,
        "cost/gflops_ultralytics": cost.ultralytics_gflops if cost else None,
        "speed/latency_ms": latency.median_ms if latency else None,
    }
    return {name: math.nan if value is None else float(value) for name, value in figures.items()}


def ap50_scalar(cls_id: int, cls_name: str) -> str:
    """Return the name of a class's AP50 among the scalars: unique by its id, readable by its name.

    What MLflow refuses in a name is replaced. A name with `loss` or `metric` in it is left out: Ultralytics would draw
    such a column among its own curves.

    Example:
        >>> ap50_scalar(0, "pin, rusty"), ap50_scalar(4, "锈蚀"), ap50_scalar(7, "glossy")
        ('AP50/0-pin_ rusty', 'AP50/4-锈蚀', 'AP50/7')
    """
    safe = re.sub(r"[^\w\-. ]", "_", cls_name).strip()
    return f"AP50/{cls_id}" if not safe or "loss" in safe or "metric" in safe else f"AP50/{cls_id}-{safe}"
