# SPDX-License-Identifier: Apache-2.0
"""The tokens of a run on a device that makes them itself, as the resident shape on a GPU does.

A line that names a rollout's record advances it on the device [REC-005]. What the event log asks
for is done in a copy of the arena and written through; what a completion has made is read back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from descring_host import Device, DeviceError
from descring_model.engine import contract
from descring_model.engine.interface import Engine, EngineError
from descring_model.engine.records import kv_blocks, kv_digest
from descring_model.rollouts.records import Records

from descring_rollouts.engines import Sampling
from descring_rollouts.prompts import Tokens
from descring_rollouts.token_run import Layout, TokenRun

Prompts = Sequence[Tokens] | Mapping[int, Tokens]


class TokenDevice(Protocol):
    """A device with an arena of its own, whose lines advance the rollouts that are in it."""

    @property
    def engine(self) -> Engine | None:
        """What makes the tokens, if anything does."""
        ...

    @property
    def arena_bytes(self) -> int:
        """Size of the arena."""
        ...

    def write_arena(self, offset: int, data: npt.NDArray[Any]) -> None:
        """Copy a contiguous array into the arena, beside what runs."""
        ...

    def read_arena(self, offset: int, data: npt.NDArray[Any]) -> None:
        """Copy from the arena into a contiguous array, likewise."""
        ...

    def failures(self) -> Sequence[Any]:
        """What the device refused lately: ``record`` (its offset) and ``status`` (a name)."""
        ...


class ResidentRun(TokenRun):
    """One run whose rollouts advance on the device; see :class:`TokenRun`."""

    def __init__(
        self,
        device: TokenDevice,
        engine: Engine,
        config: Records,
        requests: Records,
        prompts: Prompts,
        sampling: Sampling,
    ) -> None:
        """Lay out the device's arena.

        Raises:
            ValueError: it is too small.
        """
        size = Layout(config, requests).size
        if device.arena_bytes < size:
            raise ValueError(
                f"arena: expected {size} bytes or more for this run, got {device.arena_bytes}; "
                f"open the device with arena={size}"
            )
        self._device = device
        # Pages of blocks that nothing is copied from are never touched.
        copy: npt.NDArray[np.uint8] = np.zeros(size, dtype=np.uint8)
        super().__init__(engine, config, requests, prompts, sampling, copy)

    def _wrote(self, offset: int, size: int) -> None:
        self._device.write_arena(offset, self._arena[offset : offset + size])

    def _read(self, offset: int, size: int) -> None:
        self._device.read_arena(offset, self._arena[offset : offset + size])

    def _copy_block(self, source: int, block: int, count: int) -> None:
        self._read(source * contract.BLOCK_BYTES, contract.BLOCK_BYTES)
        super()._copy_block(source, block, count)
        self._wrote(block * contract.BLOCK_BYTES, contract.BLOCK_BYTES)

    def _digest(self, blocks: Sequence[int], length: int) -> int:
        found: npt.NDArray[np.uint8] = np.empty(len(blocks) * contract.BLOCK_BYTES, dtype=np.uint8)
        for place, block in enumerate(blocks):
            first = place * contract.BLOCK_BYTES
            self._device.read_arena(
                block * contract.BLOCK_BYTES, found[first : first + contract.BLOCK_BYTES]
            )
        return kv_digest(kv_blocks(found), np.arange(len(blocks)), length)

    def _run_engine(self, ends: Mapping[int, int]) -> None:
        for request, end in ends.items():
            offset = self._rollouts[request].offset
            self._read(offset, self._stride)
            if self._length(request) < end:
                raise self._refused(request, end)

    def _refused(self, request: int, end: int) -> EngineError | DeviceError:
        offset, asked = self._rollouts[request].offset, self._requests[request]
        text = (
            f"group {asked['group']} sample {asked['sample']}: expected tokens to {end} on the "
            f"device, stopped at position {self._length(request)}"
        )
        for failure in self._device.failures():
            if failure.record == offset and failure.status in contract.STATUS:
                return EngineError(failure.status, text)
        longest = int(self._requests["max_tokens"].max())
        return DeviceError(f"{text}; open the device with max_tokens={longest} or more")


def open_tokens(
    device: Device,
    engine: Engine,
    config: Records,
    requests: Records,
    prompts: Prompts,
    sampling: Sampling,
    arena: Callable[[int], npt.NDArray[np.uint8]] | None = None,
) -> TokenRun:
    """The tokens of a run on ``device``: made there if ``engine`` is the device's own.

    Args:
        device: of the run's lines.
        engine: makes the tokens.
        config: ``(1,)`` of CONFIG_DTYPE.
        requests: ``(n,)`` of REQUEST_DTYPE.
        prompts: the tokens of each group, by its number.
        sampling: of every rollout.
        arena: makes one of so many bytes for an engine beside the device; None: the engine does.

    Raises:
        ValueError: the device's arena is too small, or the engine is not the device's.
    """
    own = getattr(device, "engine", None)
    if own is None:
        room = None if arena is None else arena(Layout(config, requests).size)
        return TokenRun(engine, config, requests, prompts, sampling, room)
    if own is not engine:
        raise ValueError(
            f"engine: expected that of the device, device.engine, got {engine!r}; or open the "
            "device without one"
        )
    resident: Any = device
    return ResidentRun(resident, engine, config, requests, prompts, sampling)
