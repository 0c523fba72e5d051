# SPDX-License-Identifier: Apache-2.0
"""Devices of the host runtime behind ``descring replay``, and the native worker among them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from descring_host import CommandQueue, CpuDevice, Device, HostError
from descring_model import DESC_DTYPE, Lines, contract

from descring_sim.replay.backend import Progress, ReplayError, ReplayOptions, ReplayResult

_MEMORY = 16 << 20
_SLOTS = 16384
_BATCH = 4096
_WAIT_S = 0.05
_PATIENCE = 200
"""Waits in a row without a completion after which a replay is given up: ten seconds."""


class CpuBackend:
    """Native worker threads of this process."""

    description = "native worker threads (C11)"

    def replay(self, lines: Lines, options: ReplayOptions, progress: Progress) -> ReplayResult:
        """See :meth:`descring_sim.replay.backend.Backend.replay`."""
        workers = 1 if options.workers is None else options.workers
        done, reward = replay_on_device(
            "cpu",
            lambda: CpuDevice(_MEMORY, workers=workers, first_index=options.first_index),
            lines,
            options,
            progress,
        )
        threads = f"{workers} worker thread{'s' if workers > 1 else ''}"
        note = f"native, {threads}, contract {contract.CONTRACT_HASH:08x}"
        return ReplayResult(done=done, reward=reward, note=note)


def replay_on_device(
    name: str,
    make: Callable[[], Device],
    lines: Lines,
    options: ReplayOptions,
    progress: Progress,
) -> tuple[Lines, Lines]:
    """The completions of both rings of a device opened by ``make``.

    Raises:
        ReplayError: options of the RTL alone, or a device that cannot be opened or fails.
    """
    for option in ("seed", "waves", "rtl"):
        if getattr(options, option) not in (None, False):
            raise ReplayError(f"--{option} means nothing to the backend {name}; leave it out")
    try:
        with make() as device:
            return stream_through(device, lines, options, progress)
    except (HostError, ValueError) as error:
        raise ReplayError(f"backend {name}: {error}") from error


def stream_through(
    device: Device, lines: Lines, options: ReplayOptions, progress: Progress
) -> tuple[Lines, Lines]:
    """The completions of both rings of a device that is after reset; it is left open.

    Raises:
        HostError: the device fails. ValueError: rings that do not fit into its memory.
        ReplayError: it gives no completion for long.
    """
    with CommandQueue(
        device,
        cmd_slots=_SLOTS if options.ring_depth is None else options.ring_depth,
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
