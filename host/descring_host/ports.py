# SPDX-License-Identifier: Apache-2.0
"""Two ways to a device's rings: through its registers alone, or through the native core.

A port moves lines and indices. What they mean, and when to wait or to complain, is the queue's.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from descring_model import DESC_DTYPE, Lines, contract, seal
from descring_model.lines import read_ring, write_ring

from descring_host.completion import Completion
from descring_host.errors import DEVICE_CLOSED, QUEUE_CLOSED, DeviceClosed, DeviceError
from descring_host.fork import BELONGS_TO_PARENT
from descring_host.native import FastQueue, ffi, lib

_LINE = contract.DESC_BYTES
_MASK = 0xFFFFFFFF
_REG = contract.OFFSET
_FLAG = contract.FLAG
DONE, REWARD = 0, 1
"""The completion rings, as ports number them."""
SLICE_S = 0.05
"""The longest uninterrupted wait, so that Ctrl-C and a dead peer are seen."""
STILL_S = 30.0
"""How long a worker that is alive may take to stand still."""
STILL_SLICE_NS = 200_000_000
"""Of that, the longest uninterrupted piece; the workers of a busy machine must all get there in
one."""


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


class NativePort:
    """Rings of a native device, through the native core, without the interpreter's lock held."""

    def __init__(self, device: Any, geometry: Geometry, check_peer: Callable[[], None]) -> None:
        self._check_peer = check_peer
        self._closed = ""
        self._served: weakref.ref[FastQueue] | None = None
        self._split = geometry.split
        self._device = device
        fields = ffi.new(
            "hd_geometry_t *",
            {
                "cmd_base": geometry.cmd_base,
                "done_base": geometry.done_base,
                "reward_base": geometry.reward_base,
                "ring_log2": geometry.ring_log2,
                "split": geometry.split,
            },
        )
        failure = ffi.new("int *")
        deadline = time.monotonic() + STILL_S
        while True:
            handle = lib.hq_open(device, fields, STILL_SLICE_NS, failure)
            if handle != ffi.NULL:
                break
            if failure[0] == lib.HD_CLOSED:
                raise DeviceClosed(DEVICE_CLOSED)
            if failure[0] == lib.HD_NO_MEMORY:
                raise MemoryError("no memory for a queue")
            if failure[0] == lib.HD_CORRUPT:
                raise corrupt(device)
            check_peer()
            if time.monotonic() > deadline:
                raise stands_not_still()
        # The device's handle lasts as long as the queue's, for a thread may be inside a call.
        self._handle = ffi.gc(handle, lambda queue, _device=device: lib.hq_free(queue))

    def open_handle(self) -> Any:
        """The native queue; :class:`DeviceClosed` once it is closed."""
        if self._closed:
            raise DeviceClosed(self._closed)
        return self._handle

    def bind(self, queue: FastQueue) -> None:
        """Let this queue use the native one without asking here, until it is closed."""
        self._served = weakref.ref(queue)
        address = int(ffi.cast("uintptr_t", self.open_handle()))
        queue._bind(address, Completion, DESC_DTYPE, self._split, SLICE_S)

    def _unbind(self) -> None:
        served = self._served() if self._served is not None else None
        if served is not None:
            served._bind(0, Completion, DESC_DTYPE, self._split, 0.0)

    def next_index(self) -> int:
        """See :class:`Port`."""
        return int(lib.hq_next_index(self.open_handle()))

    def head(self, ring: int) -> int:
        """See :class:`Port`."""
        return int(lib.hq_head(self.open_handle(), ring))

    def in_flight(self) -> int:
        """See :class:`Port`."""
        return int(lib.hq_in_flight(self.open_handle()))

    def room(self) -> int:
        """See :class:`Port`."""
        return self._count(lib.hq_room(self.open_handle()))

    def submit(self, lines: Lines) -> int:
        """See :class:`Port`."""
        return self._count(lib.hq_submit(self.open_handle(), ffi.from_buffer(lines), len(lines)))

    def submit_decode(self, *words: int) -> int:
        """See :class:`Port`."""
        decode, fields = words[:7], words[7:]
        lib.hq_decode_fields(self.open_handle(), *fields)
        return self._count(lib.hq_submit_decode(self._handle, *decode))

    def _count(self, number: int) -> int:
        return number if number >= 0 else self.complain(number)

    def complain(self, failure: int) -> int:
        """Raise what a negative result of the native core means; 0 if it means no more."""
        handle = self.open_handle()
        if failure == lib.HD_CLOSED:
            raise DeviceClosed(DEVICE_CLOSED)
        if failure == lib.HD_GONE:
            self._check_peer()
            return 0  # a restarted worker, not yet seen: nothing was taken in, so try again
        if failure == lib.HD_CORRUPT:
            raise corrupt(self._device)
        raise refused_doorbell(int(lib.hq_next_index(handle)))

    def ready(self, ring: int) -> int:
        """See :class:`Port`."""
        return self._count(lib.hq_ready(self.open_handle(), ring))

    def take(self, ring: int, lines: Lines) -> int:
        """See :class:`Port`."""
        target = ffi.from_buffer(lines, require_writable=True)
        return self._count(lib.hq_poll(self.open_handle(), ring, target, len(lines), 0))

    def close(self) -> None:
        """See :class:`Port`."""
        self._closed = self._closed or QUEUE_CLOSED
        self._unbind()
        lib.hq_close(self._handle)

    def abandon(self) -> None:
        """See :class:`Port`."""
        self._closed = f"the queue is not this process's: {BELONGS_TO_PARENT}"
        self._unbind()


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


def fault_of(device: Any) -> str:
    """The word that a native device found out of range, with what was expected; empty: none."""
    text = ffi.new("char[]", 200)
    found = lib.hd_fault(device, text, len(text))
    return ffi.string(text).decode() if found else ""


def corrupt(device: Any) -> DeviceError:
    """The error of a native device that has found a word of its memory out of range."""
    word = fault_of(device) or "a word that was reset in the meantime"
    return DeviceError(
        f"the device's memory is corrupt: {word}; another process, or a store through "
        "device.memory, has written it; open a new queue (it resets the device)"
    )


def refused_doorbell(tail: int) -> DeviceError:
    """The error of a doorbell that the device did not accept."""
    return DeviceError(
        f"the device refused doorbell {tail}: it is not enabled, or something else moves its "
        "indices; open a new queue (it resets the device)"
    )


def stands_not_still() -> DeviceError:
    """The error of a worker that is alive and does not stand still for a host that waits."""
    return DeviceError(
        f"the worker is alive but did not stand still in {STILL_S:.0f} s; is it stopped?"
    )
