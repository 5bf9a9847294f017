"""Refuse files over 500 KiB that git tracks or is about to commit: no checkpoint or data set belongs in a history."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIMIT_KIB = 500


def main(arguments: list[str]) -> int:
    """Check the given files, or all that git knows; return 1 when one is too large."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True, text=True).stdout.split("\0")
    files = [Path(name) for name in arguments or listed if name]
    large = [(file, file.stat().st_size // 1024) for file in files if file.is_file()]
    large = [(file, kib) for file, kib in large if kib > LIMIT_KIB]
    for file, kib in large:
        print(
            f"{file}: {kib} KiB, over the limit of {LIMIT_KIB} KiB. Take it out again with: git rm --cached {file}",
            file=sys.stderr,
        )
    return 1 if large else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
