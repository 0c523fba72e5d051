# SPDX-License-Identifier: Apache-2.0
"""A device's rings: what a queue needs of them, and how registers alone give it.

A port moves lines and indices. What they mean, and when to wait or to complain, is the queue's.
:mod:`descring_host.native_port` has the other port, of the native core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from descring_model import DESC_DTYPE, Lines, contract, seal
from descring_model.lines import read_ring, write_ring

from descring_host.errors import QUEUE_CLOSED, DeviceClosed, DeviceError
from descring_host.fork import BELONGS_TO_PARENT

_LINE = contract.DESC_BYTES
_MASK = 0xFFFFFFFF
_REG = contract.OFFSET
_FLAG = contract.FLAG
DONE, REWARD = 0, 1
"""The completion rings, as ports number them."""
SLICE_S = 0.05
"""The longest uninterrupted wait, so that Ctrl-C and a dead peer are seen."""


@dataclass(frozen=True)
class Geometry:
    """Where the rings lie in the memory window: bytes of slot 0, and log2 of the slots.

    Head and tail of a ring lie in the 128 bytes in front of its slot 0 [RING-004].
    """

    cmd_base: int
    done_base: int
    reward_base: int
    cmd_log2: int
    done_log2: int
    reward_log2: int
    split: bool

    @property
    def ring_log2(self) -> int:
        """As register RING_LOG2 holds the sizes."""
        return self.cmd_log2 | self.done_log2 << 8 | self.reward_log2 << 16

    @property
    def end(self) -> int:
        """Bytes of the window that the rings need."""
        ends = [(self.cmd_base, self.cmd_log2), (self.done_base, self.done_log2)]
        if self.split:
            ends.append((self.reward_base, self.reward_log2))
        return max(base + (_LINE << log2) for base, log2 in ends)


class Port(Protocol):
    """Lines in, lines out. Indices are the ring's own, u32.

    What was submitted and taken stands in the rings' indices and nowhere else, so an exception
    raised by a signal handler inside a call leaves it as true as before.
    """

    def next_index(self) -> int:
        """The ring index of the next line to be submitted."""
        ...

    def head(self, ring: int) -> int:
        """The index of the next completion to be taken from a ring."""
        ...

    def in_flight(self) -> int:
        """Lines submitted whose completions were not taken from the rings."""
        ...

    def room(self) -> int:
        """Free slots of the command ring."""
        ...

    def submit(self, lines: Lines) -> int:
        """Write as many of these contiguous lines as there is room for, and publish them once."""
        ...

    def submit_decode(self, *words: int) -> int:
        """Write and publish one DECODE line; seven fields of it, then arena, group and whether
        it is CHECKED. 1, or 0: no room."""
        ...

    def ready(self, ring: int) -> int:
        """Completions that can be taken from a ring now."""
        ...

    def take(self, ring: int, lines: Lines) -> int:
        """Fill ``lines`` with completions that can be taken now; how many. :meth:`head` moves over
        them when they lie in ``lines``."""
        ...

    def close(self) -> None:
        """Give the rings up; calls inside end, and they and later ones raise
        :class:`DeviceClosed`."""
        ...

    def abandon(self) -> None:
        """See :class:`descring_host.fork.Owned`."""
        ...


class RegisterPort:
    """Rings of any device, through ``memory``, ``read32``, ``write32`` and ``wait``.

    The indices are the device's registers. To spare a simulator the reads, the last values are kept
    while no access is under way that changes them.
    """

    def __init__(self, device: Any, geometry: Geometry) -> None:
        self._device = device
        self._closed = ""
        self._memory: npt.NDArray[np.uint8] = device.memory
        self._cmd = self._slots(geometry.cmd_base, geometry.cmd_log2)
        self._known_tail: int | None = None
        self._cmd_tail_word = self._word(geometry.cmd_base, contract.RING_TAIL_OFFSET)
        self._rings = [self._slots(geometry.done_base, geometry.done_log2)]
        bases = [geometry.done_base]
        if geometry.split:
            self._rings.append(self._slots(geometry.reward_base, geometry.reward_log2))
            bases.append(geometry.reward_base)
        self._head_registers = (_REG["DONE_HEAD"], _REG["REWARD_HEAD"])
        self._tail_registers = (_REG["DONE_TAIL"], _REG["REWARD_TAIL"])
        self._known_heads: list[int | None] = [None] * len(bases)
        self._head_words = [self._word(base, contract.RING_HEAD_OFFSET) for base in bases]
        self._cmd_tail_word[0] = self.next_index()
        for ring, word in enumerate(self._head_words):
            word[0] = self.head(ring)
        self._first_counts = self._counts_at_rest()

    def _counts_at_rest(self) -> int:
        """CMD_HEAD less the completion rings' tails, which never changes [RING-006]."""
        registers = [_REG["CMD_HEAD"], *self._tail_registers[: len(self._rings)]]
        for _ in range(1000):  # a device that runs moves them one after the other
            first, second = ([int(self._device.read32(at)) for at in registers] for _ in range(2))
            if first == second:
                return first[0] - sum(first[1:])
        raise DeviceError("the device's indices do not come to rest; reset it")

    def _slots(self, base: int, log2: int) -> Lines:
        return self._memory[base : base + (_LINE << log2)].view(DESC_DTYPE)

    def _word(self, base: int, offset: int) -> npt.NDArray[np.uint32]:
        start = base - contract.RING_SLOTS_OFFSET + offset
        return self._memory[start : start + 4].view(np.uint32)

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceClosed(self._closed)

    def next_index(self) -> int:
        """See :class:`Port`."""
        self._check_open()
        tail = self._known_tail
        if tail is None:
            tail = self._known_tail = int(self._device.read32(_REG["CMD_TAIL"]))
        return tail

    def head(self, ring: int) -> int:
        """See :class:`Port`."""
        self._check_open()
        head = self._known_heads[ring]
        if head is None:
            head = self._known_heads[ring] = int(self._device.read32(self._head_registers[ring]))
        return head

    def in_flight(self) -> int:
        """See :class:`Port`."""
        heads = sum(self.head(ring) for ring in range(len(self._rings)))
        return (self.next_index() - heads - self._first_counts) & _MASK

    def room(self) -> int:
        """See :class:`Port`."""
        self._check_open()
        head = int(self._device.read32(_REG["CMD_HEAD"]))
        return len(self._cmd) - ((self.next_index() - head) & _MASK)

    def submit(self, lines: Lines) -> int:
        """See :class:`Port`."""
        count = min(len(lines), self.room())
        if count:
            tail = self.next_index()
            write_ring(self._cmd, tail, lines[:count])
            self._publish(tail, (tail + count) & _MASK)
        return count

    def submit_decode(self, *words: int) -> int:
        """See :class:`Port`."""
        if self.room() == 0:
            return 0
        line = decode_line(*words[:-1])
        if words[-1]:
            line = seal(line, np.array([self.next_index()], dtype=np.uint32), set_flag=True)
        return self.submit(line)

    def _publish(self, before: int, tail: int) -> None:
        # The line, then the tail in memory, then the doorbell [DB-005].
        self._known_tail = None
        self._cmd_tail_word[0] = tail
        self._device.write32(_REG["DOORBELL"], tail)
        if self.next_index() != tail:
            self._cmd_tail_word[0] = before
            raise refused_doorbell(tail)

    def ready(self, ring: int) -> int:
        """See :class:`Port`."""
        self._check_open()
        tail = int(self._device.read32(self._tail_registers[ring]))
        return (tail - self.head(ring)) & _MASK

    def take(self, ring: int, lines: Lines) -> int:
        """See :class:`Port`."""
        count = min(self.ready(ring), len(lines))
        if count:
            head = self.head(ring)
            read_ring(self._rings[ring], head, lines[:count])
            after = (head + count) & _MASK
            self._known_heads[ring] = None
            self._head_words[ring][0] = after
            self._device.write32(self._head_registers[ring], after)
            self._known_heads[ring] = after
        return count

    def close(self) -> None:
        """See :class:`Port`."""
        self._closed = self._closed or QUEUE_CLOSED

    def abandon(self) -> None:
        """See :class:`Port`."""
        self._closed = f"the queue is not this process's: {BELONGS_TO_PARENT}"


def decode_line(
    rollout_id: int,
    kv_offset: int,
    delta_offset: int,
    prefix_id: int,
    seq_len: int,
    max_tokens: int,
    user_data: int,
    kv_arena_id: int,
    group_id: int,
) -> Lines:
    """One unchecked DECODE submission, ``(1,)``, as DESC-024 and DESC-021 say."""
    line = np.zeros(1, dtype=DESC_DTYPE)
    line["opcode"] = contract.OPCODE["DECODE"]
    line["flags"] = _FLAG["COW_PREFIX"] if prefix_id else 0
    line["rollout_id"] = rollout_id
    line["kv_arena_id"] = kv_arena_id
    line["prefix_id"] = prefix_id
    line["kv_offset"] = kv_offset
    line["delta_offset"] = delta_offset
    line["seq_len"] = seq_len
    line["max_tokens"] = max_tokens
    line["reserved0"] = group_id
    line["user_data"] = user_data
    line["checksum_or_cookie"] = kv_offset ^ delta_offset ^ rollout_id << 32
    return line


def refused_doorbell(tail: int) -> DeviceError:
    """The error of a doorbell that the device did not accept."""
    return DeviceError(
        f"the device refused doorbell {tail}: it is not enabled, or something else moves its "
        "indices; open a new queue (it resets the device)"
    )
