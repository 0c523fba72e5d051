# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``rl_runtime_top``, the core without registers.

    line monitor -> golden model -> checkers <- monitors of done and reward stream

Beside it a watcher follows indices, state and posting pulses cycle by cycle. What it expects of
them comes from the golden model's completions too, in submission order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from descring_model import complete, contract, decoded_tokens, goes_to_reward
from descring_model.lines import INDEX_MODULUS, Lines
from descring_vip.handles import is_high, parameter, read_int, signal
from descring_vip.resume import Resumer
from descring_vip.scoreboard import Checker, LineChecker, ValueChecker
from descring_vip.stream.line_stream import Beat
from descring_vip.stream.lines import join, split
from descring_vip.testbench import Testbench

_INDICES = ("cmd_head_o", "done_tail_o", "done_head_o", "reward_tail_o", "reward_head_o")
_FLAGS = ("post_o", "post_error_o", "stall_o", "halted_o", "busy_o")
_HANDSHAKES = ("done_valid_o", "done_ready_i", "reward_valid_o", "reward_ready_i", "resume_i")
_OUTPUTS = (
    *_INDICES,
    *_FLAGS,
    "post_tokens_o",
    "line_ready_o",
    "done_valid_o",
    "done_data_o",
    "reward_valid_o",
    "reward_data_o",
)
_ERROR = contract.FLAG["ERROR"]
_STOPPED = contract.FLAG["STOPPED"]


@dataclass(frozen=True)
class Modes:
    """The levels that a core keeps from reset to reset."""

    first_index: int = 0
    require_checked: bool = False
    split_reward: bool = False
    done_log2: int | None = None
    """Size of the done ring in force; all slots that the core has when None."""
    reward_log2: int | None = None


@dataclass(frozen=True)
class _Post:
    """What must be seen when a completion is posted."""

    ring: str
    tokens: int
    error: bool
    stops: bool


class TopTestbench(Testbench):
    """Writes lines, publishes them, resumes halts, and takes completions from both rings.

    Attributes:
        depth: slots of the command ring.
        sizes: slots in force of the rings ``done`` and ``reward``.
        written: driver of the lines.
        done: sink of the done ring.
        reward: sink of the reward ring.
        resumer: drives ``resume_i``.
        posted: cycle in which each completion since the last reset was posted.
        is_halted: whether the core must be halted now.
    """

    def __init__(self, dut: HierarchyObject, modes: Modes) -> None:
        super().__init__(dut, outputs=_OUTPUTS)
        self.depth = parameter(dut, "RingDepth")
        self.workers = parameter(dut, "WorkerCount")
        self.modes = modes
        self.written = self.add_driver("line_")
        self.done = self.add_sink("done_")
        self.reward = self.add_sink("reward_")
        self.resumer = Resumer(dut, self.time)
        self.posted: list[int] = []
        self.is_halted = False
        self._lines: list[bytes] = []
        self._posts: list[_Post] = []
        self._published = 0
        self._rings = {
            ring: self.add_checker(LineChecker(f"{ring} ring", self.time.context))
            for ring in ("done", "reward")
        }
        self._numbers = self.add_checker(ValueChecker("posting", self.time.context))
        self._watched = Checker("core", self.time.context)

        self.add_monitor("line_", into=True).add_callback(self._on_line)
        self.add_monitor("done_", into=False).add_callback(self._on_done)
        self.add_monitor("reward_", into=False).add_callback(self._on_reward)
        self._index_pins = {name: signal(dut, name) for name in _INDICES}
        self._pins = {name: signal(dut, name) for name in (*_FLAGS, *_HANDSHAKES)}
        self._tokens = signal(dut, "post_tokens_o")
        self._tail = signal(dut, "cmd_tail_i")
        self._enable = signal(dut, "enable_i")
        self.enable(True)
        self._drive_modes()

    # --- modes -------------------------------------------------------------------------------

    def _drive_modes(self) -> None:
        modes = self.modes
        logs = {
            "done": _log2(parameter(self.dut, "DoneDepth"), modes.done_log2),
            "reward": _log2(parameter(self.dut, "RewardDepth"), modes.reward_log2),
        }
        self.sizes = {ring: 1 << log2 for ring, log2 in logs.items()}
        for name, value in (
            ("first_index_i", modes.first_index),
            ("require_checked_i", int(modes.require_checked)),
            ("split_reward_i", int(modes.split_reward)),
            ("done_log2_i", logs["done"]),
            ("reward_log2_i", logs["reward"]),
            ("cmd_tail_i", modes.first_index),
        ):
            signal(self.dut, name).value = value
        self._indices = dict.fromkeys(_INDICES, modes.first_index)
        self._published = 0

    async def restart(self, modes: Modes) -> None:
        """Reset, at any moment, into other modes."""
        self.modes = modes
        await self.reset()

    def on_reset(self) -> None:
        """Everything is forgotten and the indices start anew."""
        self._lines.clear()
        self._posts.clear()
        self.posted.clear()
        self.is_halted = False
        self._drive_modes()

    # --- wiring ------------------------------------------------------------------------------

    def _on_line(self, beat: Beat) -> None:
        self._lines.append(beat.line)

    def _on_done(self, beat: Beat) -> None:
        self._rings["done"].observe(beat.line, beat.cycle)

    def _on_reward(self, beat: Beat) -> None:
        self._rings["reward"].observe(beat.line, beat.cycle)

    def _announce(self) -> None:
        """Have the model answer every line that went in and is not answered yet."""
        known = len(self._posts)
        if known == len(self._lines):
            return
        # Tags count from the first line on, so the model starts from there every time.
        lines = join(self._lines)
        completions = complete(
            lines,
            first_index=self.modes.first_index,
            require_checked=self.modes.require_checked,
            split_reward=self.modes.split_reward,
        )
        tokens = decoded_tokens(lines, completions)
        to_reward = goes_to_reward(completions) & np.bool_(self.modes.split_reward)
        flags = completions["flags"]
        answers = split(completions)
        for number in range(known, len(lines)):
            ring = "reward" if to_reward[number] else "done"
            self._rings[ring].expect(answers[number])
            self._posts.append(
                _Post(
                    ring,
                    int(tokens[number]),
                    bool(flags[number] & _ERROR),
                    bool(flags[number] & _STOPPED),
                )
            )

    async def _watch(self) -> None:
        edge = RisingEdge(self.time.clock)
        while True:
            await edge
            if not is_high(self.time.reset_n):
                continue
            pins = {name: is_high(pin) for name, pin in self._pins.items()}
            for name, pin in self._index_pins.items():
                self._must_be(name, self._indices[name], read_int(pin))
            self._must_be("halted_o", self.is_halted, pins["halted_o"])
            halts = self._judge_posting(pins)
            for ring in ("done", "reward"):
                if pins[f"{ring}_valid_o"] and pins[f"{ring}_ready_i"]:
                    self._advance(f"{ring}_head_o")
                if self._occupancy(ring) > self.sizes[ring]:
                    raise self._watched.fail(
                        f"the {ring} ring holds {self._occupancy(ring)} completions in "
                        f"{self.sizes[ring]} slots"
                    )
            self.is_halted = halts or (self.is_halted and not pins["resume_i"])

    def _judge_posting(self, pins: dict[str, bool]) -> bool:
        """Follow one cycle of posting; returns whether a STOP was answered in it."""
        if pins["halted_o"] and pins["busy_o"]:
            raise self._watched.fail("busy_o is high while halted")
        if pins["stall_o"] or pins["post_o"]:
            self._must_be("busy_o", True, pins["busy_o"])
        if pins["stall_o"] and pins["post_o"]:
            raise self._watched.fail("stall_o and post_o are high in one cycle")
        if pins["stall_o"]:
            ring = self._next_post("stalls").ring
            if self._occupancy(ring) < self.sizes[ring]:
                raise self._watched.fail(f"stall_o is high while the {ring} ring has room")
        tokens = read_int(self._tokens)
        if not pins["post_o"]:
            if tokens or pins["post_error_o"]:
                raise self._watched.fail("tokens or an error are counted without post_o")
            return False
        post = self._next_post("is posted")
        number = len(self.posted)
        if self.is_halted:
            raise self._watched.fail(f"completion {number} is posted while halted")
        self._numbers.check(f"tokens of line {number}", expected=post.tokens, actual=tokens)
        self._numbers.check(
            f"error of line {number}", expected=int(post.error), actual=int(pins["post_error_o"])
        )
        self.posted.append(self.time.cycle)
        self._advance("cmd_head_o")
        self._advance(f"{post.ring}_tail_o")
        return post.stops

    def _next_post(self, what: str) -> _Post:
        number = len(self.posted)
        if number >= self._published:
            raise self._watched.fail(
                f"completion {number} {what} with {self._published} lines published"
            )
        self._announce()
        if number >= len(self._posts):
            raise self._watched.fail(
                f"completion {number} {what} with {len(self._posts)} lines written"
            )
        return self._posts[number]

    def _must_be(self, name: str, expected: int, actual: int) -> None:
        if expected != actual:
            raise self._watched.fail(f"{name} must be {expected:#x}, is {actual:#x}")

    def _advance(self, name: str) -> None:
        self._indices[name] = (self._indices[name] + 1) % INDEX_MODULUS

    def _occupancy(self, ring: str) -> int:
        return (self._indices[f"{ring}_tail_o"] - self._indices[f"{ring}_head_o"]) % INDEX_MODULUS

    # --- what cases do -----------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything, with the watcher."""
        self.add_task(self._watch())
        await super().start()

    def stop(self) -> None:
        """Stop everything."""
        self.resumer.stop()
        super().stop()

    def is_drained(self) -> bool:
        """Whether every line that was written is answered and taken."""
        self._announce()
        return super().is_drained()

    async def finish(self) -> None:
        """Check that everything came and that the core is at rest."""
        await self.drained()
        await self.time.cycles(2)
        self._must_be("busy_o at rest", False, is_high(self._pins["busy_o"]))
        await super().finish()

    def state(self) -> dict[str, object]:
        """What a timeout prints."""
        pins = {name: str(pin.value) for name, pin in self._pins.items()}
        return {
            **super().state(),
            "indices": {name: f"{value:#x}" for name, value in self._indices.items()},
            "lines": f"{len(self._lines)} written, {self._published} published, "
            f"{len(self.posted)} posted",
            "pins": pins,
        }

    def enable(self, on: bool) -> None:
        """Drive ``enable_i``."""
        self._enable.value = int(on)

    def send(self, lines: Lines) -> None:
        """Queue ``lines`` for the line port."""
        self.written.send_soon(split(lines))

    def publish(self, count: int) -> None:
        """Raise the published tail by ``count`` lines."""
        self._published += count
        self._tail.value = (self.modes.first_index + self._published) % INDEX_MODULUS

    def start_publishing(self, *, ahead: bool = False, longest_gap: int = 8) -> None:
        """Publish every few cycles: what is written, or ``ahead`` of it all that is legal."""
        self.add_task(self._publish(ahead, longest_gap))

    async def _publish(self, ahead: bool, longest_gap: int) -> None:
        edge = RisingEdge(self.time.clock)
        while True:
            for _ in range(int(self.rng.integers(0, longest_gap)) + 1):
                await edge
            if not is_high(self.time.reset_n):
                continue
            # The ring's room is counted against CMD_HEAD [DB-002].
            room = len(self.posted) + self.depth - self._published
            wanted = room if ahead else len(self._lines) - self._published
            self.publish(min(room, wanted))

    def is_busy(self) -> bool:
        """Whether ``busy_o`` is high."""
        return is_high(self._pins["busy_o"])

    async def halted(self) -> None:
        """Wait until the core has halted."""
        await self.until(lambda: self.is_halted, 4096, "a halt")

    async def must_not_post(self, cycles: int = 200) -> None:
        """Fail if a completion is posted within ``cycles`` cycles."""
        posted = len(self.posted)
        await self.time.cycles(cycles)
        if len(self.posted) != posted:
            raise self._watched.fail(f"{len(self.posted) - posted} completions were posted")

    async def must_stall(self, ring: str, cycles: int = 100) -> None:
        """Wait until ``ring`` is full and a completion waits for it; then it must wait on.

        Raises:
            AssertionError: it does not come to that, a slot stays free, or the wait ends.
        """
        await self.until(lambda: is_high(self._pins["stall_o"]), 4096, f"the {ring} ring to fill")
        self._must_be(f"occupancy of the {ring} ring", self.sizes[ring], self._occupancy(ring))
        for _ in range(cycles):
            await self.time.edge()
            self._must_be("stall_o", True, is_high(self._pins["stall_o"]))

    def check_saturated(self, tokens: int) -> None:
        """Check how long the completions took that came since reset, all of ``tokens`` tokens.

        Raises:
            AssertionError: they took longer than one line a cycle, or N workers, allow; or less.
        """
        groups, rest = divmod(len(self.posted) - 1, self.workers)
        self._numbers.check(
            f"cycles from the first to the last of {len(self.posted)} completions",
            expected=groups * max(tokens, self.workers) + rest,
            actual=self.posted[-1] - self.posted[0],
        )


def _log2(depth: int, wanted: int | None) -> int:
    return depth.bit_length() - 1 if wanted is None else wanted
