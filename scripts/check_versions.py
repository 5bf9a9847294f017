"""Run the tests of the seam on other versions of Ultralytics: `python scripts/check_versions.py [VERSION ...]`.

Each version is fetched with pip into a temporary folder (without its dependencies: those installed here are used) and
put first on the path. Without arguments, one version of every parser shape that the seam knows is tried.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lwyolo.engine.parser import KNOWN_SHAPES

ROOT = Path(__file__).resolve().parent.parent
TESTS = ["tests/engine/test_seam.py", "tests/engine/test_parity.py", "tests/graph", "tests/modules/test_contract.py"]


def check(version: str, folder: Path) -> bool:
    """Fetch one version and run the tests on it; print one line."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, f"ultralytics=={version}"], check=True, stderr=subprocess.DEVNULL)
    path = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", *(test for test in TESTS if (ROOT / test).exists())]
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    print(
        f"{version:>8}  {'ok' if result.returncode == 0 else 'FAILED'}  {result.stdout.strip().splitlines()[-1]}",
        flush=True,
    )
    return result.returncode == 0


def main(versions: list[str]) -> int:
    """Check the versions; return 1 when one fails."""
    passed = []
    for version in versions or list(KNOWN_SHAPES.values()):
        with tempfile.TemporaryDirectory() as folder:
            passed.append(check(version, Path(folder)))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
