# SPDX-License-Identifier: Apache-2.0
"""Streams through ``rl_runtime_mmio``, for ``descring replay`` and the conformance kit."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject

from descring_vip.servers.replay_host import ReplayTestbench
from descring_vip.servers.stream_server import serve


@cocotb.test()
async def serves_streams(dut: HierarchyObject) -> None:
    """Complete every line of each stream, and write the completions into its folder."""
    await serve(lambda folder: ReplayTestbench(dut, folder))
