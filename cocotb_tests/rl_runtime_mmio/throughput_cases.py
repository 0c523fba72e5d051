# SPDX-License-Identifier: Apache-2.0
"""Lines a cycle at saturation: what the design promises beyond the contract, in cycles.

The bound is on the completions after the pipeline has filled, with a host that loses no cycle.
"""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject

from rl_runtime_mmio.device_scoreboard import SPLIT_REWARD
from rl_runtime_mmio.tb_rl_runtime_mmio import DeviceTestbench

_MEASURED = 520
_MEASURED_LONG = 160
_SATURATED = 0.95
"""Share of the ideal rate that counts as saturated."""


async def _check_rate(tb: DeviceTestbench, tokens: int, measured: int, modes: int = 0) -> None:
    """All lines of ``tokens`` tokens; N workers must retire min(1, N / tokens) lines a cycle."""
    ideal = min(1.0, tb.workers / tokens)
    fill = 4 * tb.workers + 40
    count = measured + fill
    await tb.start()
    tb.start_sinks()
    await tb.enable(modes)
    reward = [bool(modes) and number % 3 == 0 for number in range(count)]
    tb.write_lines(tb.decodes([tokens] * count, to_reward=reward))
    await tb.pump(count)
    await tb.finish()
    cycles = sorted(tb.completion_cycles)[fill:]
    # Workers that started together end together: count whole rounds of them, or the rate depends on
    # where in a round the count begins.
    lines = (len(cycles) - 1) // tb.workers * tb.workers
    rate = lines / (cycles[lines] - cycles[0])
    if rate < _SATURATED * ideal:
        raise AssertionError(
            f"{rate:.3f} lines a cycle of {tokens} tokens with {tb.workers} workers: expected at "
            f"least {_SATURATED} of {ideal:.3f} over {lines} lines ({tb.time.context()})"
        )
    # A token costs a worker a cycle: faster than that is no worker that counts tokens.
    if rate > ideal * 1.01:
        raise AssertionError(
            f"{rate:.3f} lines a cycle of {tokens} tokens with {tb.workers} workers is more than "
            f"they can make ({tb.time.context()})"
        )


@cocotb.test()
@cocotb.parametrize(modes=[0, SPLIT_REWARD])
async def test_one_token_lines_retire_every_cycle(dut: HierarchyObject, modes: int) -> None:
    """[RING-007] [DEC-002] One line a cycle with any number of workers, into one ring or two."""
    await _check_rate(DeviceTestbench(dut), 1, _MEASURED, modes)


@cocotb.test()
@cocotb.parametrize(tokens=[2, 5, 32])
async def test_longer_lines_scale_with_the_workers(dut: HierarchyObject, tokens: int) -> None:
    """[RING-007] [DEC-002] N workers retire N lines every n cycles, up to one a cycle."""
    await _check_rate(DeviceTestbench(dut), tokens, _MEASURED_LONG)
