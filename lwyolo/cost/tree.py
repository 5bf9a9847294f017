"""What a model costs, as a frozen tree that adds up: the model, its layers, the modules below each, its operators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lwyolo.errors import CostError
from lwyolo.record import CostRecord

COUNTER = "lwyolo operators 1"


@dataclass(frozen=True, slots=True)
class Convolution:
    """One call of a convolution of any kind: its weights are [c2, c1 / groups, *kernel].

    Args:
        positions_in: Images of the batch times positions of each, before it.
        positions_out: The same after it.
    """

    c1: int
    c2: int
    kernel: tuple[int, ...]
    groups: int
    stride: tuple[int, ...]
    positions_in: int
    positions_out: int
    macs: int
    memory_access_bytes: int


@dataclass(frozen=True, slots=True)
class LayerCost:
    """A layer or a module below one; everything that it calls is counted in it.

    Args:
        index: Row of the model YAML, `None` for modules and for models without rows.
        from_: Rows that it reads, -1 for the one before.
        path: Name where it was called. One object called in two places is two modules here.
        type: Its class, or what the YAML calls it.
        calls: Times that it ran there.
        output_shapes: Of its last call.
        params: Parameters, each counted once in the model.
        macs: Multiply-accumulates of contractions.
        flops: 2 × `macs` and element-wise work.
        memory_access_bytes: Read and written by operators run one by one.
        memory_access_fused_bytes: The same with element-wise operators merged; a group counts where it starts.
        activation_bytes: Written by operators run one by one, together.
        elementwise_bytes: The part of `memory_access_bytes` that element-wise operators move; batch norms apart, which
            deployment folds.
        elementwise_fused_bytes: The part of `memory_access_fused_bytes` of element-wise operators that found nothing
            to merge with.
        n_operators: Operators that ran.
        n_groups: What remains of them when element-wise ones are merged: about the kernels that a runtime launches.
        convolutions: Calls of convolutions of its own, without its children's.
        children: Modules that it called.
    """

    index: int | None
    from_: int | tuple[int, ...] | None
    path: str
    type: str
    calls: int
    output_shapes: tuple[tuple[int, ...], ...]
    params: int
    macs: int
    flops: int
    memory_access_bytes: int
    memory_access_fused_bytes: int
    activation_bytes: int
    elementwise_bytes: int
    elementwise_fused_bytes: int
    n_operators: int
    n_groups: int
    convolutions: tuple[Convolution, ...] = ()
    children: tuple[LayerCost, ...] = ()

    def walk(self) -> Iterator[LayerCost]:
        """This layer and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class OperatorCost:
    """All calls of one operator; `counted` is false where no formula is known, and its work is then missing."""

    name: str
    calls: int
    macs: int
    flops: int
    memory_access_bytes: int
    memory_access_fused_bytes: int
    counted: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """What one forward pass of a model costs on paper.

    Args:
        macs: Multiply-accumulates of contractions; 2 × this is what papers call FLOPs.
        flops: 2 × `macs` and element-wise work by the table in `cost/operations.py`.
        memory_access_bytes: Memory access cost, operators run one by one (`cost/memory.py` defines it).
        memory_access_fused_bytes: The same with element-wise operators merged into the one before.
        compulsory_bytes: Input and weights read once and outputs written once, without batch norms, which fold: no
            execution moves less.
        activation_bytes: Written by all operators together.
        peak_activation_bytes: Theoretical peak of live activations, a lower bound; `peak_at` is the module there.
        layers: Rows of the YAML, or the modules that the model calls; what runs outside of them is the last row, so
            that rows always sum to the totals.
        operators: By multiply-accumulates, then by memory access, largest first.
        fused: Whether this is the deployed graph, with batch norms folded and unused branches removed.
    """

    name: str
    params: int
    macs: int
    flops: int
    memory_access_bytes: int
    memory_access_fused_bytes: int
    compulsory_bytes: int
    activation_bytes: int
    peak_activation_bytes: int
    peak_at: str
    layers: tuple[LayerCost, ...]
    operators: tuple[OperatorCost, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    dtype: str
    fused: bool

    @property
    def gflops(self) -> float:
        """2 × MACCs in units of 1e9."""
        return 2 * self.macs / 1e9

    @property
    def arithmetic_intensity(self) -> float:
        """FLOPs, element-wise work included, for each byte of fused memory access."""
        return self.flops / max(self.memory_access_fused_bytes, 1)

    @property
    def uncounted(self) -> dict[str, int]:
        """Operators that ran without a formula, and how often: what the totals lack."""
        return {operator.name: operator.calls for operator in self.operators if not operator.counted}

    def record(self, ultralytics_gflops: float | None = None) -> CostRecord:
        """Return the part that a run's record keeps.

        Raises:
            CostError: The input is no batch of images.
        """
        shape = self.input_shapes[0]
        if len(shape) != 4:
            raise CostError(f"{self.name} was profiled on an input of shape {shape}; a record needs [B, C, H, W].")
        return CostRecord(
            params=self.params,
            layers=len(self.layers),
            macs=self.macs,
            gflops=self.gflops,
            memory_access_bytes=self.memory_access_bytes,
            memory_access_fused_bytes=self.memory_access_fused_bytes,
            peak_activation_bytes=self.peak_activation_bytes,
            uncounted=self.uncounted,
            imgsz=(shape[2], shape[3]),
            batch=shape[0],
            dtype=self.dtype,
            fused=self.fused,
            counter=COUNTER,
            ultralytics_gflops=ultralytics_gflops,
            flops=self.flops,
            activation_bytes=self.activation_bytes,
        )
