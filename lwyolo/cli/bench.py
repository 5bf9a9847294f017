"""`lwyolo bench`: what models take on a clock, in the runtimes that they are deployed to."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from lwyolo import plugins
from lwyolo.cli._cost import FORMATS, add_imgsz
from lwyolo.cli._parser import add_command, add_plugins, positive
from lwyolo.errors import UsageError
from lwyolo.reports.speed import STAGES, comparison_table, failure_lines, resource_table, stage_table
from lwyolo.reports.tables import render

if TYPE_CHECKING:
    from lwyolo.engine.bench import Bench
    from lwyolo.speed.result import Comparison, Result

RUNTIMES = ("torch", "onnxruntime", "openvino")


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "bench",
        run,
        "measure latency, throughput and memory of models in their runtimes",
        "lwyolo bench runs/train/dyhead/weights/best.pt",
        "lwyolo bench cfg/yolov8n-dyhead.yaml --vs yolov8n.yaml --runtime onnxruntime ncnn --threads 2",
        "lwyolo bench best.pt --runtime onnxruntime --throughput 1 4 16",
        "lwyolo bench best.pt --data my.yaml --precision fp32 int8",
        "lwyolo bench best.pt --save base.json",
        "lwyolo bench best.pt --against base.json --fail-above 1.05",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="model YAML, checkpoint, or stock name")
    parser.add_argument("--vs", metavar="BASE", help="compare each model with this one, in the same rounds")
    parser.add_argument("--runtime", nargs="+", default=list(RUNTIMES), metavar="NAME", help=f"({' '.join(RUNTIMES)})")
    parser.add_argument("--scale", choices=("n", "s", "m", "l", "x"), help="scale of YAMLs whose name has none")
    add_imgsz(parser)
    parser.add_argument("--batch", type=positive, default=1, metavar="N", help="images in a pass (1)")
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="CPU threads (1)")
    parser.add_argument(
        "--precision", nargs="+", default=["fp32"], choices=("fp32", "fp16", "int8"), metavar="P",
        help="fp32, fp16, int8; int8 is calibrated on training images of --data (fp32)",
    )  # fmt: skip
    parser.add_argument("--data", type=Path, metavar="YAML", help="measure the mAP of each runtime on its val images")
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu, or cuda where the runtime can (cpu)")
    parser.add_argument("--throughput", type=positive, nargs="+", default=[], metavar="B", help="images/s at batches")
    parser.add_argument("--budget", type=float, default=30.0, metavar="S", help="seconds for all rounds (30)")
    parser.add_argument(
        "--width", type=float, default=2.0, metavar="%", help="stop when intervals are this narrow, ± in %% (2)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the order of rounds (0)")
    parser.add_argument(
        "--format", choices=(*FORMATS, "json", "html"), default="table", help="how it is written (table)"
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="write all samples and conditions as JSON")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with results that were saved earlier")
    parser.add_argument(
        "--fail-above", type=float, metavar="R", help="exit with 1 if a ratio to --against is shown to be above R"
    )
    parser.add_argument("--force", action="store_true", help="compare also what was measured under other conditions")
    add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print; the last line is JSON."""
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ.setdefault("YOLO_VERBOSE", "false")
    if args.fail_above is not None and args.against is None:
        raise UsageError("--fail-above needs --against FILE, the results to compare with.")
    if args.save and not args.save.parent.is_dir():
        raise UsageError(f"--save {args.save}: there is no folder {args.save.parent}.")
    for plugin in args.plugins:
        plugins.load(plugin)
    from lwyolo.engine.bench import Plan, bench
    from lwyolo.speed import result as results
    from lwyolo.speed.rounds import Stop

    earlier = results.load(args.against) if args.against else []
    plan = Plan(
        models=args.models,
        runtimes=args.runtime,
        base=args.vs,
        scale=args.scale,
        imgsz=args.imgsz or 640,
        batch=args.batch,
        precisions=list(dict.fromkeys(args.precision)),
        data=args.data,
        threads=args.threads,
        device=args.device,
        throughput=args.throughput,
        stop=Stop(half_width=args.width / 100, budget_s=args.budget),
        seed=args.seed,
    )
    with tqdm(total=args.budget, unit="s", disable=None, leave=False, bar_format="{desc} {bar} {elapsed}") as bar:
        found = bench(plan, bar.set_description, lambda n, passed: _advance(bar, n, passed))
    later = _against(found.results, earlier, args.force)
    found = dataclasses.replace(found, comparisons=(*found.comparisons, *later))
    if args.save:
        results.save(found.results, args.save)
    print(_text(found, args.format))
    return _verdict(later, args.fail_above)


def _advance(bar: Any, rounds: int, passed: float) -> None:
    bar.n = min(passed, bar.total)
    bar.set_description(f"round {rounds}")


def _against(results: Sequence[Result], earlier: Sequence[Result], force: bool) -> list[Comparison]:
    """Compare each result with the earlier one of the same model and runtime."""
    from lwyolo.speed.result import against

    pairs = [(new, old) for new in results for old in earlier if _place(new) == _place(old)]
    if earlier and not pairs:
        known = ", ".join(f"{name} in {runtime} at {precision}" for name, runtime, precision in map(_place, earlier))
        raise UsageError(f"--against: none of the models and runtimes was measured there; it holds {known}.")
    return [against(new, old, same_rounds=False, force=force) for new, old in pairs]


def _place(result: Result) -> tuple[str, str, str]:
    return result.name, result.conditions.runtime, result.conditions.precision


def _text(found: Bench, fmt: str) -> str:
    """Write what was found; a table ends with one line of JSON, for programs."""
    if fmt == "html":
        from lwyolo.reports.speed_page import speed_page

        return speed_page(found.results, found.comparisons, found.failures)
    if fmt == "json":
        return json.dumps(_plain(found), ensure_ascii=False, indent=1)
    tables = [stage_table(found.results), resource_table(found.results)]
    if found.comparisons:
        tables.append(comparison_table(found.comparisons))
    parts = [render(table, FORMATS[fmt]) for table in tables]
    if found.failures:
        parts.append(failure_lines(found.failures))
    if fmt == "table":
        parts.append(json.dumps(_plain(found), ensure_ascii=False))
    return "\n\n".join(parts)


def _plain(found: Bench) -> dict[str, Any]:
    """Return summaries for programs; single samples are what --save writes."""
    return {
        "results": [
            {
                **{key: value for key, value in dataclasses.asdict(one).items() if key != "samples"},
                **{stage: dataclasses.asdict(one.summary(stage)) for stage in STAGES},
            }
            for one in found.results
        ],
        "comparisons": [dataclasses.asdict(one) for one in found.comparisons],
        "failures": [dataclasses.asdict(one) for one in found.failures],
    }


def _verdict(comparisons: Sequence[Comparison], limit: float | None) -> int:
    """Fail where a ratio is above the limit, and a difference is shown."""
    worse = [
        f"{one.name} in {one.runtime}: {whole.ratio:.3f} ({whole.low:.3f} to {whole.high:.3f})"
        for one in comparisons
        if (whole := one.ratios["end_to_end"]).verdict == "slower" and whole.ratio and limit and whole.ratio > limit
    ]
    if worse:
        print(f"lwyolo: above {limit}: {'; '.join(worse)}", file=sys.stderr)
    return 1 if worse else 0
