# SPDX-License-Identifier: Apache-2.0
"""Cases of ``worker_pool``: order, halting, pausing, speed, reset."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import DESC_DTYPE, contract, streams
from descring_model.lines import Lines
from descring_vip.stream.patterns import Idle, Ready, idle_pattern, ready_pattern, streaming
from descring_vip.tier import share

from worker_pool.tb_worker_pool import PoolTestbench


def _draw(tb: PoolTestbench, count: int, profile: str) -> Lines:
    return streams.generate(count, seed=int(tb.rng.integers(1 << 32)), profile=profile)


def _alike(count: int, opcode: str, tokens: int = 0) -> Lines:
    """``count`` lines that cost the same, told apart by their ids."""
    lines = np.zeros(count, dtype=DESC_DTYPE)
    lines["opcode"] = contract.OPCODE[opcode]
    lines["max_tokens"] = tokens
    lines["rollout_id"] = np.arange(count)
    return lines


def _stop() -> Lines:
    return _alike(1, "STOP")


async def _started(
    dut: HierarchyObject,
    *,
    idle: Idle = Idle.NONE,
    ready: Ready = Ready.ALWAYS,
    require_checked: bool = False,
) -> PoolTestbench:
    tb = PoolTestbench(dut, require_checked=require_checked)
    tb.lines.set_valid_generator(idle_pattern(idle, tb.rng))
    await tb.start()
    tb.completions.start(ready_pattern(ready, tb.rng), kind=ready)
    return tb


@cocotb.test()
@streaming
async def test_completes_every_line_once_in_order(
    dut: HierarchyObject, idle: Idle, ready: Ready
) -> None:
    """[RING-006] [RING-007] [LIFE-003] Lines of any length and kind, STOPs among them, are
    answered once each, in order, under any pauses on either side.
    """
    tb = await _started(dut, idle=idle, ready=ready)
    tb.resumer.start(tb.rng)
    tb.send(np.concatenate([_draw(tb, 90, "mixed"), _draw(tb, 30, "stops")]))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(profile=["boundary", "errors", "near-wrap", "one-token", "rollouts"])
async def test_completes_lines_of_one_kind(dut: HierarchyObject, profile: str) -> None:
    """[RING-006] [RING-007] [DEC-002] [DEC-003] [ERR-010] Lines that finish at very different
    times or at once, refused lines among them, keep their order.
    """
    tb = await _started(dut, ready=Ready.RANDOM)
    tb.resumer.start(tb.rng)
    tb.send(_draw(tb, share(150, 60), profile))
    await tb.finish()


@cocotb.test()
async def test_short_lines_wait_for_long_ones(dut: HierarchyObject) -> None:
    """[RING-007] A NOP behind a decode of 32 tokens is answered after it."""
    tb = await _started(dut)
    pairs = np.concatenate([_alike(1, "DECODE", 32), _alike(3, "NOP"), _alike(1, "DECODE", 7)])
    tb.send(np.tile(pairs, 12))
    await tb.finish()


@cocotb.test()
async def test_rollouts_of_a_thousand_tokens_keep_their_order(dut: HierarchyObject) -> None:
    """[RING-007] [OP-004] [DEC-006] Short lines wait behind a long ROLLOUT; later ones run beside
    it, so that the workers together take no longer than the longest.
    """
    tb = await _started(dut)
    group = [_alike(1, "ROLLOUT", 1000), _alike(2, "NOP"), _alike(1, "ROLLOUT", 37)]
    tb.send(np.tile(np.concatenate([*group, _alike(1, "DECODE", 9)]), 3))
    await tb.finish()


@cocotb.test()
async def test_sets_checked_when_it_is_required(dut: HierarchyObject) -> None:
    """[DESC-025] With require_checked_i every completion carries CHECKED, refused ones too."""
    tb = await _started(dut, ready=Ready.RANDOM, require_checked=True)
    tb.resumer.start(tb.rng)
    tb.send(np.concatenate([_draw(tb, 60, "mixed"), _draw(tb, 60, "checked")]))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(ready=[Ready.ALWAYS, Ready.RANDOM, Ready.LATE])
async def test_stop_holds_back_all_lines_behind_it(dut: HierarchyObject, ready: Ready) -> None:
    """[LIFE-003] With 0 to N+1 lines before it, STOP halts after they have completed; what is
    behind stays outside until resume, and then completes.
    """
    tb = await _started(dut, ready=ready)
    behind = 2 * tb.workers
    for before in range(tb.workers + 2):
        tb.send(np.concatenate([_draw(tb, before, "decode"), _stop(), _draw(tb, behind, "nop")]))
        await tb.halted()
        await tb.must_not_accept(60)
        await tb.resumer.pulse()
        await tb.drained()
    await tb.finish()


@cocotb.test()
async def test_each_of_several_stops_halts(dut: HierarchyObject) -> None:
    """[LIFE-003] STOP behind STOP: every one halts, and every one wants its own resume."""
    tb = await _started(dut)
    tb.send(np.concatenate([_alike(4, "STOP"), _alike(tb.workers, "NOP")]))
    for _ in range(4):
        await tb.halted()
        await tb.must_not_accept(20)
        await tb.resumer.pulse()
        await tb.until(lambda: not tb.pool.halted, 4, "halted_o to fall")
    await tb.finish()


@cocotb.test()
async def test_refused_stop_does_not_halt(dut: HierarchyObject) -> None:
    """[ERR-011] [LIFE-003] A STOP that a check refused is an error like any other."""
    tb = await _started(dut)
    stop = _stop()
    stop["flags"] = contract.FLAG["CHECKED"]
    tb.send(np.concatenate([stop, _alike(3 * tb.workers, "NOP"), stop, _alike(5, "NOP")]))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(flag=["STOPPED", "ERROR", "NEEDS_REWARD"])
async def test_submitted_device_flags_mean_nothing(dut: HierarchyObject, flag: str) -> None:
    """[FLAG-010] [LIFE-003] A NOP that comes with a flag of the device neither halts nor counts
    as an error.
    """
    tb = await _started(dut)
    lines = _alike(4 * tb.workers, "NOP")
    lines["flags"] = contract.FLAG[flag]
    tb.send(lines)
    await tb.finish()


@cocotb.test()
async def test_resume_without_halted_has_no_effect(dut: HierarchyObject) -> None:
    """[LIFE-003] A resume before anything, with work in flight, or while the STOP waits to be
    taken neither disturbs nor counts for the halt that follows.
    """
    tb = await _started(dut)
    await tb.resumer.pulse()
    tb.send(_alike(2 * tb.workers, "DECODE", 5))
    await tb.until(lambda: tb.pool.in_flight > 0, 100, "a line in flight")
    await tb.resumer.pulse()
    await tb.drained()
    tb.completions.stop()
    tb.send(np.concatenate([_stop(), _alike(3, "NOP")]))
    await tb.until(lambda: tb.pool.stopping, 100, "the STOP in flight")
    for _ in range(8):
        await tb.resumer.pulse()
    # The last pulse and the taking of the STOP share a cycle.
    tb.completions.start()
    await tb.resumer.pulse()
    await tb.halted()
    await tb.must_not_accept()
    await tb.resumer.pulse()
    await tb.finish()


@cocotb.test()
async def test_pauses_without_enable_and_carries_on(dut: HierarchyObject) -> None:
    """[LIFE-007] Without enable_i what was accepted completes and nothing else is accepted, at
    any moment of a busy stream; with it the pool carries on.
    """
    tb = await _started(dut, ready=Ready.RANDOM)
    tb.send(_draw(tb, 12 * tb.workers, "decode"))
    for _ in range(6):
        await tb.time.cycles(int(tb.rng.integers(1, 30)))
        # The pool may take one more at the edge that is just now.
        if tb.lines.queued < 2:
            tb.send(_draw(tb, 2 * tb.workers, "decode"))
        tb.enable(False)
        await tb.time.edge()
        await tb.must_not_accept()
        # Four lines beyond those in the workers may have been accepted.
        await tb.until(lambda: tb.pool.in_flight == 0, 64 * (tb.workers + 4), "the pool to drain")
        tb.enable(True)
    await tb.finish()


@cocotb.test()
async def test_halt_survives_a_pause(dut: HierarchyObject) -> None:
    """[LIFE-007] [LIFE-003] Clearing enable_i and setting it again does not end a halt, and
    resume works while paused.
    """
    tb = await _started(dut)
    tb.send(np.concatenate([_stop(), _alike(tb.workers + 1, "NOP")]))
    await tb.halted()
    tb.enable(False)
    await tb.must_not_accept(20)
    tb.enable(True)
    await tb.must_not_accept(20)
    tb.enable(False)
    await tb.time.edge()
    await tb.resumer.pulse()
    await tb.must_not_accept(20)
    tb.enable(True)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(tokens=[0, 1, 2, 5, 16, 32])
async def test_saturated_workers_lose_no_cycle(dut: HierarchyObject, tokens: int) -> None:
    """[RING-007] [DEC-002] Lines of n tokens on N workers pass at N/n lines a cycle, at most one;
    in-order retirement costs nothing.
    """
    tb = await _started(dut)
    tb.send(_alike(8 * tb.workers + 8, "DECODE" if tokens else "NOP", tokens))
    await tb.drained()
    tb.check_saturated(tokens)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(profile=["decode", "stops", "errors"])
async def test_reset_at_any_moment_empties_the_pool(dut: HierarchyObject, profile: str) -> None:
    """[LIFE-001] [LIFE-003] After a reset mid-stream, halted or stalled or busy, nothing of the
    past comes out, the pool is not halted, and a fresh stream completes.
    """
    tb = await _started(dut, ready=Ready.RANDOM)
    for _ in range(12):
        tb.send(_draw(tb, 3 * tb.workers + 6, profile))
        await tb.time.cycles(int(tb.rng.integers(1, 60)))
        await tb.reset()
    tb.resumer.start(tb.rng)
    tb.send(_draw(tb, 40, profile))
    await tb.finish()
