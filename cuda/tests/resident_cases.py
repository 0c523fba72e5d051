# SPDX-License-Identifier: Apache-2.0
"""Rollouts through the resident shape beside the golden model; each raises if a byte differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_cuda import ResidentDevice
from descring_host import CommandQueue
from descring_model import DESC_DTYPE, Lines, complete, contract, streams
from descring_model.engine import contract as engine_contract
from descring_model.engine.batch import Batch
from descring_model.engine.model import ModelEngine
from engine_cases import MIXED, poison
from host_support import REG, STATUS, assert_same, eventually

Open = Callable[..., ResidentDevice]
"""Opens a device with an engine; ``arena`` and other options by name."""
ROOM = 64


class Rollouts:
    """``count`` rollouts, what the golden model makes of them, and their lines.

    Attributes:
        start: the arena before the first token.
        expected: the arena after the last.
        ends: ``(n,)``, tokens of each.
        batch: where everything is.
    """

    def __init__(self, count: int, longest: int = 40) -> None:
        rng = np.random.default_rng(count)
        prompts = [rng.integers(0, 1024, rng.integers(1, 19)).tolist() for _ in range(count)]
        parameters: list[dict[str, Any]] = [
            {**MIXED[at % len(MIXED)], "sample": at} for at in range(count)
        ]
        golden = ModelEngine()
        self.batch = Batch(golden, prompts, ROOM, parameters)
        poison(self.batch)
        self.start = self.batch.arena.copy()
        self.ends = rng.integers(20, longest, count).astype(np.uint32)
        golden.advance(self.batch.arena, self.batch.offsets, self.ends)
        self.expected = self.batch.arena
        self.prompts = np.array([len(prompt) for prompt in prompts], dtype=np.uint32)

    def lines(self, opcode: str, first: Any, last: Any) -> Lines:
        """A line for each rollout."""
        lines = np.zeros(len(self.ends), dtype=DESC_DTYPE)
        lines["opcode"] = contract.OPCODE[opcode]
        lines["kv_offset"] = self.batch.offsets
        lines["seq_len"], lines["max_tokens"] = first, last
        lines["rollout_id"] = np.arange(len(lines))
        return lines

    def check(self, device: ResidentDevice) -> None:
        """The device's arena against the golden model's."""
        found: npt.NDArray[np.uint8] = np.empty_like(self.expected)
        device.read_arena(0, found)
        differ = np.flatnonzero(found != self.expected)
        assert not len(differ), f"{len(differ)} bytes differ, first at {differ[0]}"
        assert device.failures() == []


def more_rollouts_than_seats(opener: Open) -> None:
    """Continuous batching through a small done ring; completions in the order of submission."""
    rollouts = Rollouts(14)
    with (
        opener(arena=len(rollouts.start)) as device,
        CommandQueue(device, cmd_slots=32, done_slots=4) as queue,
    ):
        device.write_arena(0, rollouts.start)
        lines = rollouts.lines("ROLLOUT", 0, rollouts.ends)
        assert_same(complete(lines), queue.exchange(lines))
        rollouts.check(device)


def lines_of_one_rollout_follow_one_another(opener: Open) -> None:
    """PREFILL, then legs of DECODE, all submitted at once [REC-005]."""
    rollouts = Rollouts(5)
    prompts = rollouts.prompts
    lines = np.concatenate(
        [
            rollouts.lines("PREFILL", 0, prompts),
            rollouts.lines("DECODE", prompts, np.minimum(rollouts.ends, 32)),
            rollouts.lines("REWARD", 7, 9),
            rollouts.lines("DECODE", np.minimum(rollouts.ends, 32), rollouts.ends),
        ]
    )
    with (
        opener(arena=len(rollouts.start)) as device,
        CommandQueue(device, cmd_slots=64, split_reward=True, require_checked=True) as queue,
    ):
        device.write_arena(0, rollouts.start)
        sealed = queue.seal(lines)
        queue.submit(sealed)
        got = queue.drain(20.0)
        expected = complete(sealed, split_reward=True, require_checked=True)
        assert_same(expected, got)
        rollouts.check(device)


def pause_and_resume(opener: Open) -> None:
    """A pause stops rollouts within a step; they continue with the same bits [NUM-008]."""
    rollouts = Rollouts(10)
    with (
        opener(arena=len(rollouts.start)) as device,
        CommandQueue(device, cmd_slots=32) as queue,
    ):
        device.write_arena(0, rollouts.start)
        lines = rollouts.lines("ROLLOUT", 0, rollouts.ends)
        queue.submit(lines)
        control = device.read32(REG["CTRL"])
        enable = 1 << 0
        for _ in range(6):
            device.write32(REG["CTRL"], control & ~enable)
            posted = device.read32(REG["DONE_TAIL"])
            before = device.steps
            assert device.read32(REG["DONE_TAIL"]) == posted
            device.write32(REG["CTRL"], control)
            eventually(lambda before=before: device.steps > before + 2, "steps continue")  # type: ignore[misc]
        assert_same(complete(lines), queue.drain(20.0))
        rollouts.check(device)


def stop_behind_rollouts(opener: Open) -> None:
    """What was submitted before a STOP completes, what is behind it waits [LIFE-003]."""
    rollouts = Rollouts(6)
    lines = rollouts.lines("ROLLOUT", 0, rollouts.ends)
    stop = np.zeros(1, dtype=DESC_DTYPE)
    stop["opcode"] = contract.OPCODE["STOP"]
    with (
        opener(arena=len(rollouts.start)) as device,
        CommandQueue(device, cmd_slots=32) as queue,
    ):
        device.write_arena(0, rollouts.start)
        queue.submit(np.concatenate([lines[:4], stop, lines[4:]]))
        eventually(lambda: queue.halted, "it halts")
        assert device.read32(REG["DONE_TAIL"]) == 5
        assert device.read32(REG["STATUS"]) & STATUS["HALTED"]
        queue.continue_after_stop()
        got = queue.drain(20.0)
        assert_same(complete(np.concatenate([lines[:4], stop, lines[4:]])), got)
        rollouts.check(device)


def refused_rollouts_do_not_stop_others(opener: Open) -> None:
    """Completions are those of a device without an engine; the failures are named."""
    rollouts = Rollouts(6)
    lines = rollouts.lines("ROLLOUT", 0, rollouts.ends)
    bad = lines[:3].copy()
    bad["kv_offset"][:2] = [4, len(rollouts.start)]
    bad["kv_arena_id"][2] = 1
    with (
        opener(arena=len(rollouts.start)) as device,
        CommandQueue(device, cmd_slots=32) as queue,
    ):
        device.write_arena(0, rollouts.start)
        mixed = np.concatenate([lines[:2], bad, lines[2:]])
        assert_same(complete(mixed), queue.exchange(mixed))
        found = device.failures()
        assert sorted(item.index for item in found) == [2, 3, 4]
        assert {item.status for item in found} == {"BAD_RECORD"}
        arena = np.empty_like(rollouts.expected)
        device.read_arena(0, arena)
        assert (arena == rollouts.expected).all()


def streams_of_every_kind(opener: Open) -> None:
    """The stream of the other shapes; no line names a record that is one."""
    lines = streams.generate(300, seed=41, profile="mixed")
    lines = lines[lines["opcode"] != contract.OPCODE["STOP"]]
    with opener(arena=1 << 16) as device, CommandQueue(device, cmd_slots=64) as queue:
        assert_same(complete(lines), queue.exchange(lines))
        assert device.failures()
        assert engine_contract.STATUS["BAD_RECORD"] == 1


CASES = (
    more_rollouts_than_seats,
    lines_of_one_rollout_follow_one_another,
    pause_and_resume,
    stop_behind_rollouts,
    refused_rollouts_do_not_stop_others,
    streams_of_every_kind,
)
