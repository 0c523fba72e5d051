# SPDX-License-Identifier: Apache-2.0
"""A device's rings through the native core, and what its failures mean."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

from descring_model import DESC_DTYPE, Lines

from descring_host.completion import Completion
from descring_host.errors import DEVICE_CLOSED, QUEUE_CLOSED, DeviceClosed, DeviceError
from descring_host.fork import BELONGS_TO_PARENT
from descring_host.native import FastQueue, ffi, lib
from descring_host.ports import SLICE_S, Geometry, refused_doorbell

STILL_S = 30.0
"""How long a worker that is alive may take to stand still."""
STILL_SLICE_NS = 200_000_000
"""Of that, the longest uninterrupted piece; the workers of a busy machine must all get there in
one."""


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
        """See :class:`~descring_host.ports.Port`."""
        return int(lib.hq_next_index(self.open_handle()))

    def head(self, ring: int) -> int:
        """See :class:`~descring_host.ports.Port`."""
        return int(lib.hq_head(self.open_handle(), ring))

    def in_flight(self) -> int:
        """See :class:`~descring_host.ports.Port`."""
        return int(lib.hq_in_flight(self.open_handle()))

    def room(self) -> int:
        """See :class:`~descring_host.ports.Port`."""
        return self._count(lib.hq_room(self.open_handle()))

    def submit(self, lines: Lines) -> int:
        """See :class:`~descring_host.ports.Port`."""
        return self._count(lib.hq_submit(self.open_handle(), ffi.from_buffer(lines), len(lines)))

    def submit_decode(self, *words: int) -> int:
        """See :class:`~descring_host.ports.Port`."""
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
        """See :class:`~descring_host.ports.Port`."""
        return self._count(lib.hq_ready(self.open_handle(), ring))

    def take(self, ring: int, lines: Lines) -> int:
        """See :class:`~descring_host.ports.Port`."""
        target = ffi.from_buffer(lines, require_writable=True)
        return self._count(lib.hq_poll(self.open_handle(), ring, target, len(lines), 0))

    def close(self) -> None:
        """See :class:`~descring_host.ports.Port`."""
        self._closed = self._closed or QUEUE_CLOSED
        self._unbind()
        lib.hq_close(self._handle)

    def abandon(self) -> None:
        """See :class:`~descring_host.ports.Port`."""
        self._closed = f"the queue is not this process's: {BELONGS_TO_PARENT}"
        self._unbind()


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


def stands_not_still() -> DeviceError:
    """The error of a worker that is alive and does not stand still for a host that waits."""
    return DeviceError(
        f"the worker is alive but did not stand still in {STILL_S:.0f} s; is it stopped?"
    )
