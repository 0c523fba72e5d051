# SPDX-License-Identifier: Apache-2.0
"""Devices of the host runtime behind ``descring replay``: the native worker and the GPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from descring_cuda import CudaDevice, Shape
from descring_host import CommandQueue, CpuDevice, Device, HostError
from descring_model import DESC_DTYPE, Lines, contract

from descring_sim.protocol.stream import StreamRequest
from descring_sim.replay.backend import Progress, ReplayError, ReplayResult

_MEMORY = 16 << 20
_SLOTS = 16384
_BATCH = 4096
_WAIT_S = 0.05
_PATIENCE = 200
"""Waits in a row without a completion after which a replay is given up: ten seconds."""


class DeviceBackend:
    """A device of the host runtime: opened for each stream, and driven through its queue."""

    def __init__(
        self, name: str, description: str, open_for: Callable[[StreamRequest], tuple[Device, str]]
    ) -> None:
        """``open_for(request)`` opens the device, and tells in a few words what it is."""
        self.name = name
        self.description = description
        self._open_for = open_for

    def replay(self, lines: Lines, options: StreamRequest, progress: Progress) -> ReplayResult:
        """See :meth:`descring_sim.replay.backend.Backend.replay`.

        Raises:
            ReplayError: options of the RTL alone, or a device that cannot be opened or fails.
        """
        for option in ("seed", "waves", "rtl"):
            if getattr(options, option) not in (None, False):
                raise ReplayError(
                    f"--{option} means nothing to the backend {self.name}; leave it out"
                )
        try:
            device, what = self._open_for(options)
            with device:
                done, reward = stream_through(device, lines, options, progress)
        except (HostError, ValueError) as error:
            raise ReplayError(f"backend {self.name}: {error}") from error
        return ReplayResult(done, reward, f"{what}, contract {contract.CONTRACT_HASH:08x}")


def cpu() -> DeviceBackend:
    """Return the native worker threads of this process."""

    def open_for(request: StreamRequest) -> tuple[Device, str]:
        workers = 1 if request.workers is None else request.workers
        device = CpuDevice(_MEMORY, workers=workers, first_index=request.first_index)
        return device, f"native, {workers} worker thread{'s' if workers > 1 else ''}"

    return DeviceBackend("cpu", "native worker threads (C11)", open_for)


def cuda(shape: Shape) -> DeviceBackend:
    """Return a persistent kernel of one shape on the first GPU."""

    def open_for(request: StreamRequest) -> tuple[Device, str]:
        workers = {} if request.workers is None else {"workers": request.workers}
        if workers and shape == "latency":
            raise ReplayError("--workers means nothing to the latency shape; leave it out")
        device = CudaDevice(_MEMORY, shape=shape, first_index=request.first_index, **workers)
        return device, f"CUDA, {shape} shape"

    return DeviceBackend("cuda", "persistent CUDA kernel", open_for)


def stream_through(
    device: Device, lines: Lines, options: StreamRequest, progress: Progress
) -> tuple[Lines, Lines]:
    """The completions of both rings of a device that is after reset; it is left open.

    Raises:
        HostError: the device fails. ValueError: rings that do not fit into its memory.
        ReplayError: it gives no completion for long.
    """
    with CommandQueue(
        device,
        cmd_slots=_SLOTS if options.ring_slots is None else options.ring_slots,
        split_reward=options.split_reward,
        require_checked=options.require_checked,
        when_full="short",
    ) as queue:
        return _answers(queue, lines, options.halt, progress)


def _answers(
    queue: CommandQueue, lines: Lines, halt: bool, progress: Progress
) -> tuple[Lines, Lines]:
    """Push the stream through; the completions of both rings."""
    empty = np.empty(0, dtype=DESC_DTYPE)
    parts: tuple[list[Lines], list[Lines]] = ([empty], [empty])
    sent = taken = fruitless = 0
    while sent < len(lines) or queue.in_flight:
        sent += queue.submit(lines[sent : sent + _BATCH])
        got = [queue.poll()]
        if queue.geometry.split:
            got.append(queue.poll(reward=True))
        count = sum(len(part) for part in got)
        for ring, part in zip(parts, got, strict=False):
            ring.append(part)
        taken += count
        if count:
            fruitless = 0
            progress(taken)
        elif queue.halted and not queue.answered:
            if halt:
                break
            queue.continue_after_stop()
        else:
            fruitless += 1
            if fruitless > _PATIENCE:
                raise ReplayError(f"no completion for {_PATIENCE * _WAIT_S} s after {taken}")
            queue.device.wait(_WAIT_S)
    return np.concatenate(parts[0]), np.concatenate(parts[1])
