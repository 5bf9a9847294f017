"""What models take on a clock, side by side, and how they compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lwyolo.reports.cost import conditions
from lwyolo.reports.tables import Align, Table, number, wrap
from lwyolo.units import MIB, MISSING

if TYPE_CHECKING:
    from lwyolo.speed.result import Accuracy, Comparison, Failure, Result
    from lwyolo.speed.statistics import Summary

STAGES = {
    "preprocess": "preprocess",
    "forward": "forward with decoding",
    "suppression": "suppression of boxes",
    "end_to_end": "end to end",
}
MEANING = (
    "Times in ms. 95 %: interval of the median over rounds. Clean: samples that neither the scheduler nor "
    "other processes disturbed, of those taken; figures are of the clean ones where the system tells them apart. End "
    "to end begins with a full HD frame and is the only fair row between heads that suppress boxes and heads that do "
    "not. Eager torch on a CPU overstates modules of many small operators; judge a deployment by its own runtime."
)


def stage_table(results: Sequence[Result]) -> Table:
    """Return a row for each model, runtime and stage."""
    rows = [row for result in results for row in _stages(result)]
    one = results[0].conditions
    precisions = " and ".join(dict.fromkeys(result.conditions.precision for result in results))
    header = ("Model", "Runtime", "Stage", "Median", "95 %", "p90", "p99", "Min", "Clean")
    numbers: list[Align] = ["right"] * 6
    title = (
        f"Time of one pass: {conditions(one.imgsz, one.batch, precisions)}, {one.threads} "
        f"thread{'s' * (one.threads != 1)}, {one.device}: {one.cpu}"
    )
    return Table(header, tuple(rows), ("left", "left", "left", *numbers), title, (MEANING, *_remarks(results)), stub=3)


def _stages(result: Result) -> list[tuple[str, ...]]:
    where = (result.name, f"{runtime_of(result)}\n{result.conditions.runtime_version}")
    rows = []
    for i, (stage, words) in enumerate(_stages_of(result).items()):
        summary = result.summary(stage)
        rows.append((*(where if not i else ("", "")), words, *_figures(summary)))
    return rows


def _stages_of(result: Result) -> dict[str, str]:
    """Return the stages, and where a device has a clock of its own, what it tells of the forward pass."""
    on_device = any(sample.get("device") is not None for sample in result.samples)
    stages = list(STAGES.items())
    return dict([*stages[:2], *([("device", "of it on the device")] if on_device else []), *stages[2:]])


def runtime_of(result: Result) -> str:
    """Name a runtime, and its precision where that is not single."""
    return _in_precision(result.conditions.runtime, result.conditions.precision)


def _in_precision(runtime: str, precision: str) -> str:
    return runtime if precision == "fp32" else f"{runtime} {precision}"


def _figures(summary: Summary) -> tuple[str, ...]:
    interval = MISSING if summary.low_ms is None else f"{number(summary.low_ms, 2)} to {number(summary.high_ms, 2)}"
    return (
        number(summary.median_ms, 2),
        interval,
        number(summary.p90_ms, 2),
        number(summary.p99_ms, 2),
        number(summary.min_ms, 2),
        f"{summary.clean} of {summary.samples}",
    )


def resource_table(results: Sequence[Result]) -> Table:
    """Return what a deployment pays besides time."""
    looked_at = next((result.accuracy for result in results if result.accuracy), None)
    batches = sorted({batch for result in results for batch in result.images_per_s})
    rows = (
        (
            result.name,
            runtime_of(result),
            number(result.load_ms, 0),
            number(result.first_ms, 0),
            number(result.size_bytes / MIB, 2),
            number(None if result.peak_bytes is None else result.peak_bytes / MIB, 0),
            *(number(result.images_per_s.get(batch), 1) for batch in batches),
            *((_map(result.accuracy, "map50_95"), _map(result.accuracy, "map50")) if looked_at else ()),
        )
        for result in results
    )
    header = (
        "Model",
        "Runtime",
        "Load\n(ms)",
        "First\ncall (ms)",
        "On disk\n(MiB)",
        "Peak memory\n(MiB)",
        *(f"Images/s\nat batch {batch}" for batch in batches),
        *(("mAP\n50-95", "mAP\n50") if looked_at else ()),
    )
    notes = ["Peak memory is of a process that loads and runs the artifact and nothing else, Python included."]
    if looked_at:
        notes.append(
            f"mAP of the runtime itself, on {looked_at.images} validation images of {looked_at.data}, letterboxed to "
            "one size; thresholds are those of yolo val. int8 was calibrated on training images."
        )
    return Table(header, tuple(rows), title="Besides time", notes=tuple(notes), stub=2)


def _map(accuracy: Accuracy | None, name: str) -> str:
    return number(getattr(accuracy, name, None), 3)


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """Return ratios of time against the base, from interleaved rounds."""
    rows = []
    for one in comparisons:
        forward, whole = one.ratios["forward"], one.ratios["end_to_end"]
        rows.append(
            (
                f"{one.name} / {one.base}",
                _in_precision(one.runtime, one.precision),
                *(
                    part
                    for ratio in (forward, whole)
                    for part in (
                        number(ratio.ratio, 3),
                        MISSING if ratio.low is None else f"{number(ratio.low, 3)} to {number(ratio.high, 3)}",
                    )
                ),
                str(whole.rounds),
                whole.verdict,
            )
        )
    header = ("Time of", "Runtime", "Forward", "95 %", "End to\nend", "95 %", "Rounds", "Verdict")
    numbers: list[Align] = ["right"] * 5
    align: tuple[Align, ...] = ("left", "left", *numbers, "left")
    warnings = [f"{one.name} against {one.base}: {text}." for one in comparisons for text in one.warnings]
    note = (
        "Ratios below 1 are faster. The verdict is of the end-to-end time, and is shown where its interval leaves 1.00."
    )
    return Table(header, tuple(rows), align, "Against the base", (note, *warnings), stub=2)


def failure_lines(failures: Sequence[Failure]) -> str:
    """Say what was not measured, and why."""
    return "\n".join(wrap(f"Not measured: {f.name} in {f.runtime}: {f.reason}") for f in failures)


def _remarks(results: Sequence[Result]) -> list[str]:
    """Say what the figures depend on, each thing once."""
    remarks = [f"{r.name} in {runtime_of(r)}: {r.agreement}." for r in results]
    remarks += [_all_disturbed(r) for r in results if r.summary("end_to_end").median_ms is None]
    paths = sorted({r.conditions.suppression for r in results})
    counts = ", ".join(dict.fromkeys(f"{r.name} {r.candidates} candidates, {r.boxes} boxes" for r in results))
    remarks.append(f"Suppression of boxes by {' and '.join(paths)}, of a frame of noise: {counts}.")
    if any(r.normalised for r in results):
        names = ", ".join(dict.fromkeys(r.name for r in results if r.normalised))
        remarks.append(
            f"{names}: built without training; its batch norms were given statistics first, since activations near "
            "0 would ruin half precision and INT8."
        )
    return remarks


def _all_disturbed(result: Result) -> str:
    fastest = min(sample.ms for sample in result.of("end_to_end"))
    return (
        f"{result.name} in {runtime_of(result)}: none of {len(result.samples)} samples was clean, as other "
        f"processes used this machine. Stop them and measure again. The fastest disturbed pass took {fastest:.1f} ms "
        "from end to end, which is no measurement."
    )
