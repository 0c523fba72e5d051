# SPDX-License-Identifier: Apache-2.0
"""What the register file must show, cycle by cycle: section 7 of the contract in plain Python.

The golden device executes at once and has no cycles, so it cannot say which of two things that
meet in one cycle wins. This reference can: it is told what the pins of ``mmio_regs`` carried at
every clock edge, and gives the answer to each read and the value of each output.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

from descring_model import contract
from descring_model.contract import register_bit

U32 = 1 << 32
_NAME = {item.offset: item.name for item in contract.REGISTERS}
_RESET_VALUE = {item.name: item.reset for item in contract.REGISTERS}

_CTRL = contract.REGISTER["CTRL"].offset

ENABLE = register_bit("CTRL", "ENABLE")
RESET = register_bit("CTRL", "RESET")
RESUME = register_bit("CTRL", "RESUME")
SPLIT_REWARD = register_bit("CTRL", "SPLIT_REWARD")
REQUIRE_CHECKED = register_bit("CTRL", "REQUIRE_CHECKED")
PUBLISH_TAILS = register_bit("CTRL", "PUBLISH_TAILS")
MODES = SPLIT_REWARD | REQUIRE_CHECKED | PUBLISH_TAILS
READY = register_bit("STATUS", "READY")
RESET_TIMEOUT = register_bit("STATUS", "RESET_TIMEOUT")
RUNNING = register_bit("STATUS", "RUNNING")
HALTED = register_bit("STATUS", "HALTED")
BAD_CONFIG = register_bit("STATUS", "BAD_CONFIG")
BAD_DOORBELL = register_bit("STATUS", "BAD_DOORBELL")
BUS_ERROR = register_bit("STATUS", "BUS_ERROR")
IRQ_COMPLETION = register_bit("IRQ_STATUS", "COMPLETION")
IRQ_HALTED = register_bit("IRQ_STATUS", "HALTED")
IRQ_ERROR = register_bit("IRQ_STATUS", "ERROR")

_ALIGNMENT = contract.DESC_BYTES
_BASES = tuple(f"{ring}_BASE_{half}" for ring in ("CMD", "DONE", "REWARD") for half in ("LO", "HI"))
_CONFIG = ("RING_LOG2", *_BASES)
_SHIFT = {item.name: item.lsb for item in contract.REGISTER["RING_LOG2"].bits}
_RING_LOG2_MASK = sum(item.mask for item in contract.REGISTER["RING_LOG2"].bits)
_IRQ_MASK = sum(item.mask for item in contract.REGISTER["IRQ_MASK"].bits)


class Pins(NamedTuple):
    """The inputs of ``mmio_regs`` at one clock edge, without reset; names as of the ports."""

    reg_valid_i: int
    reg_write_i: int
    reg_addr_i: int
    reg_wdata_i: int
    cmd_head_i: int
    done_tail_i: int
    done_head_i: int
    reward_tail_i: int
    reward_head_i: int
    halted_i: int
    busy_i: int
    post_i: int
    post_error_i: int
    post_tokens_i: int
    stall_i: int
    announce_i: int
    bus_error_i: int
    bus_idle_i: int
    reset_late_i: int
    window_last_i: int
    first_index_i: int


class _Move(NamedTuple):
    """A write that moves an index: what it becomes, whether that is legal, how long it waits."""

    name: str
    value: int
    legal: bool
    waits: int


class RegisterReference:
    """The registers of a device with on-chip rings or with rings in memory.

    A write that moves an index is judged by the state of its own cycle. With rings in memory it is
    in force :data:`STAGES` cycles later than any other write, and no access follows it so soon.

    Attributes:
        seen: how often each rule's situation came up, so that a case can insist on having met it.
    """

    STAGES = 2

    def __init__(self, *, max_log2: tuple[int, int, int], on_chip: bool) -> None:
        """``max_log2`` are the greatest sizes of command, done and reward ring."""
        self._max_log2 = max_log2
        self._on_chip = on_chip
        self.seen: Counter[str] = Counter()
        self.reset(0)

    def reset(self, first_index: int) -> None:
        """The reset state [LIFE-001] [RING-012]."""
        self.resetting = False
        self._enable = self._locked = False
        self._modes = 0
        self._config = {name: _RESET_VALUE[name] for name in _CONFIG}
        if self._on_chip:
            cmd, done, reward = self._max_log2
            self._config["RING_LOG2"] = (
                cmd << _SHIFT["CMD"] | done << _SHIFT["DONE"] | reward << _SHIFT["REWARD"]
            )
        self._tail = self._done_head = self._reward_head = first_index
        self._moves: deque[_Move] = deque()
        self._errors = self._irq_status = self._irq_mask = 0
        self._was_halted = False
        self._tokens_high = 0
        self.counters = dict.fromkeys(
            ("DESCRIPTORS", "TOKENS", "ERRORS", "STALL_CYCLES", "BAD_DOORBELLS"), 0
        )

    def outputs(self) -> dict[str, int]:
        """What the outputs must carry now; none but ``soft_reset_o`` counts while it is high."""
        if self.resetting:
            return {"soft_reset_o": 1}
        outputs = {
            "soft_reset_o": 0,
            "enable_o": int(self._enable),
            "require_checked_o": int(self._modes & REQUIRE_CHECKED != 0),
            "split_reward_o": int(self._modes & SPLIT_REWARD != 0),
            "publish_tails_o": int(self._modes & PUBLISH_TAILS != 0),
            "cmd_tail_o": self._tail,
            "irq_o": int(self._irq_status & self._irq_mask != 0),
        }
        for ring, log2 in self._sizes().items():
            outputs[f"{ring.lower()}_log2_o"] = log2
            outputs[f"{ring.lower()}_base_o"] = self._base(ring)
        if not self._on_chip:
            outputs["done_head_o"] = self._done_head
            outputs["reward_head_o"] = self._reward_head
        return outputs

    def cycle(self, pins: Pins) -> int | None:
        """One clock edge. Returns the answer to the read that it takes, None if it takes none.

        A read shows the state before anything else that the same edge brings.
        """
        access = pins.reg_valid_i
        is_read = access and not pins.reg_write_i
        name = _NAME.get(pins.reg_addr_i)
        if self.resetting:
            self.reset(pins.first_index_i)
            self.resetting = not pins.bus_idle_i
            self.seen["reset waits for the bus"] += self.resetting
            if is_read and name == "STATUS":
                self.seen["STATUS read in a late reset"] += pins.reset_late_i
                return RESET_TIMEOUT * pins.reset_late_i
            return None
        answer = None
        if is_read:
            answer = self._read(name, pins)
        clear_errors = clear_irq = 0
        events = self._core_events(pins)
        self._moves = deque(move._replace(waits=move.waits - 1) for move in self._moves)
        if access and pins.reg_write_i:
            value = pins.reg_wdata_i
            if name == "STATUS":
                clear_errors = value
            elif name == "IRQ_STATUS":
                clear_irq = value
            else:
                events |= self._write(name, value, pins)
        while self._moves and self._moves[0].waits == 0:
            events |= self._in_force(self._moves.popleft())
        if clear_errors & events:
            self.seen["STATUS event meets its clearing"] += 1
        self._errors = (self._errors & ~clear_errors) | events
        self._raise_interrupts(pins, events, clear_irq)
        return answer

    def asks_resume(self, pins: Pins) -> bool:
        """Whether this edge takes a write that asks for RESUME [LIFE-003]."""
        writes_ctrl = pins.reg_valid_i and pins.reg_write_i and pins.reg_addr_i == _CTRL
        asks = pins.reg_wdata_i & (RESUME | RESET) == RESUME
        return bool(writes_ctrl and asks and not self.resetting)

    def _core_events(self, pins: Pins) -> int:
        """Count what the core and the bus report; the error bits of STATUS that they raise."""
        self._count("DESCRIPTORS", pins.post_i)
        self._count("ERRORS", pins.post_error_i)
        self._count("STALL_CYCLES", pins.stall_i)
        self.counters["TOKENS"] = (self.counters["TOKENS"] + pins.post_tokens_i) % (1 << 64)
        return BUS_ERROR if pins.bus_error_i else 0

    def _count(self, name: str, amount: int) -> None:
        self.counters[name] = (self.counters[name] + amount) % U32

    def _raise_interrupts(self, pins: Pins, errors: int, clear: int) -> None:
        halts = bool(pins.halted_i) and not self._was_halted
        self._was_halted = bool(pins.halted_i)
        events = IRQ_COMPLETION * pins.announce_i | IRQ_HALTED * halts | IRQ_ERROR * (errors != 0)
        if clear & events:
            self.seen["IRQ event meets its clearing"] += 1
        self._irq_status = (self._irq_status & ~clear) | events

    def _write(self, name: str | None, value: int, pins: Pins) -> int:
        """Write a register; the error bits of STATUS that this raises."""
        if name == "CTRL":
            return self._write_ctrl(value, pins)
        if name == "DOORBELL":
            self._plan("DOORBELL", *self._judge_doorbell(value, pins))
        if name == "IRQ_MASK":
            self._irq_mask = value & _IRQ_MASK
        elif name in self._config:
            if self._locked:
                self.seen["write to locked configuration"] += 1
            else:
                self._config[name] = value & (_RING_LOG2_MASK if name == "RING_LOG2" else U32 - 1)
        elif name == "DONE_HEAD":
            self._plan(name, *self._judge_head(name, self._done_head, value, pins.done_tail_i))
        elif name == "REWARD_HEAD":
            self._plan(name, *self._judge_head(name, self._reward_head, value, pins.reward_tail_i))
        return 0

    def _plan(self, name: str, value: int, legal: bool) -> None:
        self._moves.append(_Move(name, value, legal, 0 if self._on_chip else self.STAGES))

    def _in_force(self, move: _Move) -> int:
        """Move the index; the error bits of STATUS that this raises."""
        if move.name == "DOORBELL":
            self._tail = move.value
            if not move.legal:
                self._count("BAD_DOORBELLS", 1)
                return BAD_DOORBELL
        elif move.name == "DONE_HEAD":
            self._done_head = move.value
        else:
            self._reward_head = move.value
        return 0

    def _judge_head(self, name: str, head: int, value: int, tail: int) -> tuple[int, bool]:
        """The head after a write of ``value``, and whether that is legal [RING-010]."""
        legal = (value - head) % U32 <= (tail - head) % U32
        self.seen[f"{name} {'moved' if legal and value != head else 'kept'}"] += 1
        return value if legal else head, legal

    def _write_ctrl(self, value: int, pins: Pins) -> int:
        if value & RESET:
            self.resetting = True
            self.seen["CTRL.RESET"] += 1
            return 0
        if not self._locked:
            self._modes = value & MODES
        if not value & ENABLE:
            self._enable = False
            return 0
        if not self._locked and not self._config_is_good(pins.window_last_i):
            self._enable = False
            self.seen["ENABLE refused"] += 1
            return BAD_CONFIG
        self.seen["ENABLE accepted"] += 1
        self._enable = self._locked = True
        return 0

    def _config_is_good(self, window_last: int) -> bool:
        for (ring, log2), greatest in zip(self._sizes().items(), self._max_log2, strict=True):
            if ring == "REWARD" and not self._modes & SPLIT_REWARD:
                continue
            if not contract.RING_LOG2_MIN <= log2 <= greatest:
                self.seen[f"{ring} size out of range"] += 1
                return False
            if self._on_chip:
                continue
            base = self._base(ring)
            if base % _ALIGNMENT:
                self.seen[f"{ring} base not aligned"] += 1
                return False
            if self._modes & PUBLISH_TAILS and base < contract.RING_SLOTS_OFFSET:
                self.seen[f"{ring} words outside the window"] += 1
                return False
            if base + _ALIGNMENT * (1 << log2) - 1 > window_last:
                self.seen[f"{ring} ring outside the window"] += 1
                return False
        return True

    def _judge_doorbell(self, value: int, pins: Pins) -> tuple[int, bool]:
        """The tail after a doorbell, and whether it is legal [DB-002] [DB-006]."""
        published = (self._tail - pins.cmd_head_i) % U32
        wanted = (value - pins.cmd_head_i) % U32
        if value == self._tail:
            self.seen["doorbell repeats the tail"] += 1
            return value, True
        if self._enable and published <= wanted <= 1 << self._sizes()["CMD"]:
            self.seen["doorbell accepted"] += 1
            if value < self._tail:
                self.seen["doorbell across 2^32"] += 1
            if wanted == 1 << self._sizes()["CMD"]:
                self.seen["doorbell fills the ring"] += 1
            return value, True
        self.seen["doorbell while disabled" if not self._enable else "doorbell out of range"] += 1
        return self._tail, False

    def _sizes(self) -> dict[str, int]:
        value = self._config["RING_LOG2"]
        return {ring: value >> shift & 0xFF for ring, shift in _SHIFT.items()}

    def _base(self, ring: str) -> int:
        return self._config[f"{ring}_BASE_HI"] << 32 | self._config[f"{ring}_BASE_LO"]

    def _read(self, name: str | None, pins: Pins) -> int:
        if name is None or name == "DOORBELL":
            return 0
        if name in self._config:
            return self._config[name]
        if name == "CNT_TOKENS_LO":
            self._tokens_high = self.counters["TOKENS"] >> 32
            return self.counters["TOKENS"] % U32
        if name == "CNT_TOKENS_HI":
            return self._tokens_high
        if name.startswith("CNT_"):
            return self.counters[name.removeprefix("CNT_")]
        return {
            "ID": contract.DEVICE_ID,
            "VERSION": contract.VERSION,
            "CONTRACT_HASH": contract.CONTRACT_HASH,
            "CTRL": ENABLE * self._enable | self._modes,
            "STATUS": READY
            | RUNNING * bool((self._enable and not pins.halted_i) or pins.busy_i)
            | HALTED * pins.halted_i
            | self._errors,
            "CMD_HEAD": pins.cmd_head_i,
            "CMD_TAIL": self._tail,
            "DONE_TAIL": pins.done_tail_i,
            "DONE_HEAD": pins.done_head_i if self._on_chip else self._done_head,
            "REWARD_TAIL": pins.reward_tail_i,
            "REWARD_HEAD": pins.reward_head_i if self._on_chip else self._reward_head,
            "IRQ_STATUS": self._irq_status,
            "IRQ_MASK": self._irq_mask,
        }[name]
