# SPDX-License-Identifier: Apache-2.0
"""Streams through the whole device: order, bytes, wrap, ring sizes, latency and backpressure."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import contract
from descring_vip.axi.memory import Latency
from descring_vip.stream.patterns import Idle, Ready, streaming
from descring_vip.tier import share, sweep
from mmio_regs.register_reference import MODES, PUBLISH_TAILS, SPLIT_REWARD, U32

from rl_runtime_axi.tb_rl_runtime_axi import ShellTestbench


@cocotb.test()
@streaming
async def test_mixed_stream_under_backpressure(
    dut: HierarchyObject, idle: Idle, ready: Ready
) -> None:
    """[RING-006] [RING-007] [RING-005] [CNT-001] [DESC-015] Pauses on all ten channels."""
    tb = ShellTestbench(dut, idle=idle, ready=ready, latency=Latency(2, 30))
    await tb.start()
    await tb.enable(SPLIT_REWARD)
    await tb.serve(tb.stream(tb.share(160)))
    await tb.finish()


@cocotb.test()
@sweep(modes=list(range(0, MODES + 8, 8)), profile=["mixed", "stops"])
async def test_every_profile_in_every_mode(dut: HierarchyObject, modes: int, profile: str) -> None:
    """[RING-008] [RING-013] [DESC-023] [DESC-025] [LIFE-003] [REG-008] Bytes, and their order."""
    tb = ShellTestbench(dut, latency=Latency(2, 12))
    await tb.start()
    await tb.enable(modes)
    await tb.serve(tb.stream(tb.share(120), profile))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(
    origin=[(1 << 64) - 0x4000, 0x5555_5555_5555_5000, 0xAAAA_AAAA_AAAA_A000, (1 << 40) - 0x3000]
)
async def test_rings_anywhere_in_64_bits(dut: HierarchyObject, origin: int) -> None:
    """[RING-001] [RING-003] [RING-013] [LIFE-004] Lines and words go to the whole address.

    The first memory ends at the last byte that 64 bits can address, the last lies across 2^40.
    """
    tb = ShellTestbench(dut, origin=origin, first_index=U32 - 20, latency=Latency(2, 12))
    await tb.start()
    await tb.enable(SPLIT_REWARD | PUBLISH_TAILS)
    await tb.serve(tb.stream(tb.share(80)))
    await tb.settle()
    await tb.soft_reset()
    await tb.settle()
    await tb.enable(SPLIT_REWARD | PUBLISH_TAILS)
    await tb.serve(tb.stream(tb.share(40)))
    await tb.finish()


@cocotb.test()
async def test_tokens_of_a_long_rollout_are_counted(dut: HierarchyObject) -> None:
    """[OP-004] [CNT-001] [REG-050] A rollout of thousands of tokens, between short ones."""
    tb = ShellTestbench(dut)
    await tb.start()
    await tb.enable()
    tokens = share((1 << 14) - 1, (1 << 11) - 1)
    lines = tb.stream(3, "decode")
    lines["opcode"] = contract.OPCODE["ROLLOUT"]
    lines["max_tokens"] = lines["seq_len"] + np.array([3, tokens, 5])
    await tb.serve(lines, patience=2 * tokens)
    await tb.finish()
