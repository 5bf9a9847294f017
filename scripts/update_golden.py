"""Rewrite the tables in tests/golden/ from the records in tests/reports/golden_cases.py; review the diff like code."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "reports"))

import golden_cases  # noqa: E402 (the path must be set first)

for name in golden_cases.CASES:
    path = golden_cases.GOLDEN / name
    before = path.read_text(encoding="utf-8") if path.exists() else None
    after = golden_cases.text(name)
    path.write_text(after, encoding="utf-8", newline="\n")
    print(f"{'unchanged' if before == after else 'new' if before is None else 'CHANGED'}  {path.relative_to(ROOT)}")
for path in sorted(golden_cases.GOLDEN.iterdir()):
    if path.name not in golden_cases.CASES:
        print(f"no case  {path.relative_to(ROOT)}")
