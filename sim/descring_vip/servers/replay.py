# SPDX-License-Identifier: Apache-2.0
"""The case that ``descring replay`` runs: a whole stream through ``rl_runtime_mmio``."""

from __future__ import annotations

import os
from pathlib import Path

import cocotb
from cocotb.handle import HierarchyObject
from descring_sim.protocol.replay_job import JOB_VARIABLE

from descring_vip.servers.replay_host import ReplayTestbench


@cocotb.test()
async def replays_a_stream(dut: HierarchyObject) -> None:
    """Run every line of the job's stream and write the completions."""
    tb = ReplayTestbench(dut, Path(os.environ[JOB_VARIABLE]))
    await tb.start()
    await tb.replay()
    tb.finish()
