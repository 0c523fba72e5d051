# SPDX-License-Identifier: Apache-2.0
"""Cases of ``rl_runtime_top``: publishing, routing, full rings, wrap, modes, halts, reset."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import DESC_DTYPE, contract, streams
from descring_model.lines import INDEX_MODULUS, Lines
from descring_vip.stream.patterns import Idle, Ready, idle_pattern, ready_pattern, streaming
from descring_vip.tier import share, sweep

from rl_runtime_top.tb_rl_runtime_top import Modes, TopTestbench


def _draw(tb: TopTestbench, count: int, profile: str, before: int = 0) -> Lines:
    """``count`` lines of a profile, tagged for the ring places behind the first ``before``."""
    return streams.generate(
        count,
        seed=int(tb.rng.integers(1 << 32)),
        profile=profile,
        first_index=(tb.modes.first_index + before) % INDEX_MODULUS,
    )


def _alike(count: int, opcode: str, *, tokens: int = 0, pauses: bool = False) -> Lines:
    """``count`` lines that cost the same; those that pause end with NEEDS_REWARD."""
    lines = np.zeros(count, dtype=DESC_DTYPE)
    lines["opcode"] = contract.OPCODE[opcode]
    lines["seq_len"] = -tokens % contract.REWARD_INTERVAL
    lines["max_tokens"] = lines["seq_len"] + tokens + (contract.REWARD_INTERVAL if pauses else 0)
    lines["rollout_id"] = np.arange(count)
    return lines


def _index_near_wrap(rng: np.random.Generator) -> int:
    return INDEX_MODULUS - int(rng.integers(1, 40))


async def _started(
    dut: HierarchyObject,
    modes: Modes | None = None,
    *,
    idle: Idle = Idle.NONE,
    ready: Ready | None = Ready.ALWAYS,
) -> TopTestbench:
    """A running core; its completions are taken as ``ready`` says, or not at all."""
    tb = TopTestbench(dut, modes or Modes())
    tb.written.set_valid_generator(idle_pattern(idle, tb.rng))
    await tb.start()
    if ready is not None:
        for sink in (tb.done, tb.reward):
            sink.start(ready_pattern(ready, tb.rng), kind=ready)
    return tb


@cocotb.test()
@streaming
async def test_answers_every_line_once_in_order(
    dut: HierarchyObject, idle: Idle, ready: Ready
) -> None:
    """[RING-006] [RING-007] [RING-008] [RING-009] [RING-003] Every kind of line, STOPs among
    them, is answered once, in order, in the right ring, under any pauses on both sides.
    """
    tb = await _started(dut, Modes(split_reward=True), idle=idle, ready=ready)
    tb.resumer.start(tb.rng)
    tb.start_publishing()
    tb.send(np.concatenate([_draw(tb, 70, "mixed"), _draw(tb, 20, "stops", before=70)]))
    await tb.finish()


@cocotb.test()
@sweep(require_checked=[False, True], split_reward=[False, True], profile=["mixed", "checked"])
async def test_obeys_its_modes_through_the_wrap(
    dut: HierarchyObject, require_checked: bool, split_reward: bool, profile: str
) -> None:
    """[DESC-020] [DESC-021] [DESC-022] [DESC-023] [DESC-025] [RING-002] [RING-008] [RING-012]
    [ERR-011] Checks, tags and checksums in every mode, with all indices wrapping through 2^32.
    """
    tb = TopTestbench(dut, Modes())
    first_index = _index_near_wrap(tb.rng)
    tb.modes = Modes(first_index, require_checked, split_reward)
    await tb.start()
    for sink in (tb.done, tb.reward):
        sink.start(ready_pattern(Ready.RANDOM, tb.rng))
    tb.resumer.start(tb.rng)
    tb.start_publishing()
    tb.send(_draw(tb, 100, profile))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(profile=["errors", "near-wrap", "boundary", "decode"])
async def test_answers_lines_of_one_kind(dut: HierarchyObject, profile: str) -> None:
    """[OP-ERR] [ERR-010] [ERR-011] [DEC-001..DEC-004] [CNT-001] Refused lines and every way for a
    decode to end, with tokens and errors counted as they are posted.
    """
    tb = await _started(dut, Modes(split_reward=True), ready=Ready.RANDOM)
    tb.resumer.start(tb.rng)
    tb.start_publishing()
    tb.send(_draw(tb, share(120, 60), profile))
    await tb.finish()


@cocotb.test()
async def test_counts_the_tokens_of_a_long_rollout(dut: HierarchyObject) -> None:
    """[OP-004] [CNT-001] A rollout of thousands of tokens, between short ones."""
    tb = await _started(dut)
    tb.start_publishing()
    tokens = share((1 << 14) - 1, (1 << 11) - 1)
    tb.send(np.concatenate([_alike(1, "ROLLOUT", tokens=n) for n in (3, tokens, 5)]))
    await tb.drained(2 * tokens)
    await tb.finish()


@cocotb.test()
async def test_line_runs_only_once_it_is_published(dut: HierarchyObject) -> None:
    """[DB-001] A written line does nothing; published one at a time, lines run one at a time."""
    tb = await _started(dut)
    tb.send(_alike(tb.depth, "NOP"))
    await tb.must_not_post()
    for published in range(1, tb.depth + 1):
        tb.publish(1)
        await tb.until(lambda n=published: len(tb.posted) == n, 64, "the published line")  # type: ignore[misc]
        await tb.must_not_post(20)
    await tb.finish()


@cocotb.test()
async def test_doorbell_may_run_ahead_of_the_lines(dut: HierarchyObject) -> None:
    """[RING-011] A published index runs as soon as its line is written."""
    tb = await _started(dut, idle=Idle.BURSTS)
    tb.start_publishing(ahead=True, longest_gap=1)
    await tb.must_not_post(20)
    tb.send(_draw(tb, 6 * tb.depth, "decode"))
    await tb.finish()


@cocotb.test()
async def test_full_command_ring_stalls_the_host(dut: HierarchyObject) -> None:
    """[RING-005] [RING-001] Lines beyond the ring's slots wait outside and none is lost."""
    tb = await _started(dut)
    tb.send(_draw(tb, 3 * tb.depth, "one-token"))
    await tb.time.cycles(4 * tb.depth)
    tb.start_publishing()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(log2=[1, 2, 3, 4])
async def test_full_done_ring_of_any_size_stalls(dut: HierarchyObject, log2: int) -> None:
    """[RING-001] [RING-005] [RING-002] All slots of the size in force are used, then completions
    wait; drained, everything comes. A size above the ring's own is the ring's own here.
    """
    tb = TopTestbench(dut, Modes())
    own = tb.sizes["done"].bit_length() - 1
    tb.modes = Modes(_index_near_wrap(tb.rng), done_log2=min(log2, own))
    await tb.start()
    tb.send(_alike(4 * tb.sizes["done"] + 24, "NOP"))
    tb.start_publishing()
    await tb.must_stall("done")
    tb.done.start(ready_pattern(Ready.RANDOM, tb.rng))
    await tb.finish()


@cocotb.test()
@sweep(full=["done", "reward"], log2=[None, 1])
async def test_full_ring_holds_back_the_other(
    dut: HierarchyObject, full: str, log2: int | None
) -> None:
    """[RING-008] [RING-005] A completion whose ring is full holds back every later one, also of
    the ring that has room.
    """
    # Only this ring is smaller, so that neither can have the other's size.
    done_log2, reward_log2 = (log2, None) if full == "done" else (None, log2)
    modes = Modes(split_reward=True, done_log2=done_log2, reward_log2=reward_log2)
    tb = await _started(dut, modes, ready=None)
    pairs = (_alike(1, "DECODE", tokens=3, pauses=True), _alike(1, "DECODE", tokens=2))
    tb.send(np.tile(np.concatenate(pairs), 2 * tb.sizes[full] + 20))
    tb.start_publishing()
    slow, fast = (tb.done, tb.reward) if full == "done" else (tb.reward, tb.done)
    fast.start()
    await tb.must_stall(full)
    slow.start(ready_pattern(Ready.RANDOM, tb.rng))
    await tb.finish()


@cocotb.test()
async def test_without_split_all_goes_to_the_done_ring(dut: HierarchyObject) -> None:
    """[RING-008] Without the mode, completions that need a reward go to the done ring too."""
    tb = await _started(dut)
    tb.start_publishing()
    tb.send(_alike(30, "DECODE", tokens=2, pauses=True))
    await tb.finish()


@cocotb.test()
async def test_stop_halts_with_lines_behind_it(dut: HierarchyObject) -> None:
    """[LIFE-003] STOP is answered, the lines behind it stay until resume, at once or published
    while halted; a resume with nothing halted does nothing.
    """
    tb = await _started(dut)
    await tb.resumer.pulse()
    tb.start_publishing()
    for before in range(4):
        tb.send(np.concatenate([_draw(tb, before, "decode"), _alike(1, "STOP")]))
        tb.send(_alike(tb.depth, "NOP"))
        await tb.halted()
        await tb.must_not_post()
        await tb.resumer.pulse()
        await tb.drained()
    await tb.finish()


@cocotb.test()
async def test_pause_lets_accepted_lines_complete(dut: HierarchyObject) -> None:
    """[LIFE-007] Without enable_i what was accepted is answered and nothing else; then the rest."""
    tb = await _started(dut, ready=Ready.RANDOM)
    tb.start_publishing()
    tb.send(_draw(tb, 12 * tb.depth, "decode"))
    for _ in range(6):
        await tb.time.cycles(int(tb.rng.integers(1, 60)))
        tb.enable(False)
        # Four lines beyond those in the workers may have been accepted.
        await tb.until(lambda: not tb.is_busy(), 64 * (tb.workers + 4), "the core to drain")
        await tb.must_not_post(60)
        tb.enable(True)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(tokens=[0, 1, 8, 32])
async def test_saturated_core_loses_no_cycle(dut: HierarchyObject, tokens: int) -> None:
    """[RING-007] [DEC-002] Lines of at most one token pass at one a cycle; of n tokens, at N/n a
    cycle with N workers.
    """
    tb = await _started(dut)
    count = 20 * tb.workers + 20
    tb.publish(count)
    tb.send(_alike(count, "DECODE" if tokens else "NOP", tokens=tokens))
    await tb.drained()
    tb.check_saturated(tokens)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(profile=["mixed", "stops"])
async def test_reset_at_any_moment_starts_anew(dut: HierarchyObject, profile: str) -> None:
    """[LIFE-001] [RING-012] After a reset mid-stream nothing of the past comes out and all
    indices have their first value; a fresh stream completes.
    """
    tb = await _started(dut, Modes(split_reward=True), ready=Ready.RANDOM)
    tb.resumer.start(tb.rng, longest_gap=60)
    tb.start_publishing()
    for _ in range(12):
        tb.send(_draw(tb, 4 * tb.depth, profile))
        await tb.time.cycles(int(tb.rng.integers(1, 90)))
        await tb.restart(
            Modes(
                int(tb.rng.choice([0, _index_near_wrap(tb.rng), int(tb.rng.integers(1 << 32))])),
                require_checked=bool(tb.rng.integers(2)),
                split_reward=bool(tb.rng.integers(2)),
                done_log2=1,
            )
        )
    tb.send(_draw(tb, 60, profile))
    await tb.finish()
