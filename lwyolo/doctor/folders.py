"""Whether the folders that a run writes to can be written, tried with a real file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lwyolo import plugins
from lwyolo.doctor.finding import NOTE, OK, PROBLEM, Finding

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that something is written to.

    Args:
        name: What it is for.
        folder: Where it is; it need not exist yet.
        remedy: How another one is chosen.
        required: Whether runs fail where it cannot be written.
    """

    name: str
    folder: Path
    remedy: str
    required: bool = True


def look(_: Mapping[str, str]) -> list[Finding]:
    """Look at the plugin store, the temporary and the current folder."""
    places = (
        Place("plugin store", plugins.store(), f"export {plugins.STORE_VARIABLE}=/a/folder/that/can/be/written"),
        Place("temporary folder", Path(tempfile.gettempdir()), "export TMPDIR=/a/folder/that/can/be/written"),
        Place("current folder", Path.cwd(), "Start the command in a folder that can be written."),
    )
    return [look_at(place) for place in places]


def look_at_settings(environment: Mapping[str, str]) -> list[Finding]:
    """Look at the folders of Ultralytics' settings, which are read and not changed."""
    from ultralytics.utils import SETTINGS, USER_CONFIG_DIR

    change = "yolo settings {}=/a/folder/that/can/be/written"
    places = [
        Place("settings folder", USER_CONFIG_DIR, "export YOLO_CONFIG_DIR=/a/folder/that/can/be/written"),
        Place("runs folder", Path(SETTINGS["runs_dir"]), change.format("runs_dir")),
        Place("datasets folder", Path(SETTINGS["datasets_dir"]), change.format("datasets_dir"), required=False),
        Place("weights folder", Path(SETTINGS["weights_dir"]), change.format("weights_dir"), required=False),
    ]
    fallback = fallback_finding(Path(USER_CONFIG_DIR), environment.get("YOLO_CONFIG_DIR"), Path(tempfile.gettempdir()))
    found = [look_at(place) for place in places]
    return [fallback, *found[1:]] if fallback else found


def look_at(place: Place) -> Finding:
    """Look at one folder."""
    return place_finding(place, *probe(place.folder))


def probe(folder: Path) -> tuple[str, int | None]:
    """Write and delete a file in a folder, or where it would be made; return the error, else free bytes."""
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=nearest, prefix=".lwyolo-doctor-") as file:
            file.write(b"written by lwyolo doctor")
            file.flush()
        return "", shutil.disk_usage(nearest).free
    except OSError as error:
        return f"{error.strerror} ({nearest})", None


def place_finding(place: Place, error: str, free: int | None) -> Finding:
    """Judge a folder.

    Args:
        place: The folder.
        error: Why it cannot be written, empty where it can.
        free: Free bytes, `None` where they are not known.
    """
    folder = place.folder.absolute()
    if error:
        state = PROBLEM if place.required else NOTE
        return Finding(place.name, state, f"{folder} cannot be written: {error}", place.remedy)
    if free is not None and free < GIB:
        found = f"{folder}; only {free / GIB:.2f} GiB are free"
        return Finding(place.name, NOTE, found, f"Free some space, or choose another folder: {place.remedy}")
    return Finding(place.name, OK, str(folder))


def fallback_finding(used: Path, asked: str | None, temporary: Path) -> Finding | None:
    """Say where Ultralytics could not write its settings and took a temporary folder instead.

    Args:
        used: The folder that it uses.
        asked: `YOLO_CONFIG_DIR`.
        temporary: The folder of temporary files.
    """
    wanted = Path(asked).expanduser() if asked else Path.home()
    if used.is_relative_to(wanted) or not used.is_relative_to(temporary):
        return None
    return Finding(
        "settings folder",
        NOTE,
        f"{asked or 'the folder of your settings'} cannot be written, so Ultralytics uses {used}, which may be emptied",
        "export YOLO_CONFIG_DIR=/a/folder/that/can/be/written",
    )
