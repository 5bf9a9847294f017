"""GPUs, told by stand-ins for NVML and torch: these tests have not met a GPU."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import torch

from lwyolo.speed import gpu


class NVMLError(Exception):
    pass


class Nvml:
    """NVML with one GPU whose power cannot be read."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    NVMLError = NVMLError

    def nvmlSystemGetDriverVersion(self):
        return b"580.1"

    def nvmlDeviceGetCount(self):
        return 1

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetName(self, handle):
        return "H-something"

    def nvmlDeviceGetUUID(self, handle):
        return "GPU-1"

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(total=80 * 2**30, used=2**30)

    def nvmlDeviceGetUtilizationRates(self, handle):
        return SimpleNamespace(gpu=100, memory=3)

    def nvmlDeviceGetPowerUsage(self, handle):
        raise NVMLError("Not Supported")

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle):
        return 0x24

    def nvmlDeviceGetClockInfo(self, handle, kind):
        return 1200 * kind

    def nvmlDeviceGetMaxClockInfo(self, handle, kind):
        return 1980 * kind

    def nvmlDeviceGetTemperature(self, handle, sensor):
        return 61


def test_a_gpu_is_described_by_nvml():
    ((one, uuid),) = gpu.nvml_gpus(Nvml())

    assert ("H-something", "580.1", "GPU-1") == (one.name, one.driver, uuid)
    assert (80 * 1024, 1024) == (one.memory_mib, one.memory_used_mib)
    assert (1200, 1980, 2400, 3960) == (one.sm_mhz, one.sm_max_mhz, one.memory_mhz, one.memory_max_mhz)
    assert ("software power cap", "software thermal slowdown") == one.throttle
    assert (1.0, 0.03, 61) == (one.utilization_gpu, one.utilization_memory, one.temperature_c)
    assert one.power_w is None


def test_an_older_nvml_has_another_name_for_throttle_reasons():
    class Older(Nvml):
        def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
            return 0x8

        def __getattribute__(self, name):
            if name == "nvmlDeviceGetCurrentClocksEventReasons":
                raise AttributeError(name)
            return super().__getattribute__(name)

    ((one, _),) = gpu.nvml_gpus(Older())
    assert ("hardware slowdown",) == one.throttle


def test_torch_adds_what_nvml_does_not_tell_to_the_gpu_of_the_same_uuid():
    peak = gpu.GpuPeak("float16", 8192, 600.0, 5, False)
    by_torch = [
        (gpu.Gpu(0, "Other", "torch", sm_count=8), None),
        (gpu.Gpu(1, "H", "torch", sm_count=132, peaks=(peak,)), "GPU-1"),
    ]
    merged = gpu.merge([(gpu.Gpu(0, "H", "NVML", sm_mhz=1200.0), "GPU-1")], by_torch)

    assert [("NVML and torch", 132, 1200.0, (peak,)), ("torch", 8, None, ())] == [
        (one.source, one.sm_count, one.sm_mhz, one.peaks) for one in merged
    ]


def test_without_its_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    no_cuda = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))

    assert ((), gpu.NO_PACKAGE) == gpu.look(no_cuda)
    assert "pip install 'lwyolo[gpu]'" in gpu.NO_PACKAGE


def test_without_a_driver_one_line_says_so(monkeypatch):
    class NoDriver(Nvml):
        def nvmlInit(self):
            raise NVMLError("Library Not Found")

    monkeypatch.setattr(gpu, "find_spec", lambda name: object())
    monkeypatch.setattr(gpu.importlib, "import_module", lambda name: NoDriver())
    no_cuda = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))

    assert ((), "no NVIDIA GPU that NVML knows: Library Not Found") == gpu.look(no_cuda)


def test_samples_on_a_gpu_last_100_ms_and_the_best_counts(monkeypatch):
    times = iter([50.0, 4.0, 100.0, 110.0, 105.0, 100.0, 102.5, 101.0])  # loading, one call, settling, five samples
    counted = []

    def events(torch, run, calls):
        counted.append(calls)
        return next(times)

    monkeypatch.setattr(gpu, "_events_ms", events)

    assert 4.0 == gpu._best_ms(None, lambda: None)
    assert [1, 1, *[25] * 6] == counted


def stand_in(**changes) -> SimpleNamespace:
    """As much of torch as products need; tensors stay on the CPU."""
    return SimpleNamespace(
        **{
            "backends": SimpleNamespace(cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=True))),
            "cuda": SimpleNamespace(device=nullcontext),
            "randn": lambda *shape, device: torch.randn(*shape),
            "empty_like": torch.empty_like,
            "float16": torch.float16,
            **changes,
        }
    )


def test_a_peak_on_a_gpu_is_2n3_operations_over_time(monkeypatch):
    monkeypatch.setattr(gpu, "_best_ms", lambda torch, run: 0.001)

    assert gpu.GpuPeak("float16", 100, 2.0, gpu.SAMPLES, True) == gpu.product_peak(stand_in(), 0, "float16", n=100)


def test_a_gpu_without_room_says_why():
    def full(*shape, device):
        raise RuntimeError("CUDA out of memory.\nTried to allocate 256 MiB")

    found = gpu.product_peak(stand_in(randn=full), 0, "float16")
    assert (None, 0, "CUDA out of memory.") == (found.tflops_per_s, found.samples, found.reason)
