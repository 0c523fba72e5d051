# SPDX-License-Identifier: Apache-2.0
"""The golden device beside the design: told of what the pins showed, asked what they must show.

The golden device executes at once, the design takes its time. So the model is never behind: a
completion that the design hands out before the model has posted it is an error. What the two must
agree on at every moment is compared at every moment, what only agrees at rest is compared at rest,
and a host's access whose outcome would depend on the design's speed is refused as a mistake of the
testbench.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from descring_model import GoldenLineDevice, contract
from descring_model.contract import register_bit
from descring_vip.register_port import Access, RegisterEvent
from descring_vip.scoreboard import LineChecker, ValueChecker

U32 = 1 << 32
OFFSET = contract.OFFSET
_NAME = {item.offset: item.name for item in contract.REGISTERS}
ENABLE = register_bit("CTRL", "ENABLE")
RESET = register_bit("CTRL", "RESET")
RESUME = register_bit("CTRL", "RESUME")
SPLIT_REWARD = register_bit("CTRL", "SPLIT_REWARD")
REQUIRE_CHECKED = register_bit("CTRL", "REQUIRE_CHECKED")
READY = register_bit("STATUS", "READY")
RUNNING = register_bit("STATUS", "RUNNING")
HALTED = register_bit("STATUS", "HALTED")

NEVER_COMPARED = ("CNT_STALL_CYCLES",)
"""Time, and so no part of what must be equal; cases ask whether it is 0."""

AT_REST_ONLY = (
    *("STATUS", "IRQ_STATUS", "CMD_HEAD", "DONE_TAIL", "REWARD_TAIL"),
    *("CNT_DESCRIPTORS", "CNT_TOKENS_LO", "CNT_TOKENS_HI", "CNT_ERRORS"),
)
"""Registers that tell how far the design has come."""

_READ, _LINE, _DONE, _REWARD, _WRITE = range(5)
"""Order of what shares a cycle: a read shows what was before, a reset takes all with it."""


class StimulusError(Exception):
    """The testbench's own host did what a host must not do, or what has no certain outcome."""


class CompletionChecker(LineChecker):
    """Compares the lines of one completion ring with those that the model has posted there.

    While the device is paused the design may hand out lines that it accepted before and that the
    model will only execute later; they wait here for the model.
    """

    def __init__(
        self,
        name: str,
        context: Callable[[], str],
        posted: Callable[[], int],
        take: Callable[[], bytes],
    ) -> None:
        """``posted()`` lines wait in the model's ring, of which ``take()`` takes the oldest."""
        super().__init__(name, context)
        self._posted = posted
        self._take = take
        self.early: deque[tuple[bytes, int]] = deque()

    @property
    def outstanding(self) -> int:
        """Lines that the model has posted and that the design has not handed out."""
        return self._posted()

    def handed_out(self, line: bytes, cycle: int, *, may_be_early: bool) -> None:
        """The design handed out ``line``."""
        self.early.append((line, cycle))
        self.catch_up()
        if self.early and not may_be_early:
            line, cycle = self.early[0]
            self.observe(line, cycle)

    def catch_up(self) -> bool:
        """Compare lines that came early, as far as the model has come; whether there were any."""
        compared = False
        while self.early and self._posted():
            self.expect(self._take())
            self.observe(*self.early.popleft())
            compared = True
        return compared

    def finish(self) -> None:
        """Fail if the model has lines that the design never handed out, or the reverse."""
        if self.early:
            self.observe(*self.early.popleft())
        while self._posted():
            self.expect(self._take())
        super().finish()

    def discard(self) -> None:
        """Forget what a reset dropped."""
        super().discard()
        self.early.clear()


class DeviceScoreboard:
    """The golden device, the checkers of its outputs, and the host's obligations.

    Attributes:
        model: the golden device.
        done: compares the done ring. ``reward`` compares the reward ring.
        registers: compares answers to reads, and the interrupt.
        at_rest: set by the testbench when the design has come as far as the model and stays there;
            anything that the host does ends it.
        written: lines that the design has taken since the last reset.
        taken: completions that it has handed out since then.
    """

    def __init__(
        self, context: Callable[[], str], *, depths: tuple[int, int, int], first_index: int
    ) -> None:
        self._context = context
        self._depths = depths
        self.first_index = first_index
        self.done = CompletionChecker(
            "done ring", context, lambda: self._occupancy("DONE"), lambda: self._take("DONE")
        )
        self.reward = CompletionChecker(
            "reward ring", context, lambda: self._occupancy("REWARD"), lambda: self._take("REWARD")
        )
        self.registers = ValueChecker("registers", context)
        self._pending: list[tuple[int, Callable[[], None]]] = []
        self._cycle = -1
        self.reset()

    def reset(self) -> None:
        """A hard reset."""
        self.flush()
        ring, done, reward = self._depths
        self.model = GoldenLineDevice(
            ring_depth=ring, done_depth=done, reward_depth=reward, first_index=self.first_index
        )
        self._last_lines: dict[str, deque[bytes]] = {}
        self._reset_cycle: int | None = None
        self._forget()

    def _forget(self) -> None:
        self.at_rest = False
        self.written = self.taken = 0
        self._head_seen = self.first_index
        self._halt_seen = False
        self._expected: deque[tuple[Access, int | None]] = deque()

    # ------------------------------------------------------------------ what the pins showed

    def line_written(self, line: bytes, cycle: int) -> None:
        """The design took a line of the host."""
        self._note(cycle, _LINE, lambda: self._on_line(line, cycle))

    def completion_taken(self, ring: str, line: bytes, cycle: int) -> None:
        """The host took a line of the done ring or the reward ring: ``DONE`` or ``REWARD``."""
        rank = _DONE if ring == "DONE" else _REWARD
        self._note(cycle, rank, lambda: self._on_completion(ring, line, cycle))

    def accessed(self, access: Access, cycle: int) -> None:
        """The host made a register access."""
        if access.value is None:
            self._note(cycle, _READ, lambda: self._on_read(access, cycle))
        else:
            self._note(cycle, _WRITE, lambda: self._on_write(access, cycle))

    def answered(self, event: RegisterEvent) -> None:
        """The design answered a read, in the cycle after it."""
        self.flush(before=event.cycle)
        access, expected = self._expected.popleft()
        if access != event.access:
            raise StimulusError(f"the answer to {event.access} came where {access} was read")
        self._on_answer(access, event.answer or 0, expected)

    def in_soft_reset(self, cycle: int) -> bool:
        """Whether ``cycle`` is the one after which CTRL.RESET has brought the reset state."""
        self.flush(before=cycle)
        return self._reset_cycle is not None and cycle == self._reset_cycle + 2

    def flush(self, before: int | None = None) -> None:
        """Deal with everything that the pins showed; ``before`` a cycle if that is not over yet."""
        if before is not None and self._cycle >= before:
            return
        events, self._pending = sorted(self._pending, key=lambda item: item[0]), []
        for _, action in events:
            action()

    def _note(self, cycle: int, rank: int, action: Callable[[], None]) -> None:
        if cycle != self._cycle:
            self.flush()
            self._cycle = cycle
        self._pending.append((rank, action))

    # ------------------------------------------------------------------ telling the model

    def _in_reset_cycle(self, cycle: int) -> bool:
        return self._reset_cycle is not None and cycle == self._reset_cycle + 1

    def _on_line(self, line: bytes, cycle: int) -> None:
        if self._in_reset_cycle(cycle):
            raise self.done.fail("a line was taken during CTRL.RESET, and so lost")
        self.at_rest = False
        self.written += 1
        self.model.write_line(line)
        self._catch_up()

    def _on_completion(self, ring: str, line: bytes, cycle: int) -> None:
        self.at_rest = False
        checker = self._checker(ring)
        if self._in_reset_cycle(cycle):
            # The last that the host can take of what was posted before the reset.
            if self._last_lines[ring]:
                checker.expect(self._last_lines[ring].popleft())
            checker.observe(line, cycle)
            return
        self.taken += 1
        paused = not self.model.read32(OFFSET["CTRL"]) & ENABLE
        checker.handed_out(line, cycle, may_be_early=paused)
        self._catch_up()

    def _catch_up(self) -> None:
        """Room that one ring gains by a line that came early may let the other go on."""
        while (self.done.early or self.reward.early) and (
            self.done.catch_up() or self.reward.catch_up()
        ):
            pass

    def _on_write(self, access: Access, cycle: int) -> None:
        name, value = _NAME.get(access.address), access.value or 0
        if self._in_reset_cycle(cycle):
            raise StimulusError("a write before CTRL.RESET is over has no certain outcome")
        if name == "DOORBELL":
            self._judge_doorbell(value)
        elif name == "CTRL" and value & RESET:
            self._soft_reset(cycle)
        elif name == "CTRL" and value & RESUME and self._status() & HALTED and not self._halt_seen:
            raise StimulusError("RESUME before STATUS said HALTED: it may come too early")
        elif name == "IRQ_STATUS" and not self.at_rest:
            raise StimulusError("clearing IRQ_STATUS while events may still come")
        self.at_rest = False
        self.model.write32(access.address, value)
        if not self._status() & HALTED:
            self._halt_seen = False
        self._catch_up()

    def _soft_reset(self, cycle: int) -> None:
        self._last_lines = {
            "DONE": deque(line.tobytes() for line in self.model.peek_done()),
            "REWARD": deque(line.tobytes() for line in self.model.peek_reward()),
        }
        self._reset_cycle = cycle
        self.done.discard()
        self.reward.discard()
        expected = self._expected
        self._forget()
        self._expected = expected

    def _judge_doorbell(self, tail: int) -> None:
        """Refuse a doorbell that only a design as fast as the model is sure to accept."""
        slots = 1 << (self.model.read32(OFFSET["RING_LOG2"]) & 0xFF)
        enabled = self.model.read32(OFFSET["CTRL"]) & ENABLE
        if not enabled or tail == self.model.read32(OFFSET["CMD_TAIL"]):
            return
        answered = max(self.taken, (self._head_seen - self.first_index) % U32)
        surely = (tail - self.first_index - answered) % U32 <= slots
        maybe = (tail - self.model.read32(OFFSET["CMD_HEAD"])) % U32 <= slots
        if maybe and not surely and not self.at_rest:
            raise StimulusError(
                f"doorbell {tail:#x} with {answered} answers seen: perhaps too early to be legal"
            )

    # ------------------------------------------------------------------ asking the model

    def _on_read(self, access: Access, cycle: int) -> None:
        value = self.model.read32(access.address)
        unspecified = self._in_reset_cycle(cycle)
        self._expected.append((access, None if unspecified else value))

    def _on_answer(self, access: Access, answer: int, expected: int | None) -> None:
        name = _NAME.get(access.address, f"0x{access.address:03x}")
        if expected is None:
            if name == "STATUS" and answer & READY:
                raise self.registers.fail("STATUS says READY during CTRL.RESET")
            return
        if name == "STATUS" and answer & HALTED:
            self._halt_seen = True
        if name == "CMD_HEAD":
            self._head_seen = answer
        early = self.done.early or self.reward.early
        if name in NEVER_COMPARED or (early and not self.at_rest):
            return
        if name not in AT_REST_ONLY or self.at_rest:
            self.registers.check(name, expected=expected, actual=answer)
        elif name in ("CMD_HEAD", "DONE_TAIL", "REWARD_TAIL"):
            self._check_not_ahead(name, answer, expected)

    def _check_not_ahead(self, name: str, answer: int, expected: int) -> None:
        if (expected - answer) % U32 >= U32 // 2:
            raise self.registers.fail(
                f"{name} is ahead of what can have been executed: at most {expected}, "
                f"actual {answer}"
            )
        self.registers.matched += 1

    def state_now(self) -> dict[str, int]:
        """The model's values of the registers that tell how far a device has come."""
        self.flush()
        names = ("STATUS", "CMD_HEAD", "DONE_TAIL", "DONE_HEAD", "REWARD_TAIL", "REWARD_HEAD")
        return {name: self.model.read32(OFFSET[name]) for name in names}

    def _checker(self, ring: str) -> CompletionChecker:
        return self.done if ring == "DONE" else self.reward

    def _occupancy(self, ring: str) -> int:
        tail, head = (self.model.read32(OFFSET[f"{ring}_{end}"]) for end in ("TAIL", "HEAD"))
        return (tail - head) % U32

    def _take(self, ring: str) -> bytes:
        lines = self.model.take_done() if ring == "DONE" else self.model.take_reward()
        return lines.tobytes()

    def _status(self) -> int:
        return self.model.read32(OFFSET["STATUS"])
