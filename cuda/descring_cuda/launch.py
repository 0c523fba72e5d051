# SPDX-License-Identifier: Apache-2.0
"""Starts the persistent kernels through CuPy."""

from __future__ import annotations

from typing import Any

from descring_cuda import refusals
from descring_cuda.gpus import SHAPES, KernelLauncher, Shape, gpu
from descring_cuda.remote import DEFAULT_MEMORY, RemoteDevice
from descring_cuda.resident import ResidentDevice

DEFAULT_WORKERS = 16
"""Worker blocks of the throughput shape; docs/cuda.md has the figures."""
_OWN_BYTES = 4096


class CudaLauncher(KernelLauncher):
    """Workers of one shape on one GPU."""

    def __init__(self, shape: Shape, device: int, blocks: int) -> None:
        self.newest = shape == "latency"
        self.posting = max(1, blocks - 1)  # one block of several coordinates
        chosen = gpu(device)
        self._kernel = chosen.kernels[shape]
        self._blocks = blocks
        taken = sum(chosen.taken.values())
        resident = self._kernel.per_multiprocessor
        refusals.check_blocks(blocks, resident, chosen.multiprocessors, taken)
        cupy = chosen.cupy
        with cupy.cuda.Device(device):
            stream = cupy.cuda.Stream(non_blocking=True)
            if not chosen.own_memory:
                chosen.own_memory.append(int(cupy.cuda.runtime.malloc(_OWN_BYTES)))
            self._own = chosen.own_memory.pop()
        super().__init__(chosen, stream, -(-blocks // resident))

    def launch(self, link: int) -> None:
        """See :class:`descring_cuda.Launcher`."""
        cupy = self._gpu.cupy
        arguments = (cupy.uint64(link), cupy.uint64(self._own))
        with cupy.cuda.Device(self._gpu.number):
            cupy.cuda.runtime.memsetAsync(self._own, 0, _OWN_BYTES, self._stream.ptr)
            self._kernel.function(
                (self._blocks,), (self._kernel.threads,), arguments, stream=self._stream
            )

    def _release(self) -> None:
        self._gpu.own_memory.append(self._own)


class CudaDevice(RemoteDevice):
    """A device whose worker is a persistent kernel on a GPU."""

    def __init__(
        self,
        memory: int = DEFAULT_MEMORY,
        *,
        shape: Shape = "latency",
        device: int = 0,
        workers: int = DEFAULT_WORKERS,
        first_index: int = 0,
        heartbeat_s: float = 1.0,
        deadline_s: float | None = None,
    ) -> None:
        """Start the kernel.

        Args:
            memory: bytes of the memory window, pinned.
            shape: ``"latency"`` (one block, a submission costs one read over the bus) or
                ``"throughput"`` (many blocks, rounds of lines in flight at once).
            device: which GPU.
            workers: blocks of the throughput shape beside the one that coordinates them.
            first_index: the value of every index after reset [RING-012].
            heartbeat_s: the kernel ends when this process has not shown life for so long.
            deadline_s: the kernel's longest life; None: no limit.

        Raises:
            ValueError: an option out of range.
            DeviceError: no CuPy, no GPU, or a condition under which it would deadlock.
        """
        if shape not in SHAPES:
            known = ", ".join((*SHAPES, "resident"))
            raise ValueError(f"shape: expected one of {known}, got {shape!r}")
        if not 1 <= workers <= 1024:
            raise ValueError(f"workers: expected 1 to 1024, got {workers}")
        self.shape = shape
        launcher = CudaLauncher(shape, device, 1 if shape == "latency" else workers + 1)
        super().__init__(
            launcher,
            memory,
            first_index=first_index,
            heartbeat_s=heartbeat_s,
            deadline_s=deadline_s,
        )


def open_cuda(
    *, memory: int = DEFAULT_MEMORY, shape: str = "latency", **options: Any
) -> RemoteDevice:
    """The opener of the backend ``cuda`` (see :func:`descring_host.open_device`)."""
    if shape == "resident":
        return ResidentDevice(memory, **options)
    return CudaDevice(memory, shape=shape, **options)  # type: ignore[arg-type]
