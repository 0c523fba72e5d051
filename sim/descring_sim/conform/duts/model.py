# SPDX-License-Identifier: Apache-2.0
"""The golden model as an implementation under test: what the kit itself is tried on first."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import descring_model
import numpy as np
from descring_model import contract

from descring_sim.conform.capabilities import SLOTS, Capabilities
from descring_sim.conform.dut import Description, DeviceJob, StreamJob, StreamResult

CAPABILITIES = Capabilities(
    levels=frozenset({"stream", "device"}),
    ring_slots=SLOTS,
    interrupt=True,
    publish_tails=True,
    bus_errors=True,
)


class ModelDut:
    """``complete()`` for streams, ``GoldenDevice`` for programs.

    ``model`` is the package that has them: a copy with a fault can replace it.
    """

    model: ModuleType = descring_model

    def describe(self) -> Description:
        """See :class:`descring_sim.conform.dut.Dut`."""
        version = f"contract {contract.CONTRACT_HASH:08x}"
        return Description("model", version, "golden model", CAPABILITIES, settle_s=0.0)

    def build(self, folder: Path) -> None:
        """Nothing to build."""

    def run(self, job: StreamJob | DeviceJob) -> StreamResult:
        """See :class:`descring_sim.conform.dut.Dut`."""
        model: Any = self.model
        if isinstance(job, DeviceJob):
            job.program(model.GoldenDevice(job.memory, first_index=job.first_index))
            return StreamResult()
        answers = model.complete(
            job.lines,
            first_index=job.first_index,
            require_checked=job.require_checked,
            split_reward=job.split_reward,
        )
        stops = np.flatnonzero(answers["flags"] & contract.FLAG["STOPPED"])
        if job.halt and len(stops):
            answers = answers[: stops[0] + 1]
        to_reward = model.goes_to_reward(answers) & job.split_reward
        return StreamResult(answers[~to_reward], answers[to_reward])
