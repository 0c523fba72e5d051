# SPDX-License-Identifier: Apache-2.0
"""Level 2 of the golden model, the registers: doorbell, control, status, interrupt (section 7).

The register file does not depend on where the rings are; :mod:`descring_model.device` defines that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from descring_model import contract
from descring_model.core import Events, GoldenCore, Port, Ring
from descring_model.lines import INDEX_MODULUS, check_index

_ENABLE = contract.register_bit("CTRL", "ENABLE")
_RESET = contract.register_bit("CTRL", "RESET")
_RESUME = contract.register_bit("CTRL", "RESUME")
_SPLIT_REWARD = contract.register_bit("CTRL", "SPLIT_REWARD")
_REQUIRE_CHECKED = contract.register_bit("CTRL", "REQUIRE_CHECKED")
_PUBLISH_TAILS = contract.register_bit("CTRL", "PUBLISH_TAILS")

_READY = contract.register_bit("STATUS", "READY")
_RUNNING = contract.register_bit("STATUS", "RUNNING")
_HALTED = contract.register_bit("STATUS", "HALTED")
_BAD_CONFIG = contract.register_bit("STATUS", "BAD_CONFIG")
_BAD_DOORBELL = contract.register_bit("STATUS", "BAD_DOORBELL")
_BUS_ERROR = contract.register_bit("STATUS", "BUS_ERROR")

_IRQ_COMPLETION = contract.register_bit("IRQ_STATUS", "COMPLETION")
_IRQ_HALTED = contract.register_bit("IRQ_STATUS", "HALTED")
_IRQ_ERROR = contract.register_bit("IRQ_STATUS", "ERROR")
_IRQ_ALL = _IRQ_COMPLETION | _IRQ_HALTED | _IRQ_ERROR

_BASES = tuple(
    contract.REGISTER[f"{ring}_BASE_{half}"].offset
    for ring in ("CMD", "DONE", "REWARD")
    for half in ("LO", "HI")
)
_RING_LOG2 = contract.REGISTER["RING_LOG2"]
_RING_LOG2_MASK = sum(field.mask for field in _RING_LOG2.bits)


def ring_log2(cmd: int, done: int, reward: int) -> int:
    """The value of register RING_LOG2 for these three sizes, each as log2 of the slots."""
    shifts = {field.name: field.lsb for field in _RING_LOG2.bits}
    return cmd << shifts["CMD"] | done << shifts["DONE"] | reward << shifts["REWARD"]


class RegisterFile(ABC):
    """The registers of a device and their rules, over a :class:`GoldenCore`.

    A subclass defines where rings are: it makes the port, and validates a configuration.
    """

    _ring_log2_at_reset = 0
    _heads_are_registers = True

    def __init__(self, first_index: int) -> None:
        self._first_index = check_index(first_index, "first_index")
        self._closed = False
        self._reads: dict[int, Callable[[], int]] = {
            contract.REGISTER[name].offset: read
            for name, read in {
                "ID": lambda: contract.DEVICE_ID,
                "VERSION": lambda: contract.VERSION,
                "CTRL": self._read_ctrl,
                "STATUS": self._read_status,
                "CMD_HEAD": lambda: self._core.head,
                "CMD_TAIL": lambda: self._core.tail,
                "DONE_TAIL": lambda: self._core.rings[Ring.DONE].tail,
                "DONE_HEAD": lambda: self._core.rings[Ring.DONE].head,
                "REWARD_TAIL": lambda: self._core.rings[Ring.REWARD].tail,
                "REWARD_HEAD": lambda: self._core.rings[Ring.REWARD].head,
                "IRQ_STATUS": lambda: self._irq_status,
                "IRQ_MASK": lambda: self._irq_mask,
                "CNT_DESCRIPTORS": lambda: self._core.counters.descriptors % INDEX_MODULUS,
                "CNT_TOKENS_LO": self._read_tokens,
                "CNT_TOKENS_HI": lambda: self._tokens_high,
                "CNT_ERRORS": lambda: self._core.counters.errors % INDEX_MODULUS,
                "CNT_STALL_CYCLES": lambda: self._core.counters.stalls % INDEX_MODULUS,
                "CNT_BAD_DOORBELLS": lambda: self._bad_doorbells % INDEX_MODULUS,
                "CONTRACT_HASH": lambda: contract.CONTRACT_HASH,
            }.items()
        }
        self._writes: dict[int, Callable[[int], None]] = {
            contract.REGISTER[name].offset: write
            for name, write in {
                "CTRL": self._write_ctrl,
                "STATUS": self._write_status,
                "DOORBELL": self._write_doorbell,
                "IRQ_STATUS": self._write_irq_status,
                "IRQ_MASK": self._write_irq_mask,
            }.items()
        }
        for offset in (*_BASES, _RING_LOG2.offset):
            self._reads[offset] = partial(self._read_config, offset)
            self._writes[offset] = partial(self._write_config, offset)
        if self._heads_are_registers:
            for ring, name in ((Ring.DONE, "DONE_HEAD"), (Ring.REWARD, "REWARD_HEAD")):
                self._writes[contract.REGISTER[name].offset] = partial(self._take, ring)
        self._reset()

    @abstractmethod
    def _make_port(self) -> Port:
        """The port of a device just reset; on-chip rings come empty out of a reset."""

    @abstractmethod
    def _config_is_good(self) -> bool:
        """Whether ENABLE is accepted with configuration and modes as they stand [LIFE-002]."""

    def read32(self, offset: int) -> int:
        """Read a register.

        Args:
            offset: byte address in the register window; an unknown one reads 0 [DB-004].

        Returns:
            The value, 0 to 2^32 - 1.

        Raises:
            ValueError: an offset that is no u32.
            RuntimeError: the device is closed.
        """
        self._check_open()
        read = self._reads.get(check_index(offset, "register offset"))
        return read() if read else 0

    def write32(self, offset: int, value: int) -> None:
        """Write a register; whatever this lets the device do is done when the call returns.

        Args:
            offset: byte address in the register window; a write to an unknown one, or to a
                read-only register, has no effect [DB-004].
            value: 0 to 2^32 - 1.

        Raises:
            ValueError: an offset or a value that is no u32.
            RuntimeError: the device is closed.
        """
        self._check_open()
        write = self._writes.get(check_index(offset, "register offset"))
        number = check_index(value, "register value")
        if write:
            write(number)
            self._run()

    def wait(self, timeout_s: float) -> None:
        """Let the device make progress: the model has made all of it already.

        Args:
            timeout_s: seconds, 0 or more; not used up.

        Raises:
            ValueError: a negative time.
            RuntimeError: the device is closed.
        """
        self._check_open()
        if not timeout_s >= 0:
            raise ValueError(f"timeout_s must be 0 or more, got {timeout_s}")

    def close(self) -> None:
        """End the device's life; its registers are not to be used after. Harmless if repeated."""
        self._closed = True

    @property
    def irq(self) -> bool:
        """Whether the interrupt is high [IRQ-001]."""
        return self._irq_status & self._irq_mask != 0

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the device is closed; make a new one")

    def _reset(self) -> None:
        """Take the reset state [LIFE-001]."""
        self._config = dict.fromkeys(_BASES, 0)
        self._config[_RING_LOG2.offset] = self._ring_log2_at_reset
        self._locked = False
        self._errors = 0
        self._irq_status = 0
        self._irq_mask = 0
        self._tokens_high = 0
        self._bad_doorbells = 0
        _, done, reward = self._sizes()
        self._core = GoldenCore(self._make_port(), done, reward, self._first_index)

    def _run(self) -> None:
        core = self._core
        core.run()
        none = Events()
        # Without a call in between, so that a signal's handler which raises loses no event.
        events = core.events
        core.events = none
        self._irq_status |= (
            _IRQ_COMPLETION * events.completion
            | _IRQ_HALTED * events.halted
            | _IRQ_ERROR * events.bus_error
        )
        self._errors |= _BUS_ERROR * events.bus_error

    def _raise_error(self, bit: int) -> None:
        self._errors |= bit
        self._irq_status |= _IRQ_ERROR

    def _sizes(self) -> tuple[int, int, int]:
        """The sizes that RING_LOG2 holds: command, done and reward ring."""
        value = self._config[_RING_LOG2.offset]
        cmd, done, reward = ((value & field.mask) >> field.lsb for field in _RING_LOG2.bits)
        return cmd, done, reward

    def _base(self, ring: str) -> int:
        """The address of slot 0 of ``CMD``, ``DONE`` or ``REWARD``, 64 bits."""
        low = self._config[contract.REGISTER[f"{ring}_BASE_LO"].offset]
        return self._config[contract.REGISTER[f"{ring}_BASE_HI"].offset] << 32 | low

    def _read_ctrl(self) -> int:
        return (
            _ENABLE * self._core.enabled
            | _SPLIT_REWARD * self._core.split_reward
            | _REQUIRE_CHECKED * self._core.require_checked
            | _PUBLISH_TAILS * self._core.publish_tails
        )

    def _write_ctrl(self, value: int) -> None:
        if value & _RESET:
            self._reset()
            return
        if not self._locked:
            self._core.split_reward = bool(value & _SPLIT_REWARD)
            self._core.require_checked = bool(value & _REQUIRE_CHECKED)
            self._core.publish_tails = bool(value & _PUBLISH_TAILS)
        enable = bool(value & _ENABLE)
        if enable and not self._locked:
            if self._config_is_good():
                self._lock()
            else:
                enable = False
                self._raise_error(_BAD_CONFIG)
        self._core.enabled = enable
        if value & _RESUME:
            self._core.resume()

    def _lock(self) -> None:
        """Put the configuration in force until the next reset [LIFE-006]."""
        _, done, reward = self._sizes()
        self._core.rings[Ring.DONE].log2 = done
        self._core.rings[Ring.REWARD].log2 = reward
        self._locked = True

    def _read_status(self) -> int:
        # An eager device accepts a line only when it can complete it; it never drains [LIFE-007].
        running = self._core.enabled and not self._core.halted
        return _READY | _RUNNING * running | _HALTED * self._core.halted | self._errors

    def _write_status(self, value: int) -> None:
        self._errors &= ~value

    def _write_doorbell(self, tail: int) -> None:
        core = self._core
        published = (core.tail - core.head) % INDEX_MODULUS
        wanted = (tail - core.head) % INDEX_MODULUS
        slots = 1 << self._sizes()[0]
        if tail == core.tail or (core.enabled and published <= wanted <= slots):
            core.publish(tail)
        else:
            self._bad_doorbells += 1
            self._raise_error(_BAD_DOORBELL)

    def _write_irq_status(self, value: int) -> None:
        self._irq_status &= ~value

    def _write_irq_mask(self, value: int) -> None:
        self._irq_mask = value & _IRQ_ALL

    def _read_config(self, offset: int) -> int:
        return self._config[offset]

    def _write_config(self, offset: int, value: int) -> None:
        if not self._locked:
            self._config[offset] = value & _RING_LOG2_MASK if offset == _RING_LOG2.offset else value

    def _take(self, ring: Ring, head: int) -> None:
        self._core.rings[ring].take(head)

    def _read_tokens(self) -> int:
        tokens = self._core.counters.tokens
        self._tokens_high = (tokens >> 32) % INDEX_MODULUS
        return tokens % INDEX_MODULUS
