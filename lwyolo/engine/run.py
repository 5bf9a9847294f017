"""One training from the command line's arguments to a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ultralytics.cfg import check_cfg
from ultralytics.utils import RUNS_DIR

from lwyolo.engine.model import YOLO
from lwyolo.errors import UsageError, did_you_mean


def train(
    model: str | None,
    *,
    scale: str | None = None,
    weight: str | None = None,
    resume: str | bool = False,
    overrides: dict[str, Any] | None = None,
) -> Path:
    """Train a model and return its run folder.

    Args:
        model: A model YAML or a checkpoint; not needed with `resume`.
        scale: Scale of a YAML.
        weight: Checkpoint whose weights are taken where they fit.
        resume: Continue the run of this checkpoint; `True` for the newest run.
        overrides: Further Ultralytics arguments.

    Raises:
        UsageError: A file is missing, or the arguments do not fit together.
    """
    overrides = dict(overrides or {})
    try:
        check_cfg(overrides)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    if overrides.get("project"):  # newer versions of Ultralytics put a relative one under its settings' runs folder
        overrides["project"] = str(Path(overrides["project"]).resolve())
    if resume:
        last = find_resumable(resume, overrides)
        yolo = YOLO(last)
        if yolo.ckpt.get("epoch", -1) < 0 or yolo.ckpt.get("optimizer") is None:
            raise UsageError(
                f"--resume: the run of {last} has ended, so there is nothing to continue. To train on from its "
                f"weights, start a new run with --weight {last}."
            )
        yolo.train(resume=True, **{key: value for key, value in overrides.items() if key not in {"project", "name"}})
        return Path(yolo.trainer.save_dir)
    if model is None:
        raise UsageError("no model. Give --yaml with a model YAML, or --resume with a checkpoint.")
    if weight is not None:
        overrides["pretrained"] = existing_checkpoint(weight, "--weight")
    yolo = YOLO(model, scale=scale)
    yolo.train(**overrides)
    return Path(yolo.trainer.save_dir)


def find_resumable(resume: str | bool, overrides: dict[str, Any]) -> str:
    """Return the checkpoint to continue from.

    Raises:
        UsageError: There is none; the message says where it was looked for.
    """
    if isinstance(resume, str):
        return existing_checkpoint(resume, "--resume")
    if overrides.get("project") and overrides.get("name"):
        return existing_checkpoint(
            str(Path(overrides["project"]) / overrides["name"] / "weights" / "last.pt"), "--resume"
        )
    root = Path(overrides.get("project") or RUNS_DIR)
    found = sorted(root.rglob("last.pt"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise UsageError(
            f"--resume: no last.pt under {root}. Train first, or name the checkpoint: --resume path/to/last.pt."
        )
    return str(found[-1])


def existing_checkpoint(path: str, option: str) -> str:
    """Return `path` if it is a file.

    Raises:
        UsageError: It is not; the message names the nearest file beside it.
    """
    file = Path(path)
    if not file.is_file():
        beside = [other.name for other in file.parent.glob("*.pt")] if file.parent.is_dir() else []
        raise UsageError(f"{option}: no checkpoint {path}.{did_you_mean(file.name, beside)}")
    return str(file)
