# SPDX-License-Identifier: Apache-2.0
"""The backend ``model``: the golden model."""

from __future__ import annotations

import numpy as np
from descring_model import Lines, complete, contract, goes_to_reward

from descring_sim.protocol.stream import StreamRequest
from descring_sim.replay.backend import Progress, ReplayError, ReplayResult


class ModelBackend:
    """The golden model: the pure function of a stream."""

    description = "the golden model (NumPy)"

    def replay(self, lines: Lines, options: StreamRequest, progress: Progress) -> ReplayResult:
        """See :meth:`Backend.replay`. Raises :class:`ReplayError` for options of the RTL alone."""
        for name in ("workers", "ring_slots", "seed", "waves", "rtl"):
            if getattr(options, name) is not getattr(StreamRequest, name):
                option = {"ring_slots": "ring-depth"}.get(name, name)
                raise ReplayError(
                    f"--{option} means nothing to the backend model, which has no "
                    "workers, rings on chip, random state or waves; leave it out"
                )
        completions = complete(
            lines,
            first_index=options.first_index,
            require_checked=options.require_checked,
            split_reward=options.split_reward,
        )
        if options.halt:
            stops = np.flatnonzero(completions["flags"] & contract.FLAG["STOPPED"])
            if len(stops):
                completions = completions[: stops[0] + 1]
        progress(len(completions))
        to_reward = goes_to_reward(completions) & options.split_reward
        return ReplayResult(
            done=completions[~to_reward],
            reward=completions[to_reward],
            note=f"golden model, contract {contract.CONTRACT_HASH:08x}",
        )
