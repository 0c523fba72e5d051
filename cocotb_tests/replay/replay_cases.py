# SPDX-License-Identifier: Apache-2.0
"""The case that ``descring replay`` runs: a whole stream through ``rl_runtime_mmio``."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from replay.tb_replay import ReplayTestbench


@cocotb.test()
async def replays_a_stream(dut: HierarchyObject) -> None:
    """Answer every line of the job's stream and write the completions down."""
    tb = ReplayTestbench(dut)
    await tb.start()
    await tb.replay()
    tb.finish()
