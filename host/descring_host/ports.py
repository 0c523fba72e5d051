# SPDX-License-Identifier: Apache-2.0
"""Two ways to a device's rings: through its registers alone, or through the native core.

A port moves lines and indices. What they mean, and when to wait or to complain, is the queue's.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from descring_model import DESC_DTYPE, Lines, contract, seal

from descring_host.completion import Completion
from descring_host.errors import DeviceClosed, DeviceError
from descring_host.native import PerLine, ffi, lib, nanoseconds

_LINE = contract.DESC_BYTES
_MASK = 0xFFFFFFFF
_REG = {name: register.offset for name, register in contract.REGISTER.items()}
_FLAG = contract.FLAG
DONE, REWARD = 0, 1
"""The completion rings, as ports number them."""
SLICE_S = 0.05
"""The longest uninterrupted wait, so that Ctrl-C and a dead peer are noticed."""


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
    """Lines in, lines out. Indices are the ring's own, u32."""

    def next_index(self) -> int:
        """The ring index of the next line to be submitted."""
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

    def take(self, ring: int, lines: Lines, timeout_s: float) -> int:
        """Fill ``lines`` with completions, waiting at most so long for the first; how many."""
        ...

    def close(self) -> None:
        """Let the rings go; later calls raise :class:`DeviceClosed`."""
        ...


class RegisterPort:
    """Rings of any device, through ``memory``, ``read32``, ``write32`` and ``wait``."""

    def __init__(self, device: Any, geometry: Geometry) -> None:
        self._device = device
        self._memory: npt.NDArray[np.uint8] = device.memory
        self._cmd = self._slots(geometry.cmd_base, geometry.cmd_log2)
        self._tail = int(device.read32(_REG["CMD_TAIL"]))
        self._cmd_tail_word = self._word(geometry.cmd_base, contract.RING_TAIL_OFFSET)
        self._cmd_tail_word[0] = self._tail
        self._rings = [self._slots(geometry.done_base, geometry.done_log2)]
        bases = [geometry.done_base]
        if geometry.split:
            self._rings.append(self._slots(geometry.reward_base, geometry.reward_log2))
            bases.append(geometry.reward_base)
        self._head_registers = (_REG["DONE_HEAD"], _REG["REWARD_HEAD"])
        self._tail_registers = (_REG["DONE_TAIL"], _REG["REWARD_TAIL"])
        self._heads = [int(device.read32(self._head_registers[ring])) for ring in range(len(bases))]
        self._head_words = [self._word(base, contract.RING_HEAD_OFFSET) for base in bases]
        for word, head in zip(self._head_words, self._heads, strict=True):
            word[0] = head

    def _slots(self, base: int, log2: int) -> Lines:
        return self._memory[base : base + (_LINE << log2)].view(DESC_DTYPE)

    def _word(self, base: int, offset: int) -> npt.NDArray[np.uint32]:
        start = base - contract.RING_SLOTS_OFFSET + offset
        return self._memory[start : start + 4].view(np.uint32)

    def next_index(self) -> int:
        """See :class:`Port`."""
        return self._tail

    def room(self) -> int:
        """See :class:`Port`."""
        head = int(self._device.read32(_REG["CMD_HEAD"]))
        return len(self._cmd) - ((self._tail - head) & _MASK)

    def submit(self, lines: Lines) -> int:
        """See :class:`Port`."""
        count = min(len(lines), self.room())
        if count:
            slots = (np.arange(count, dtype=np.int64) + self._tail) % len(self._cmd)
            self._cmd[slots] = lines[:count]
            self._publish((self._tail + count) & _MASK)
        return count

    def submit_decode(self, *words: int) -> int:
        """See :class:`Port`."""
        if self.room() == 0:
            return 0
        line = decode_line(*words[:-1])
        if words[-1]:
            line = seal(line, np.array([self._tail], dtype=np.uint32), set_flag=True)
        return self.submit(line)

    def _publish(self, tail: int) -> None:
        # The line, then the tail in memory, then the doorbell [DB-005].
        self._cmd_tail_word[0] = tail
        self._device.write32(_REG["DOORBELL"], tail)
        accepted = self._device.read32(_REG["CMD_TAIL"])
        if accepted != tail:
            self._cmd_tail_word[0] = self._tail
            raise refused_doorbell(tail)
        self._tail = tail

    def ready(self, ring: int) -> int:
        """See :class:`Port`."""
        tail = int(self._device.read32(self._tail_registers[ring]))
        return (tail - self._heads[ring]) & _MASK

    def take(self, ring: int, lines: Lines, timeout_s: float) -> int:
        """See :class:`Port`."""
        count = self.ready(ring)
        if count == 0 and timeout_s > 0:
            self._device.wait(timeout_s)
            count = self.ready(ring)
        count = min(count, len(lines))
        if count:
            slots = self._rings[ring]
            lines[:count] = slots[
                (np.arange(count, dtype=np.int64) + self._heads[ring]) % len(slots)
            ]
            self._heads[ring] = (self._heads[ring] + count) & _MASK
            self._head_words[ring][0] = self._heads[ring]
            self._device.write32(self._head_registers[ring], self._heads[ring])
        return count

    def close(self) -> None:
        """See :class:`Port`. The device itself refuses to be used once closed."""


class NativePort:
    """Rings of a native device, through the native core, without the interpreter's lock held."""

    def __init__(self, device: Any, geometry: Geometry, check_peer: Callable[[], None]) -> None:
        self._check_peer = check_peer
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
        self._device = device
        self.handle = lib.hq_open(device, fields)
        self._served: weakref.ref[PerLine] | None = None
        if self.handle == ffi.NULL:
            check_peer()
            raise DeviceError("the worker did not let go of the device, or memory is exhausted")

    def open_handle(self) -> Any:
        """The native queue; :class:`DeviceClosed` once it is closed."""
        if self.handle == ffi.NULL:
            raise DeviceClosed("the device or its queue is closed; open a new one")
        return self.handle

    def bind(self, queue: PerLine) -> None:
        """Let this queue use the native one without asking here, until it is closed."""
        self._served = weakref.ref(queue)
        queue._bind(int(ffi.cast("uintptr_t", self.open_handle())), Completion, SLICE_S)

    def next_index(self) -> int:
        """See :class:`Port`."""
        return int(lib.hq_next_index(self.open_handle()))

    def room(self) -> int:
        """See :class:`Port`."""
        return int(lib.hq_room(self.open_handle()))

    def submit(self, lines: Lines) -> int:
        """See :class:`Port`."""
        count = int(lib.hq_submit(self.handle, ffi.from_buffer(lines), len(lines)))
        return count if count >= 0 else self.complain(count)

    def submit_decode(self, *words: int) -> int:
        """See :class:`Port`."""
        decode, fields = words[:7], words[7:]
        lib.hq_decode_fields(self.open_handle(), *fields)
        taken = int(lib.hq_submit_decode(self.handle, *decode))
        return taken if taken >= 0 else self.complain(taken)

    def complain(self, code: int) -> int:
        """Raise what a negative answer of the native core means; 0 if it means no more."""
        handle = self.open_handle()
        if code == -2:
            self._check_peer()
            return 0  # a restarted worker, not yet noticed: nothing was taken in, so try again
        raise refused_doorbell(int(lib.hq_next_index(handle)))

    def ready(self, ring: int) -> int:
        """See :class:`Port`."""
        return int(lib.hq_ready(self.open_handle(), ring))

    def take(self, ring: int, lines: Lines, timeout_s: float) -> int:
        """See :class:`Port`."""
        handle = self.open_handle()
        wait = nanoseconds(timeout_s)
        target = ffi.from_buffer(lines, require_writable=True)
        return int(lib.hq_poll(handle, ring, target, len(lines), wait))

    def close(self) -> None:
        """See :class:`Port`."""
        if self.handle != ffi.NULL:
            served = self._served() if self._served is not None else None
            if served is not None:
                served._bind(0, Completion, 0.0)
            lib.hq_close(self.handle)
            self.handle = ffi.NULL


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
