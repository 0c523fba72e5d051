# SPDX-License-Identifier: Apache-2.0
"""Streams through ``rl_runtime_mmio``, one replay after the other in one simulation."""

from __future__ import annotations

from pathlib import Path

import cocotb
from cocotb.handle import HierarchyObject

from descring_vip.servers.replay_host import ReplayTestbench
from descring_vip.servers.stream_server import serve


@cocotb.test()
async def serves_streams(dut: HierarchyObject) -> None:
    """Each stream from reset, as ``replays_a_stream`` does it."""

    async def carry_out(folder: Path) -> None:
        tb = ReplayTestbench(dut, folder)
        await tb.start()
        await tb.replay()
        tb.finish()

    await serve(carry_out)
