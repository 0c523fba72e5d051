# SPDX-License-Identifier: Apache-2.0
"""What a persistent kernel must not be started under is refused, with what to change."""

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest
from descring_cuda import CudaDevice, refusals
from descring_host import DeviceError

GOOD = {
    "name": b"Some GPU",
    "major": 9,
    "minor": 0,
    "canMapHostMemory": 1,
    "unifiedAddressing": 1,
    "kernelExecTimeoutEnabled": 0,
}


def fake_cupy(count: int = 1, **properties: Any) -> Any:
    """As much of CuPy as the checks read."""

    class CUDARuntimeError(Exception):
        pass

    def get_count() -> int:
        if count < 0:
            raise CUDARuntimeError("no driver")
        return count

    runtime = SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        getDeviceCount=get_count,
        getDeviceProperties=lambda _: {**GOOD, **properties},
    )
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))


def test_blocking_launches_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launch that waits for the kernel's end would wait forever."""
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    with pytest.raises(DeviceError, match=r"CUDA_LAUNCH_BLOCKING is set.*unset it"):
        refusals.check_environment()


def test_lazy_loading_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where it was requested; else eager loading is requested."""
    monkeypatch.setenv("CUDA_MODULE_LOADING", "LAZY")
    with pytest.raises(DeviceError, match=r"CUDA_MODULE_LOADING is LAZY.*set it to EAGER"):
        refusals.check_environment()
    monkeypatch.delenv("CUDA_MODULE_LOADING")
    refusals.check_environment()
    refusals.check_environment()


def test_a_process_that_loads_lazily_already_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The behaviour of the driver counts, not the environment now."""
    found = {"error": 0, "mode": 2}

    def loading_mode(mode: Any) -> int:
        mode._obj.value = found["mode"]
        return found["error"]

    driver = SimpleNamespace(cuModuleGetLoadingMode=loading_mode)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    monkeypatch.setenv("CUDA_MODULE_LOADING", "EAGER")
    with pytest.raises(DeviceError, match=r"lazy module loading before .*LOADING=EAGER now"):
        refusals.check_loading()
    found["mode"] = 1
    refusals.check_loading()
    found.update(error=1, mode=2)  # a driver that does not report it
    refusals.check_loading()


@pytest.mark.parametrize(
    ("cupy", "device", "text"),
    [
        (fake_cupy(-1), 0, "no usable GPU: no driver"),
        (fake_cupy(2), 2, r"expected 0 to 1 \(there are 2\), got 2"),
        (fake_cupy(0), 0, "there are 0"),
        (fake_cupy(major=7, minor=5), 0, "capability 7.5; expected 8.0 or newer"),
        (fake_cupy(canMapHostMemory=0), 0, "canMapHostMemory 1, got 0"),
        (fake_cupy(unifiedAddressing=0), 0, "unifiedAddressing 1, got 0"),
        (fake_cupy(kernelExecTimeoutEnabled=1), 0, "watchdog"),
    ],
)
def test_a_gpu_that_will_not_do(cupy: Any, device: int, text: str) -> None:
    """None, not that many, too old, without mapped memory, with a watchdog."""
    with pytest.raises(DeviceError, match=text):
        refusals.check_device(cupy, device)


def test_a_good_gpu_is_taken() -> None:
    """The checks can pass."""
    assert refusals.check_device(fake_cupy(), 0)["major"] == 9


def test_more_blocks_than_are_resident_at_once() -> None:
    """Also together with the workers that run already."""
    refusals.check_blocks(264, 2, 132, 0)
    with pytest.raises(DeviceError, match=r"at most 264 blocks .* got 265.*take fewer"):
        refusals.check_blocks(265, 2, 132, 0)
    with pytest.raises(DeviceError, match=r"at most 64 blocks .*100 are taken"):
        refusals.check_blocks(65, 2, 132, 100)


@pytest.mark.parametrize("options", [{"shape": "fast"}, {"workers": 0}, {"workers": 1025}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    """``ValueError`` also where there is no GPU."""
    with pytest.raises(ValueError, match="expected"):
        CudaDevice(**options)
