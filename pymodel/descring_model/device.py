# SPDX-License-Identifier: Apache-2.0
"""Level 2 of the golden model, the devices: rings in memory, and rings on chip."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from descring_model import contract
from descring_model.core import Port, Ring
from descring_model.lines import (
    DESC_DTYPE,
    INDEX_MODULUS,
    Lines,
    as_lines,
    index_range,
    line_bytes,
    read_ring,
    write_ring,
)
from descring_model.registers import RegisterFile, ring_log2

_LINE = contract.DESC_BYTES
_WORD = 4
_SIZES = range(contract.RING_LOG2_MIN, contract.RING_LOG2_MAX + 1)


class GoldenDevice(RegisterFile):
    """The device with its rings in memory: a DMA device whose bus is a NumPy array.

    The BASE registers are byte offsets into :attr:`memory`, which is the whole memory window. The
    host writes lines there and rings the doorbell; completions lie there when ``write32`` returns.
    """

    def __init__(self, memory: npt.NDArray[np.uint8] | int, *, first_index: int = 0) -> None:
        """Make a device after reset.

        Args:
            memory: the window, a 1-D writable array of uint8, or its size in bytes.
            first_index: the value of every index after reset, 0 to 2^32 - 1 [RING-012].

        Raises:
            ValueError: memory of another shape or dtype, read-only, scattered, or of a negative
                size; a first index that is no u32.
        """
        self.memory = _window(memory)
        self._failing: list[tuple[int, int]] = []
        super().__init__(first_index)

    def inject_bus_error(self, start: int, stop: int) -> None:
        """Return an error for every access that touches the bytes ``[start, stop)`` [LIFE-005].

        Raises:
            ValueError: a range that is empty or not inside the memory.
        """
        if not 0 <= start < stop <= len(self.memory):
            raise ValueError(
                f"expected a range inside the {len(self.memory)} bytes of memory, "
                f"got [{start}, {stop})"
            )
        self._failing.append((start, stop))

    def clear_bus_errors(self) -> None:
        """Let every access succeed again; a halted device wants CTRL.RESUME as well."""
        self._failing.clear()

    def repaired_write(self) -> None:
        """Take note of an error response that no line had when written again [LIFE-005].

        The model writes no bursts, so it must be told.
        """
        self._raise_error(contract.register_bit("STATUS", "BUS_ERROR"))

    def _make_port(self) -> Port:
        return _MemoryPort(self)

    def _config_is_good(self) -> bool:
        cmd, done, reward = self._sizes()
        rings = [("CMD", cmd), ("DONE", done)]
        if self._core.split_reward:
            rings.append(("REWARD", reward))
        before = contract.RING_SLOTS_OFFSET if self._core.publish_tails else 0
        return all(
            log2 in _SIZES
            and self._base(name) % _LINE == 0
            and before <= self._base(name) <= len(self.memory) - (_LINE << log2)
            for name, log2 in rings
        )

    def store_word(self, ring: str, offset: int, index: int) -> bool:
        """Store an index at ``offset`` of the ring ``CMD``, ``DONE`` or ``REWARD`` [RING-004].

        Returns:
            False where a failing range touches the word, which then keeps its value.
        """
        start = self._base(ring) - contract.RING_SLOTS_OFFSET + offset
        if any(start < stop and first < start + _WORD for first, stop in self._failing):
            return False
        word = np.frombuffer(index.to_bytes(_WORD, "little"), dtype=np.uint8)
        self.memory[start : start + _WORD] = word
        return True

    def ring_lines(self, ring: Ring | None) -> Lines:
        """The slots of a ring as a view of the memory, ``(2^k,)``; None is the command ring."""
        cmd, done, reward = self._sizes()
        name, log2 = {
            None: ("CMD", cmd),
            Ring.DONE: ("DONE", done),
            Ring.REWARD: ("REWARD", reward),
        }[ring]
        base = self._base(name)
        return as_lines(self.memory[base : base + (_LINE << log2)].reshape(-1, _LINE))

    def accessible(
        self, ring: Ring | None, indices: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.bool_]:
        """Which of these slots no failing range touches."""
        good = np.ones(len(indices), dtype=np.bool_)
        if self._failing:
            slots = self.ring_lines(ring)
            start_of_ring = slots.ctypes.data - self.memory.ctypes.data
            offsets = start_of_ring + _LINE * (indices.astype(np.int64) % len(slots))
            for start, stop in self._failing:
                good &= (offsets + _LINE <= start) | (offsets >= stop)
        return good


class _MemoryPort:
    """Rings in the window of a :class:`GoldenDevice`."""

    def __init__(self, device: GoldenDevice) -> None:
        self._device = device

    def available(self, tail: int, head: int) -> int:
        return (tail - head) % INDEX_MODULUS

    def readable(self, indices: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        return self._device.accessible(None, indices)

    def read(self, indices: npt.NDArray[np.uint32]) -> Lines:
        slots = self._device.ring_lines(None)
        lines = np.empty(len(indices), dtype=DESC_DTYPE)
        read_ring(slots, int(indices[0]), lines)
        return lines

    def release(self, head: int) -> None:
        # The host learns from CMD_HEAD alone that a slot is free.
        pass

    def writable(self, ring: Ring, indices: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        return self._device.accessible(ring, indices)

    def write(self, ring: Ring, indices: npt.NDArray[np.uint32], lines: Lines) -> None:
        if len(indices):
            write_ring(self._device.ring_lines(ring), int(indices[0]), lines)

    def publish(self, done_tail: int, reward_tail: int | None, cmd_head: int) -> bool:
        store, tail = self._device.store_word, contract.RING_TAIL_OFFSET
        return (
            store("DONE", tail, done_tail)
            and (reward_tail is None or store("REWARD", tail, reward_tail))
            and store("CMD", contract.RING_HEAD_OFFSET, cmd_head)
        )


class GoldenLineDevice(RegisterFile):
    """The device with its rings on chip: lines enter and leave through ports.

    It is what a testbench compares a design with. The testbench reports what it saw the design
    accept (:meth:`write_line`, :meth:`write32`) and output (:meth:`take_done`,
    :meth:`take_reward`), and gets the expected lines.
    """

    _heads_are_registers = False

    def __init__(
        self, *, ring_depth: int, done_depth: int, reward_depth: int, first_index: int = 0
    ) -> None:
        """Make a device after reset.

        Args:
            ring_depth: slots of the command ring, a power of two from 2 to 65536.
            done_depth: slots of the done ring, likewise.
            reward_depth: slots of the reward ring, likewise.
            first_index: the value of every index after reset, 0 to 2^32 - 1 [RING-012].

        Raises:
            ValueError: a depth or a first index outside of these.
        """
        self._depths_log2 = tuple(
            _depth_log2(name, depth)
            for name, depth in (
                ("ring_depth", ring_depth),
                ("done_depth", done_depth),
                ("reward_depth", reward_depth),
            )
        )
        self._ring_log2_at_reset = ring_log2(*self._depths_log2)
        super().__init__(first_index)

    def write_line(self, line: npt.NDArray[Any] | np.void | bytes) -> None:
        """Append the next line, or lines, of the command ring [RING-011].

        A design may hold lines in its workers too, so this takes whatever a testbench saw a design
        take; a host without a design to follow checks :attr:`line_room`.

        Args:
            line: 64 bytes, or an element or array of DESC_DTYPE, or ``(n, 64)`` uint8.

        Raises:
            ValueError: another length, shape or dtype.
            RuntimeError: the device is closed.
        """
        self._check_open()
        if isinstance(line, bytes | bytearray | memoryview):
            if len(line) != _LINE:
                raise ValueError(f"expected a line of {_LINE} bytes, got {len(line)}")
            self._port.written.append(bytes(line))
        else:
            lines = as_lines(np.atleast_1d(np.asarray(line)))
            self._port.written.extend(row.tobytes() for row in line_bytes(lines))
        self._run()

    @property
    def line_room(self) -> int:
        """Lines the command ring has free slots for; 0 or less where it has none [RING-009]."""
        return (1 << self._depths_log2[0]) - len(self._port.written)

    def peek_done(self) -> Lines:
        """The lines posted in the done ring and not taken, oldest first; a copy."""
        return self._peek(Ring.DONE)

    def peek_reward(self) -> Lines:
        """The lines posted in the reward ring and not taken, oldest first; a copy."""
        return self._peek(Ring.REWARD)

    def take_done(self, count: int = 1) -> Lines:
        """Take lines from the done ring, which moves its head [RING-010].

        Args:
            count: how many.

        Returns:
            ``(count,)`` of DESC_DTYPE, oldest first.

        Raises:
            ValueError: fewer lines are posted, or the count is negative; nothing is taken.
            RuntimeError: the device is closed.
        """
        return self._take_lines(Ring.DONE, count)

    def take_reward(self, count: int = 1) -> Lines:
        """Take lines from the reward ring; see :meth:`take_done`."""
        return self._take_lines(Ring.REWARD, count)

    def _peek(self, ring: Ring) -> Lines:
        indices = self._core.rings[ring]
        return self._port.posted(ring, index_range(indices.head, indices.occupancy))

    def _take_lines(self, ring: Ring, count: int) -> Lines:
        self._check_open()
        indices = self._core.rings[ring]
        if not 0 <= count <= indices.occupancy:
            raise ValueError(
                f"expected 0 to {indices.occupancy} lines to take from the {ring.value} ring, "
                f"got {count}; head {indices.head}, tail {indices.tail}"
            )
        taken = self._port.posted(ring, index_range(indices.head, count))
        indices.take((indices.head + count) % INDEX_MODULUS)
        self._run()
        return taken

    def _make_port(self) -> Port:
        self._port = _LinePort(self._first_index, self._depths_log2)
        return self._port

    def _config_is_good(self) -> bool:
        # The bases mean nothing on chip; a size may be below what is built, never above.
        limits = self._depths_log2 if self._core.split_reward else self._depths_log2[:2]
        return all(
            contract.RING_LOG2_MIN <= log2 <= limit
            for log2, limit in zip(self._sizes(), limits, strict=False)
        )


class _LinePort:
    """Rings on chip: a queue of written lines, and a store for each completion ring."""

    def __init__(self, first_index: int, depths_log2: tuple[int, ...]) -> None:
        self.written: deque[bytes] = deque()
        self._first = first_index
        _, done, reward = depths_log2
        self._stores = {
            Ring.DONE: np.zeros(1 << done, dtype=DESC_DTYPE),
            Ring.REWARD: np.zeros(1 << reward, dtype=DESC_DTYPE),
        }

    def available(self, tail: int, head: int) -> int:
        return min((tail - head) % INDEX_MODULUS, len(self.written))

    def readable(self, indices: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        return np.ones(len(indices), dtype=np.bool_)

    def read(self, indices: npt.NDArray[np.uint32]) -> Lines:
        return np.frombuffer(b"".join(islice(self.written, len(indices))), dtype=DESC_DTYPE)

    def release(self, head: int) -> None:
        for _ in range((head - self._first) % INDEX_MODULUS):
            self.written.popleft()
        self._first = head

    def writable(self, ring: Ring, indices: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        return np.ones(len(indices), dtype=np.bool_)

    def write(self, ring: Ring, indices: npt.NDArray[np.uint32], lines: Lines) -> None:
        store = self._stores[ring]
        store[indices % len(store)] = lines

    def publish(self, done_tail: int, reward_tail: int | None, cmd_head: int) -> bool:
        # There is no memory that a host could poll.
        return True

    def posted(self, ring: Ring, indices: npt.NDArray[np.uint32]) -> Lines:
        """The lines at ``indices`` of ``ring``, a copy."""
        store = self._stores[ring]
        lines: Lines = store[indices % len(store)]
        return lines


def _window(memory: npt.NDArray[np.uint8] | int) -> npt.NDArray[np.uint8]:
    if isinstance(memory, int):
        if memory < 0:
            raise ValueError(f"memory must have 0 bytes or more, got {memory}")
        return np.zeros(memory, dtype=np.uint8)
    if not isinstance(memory, np.ndarray) or memory.dtype != np.uint8 or memory.ndim != 1:
        got = (
            f"shape {memory.shape} and dtype {memory.dtype}"
            if isinstance(memory, np.ndarray)
            else type(memory).__name__
        )
        raise ValueError(f"expected memory as a 1-D array of uint8 or a size in bytes, got {got}")
    if not (memory.flags.writeable and memory.flags.c_contiguous):
        raise ValueError(
            "the memory must be writable and contiguous, for completions are posted into it; "
            "pass a copy"
        )
    return memory


def _depth_log2(name: str, depth: int) -> int:
    log2 = {1 << size: size for size in _SIZES}.get(depth)
    if log2 is None:
        raise ValueError(
            f"{name} must be a power of two from {1 << _SIZES[0]} to {1 << _SIZES[-1]}, got {depth}"
        )
    return log2
