"""The process that measures one number of threads: `python -m lwyolo.speed.machine.probe '{"threads": 1, …}'`."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import Any

from lwyolo.speed.clean import Watch
from lwyolo.speed.machine.ceilings import Sampler, count, measure_here, passes
from lwyolo.speed.machine.facts import read_facts


def main(request: dict[str, Any]) -> None:
    """Measure, and print lines of JSON: what is measured, and at last what was found."""
    plan = passes(read_facts(), request["threads"], request["levels"])
    sampler = Sampler(
        watch=Watch(request["threads"]),
        ends=time.perf_counter() + request["seconds"],
        left=count(request["dtypes"], request["sizes"], plan),
        said=lambda what: _say({"measures": what}),
    )
    _say({"ceilings": asdict(measure_here(request["threads"], request["dtypes"], request["sizes"], plan, sampler))})


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
