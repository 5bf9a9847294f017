"""Settings that must stand before Ultralytics is imported, and the real data of the project."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("lwyolo", deadline=None, print_blob=True)
settings.load_profile("lwyolo")

os.environ.update(
    YOLO_CONFIG_DIR=tempfile.mkdtemp(prefix="lwyolo-settings-"),
    YOLO_OFFLINE="true",
    YOLO_AUTOINSTALL="false",
    YOLO_VERBOSE="false",
    LWYOLO_NO_ENTRY_POINTS="1",
    LWYOLO_CONFIG_DIR=tempfile.mkdtemp(prefix="lwyolo-config-"),
    LWYOLO_PLUGIN_DIR=tempfile.mkdtemp(prefix="lwyolo-plugins-"),
    CUDA_VISIBLE_DEVICES="",
    OMP_NUM_THREADS="1",
)

collect_ignore_glob = ["**/conftest.py", "conftest.py"]  # fixtures hold no doctests, and all have one module name
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside this clone: the real images are not distributed with the project")
    return folder
