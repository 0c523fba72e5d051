# SPDX-License-Identifier: Apache-2.0
"""The case that a simulator device runs: it does what a host program asks for, until that ends."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject

from descring_vip.servers.device_testbench import HostDeviceTestbench


@cocotb.test()
async def serves_a_host_program(dut: HierarchyObject) -> None:
    """Register accesses and waiting, as requests arrive."""
    tb = HostDeviceTestbench(dut)
    await tb.start()
    await tb.serve()
    tb.finish()
