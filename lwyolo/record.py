"""One run as versioned data: configuration, cost, speed, data, metrics, provenance; where all packages meet.

A section that was not measured is `None`, never 0. Full precision is stored.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
import types
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lwyolo.errors import RecordError, did_you_mean

SCHEMA = 1
RECORD_NAME = "record.json"

State = Literal["running", "finished", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class CostRecord:
    """What one forward pass costs on paper. `gflops` is 2 × `macs` / 1e9, of contractions only."""

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


@dataclass(frozen=True, slots=True)
class LatencyRecord:
    """Time of one forward pass; `median_ms` is `None` where it was not measured, `reason` then says why."""

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
    """Images of one split: all of them, and those without an instance."""

    split: str
    images: int
    background: int


@dataclass(frozen=True, slots=True)
class SampleCount:
    """Images of one split that hold at least one instance of a sample (a group of classes of one subject)."""

    sample: str
    split: str
    images: int


@dataclass(frozen=True, slots=True)
class DataRecord:
    """The data set of a run: where it is, its fingerprint, and its counts per class, sample and split."""

    yaml: str
    fingerprint: str
    names: dict[int, str]
    classes: tuple[ClassCount, ...]
    samples: tuple[SampleCount, ...]
    splits: tuple[SplitCount, ...]
    rows_written: int | None = None
    instances_trained: int | None = None
    problems: tuple[str, ...] = ()


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
    """Validation of the best weights, with Ultralytics' own definition of AP. `speed_ms` is per image and stage."""

    split: str
    precision: float
    recall: float
    map50: float
    map50_95: float
    classes: tuple[ClassMetrics, ...]
    speed_ms: dict[str, float]


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


@dataclass(slots=True)
class RunRecord:
    """One training. `state` is `running` until the end; `current_state` tells a dead run by its process.

    `process` identifies the process that trains: its number, and when it started, since numbers are reused.
    """

    state: State = "running"
    schema: int = SCHEMA
    name: str = ""
    process: tuple[int, float] | None = None
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


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def write(record: RunRecord, path: Path) -> None:
    """Write a record so that the file is whole at any moment: to a temporary name, then renamed.

    A number that is not finite is written as null: it was not measured.
    """
    text = json.dumps(_plain(record), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read(path: Path) -> RunRecord:
    """Read a record.

    Raises:
        RecordError: The file is missing, of another schema, or does not hold what a record holds; with file and key.
    """
    if path.is_dir():
        path = path / RECORD_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(f"{path}: no such record. A run folder of lwyolo holds {RECORD_NAME}.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise RecordError(f"{path}: found {type(content).__name__}, expected a mapping.")
    if content.get("schema") != SCHEMA:
        raise RecordError(f"{path}: schema {content.get('schema')!r}, this version of lwyolo reads schema {SCHEMA}.")
    record: RunRecord = _typed(RunRecord, content, str(path), "")
    return record


def current_state(record: RunRecord) -> str:
    """Return the state of a run, telling one that died without a word from one that still runs.

    Example:
        >>> current_state(RunRecord(state="finished"))
        'finished'
        >>> current_state(RunRecord(state="running", process=(1, -1.0), epochs_run=3))
        'died after epoch 3'
    """
    if record.state != "running" or (record.process and process_started(record.process[0]) == record.process[1]):
        return record.state
    return f"died after epoch {record.epochs_run}" if record.epochs_run else "died before the first epoch ended"


def process_started(pid: int) -> float | None:
    """Return when a process started, in a unit of its system's own; `None` when there is no such process."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        return float(stat.read_text().rpartition(")")[2].split()[19])
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return 0.0


def scalars(record: RunRecord) -> dict[str, float]:
    """Return the measured figures of a run that do not change over its epochs, for loggers and results.csv."""
    figures: dict[str, float | None] = {}
    if record.cost:
        figures |= {
            "cost/params": record.cost.params,
            "cost/gmaccs": record.cost.macs / 1e9,
            "cost/gflops": record.cost.gflops,
            "cost/gflops_ultralytics": record.cost.ultralytics_gflops,
        }
    if record.latency:
        figures["speed/latency_ms"] = record.latency.median_ms
    return {name: float(value) for name, value in figures.items() if value is not None}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return value.item() if hasattr(value, "item") else str(value)


def _typed(kind: Any, value: Any, file: str, key: str) -> Any:
    """Build `kind` from parsed JSON; every mismatch is named with its dotted key."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _typed(next(a for a in args if a is not type(None)), value, file, key)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, file, key)
    if origin is dict and isinstance(value, dict):
        return {(int(k) if args[0] is int else k): _typed(args[1], v, file, f"{key}.{k}") for k, v in value.items()}
    if origin is tuple and isinstance(value, list):
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) == len(value):
            return tuple(_typed(k, v, file, f"{key}.{i}") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is Literal and value in args:
        return value
    if kind is Any:
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise RecordError(f"{file}: {key.lstrip('.')}: found {value!r}, expected {_name(kind)}.")


def _dataclass(kind: Any, value: Any, file: str, key: str) -> Any:
    if not isinstance(value, dict):
        raise RecordError(f"{file}: {key.lstrip('.') or 'record'}: found {value!r}, expected a mapping.")
    hints = get_type_hints(kind)
    unknown = [name for name in value if name not in hints]
    if unknown:
        raise RecordError(f"{file}: {f'{key}.{unknown[0]}'.lstrip('.')}: unknown key.{did_you_mean(unknown[0], hints)}")
    required = [f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING]
    missing = [name for name in required if name not in value]
    if missing:
        raise RecordError(f"{file}: {f'{key}.{missing[0]}'.lstrip('.')}: missing.")
    return kind(**{name: _typed(hints[name], item, file, f"{key}.{name}") for name, item in value.items()})


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)) if get_origin(kind) is None else str(kind).replace("typing.", "")
