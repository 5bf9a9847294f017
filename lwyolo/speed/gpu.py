"""What GPUs are and what they do now, by NVML and torch. Not run on a GPU: tested against stand-ins for both.

`utilization.gpu` of NVML is the share of its sample period in which at least one kernel ran. One block on one
multiprocessor gives 100 %, so it says nothing of how much was computed; achieved FLOPS over the peak (MFU) does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

NO_PACKAGE = (
    "clocks, throttle reasons and utilization of NVIDIA GPUs are read by nvidia-ml-py: pip install 'lwyolo[gpu]'"
)
THROTTLE = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
    0x100: "display clocks",
}
"""Why clocks are below their maximum: the bits of `nvmlDeviceGetCurrentClocksEventReasons`."""

PRODUCT = 8192
SUSTAINED_MS = 100.0
SAMPLES = 5


@dataclass(frozen=True, slots=True)
class GpuPeak:
    """The fastest product of two square matrices on a GPU, by CUDA events.

    Args:
        n: Rows and columns; a product is 2n³ operations.
        tflops_per_s: The best of some samples of 100 ms or more; `None` where `reason` says why not.
        tf32: Whether torch might use TF32 for float32.
    """

    dtype: str
    n: int
    tflops_per_s: float | None
    samples: int
    tf32: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; what is not told is `None`.

    Args:
        index: In the order of the source.
        source: `NVML`, `torch`, or both.
        sm_count: Streaming multiprocessors.
        throttle: Why clocks are below their maximum; empty where they are not.
        utilization_gpu: Share (0 to 1) of the sample period in which at least one kernel ran.
        utilization_memory: Share (0 to 1) of the sample period in which memory was read or written.
    """

    index: int
    name: str
    source: str
    driver: str | None = None
    sm_count: int | None = None
    memory_mib: float | None = None
    memory_used_mib: float | None = None
    sm_mhz: float | None = None
    sm_max_mhz: float | None = None
    memory_mhz: float | None = None
    memory_max_mhz: float | None = None
    power_w: float | None = None
    temperature_c: float | None = None
    throttle: tuple[str, ...] | None = None
    utilization_gpu: float | None = None
    utilization_memory: float | None = None
    peaks: tuple[GpuPeak, ...] = ()


def look(torch: Any, dtypes: Sequence[str] = ("float32", "bfloat16", "float16")) -> tuple[tuple[Gpu, ...], str]:
    """Return the GPUs with their peaks where torch can use them, and one line on what is missing.

    NVML is read right after the products, since at rest clocks and utilization say little.
    """
    found = _torch_gpus(torch, dtypes)
    with _nvml() as (nvml, note):
        if nvml is None:
            return tuple(gpu for gpu, _ in found), note
        return merge(nvml_gpus(nvml), found), ""


def merge(by_nvml: Sequence[tuple[Gpu, str | None]], by_torch: Sequence[tuple[Gpu, str | None]]) -> tuple[Gpu, ...]:
    """Give NVML's GPUs what torch alone knows of them; the same one has the same UUID.

    Args:
        by_nvml: GPUs and their UUIDs.
        by_torch: The same; it has others where some are hidden, and another order.
    """
    known = {uuid: gpu for gpu, uuid in by_torch if uuid is not None}
    merged = []
    for gpu, uuid in by_nvml:
        same = known.get(uuid) if uuid is not None else None
        if same is not None:
            gpu = replace(gpu, source="NVML and torch", sm_count=same.sm_count, peaks=same.peaks)
        merged.append(gpu)
    seen = {uuid for _, uuid in by_nvml}
    return (*merged, *(gpu for gpu, uuid in by_torch if uuid is None or uuid not in seen))


@contextmanager
def _nvml() -> Iterator[tuple[Any, str]]:
    """Open NVML, or say why it cannot be."""
    if find_spec("pynvml") is None:
        yield None, NO_PACKAGE
        return
    nvml = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        yield None, f"no NVIDIA GPU that NVML knows: {error}"
        return
    try:
        yield nvml, ""
    finally:
        nvml.nvmlShutdown()


def nvml_gpus(nvml: Any) -> list[tuple[Gpu, str | None]]:
    """Read every GPU of an open NVML, with its UUID.

    Args:
        nvml: The module `pynvml`, initialised.
    """
    driver = _text(_ask(nvml, nvml.nvmlSystemGetDriverVersion))
    return [_nvml_gpu(nvml, index, driver) for index in range(nvml.nvmlDeviceGetCount())]


def _nvml_gpu(nvml: Any, index: int, driver: str | None) -> tuple[Gpu, str | None]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def ask(name: str, *arguments: Any) -> Any:
        return _ask(nvml, getattr(nvml, name), handle, *arguments)

    memory, rates = ask("nvmlDeviceGetMemoryInfo"), ask("nvmlDeviceGetUtilizationRates")
    milliwatts = ask("nvmlDeviceGetPowerUsage")
    newer = hasattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons")
    bits = ask(f"nvmlDeviceGetCurrentClocks{'Event' if newer else 'Throttle'}Reasons")
    gpu = Gpu(
        index=index,
        name=_text(ask("nvmlDeviceGetName")) or "unknown",
        source="NVML",
        driver=driver,
        memory_mib=None if memory is None else memory.total / 2**20,
        memory_used_mib=None if memory is None else memory.used / 2**20,
        sm_mhz=ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
        sm_max_mhz=ask("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_SM),
        memory_mhz=ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
        memory_max_mhz=ask("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_MEM),
        power_w=None if milliwatts is None else milliwatts / 1000,
        temperature_c=ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
        throttle=None if bits is None else throttle_reasons(bits),
        utilization_gpu=None if rates is None else rates.gpu / 100,
        utilization_memory=None if rates is None else rates.memory / 100,
    )
    return gpu, _text(ask("nvmlDeviceGetUUID"))


def _ask(nvml: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """Ask NVML for one figure, `None` where this GPU, driver or user is not told it."""
    try:
        return function(*arguments)
    except nvml.NVMLError:
        return None


def _text(value: Any) -> str | None:
    """Return text, which old versions of the binding give as bytes."""
    return value.decode() if isinstance(value, bytes) else value


def throttle_reasons(bits: int) -> tuple[str, ...]:
    """Name the bits; one that is not known here is given as a number.

    Example:
        >>> throttle_reasons(0x24), throttle_reasons(0), throttle_reasons(0x1000)
        (('software power cap', 'software thermal slowdown'), (), ('bit 0x1000',))
    """
    single = (1 << place for place in range(bits.bit_length()) if bits >> place & 1)
    return tuple(THROTTLE.get(bit, f"bit {bit:#x}") for bit in single)


def _torch_gpus(torch: Any, dtypes: Sequence[str]) -> list[tuple[Gpu, str | None]]:
    """Describe and measure the GPUs that torch can use."""
    found: list[tuple[Gpu, str | None]] = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(index)
        gpu = Gpu(
            index=index,
            name=properties.name,
            source="torch",
            sm_count=properties.multi_processor_count,
            memory_mib=properties.total_memory / 2**20,
            peaks=tuple(product_peak(torch, index, dtype) for dtype in dtypes),
        )
        uuid = getattr(properties, "uuid", None)
        found.append((gpu, None if uuid is None else f"GPU-{uuid}"))
    return found


def product_peak(torch: Any, index: int, dtype: str, n: int = PRODUCT) -> GpuPeak:
    """Measure products of n × n matrices on a GPU.

    Args:
        torch: The module.
        index: Of the GPU, as torch counts.
        dtype: Name of a floating point type of torch.
        n: Rows and columns.
    """
    tf32 = bool(torch.backends.cuda.matmul.allow_tf32)
    try:
        with torch.cuda.device(index):
            a, b = (torch.randn(n, n, device="cuda").to(getattr(torch, dtype)) for _ in range(2))
            out = torch.empty_like(a)
            best_ms = _best_ms(torch, lambda: torch.mm(a, b, out=out))
    except RuntimeError as error:  # out of memory, or a type that this GPU has no code for
        return GpuPeak(dtype, n, None, 0, tf32, str(error).partition("\n")[0])
    return GpuPeak(dtype, n, 2 * n**3 / best_ms / 1e9, SAMPLES, tf32)


def _best_ms(torch: Any, run: Callable[[], object]) -> float:
    """Return the fastest mean time of a call, of samples long enough for clocks to settle; the first is not kept."""
    _events_ms(torch, run, 1)  # loads the kernels
    once = _events_ms(torch, run, 1)
    calls = max(1, round(SUSTAINED_MS / max(once, 1e-3)))
    _events_ms(torch, run, calls)
    return min(_events_ms(torch, run, calls) for _ in range(SAMPLES)) / calls


def _events_ms(torch: Any, run: Callable[[], object], calls: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(calls):
        run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))
