# SPDX-License-Identifier: Apache-2.0
"""Every size that can be in force."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_model import contract
from descring_model.lines import INDEX_MODULUS

from completion_ring.tb_completion_ring import SizeTestbench


@cocotb.test()
@cocotb.parametrize(first_index=[0, INDEX_MODULUS - 2])
async def test_every_size_is_filled(dut: HierarchyObject, first_index: int) -> None:
    """[RING-001] [RING-002] [RING-005] All slots of each size are usable, and not one more.

    The ring begins with two slots free.
    """
    tb = SizeTestbench(dut)
    await tb.start()
    for log2 in range(contract.RING_LOG2_MIN, contract.RING_LOG2_MAX + 1):
        await tb.begin(log2, first_index, free=2)
        await tb.offer(5)
        tb.check_posted(2)
    await tb.finish()
