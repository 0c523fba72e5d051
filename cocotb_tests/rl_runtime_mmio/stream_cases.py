# SPDX-License-Identifier: Apache-2.0
"""Whole streams through the device, with pauses on every side: every completion byte by byte."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import contract
from descring_model.streams import PROFILES
from descring_vip.stream.patterns import Idle, Ready, streaming
from descring_vip.tier import share, sweep
from descring_vip.timebase import case_rng

from rl_runtime_mmio.device_scoreboard import REQUIRE_CHECKED, SPLIT_REWARD, U32
from rl_runtime_mmio.tb_rl_runtime_mmio import DeviceTestbench

_LINES = 48
_MODES = (0, SPLIT_REWARD, REQUIRE_CHECKED, SPLIT_REWARD | REQUIRE_CHECKED)
_CHAIN = 200
"""Tokens of the longest rollout that is resubmitted until it is done."""


async def _run(tb: DeviceTestbench, count: int, profile: str, modes: int, ready: Ready) -> None:
    await tb.start()
    tb.start_sinks(ready)
    await tb.enable(modes)
    tb.write_stream(count, profile)
    await tb.serve(count, longest_batch=2 * tb.depths[0])
    await tb.finish()


@cocotb.test()
@streaming
async def test_mixed_stream_under_backpressure(
    dut: HierarchyObject, idle: Idle, ready: Ready
) -> None:
    """[RING-005] [RING-006] [RING-007] [DESC-014] [DESC-015] [CNT-001] Idle times backpressure.

    The doorbells come in batches of any size, ahead of the lines and behind them.
    """
    tb = DeviceTestbench(dut, idle=idle)
    await _run(tb, _LINES, "mixed", SPLIT_REWARD, ready)


@cocotb.test()
@sweep(profile=list(PROFILES), modes=list(_MODES))
async def test_every_profile_in_every_mode(dut: HierarchyObject, profile: str, modes: int) -> None:
    """[DESC-001..DESC-013] [DESC-020..DESC-023] [DESC-025] [OP-000] [OP-001] [OP-002] [OP-003]
    [OP-255] [OP-ERR] [OP-010] [OP-011] [FLAG-000..FLAG-008] [FLAG-010] [FLAG-011]
    [ERR-001..ERR-003] [ERR-010] [ERR-011] [DEC-001..DEC-004] [CNT-001]
    [REG-050] [REG-054] [REG-05C] [RING-008]

    All completions, and all registers at rest, whatever idles and whatever pushes back.
    """
    pick = case_rng()
    idle, ready = list(Idle)[pick.integers(len(Idle))], list(Ready)[pick.integers(len(Ready))]
    tb = DeviceTestbench(dut, idle=idle)
    await _run(tb, _LINES, profile, modes, ready)


@cocotb.test()
@sweep(
    first_index=[U32 - 1, U32 - 9, (1 << 31) - 9], profile=["checked", "mixed"], modes=_MODES[1:3]
)
async def test_indices_wrap(
    dut: HierarchyObject, first_index: int, profile: str, modes: int
) -> None:
    """[RING-002] [RING-012] [DESC-022] [DESC-023] [REG-014] [REG-018] [REG-01C] [REG-024]

    All three rings pass 2^32 (and 2^31) with CHECKED lines, whose tags say so.
    """
    tb = DeviceTestbench(dut, first_index=first_index, idle=Idle.RANDOM)
    await _run(tb, max(_LINES, tb.depths[0] + 40), profile, modes, Ready.RANDOM)


@cocotb.test()
async def test_completions_are_resubmitted_until_done(dut: HierarchyObject) -> None:
    """[FLAG-010] [DEC-005] [DEC-002] [DESC-014] Each completion is the next submission as it is."""
    tb = DeviceTestbench(dut)
    await tb.start()
    tb.start_sinks()
    await tb.enable()
    count = min(tb.depths[0], 16)
    lines = tb.stream(count, "decode")
    lines["seq_len"] = tb.rng.integers(0, 70, count)
    lines["max_tokens"] = lines["seq_len"] + tb.rng.integers(0, _CHAIN, count, dtype=np.uint32)
    # One of them at least needs another descriptor, however few there are.
    lines["max_tokens"][0] = lines["seq_len"][0] + _CHAIN
    done = np.uint16(contract.FLAG["DONE"])
    total = 0
    while len(lines):
        tb.write_lines(lines)
        total += len(lines)
        await tb.serve(total)
        lines = tb.received(len(lines))
        lines = lines[lines["flags"] & done == 0]
    if total <= count:
        raise AssertionError("no rollout needed more than one descriptor")
    await tb.finish()


@cocotb.test()
async def test_long_stream(dut: HierarchyObject) -> None:
    """[RING-007] [RING-006] [CNT-001] [LIFE-003] Many times through every ring."""
    tb = DeviceTestbench(dut, first_index=U32 - 300, idle=Idle.BURSTS)
    await _run(tb, max(share(400), 2 * tb.depths[0]), "mixed", SPLIT_REWARD, Ready.BURSTS)


@cocotb.test()
async def test_tokens_of_a_long_rollout_are_counted(dut: HierarchyObject) -> None:
    """[OP-004] [CNT-001] [REG-050] A rollout of thousands of tokens, between short ones."""
    tb = DeviceTestbench(dut)
    await tb.start()
    tb.start_sinks()
    await tb.enable()
    tokens = share((1 << 14) - 1, (1 << 11) - 1)
    lines = tb.stream(3, "decode")
    lines["opcode"] = contract.OPCODE["ROLLOUT"]
    lines["max_tokens"] = lines["seq_len"] + np.array([3, tokens, 5])
    tb.write_lines(lines)
    await tb.serve(len(lines), patience=2 * tokens)
    await tb.finish()
