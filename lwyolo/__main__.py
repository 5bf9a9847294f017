"""`python -m lwyolo` is the command `lwyolo`."""

from __future__ import annotations

from lwyolo.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
