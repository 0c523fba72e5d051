# SPDX-License-Identifier: Apache-2.0
"""Conditions under which a persistent kernel must not be started, and what to do about each.

A kernel that never ends of itself deadlocks with whatever waits for the GPU to be idle. Each check
raises :class:`DeviceError` with what was found and what to change.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from descring_host import DeviceError

_LAZY = 2
"""``CU_MODULE_LAZY_LOADING``."""
_LEAST_CAPABILITY = 80


def check_environment() -> None:
    """Before the first CUDA call of the process; requests eager module loading unless it is set."""
    if os.environ.get("CUDA_LAUNCH_BLOCKING", "0") not in ("", "0"):
        raise DeviceError(
            "CUDA_LAUNCH_BLOCKING is set: a launch would wait for a kernel that never ends; "
            "unset it"
        )
    loading = os.environ.setdefault("CUDA_MODULE_LOADING", "EAGER")
    if loading != "EAGER":
        raise DeviceError(
            f"CUDA_MODULE_LOADING is {loading}: loading a kernel waits for those that run, so a "
            "persistent one would block it; set it to EAGER"
        )


def import_cupy() -> Any:
    """CuPy, or why there is none."""
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            f"the backend cuda needs CuPy ({error}); run: pip install 'descring[cuda]'"
        ) from error
    return cupy


def check_device(cupy: Any, device: int) -> dict[str, Any]:
    """The properties of a GPU that will do."""
    runtime = cupy.cuda.runtime
    try:
        count = int(runtime.getDeviceCount())
    except runtime.CUDARuntimeError as error:
        raise DeviceError(f"there is no usable GPU: {error}") from error
    if not 0 <= device < count:
        raise DeviceError(f"device: expected 0 to {count - 1} (there are {count}), got {device}")
    properties: dict[str, Any] = runtime.getDeviceProperties(device)
    name = properties["name"].decode()
    capability = 10 * properties["major"] + properties["minor"]
    if capability < _LEAST_CAPABILITY:
        raise DeviceError(
            f"{name} has compute capability {capability / 10}; expected "
            f"{_LEAST_CAPABILITY / 10} or newer"
        )
    for what, wanted, why in (
        ("canMapHostMemory", 1, "the rings lie in mapped host memory"),
        ("unifiedAddressing", 1, "host and GPU use the same addresses"),
        ("kernelExecTimeoutEnabled", 0, "a watchdog would kill the worker; use a GPU without one"),
    ):
        if int(properties[what]) != wanted:
            raise DeviceError(f"{name}: expected {what} {wanted}, got {properties[what]}: {why}")
    return properties


def check_loading() -> None:
    """That CUDA, initialised by now, really loads modules eagerly."""
    mode = ctypes.c_int()
    driver = ctypes.CDLL("libcuda.so.1")
    if driver.cuModuleGetLoadingMode(ctypes.byref(mode)) == 0 and mode.value == _LAZY:
        now = os.environ.get("CUDA_MODULE_LOADING")
        raise DeviceError(
            "CUDA was initialised with lazy module loading before the device was opened (the "
            f"environment has CUDA_MODULE_LOADING={now} now); set CUDA_MODULE_LOADING=EAGER "
            "before the process starts, or open the device first"
        )


def check_blocks(blocks: int, per_multiprocessor: int, multiprocessors: int, taken: int) -> None:
    """That all blocks of all workers on a GPU can be resident at once.

    ``taken`` is how many multiprocessors the workers already running fill.
    """
    room = per_multiprocessor * (multiprocessors - taken)
    if blocks > room:
        raise DeviceError(
            f"expected at most {room} blocks ({per_multiprocessor} on each of {multiprocessors} "
            f"multiprocessors, of which {taken} are taken by other workers), got {blocks}: "
            "blocks that are not resident would never run; take fewer"
        )
