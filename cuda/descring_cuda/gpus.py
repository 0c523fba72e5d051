# SPDX-License-Identifier: Apache-2.0
"""What is made once for each GPU: kernels of the shapes without an engine, and pinned memory."""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal

from descring_host import DeviceError

from descring_cuda import refusals
from descring_cuda.kernels import source

Shape = Literal["latency", "throughput"]
SHAPES: tuple[Shape, ...] = ("latency", "throughput")
_MAPPED_PORTABLE = 3


@dataclass(frozen=True)
class Kernel:
    """A kernel, its threads, and how many blocks of it a multiprocessor runs at once."""

    function: Any
    threads: int
    per_multiprocessor: int


@dataclass(frozen=True)
class Gpu:
    """What is made once for each GPU, and never given back while a kernel may run."""

    cupy: Any
    number: int
    multiprocessors: int
    kernels: dict[str, Kernel]
    own_memory: list[int]
    taken: dict[int, int]
    """Multiprocessors taken, by the id of the launcher that runs there."""


@functools.cache
def gpu(number: int) -> Gpu:
    """A GPU with the kernels of the shapes without an engine, made once."""
    refusals.check_environment()
    cupy = refusals.import_cupy()
    properties = refusals.check_device(cupy, number)
    with cupy.cuda.Device(number):
        cupy.cuda.runtime.free(0)  # makes the context, so that its loading mode can be asked
        refusals.check_loading()
        module = cupy.RawModule(code=source(), options=("-std=c++17",), backend="nvrtc")
        kernels: dict[str, Kernel] = {}
        for shape, threads in zip(SHAPES, (96, 256), strict=True):
            function = module.get_function(f"hw_{shape}")
            resident = cupy.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(
                function.kernel.ptr, threads, 0
            )
            kernels[shape] = Kernel(function, threads, int(resident))
    return Gpu(cupy, number, int(properties["multiProcessorCount"]), kernels, [], {})


class KernelLauncher:
    """What the launchers of all shapes share: a kernel that runs on a stream of its own."""

    newest = False
    posting = 1

    def __init__(self, taken: Gpu, stream: Any, multiprocessors: int) -> None:
        """Count ``multiprocessors`` of the GPU as taken until the launcher is closed."""
        self._gpu = taken
        self._stream = stream
        self._error = ""
        taken.taken[id(self)] = multiprocessors

    def allocate(self, size: int) -> ctypes.Array[ctypes.c_uint8]:
        """Pinned memory, mapped at the same address on every GPU."""
        with self._gpu.cupy.cuda.Device(self._gpu.number):
            return allocate_pinned(self._gpu.cupy, size)

    def running(self) -> bool:
        """See :class:`descring_cuda.Launcher`."""
        if self._error:
            return False
        try:
            with self._gpu.cupy.cuda.Device(self._gpu.number):
                return not self._stream.done
        except self._gpu.cupy.cuda.runtime.CUDARuntimeError as error:
            self._error = str(error)
            return False

    def error(self) -> str:
        """See :class:`descring_cuda.Launcher`."""
        return self._error or "the kernel ended without a word"

    def close(self) -> None:
        """See :class:`descring_cuda.Launcher`."""
        if self._gpu.taken.pop(id(self), None) is not None:
            self._release()

    def _release(self) -> None:
        """Give back what the launcher holds, once."""
        raise NotImplementedError


_pinned: defaultdict[int, list[int]] = defaultdict(list)
"""Addresses of unused pinned memory, by size. Freeing it would wait for every running kernel, so
it is kept for the next device."""


def allocate_pinned(cupy: Any, size: int) -> ctypes.Array[ctypes.c_uint8]:
    """Zeroed pinned memory that is reused once the array is gone."""
    if _pinned[size]:
        address = _pinned[size].pop()
    else:
        address = int(cupy.cuda.runtime.hostAlloc(size, _MAPPED_PORTABLE))
        seen = cupy.cuda.runtime.pointerGetAttributes(address)
        if seen.devicePointer != address:
            raise DeviceError(
                f"pinned memory lies at {address:#x} for the host and at "
                f"{seen.devicePointer:#x} for the GPU; expected one address for both"
            )
    ctypes.memset(address, 0, size)
    memory = (ctypes.c_uint8 * size).from_address(address)
    weakref.finalize(memory, _pinned[size].append, address)
    return memory
