# SPDX-License-Identifier: Apache-2.0
"""Streams through the line ports of a foreign core, for the conformance kit."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject

from descring_vip.servers.core_host import CoreHost
from descring_vip.servers.stream_server import serve


@cocotb.test()
async def serves_streams(dut: HierarchyObject) -> None:
    """Write down every completion of each stream; the kit outside compares them."""
    await serve(lambda folder: CoreHost(dut, folder))
