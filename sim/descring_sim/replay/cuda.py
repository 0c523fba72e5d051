# SPDX-License-Identifier: Apache-2.0
"""The persistent GPU kernel behind ``descring replay``."""

from __future__ import annotations

from typing import cast

from descring_cuda import CudaDevice, Shape
from descring_model import Lines, contract

from descring_sim.replay.backend import Progress, ReplayError, ReplayOptions, ReplayResult
from descring_sim.replay.native import replay_on_device

_MEMORY = 16 << 20


class CudaBackend:
    """A kernel of one shape on the first GPU."""

    description = "persistent CUDA kernel"

    def __init__(self, shape: str) -> None:
        self._shape = cast(Shape, shape)

    def replay(self, lines: Lines, options: ReplayOptions, progress: Progress) -> ReplayResult:
        """See :meth:`descring_sim.replay.backend.Backend.replay`."""
        workers = {} if options.workers is None else {"workers": options.workers}
        if workers and self._shape == "latency":
            raise ReplayError("--workers means nothing to the latency shape; leave it out")
        done, reward = replay_on_device(
            "cuda",
            lambda: CudaDevice(
                _MEMORY, shape=self._shape, first_index=options.first_index, **workers
            ),
            lines,
            options,
            progress,
        )
        note = f"CUDA, {self._shape} shape, contract {contract.CONTRACT_HASH:08x}"
        return ReplayResult(done=done, reward=reward, note=note)
