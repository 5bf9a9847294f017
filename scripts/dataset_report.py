"""Count a data set and write its report: `lwyolo data stats`, for people who prefer scripts to commands."""

from __future__ import annotations

import sys

from lwyolo.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["data", "stats", *sys.argv[1:]]))
