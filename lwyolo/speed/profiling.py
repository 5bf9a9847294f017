"""ONNX Runtime's own profile of a model, in a process of its own: `python -m lwyolo.speed.profiling REQUEST`.

Two sessions of one file take turns there: one with the profiler, and one without, which tells what the whole takes.
The profiler counts whole microseconds of each kernel.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from lwyolo.errors import UsageError
from lwyolo.record.store import build
from lwyolo.speed import stages
from lwyolo.speed.clean import Watch
from lwyolo.speed.runtime import runtimes
from lwyolo.speed.statistics import MIN_SAMPLES
from lwyolo.speed.worker import ENVIRONMENT, THREAD_VARIABLES

WANTED, TURN = 21, 3
"""Clean runs of each session that end the measurement, and runs of one session in a row."""
SUFFIX = "_kernel_time"
BLOCKED = "_nchwc"
FUSIONS = re.compile(r"(/\w*Fusion/?)+$")
INSERTED = frozenset({"ReorderInput", "ReorderOutput", "Transpose", "Cast"})
"""What the runtime adds between others: under a name that the exported file does not have, it makes nothing new."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the exported file, or of what the runtime made of it."""

    name: str
    operator: str
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the runtime runs.

    Args:
        operator: In the runtime's words, such as `Conv` or `ReorderInput`.
        makes: Tensors of the exported file that it makes; none for what the runtime added.
        ms: Of each run that is used.
    """

    name: str
    operator: str
    makes: tuple[str, ...]
    ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """A model in ONNX Runtime.

    Args:
        version: Of ONNX Runtime.
        whole_ms: Of each run without the profiler.
        runs: With the profiler, those included that are not used.
        clean: Of these and of as many without, those that nothing disturbed, in the session that has fewer of them;
            where the system does not tell, all.
    """

    version: str
    kernels: tuple[Kernel, ...]
    whole_ms: tuple[float, ...]
    runs: int
    clean: int

    @property
    def disturbed(self) -> bool:
        """Whether disturbed runs are used too."""
        return self.clean < MIN_SAMPLES


def profile(
    artifact: Path,
    imgsz: tuple[int, int],
    *,
    batch: int = 1,
    threads: int = 1,
    seconds: float = 60.0,
    force: bool = False,
    on_run: Callable[[int, int], object] = lambda *_: None,
) -> Profile:
    """Profile an exported file.

    Args:
        artifact: An ONNX file.
        imgsz: Height and width that it was exported for.
        batch: Images that it was exported for.
        threads: Of the runtime.
        seconds: After which it ends, even if few runs were clean.
        force: Use disturbed runs too where fewer than ten were clean.
        on_run: Told how many runs were clean, and how many are wanted.

    Raises:
        UsageError: The runtime failed, or fewer than ten runs were clean.
    """
    request = {"artifact": str(artifact), "imgsz": imgsz, "batch": batch, "threads": threads, "seconds": seconds}
    found: Profile = build(Profile, _ask(request, on_run), "profiling process", "")
    if found.disturbed and not force:
        raise UsageError(
            f"onnxruntime, {threads} thread{'s' * (threads != 1)}: other processes left {found.clean} of {found.runs} "
            f"runs undisturbed; {MIN_SAMPLES} are needed. Measure again on a quieter machine, or use --force: "
            "disturbed runs then count too, and times are too long."
        )
    return found


def _ask(request: Mapping[str, Any], on_run: Callable[[int, int], object]) -> Mapping[str, Any]:
    """Run the process: it prints a line for each turn, and one for the result."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "lwyolo.speed.profiling", json.dumps(request)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **ENVIRONMENT, **dict.fromkeys(THREAD_VARIABLES, str(request["threads"]))},
        )
        found: Mapping[str, Any] | None = None
        with process:
            for line in cast("Any", process.stdout):
                answer = json.loads(line)
                found = answer.get("profile")
                if found is None:
                    on_run(answer["clean"], WANTED)
        if found is None or process.returncode:
            errors.seek(0)
            last = " ".join(errors.read().split())[-300:]
            raise UsageError(f"onnxruntime: the profiling process ended with {process.returncode}. {last}")
    return found


def take(request: Mapping[str, Any], say: Callable[[dict[str, Any]], None]) -> Profile:
    """Profile in this process."""
    ort, onnx = import_module("onnxruntime"), import_module("onnx")
    runtime = runtimes()["onnxruntime"]
    artifact, threads = Path(request["artifact"]), request["threads"]
    plain = cast("Any", runtime.load(artifact, threads=threads))
    with tempfile.TemporaryDirectory(prefix="lwyolo-profile-") as folder:
        optimised = Path(folder, "optimised.onnx")
        options = plain.session.get_session_options()  # of the session that bench times
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "profile"))
        options.optimized_model_filepath = str(optimised)
        profiled = ort.InferenceSession(str(artifact), options, providers=plain.session.get_providers())
        size = tuple(request["imgsz"])
        image = stages.preprocess([stages.frame(seed) for seed in range(request["batch"])], size)
        sessions = {
            "profiled": lambda: profiled.run(None, {plain.input: image}),
            "plain": lambda: plain.run(image),
        }
        taken = alternate(sessions, Watch(threads), request["seconds"], say)
        events = json.loads(Path(profiled.end_profiling()).read_text(encoding="utf-8"))
        exported, run = (_nodes(onnx.load(file, load_external_data=False)) for file in (artifact, optimised))
    passes = list(passes_of(events))
    clean = min(map(n_clean, taken.values()))
    used = {
        name: [run for run in runs if run.clean is not False or clean < MIN_SAMPLES] for name, runs in taken.items()
    }
    makes = dict(zip([node.name for node in run], tensors_made(run, exported), strict=True))
    kernels = [
        Kernel(name, operator, makes.get(name, ()), tuple(passes[one.index][index][2] for one in used["profiled"]))
        for index, (name, operator, _) in enumerate(passes[0])
    ]
    whole_ms = tuple(one.ms for one in used["plain"])
    return Profile(runtime.version(), tuple(kernels), whole_ms, len(taken["profiled"]), clean)


def _nodes(model: Any) -> list[Node]:
    return [Node(node.name, node.op_type, tuple(filter(None, node.output))) for node in model.graph.node]


@dataclass(frozen=True, slots=True)
class Run:
    """A timed run: its number among all of its session, and whether nothing disturbed it; `None` is unknown."""

    index: int
    ms: float
    clean: bool | None


def n_clean(runs: Sequence[Run]) -> int:
    """Count the runs that are not known to be disturbed."""
    return sum(run.clean is not False for run in runs)


def alternate(
    sessions: Mapping[str, Callable[[], object]],
    watch: Watch,
    seconds: float,
    say: Callable[[dict[str, Any]], None],
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[Run]]:
    """Run sessions in turn until enough runs of each were clean or the time is over.

    A turn begins with a run that is not timed: caches then hold what the other session left. Each has ten runs or more.
    """
    taken: dict[str, list[Run]] = {name: [] for name in sessions}
    ends, runs = clock() + seconds, 0
    while min(map(n_clean, taken.values())) < WANTED and (clock() < ends or runs < MIN_SAMPLES + TURN):
        for name, run in sessions.items():
            run()
            for index in range(runs + 1, runs + 1 + TURN):
                watch.start()
                run()
                judged = watch.stop()
                taken[name].append(Run(index, judged.wall_ms, judged.clean))
        runs += 1 + TURN
        say({"clean": min(map(n_clean, taken.values()))})
    return taken


def passes_of(events: Sequence[Mapping[str, Any]]) -> Iterator[list[tuple[str, str, float]]]:
    """Return name, operator and ms of each kernel of each run, from the events that the profiler wrote."""
    kernels: list[tuple[str, str, float]] = []
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith(SUFFIX):
            kernels.append((event["name"].removesuffix(SUFFIX), event["args"]["op_name"], event["dur"] / 1e3))
        elif event["name"] == "model_run":
            yield kernels
            kernels = []


def tensors_made(run: Sequence[Node], exported: Sequence[Node]) -> list[tuple[str, ...]]:
    """Return the tensors of the exported file that each node makes which the runtime runs.

    Names tell: the runtime keeps those of nodes, appends what it fused (`…/QuickGeluFusion/`), and calls a node with a
    blocked layout after what it makes (`…_nchwc`). What is left is told by the tensors that a node writes.

    Example:
        >>> exported = [Node("/conv", "Conv", ("x",)), Node("/act", "Relu", ("y",))]
        >>> tensors_made([Node("x_nchwc", "Conv", ("token",)), Node("r", "ReorderOutput", ("x",))], exported)
        [('x',), ()]
        >>> tensors_made([Node("fused", "FusedConv", ("y",))], exported)
        [('y',)]
    """
    outputs = {node.name: node.outputs for node in exported if node.name}
    known = {name for node in exported for name in node.outputs}
    named = [_by_name(node.name, outputs, known) for node in run]
    taken = {name for names in named for name in names}
    return [
        names
        + tuple(name for name in node.outputs if name in known - taken and (names or node.operator not in INSERTED))
        for node, names in zip(run, named, strict=True)
    ]


def _by_name(name: str, outputs: Mapping[str, tuple[str, ...]], known: set[str]) -> tuple[str, ...]:
    if name.endswith(BLOCKED) and name.removesuffix(BLOCKED) in known:
        return (name.removesuffix(BLOCKED),)
    return outputs.get(name) or outputs.get(FUSIONS.sub("", name), ())


def main() -> None:
    """Keep the protocol's channel to ourselves: everything else that is printed goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=out, flush=True)

    say({"profile": asdict(take(json.loads(sys.argv[1]), say))})


if __name__ == "__main__":
    main()
