"""The operators of an ONNX file one by one: which tensors each makes, what it costs, and with which it is fused.

For those who meet the same file elsewhere, such as in a runtime, which knows its tensors by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lwyolo.cost.memory import bytes_of_groups, fused_groups
from lwyolo.cost.onnx.file import FileTrace, trace_file
from lwyolo.cost.tree import Convolution


@dataclass(frozen=True, slots=True)
class FileOperator:
    """An operator that computes or copies; those that only view a tensor are none.

    Args:
        name: What the file calls it; several are joined by `+`, as `Sigmoid+Mul`, the last one makes the result.
        path: The module that it was called in.
        tensors: Names of what it makes; all that its parts make, where it has several.
        reads: Numbers of the operators whose results it reads.
        group: Number of the first operator of its fused group.
        flops: 2 × `macs` and element-wise work.
        fusible: Whether it works element by element.
    """

    name: str
    path: str
    tensors: tuple[str, ...]
    reads: tuple[int, ...]
    group: int
    macs: int
    flops: int
    fusible: bool
    convolution: Convolution | None


class Listing:
    """The operators of a file, in order.

    Args:
        trace: Of the file.
    """

    def __init__(self, trace: FileTrace) -> None:
        self._trace = trace
        groups = fused_groups(trace.steps, trace.values, trace.outputs)
        self.operators = tuple(_operator(trace, index, group) for index, group in enumerate(groups))

    def bytes_of(self, groups: Sequence[int]) -> dict[int, int]:
        """Return what each group reads and writes together, what stays inside left out.

        Args:
            groups: Of each operator, the number of the first operator of its group.
        """
        found = bytes_of_groups(self._trace.steps, self._trace.values, self._trace.outputs, list(groups))
        return {group: found[group] for group in dict.fromkeys(groups)}


def list_operators(path: Path, imgsz: int | tuple[int, int] | None = None, *, batch: int = 1) -> Listing:
    """List the operators of a file; their sums are what `onnx_cost` returns.

    Raises:
        CostError: As `onnx_cost` does.
    """
    return Listing(trace_file(path, imgsz, batch))


def _operator(trace: FileTrace, index: int, group: int) -> FileOperator:
    step, node = trace.steps[index], trace.nodes[index]
    made = [name for part in (*trace.groups.get(node, ()), node) for name in part.outputs]
    producers = (trace.values[access.value].producer for access in step.reads)
    return FileOperator(
        name=step.name,
        path=step.call.path,
        tensors=tuple(made),
        reads=tuple(dict.fromkeys(producer for producer in producers if producer >= 0)),
        group=group,
        macs=step.work.macs,
        flops=step.flops,
        fusible=step.fusible,
        convolution=step.convolution,
    )
