"""The report of one run, from its record alone."""

from __future__ import annotations

import shlex
from pathlib import Path

from lwyolo.record import RECORD_NAME, GitRecord, ProvenanceRecord, RunRecord, current_state, write_text
from lwyolo.reports.cost import cost_table, latency_line
from lwyolo.reports.instances import instance_report
from lwyolo.reports.metrics import metrics_table
from lwyolo.reports.tables import Format, Table, render, wrap
from lwyolo.units import MISSING

REPORT_NAME = "report.md"
FILES = {
    "weights/best.pt": "the weights of the best epoch",
    "weights/last.pt": "the weights of the last epoch",
    "results.csv": "losses and metrics of every epoch",
    "args.yaml": "the arguments, as Ultralytics keeps them",
    RECORD_NAME: "all figures of this report, for programs",
    REPORT_NAME: "this report",
}


def run_report(record: RunRecord, folder: Path | None = None, fmt: Format = "text") -> str:
    """Write what is known of a run: cost, speed, data, validation, origin, and where its files lie.

    Args:
        record: Of a run in any state; sections that it does not have are left out.
        folder: The run folder, by default the one that the run was started in.
        fmt: `text` or `markdown`.
    """
    sections = [("Run", render(_overview(record), fmt))]
    if record.cost:
        name = record.model.name if record.model else record.name
        sections.append(("Cost", render(cost_table([(Path(name).stem, record.cost)]), fmt)))
    if record.latency:
        sections.append(("Speed", wrap(latency_line(record.latency))))
    if record.data:
        sections.append(("Data", instance_report(record.data, fmt)))
    if record.metrics:
        sections.append(("Validation", render(metrics_table(record.metrics), fmt)))
    if record.provenance:
        sections.append(("Origin", render(_origin(record.provenance), fmt)))
    sections.append(("Files", render(_files(folder or Path(str(record.arguments.get("save_dir", ".")))), fmt)))
    top = f"# {record.name}\n\n" if fmt == "markdown" else ""
    return top + "\n\n".join(f"{_heading(title, fmt)}\n{body}" for title, body in sections) + "\n"


def write_report(record: RunRecord, folder: Path) -> Path:
    """Write the report as Markdown into the run folder and return its path."""
    path = folder / REPORT_NAME
    write_text(path, run_report(record, folder, "markdown"))
    return path


def _heading(title: str, fmt: Format) -> str:
    return f"## {title}\n" if fmt == "markdown" else f"{title}\n{'=' * len(title)}"


def _facts(rows: dict[str, str]) -> Table:
    return Table(header=("", ""), rows=tuple(rows.items()), align=("left", "left"))


def _overview(record: RunRecord) -> Table:
    rows = {"name": record.name, "state": current_state(record)}
    if record.error:
        rows["error"] = record.error
    if model := record.model:
        rows["model"] = model.name + (f" at scale {model.scale}" if model.scale else "")
        rows |= {f"  {name}": paper for name, paper in model.modules.items()}
    if moved := record.transfer:
        rows["weights from"] = f"{moved.source}: {moved.taken} of {moved.total} tensors"
        rows |= {"  not, or in part": "\n".join(moved.rows_missing)} if moved.rows_missing else {}
    planned = record.arguments.get("epochs", MISSING)
    rows["epochs"] = f"{record.epochs_run} of {planned}, best {record.best_epoch or MISSING}"
    if record.train_seconds is not None and record.epoch_seconds:
        mean = record.train_seconds / len(record.epoch_seconds)
        rows["time"] = f"{record.train_seconds:.0f} s, {mean:.1f} s an epoch with its validation"
    rows["started"] = record.started_at
    rows |= {f"resumed ({i})": at for i, at in enumerate(record.resumed_at, 1)}
    rows["finished"] = record.finished_at or MISSING
    return _facts(rows)


def _origin(origin: ProvenanceRecord) -> Table:
    memory = MISSING if origin.ram_mib is None else f"{origin.ram_mib / 1024:.1f} GiB"
    return _facts(
        {
            "code": _code(origin.git) if origin.git else "not in a git repository",
            "versions": wrap(", ".join(f"{name} {version}" for name, version in origin.versions.items()), 80),
            "ultralytics": origin.ultralytics_path,
            "machine": wrap(f"{origin.cpu}, {origin.cores} cores, {memory} memory, {origin.platform}", 80),
            "GPUs": ", ".join(origin.gpus) or "none",
            "command": shlex.join(origin.command),
        }
    )


def _code(git: GitRecord) -> str:
    counts = {"added": git.added, "modified": git.modified, "untracked": git.untracked}
    changes = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"commit {git.commit[:12]} on {git.branch}, {changes or 'clean'}"


def _files(folder: Path) -> Table:
    found = {str(folder / name): what for name, what in FILES.items() if (folder / name).is_file()}
    return _facts(found or {str(folder): "holds none of the files of a run"})
