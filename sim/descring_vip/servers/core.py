# SPDX-License-Identifier: Apache-2.0
"""The case that ``descring conform`` runs on a foreign core: a stream through its line ports."""

from __future__ import annotations

import os
from pathlib import Path

import cocotb
from cocotb.handle import HierarchyObject
from descring_sim.protocol.core_job import CORE_JOB_VARIABLE

from descring_vip.servers.core_host import CoreHost


@cocotb.test()
async def answers_a_stream(dut: HierarchyObject) -> None:
    """Write down every completion; the kit outside compares them."""
    host = CoreHost(dut, Path(os.environ[CORE_JOB_VARIABLE]))
    await host.start()
    await host.run()
    host.finish()
