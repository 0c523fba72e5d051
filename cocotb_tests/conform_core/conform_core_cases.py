# SPDX-License-Identifier: Apache-2.0
"""The case that ``descring conform`` runs on a foreign core: a stream through its line ports."""

from __future__ import annotations

import os
from pathlib import Path

import cocotb
from cocotb.handle import HierarchyObject
from conform_core.tb_conform_core import CoreHost
from descring_sim.conform.core_job import CORE_JOB_VARIABLE


@cocotb.test()
async def answers_a_stream(dut: HierarchyObject) -> None:
    """Write down every completion; the kit outside compares them."""
    host = CoreHost(dut, Path(os.environ[CORE_JOB_VARIABLE]))
    await host.start()
    await host.run()
    host.finish()
