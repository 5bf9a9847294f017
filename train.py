"""Train a model, or with --info print what it costs: the same as `lwyolo train`. See python train.py --help."""

from __future__ import annotations

import sys

from lwyolo.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["train", *sys.argv[1:]]))
