"""What our parts cost and whether their figures hold: `python scripts/benchmark.py NAME`, each in a file of its own.

A bar that is missed is marked, and the exit status is then 1. The last line of each is its result as JSON.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

BENCHMARKS = {
    "hooks": "what our hooks add to a training",
    "cost": "how right and how fast our counter is, beside others",
    "speed": "whether models are told apart on a busy machine, and a model from itself is not",
    "agreement": "whether our medians are those of the runtimes' own tools",
    "estimate": "how well latency is estimated from costs",
    "data": "how fast a data set is read, beside cat and Ultralytics' own scan",
    "roofline": "whether groups of operators keep to their bounds and add up to the whole",
}


def main() -> int:
    """Run the benchmark that is asked for; only its file is imported."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    commands = parser.add_subparsers(required=True, metavar="|".join(BENCHMARKS))
    os.environ.update(YOLO_OFFLINE="true", YOLO_VERBOSE="false", YOLO_AUTOINSTALL="false")
    for name, what in BENCHMARKS.items():
        command = commands.add_parser(name, help=what)
        if name in sys.argv[1:2]:
            module = importlib.import_module(f"_benchmark_{name}")
            module.add_options(command)
            command.set_defaults(run=module.run)
    args = parser.parse_args()
    result: int = args.run(args)
    return result


if __name__ == "__main__":
    raise SystemExit(main())
