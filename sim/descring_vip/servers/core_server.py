# SPDX-License-Identifier: Apache-2.0
"""Streams through a foreign core's line ports, one after the other in one simulation."""

from __future__ import annotations

from pathlib import Path

import cocotb
from cocotb.handle import HierarchyObject

from descring_vip.servers.core_host import CoreHost
from descring_vip.servers.stream_server import serve


@cocotb.test()
async def serves_streams(dut: HierarchyObject) -> None:
    """Each stream from reset, as ``answers_a_stream`` does it."""

    async def carry_out(folder: Path) -> None:
        host = CoreHost(dut, folder)
        await host.start()
        await host.run()
        host.finish()

    await serve(carry_out)
