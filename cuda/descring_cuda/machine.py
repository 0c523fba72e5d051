# SPDX-License-Identifier: Apache-2.0
"""What the engine needs of a GPU: memory, copies, launches, and replays of what was launched."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from descring_host import DeviceError

from descring_cuda import refusals
from descring_cuda.kernels import source

ENGINE_PROGRAM = "engine.cu"
RESIDENT_PROGRAM = "resident.cu"
_MAPPED_PORTABLE = 3


class Machine(Protocol):
    """A GPU, or what stands for one in a test. All work is in one order."""

    blocks: int
    """Blocks of attention that run at once."""

    def allocate(self, size: int) -> int:
        """Address of so many zeroed bytes, at a multiple of 256."""
        ...

    def free(self, address: int) -> None:
        """Give them back, behind the work that uses them."""
        ...

    def host_array(self, size: int) -> npt.NDArray[np.uint8]:
        """Zeroed memory of the host that is copied fast."""
        ...

    def write(self, address: int, data: npt.NDArray[Any]) -> None:
        """Copy an array to the GPU; it may be changed afterwards."""
        ...

    def read(self, address: int, data: npt.NDArray[Any]) -> None:
        """Copy from the GPU into an array, and wait for that."""
        ...

    def launch(self, kernel: str, blocks: int, threads: int, *arguments: int | np.generic) -> None:
        """Launch a kernel; integers are addresses."""
        ...

    def repeated(self, work: Callable[[], None]) -> Callable[[], None]:
        """What launches that ``work`` makes, as one call."""
        ...

    def synchronize(self) -> None:
        """Wait for all work.

        Raises:
            DeviceError: it failed.
        """
        ...


@functools.cache
def _module(number: int, program: str) -> tuple[Any, Any, dict[str, Any]]:
    refusals.check_environment()
    cupy = refusals.import_cupy()
    properties = refusals.check_device(cupy, number)
    with cupy.cuda.Device(number):
        module = cupy.RawModule(code=source(program), options=("-std=c++17",), backend="nvrtc")
        module.compile()
    return cupy, module, properties


class CupyMachine:
    """A GPU through CuPy, with a stream of its own."""

    def __init__(self, device: int = 0) -> None:
        self.cupy, self._module, properties = _module(device, ENGINE_PROGRAM)
        self._device = self.cupy.cuda.Device(device)
        self._functions: dict[str, Any] = {}
        with self._device:
            self.stream = self.cupy.cuda.Stream(non_blocking=True)
            attention = self.function("hwe_attention")
            resident = self.cupy.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(
                attention.kernel.ptr, 128, 0
            )
        self.multiprocessors = int(properties["multiProcessorCount"])
        self.blocks = self.multiprocessors * int(resident)

    def function(self, kernel: str) -> Any:
        """A kernel by its name."""
        if kernel not in self._functions:
            module = self._module
            if kernel.startswith("hw_resident"):
                _, module, _ = _module(self._device.id, RESIDENT_PROGRAM)
            self._functions[kernel] = module.get_function(kernel)
        return self._functions[kernel]

    def new_stream(self) -> Any:
        """Another stream of this GPU, for work that runs beside."""
        with self._device:
            return self.cupy.cuda.Stream(non_blocking=True)

    def allocate(self, size: int) -> int:
        """See :class:`Machine`."""
        with self._device:
            address = int(self.cupy.cuda.runtime.malloc(max(size, 1)))
            self.cupy.cuda.runtime.memsetAsync(address, 0, size, self.stream.ptr)
        return address

    def free(self, address: int) -> None:
        """See :class:`Machine`."""
        with self._device:
            self.stream.synchronize()
            self.cupy.cuda.runtime.free(address)

    def host_array(self, size: int) -> npt.NDArray[np.uint8]:
        """See :class:`Machine`."""
        with self._device:
            memory = self.cupy.cuda.alloc_pinned_memory(size)
        ctypes.memset(memory.ptr, 0, size)
        return np.frombuffer(memory, dtype=np.uint8, count=size)

    def write(self, address: int, data: npt.NDArray[Any]) -> None:
        """See :class:`Machine`."""
        self._copy(address, data.ctypes.data, data.nbytes, 1)
        self.stream.synchronize()

    def read(self, address: int, data: npt.NDArray[Any]) -> None:
        """See :class:`Machine`."""
        self._copy(data.ctypes.data, address, data.nbytes, 2)
        self.synchronize()

    def _copy(self, to: int, origin: int, size: int, kind: int) -> None:
        with self._device:
            self.cupy.cuda.runtime.memcpyAsync(to, origin, size, kind, self.stream.ptr)

    def launch(self, kernel: str, blocks: int, threads: int, *arguments: int | np.generic) -> None:
        """See :class:`Machine`."""
        values = [np.uint64(item) if isinstance(item, int) else item for item in arguments]
        with self._device:
            self.function(kernel)((blocks,), (threads,), tuple(values), stream=self.stream)

    def repeated(self, work: Callable[[], None]) -> Callable[[], None]:
        """See :class:`Machine`."""
        with self._device:
            self.stream.begin_capture()
            work()
            graph = self.stream.end_capture()
        return lambda: graph.launch(self.stream)

    def synchronize(self) -> None:
        """See :class:`Machine`."""
        try:
            with self._device:
                self.stream.synchronize()
        except self.cupy.cuda.runtime.CUDARuntimeError as error:
            raise DeviceError(f"a kernel of the engine failed: {error}") from error
