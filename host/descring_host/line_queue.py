# SPDX-License-Identifier: Apache-2.0
"""Submit 64-byte lines to one device, and take their completions: the queue without its streams."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from descring_model import DESC_DTYPE, Lines, contract
from descring_model.lines import copy_lines

from descring_host.completion import LINE_STRUCT, Completion
from descring_host.device import Device, check_identity
from descring_host.errors import QUEUE_CLOSED, DeviceClosed, QueueFull
from descring_host.fork import BELONGS_TO_PARENT, belongs_to_this_process
from descring_host.native import FastQueue, check_unsigned, ffi, lib, nanoseconds
from descring_host.native_port import NativePort
from descring_host.ports import DONE, REWARD, Geometry, Port, RegisterPort
from descring_host.setup import adopt, check_slots, configure, lay_out
from descring_host.taking import Taking, as_array, contiguous_lines
from descring_host.waiting import Patience, Watch

_MASK = 0xFFFFFFFF
_REG = contract.OFFSET
_CTRL = contract.MASK["CTRL"]
CHUNK = 65536
"""Lines that one poll takes at most unless told otherwise: the greatest ring."""

WhenFull = Literal["block", "raise", "short"]


class LineQueue(FastQueue):
    """What :class:`~descring_host.CommandQueue` does with lines, one call at a time.

    The base does what is common with a native device; the slow forms here do the rest.

    A completion is taken once its ring's head is behind it, and delivered once a call has returned
    it. Between the two an exception may come, from a signal's handler or from the device; then the
    completion is held (``_held``), or lies in an array of ``_under_way``, and the calls that take
    completions deliver it first. The interpreter runs handlers where a call begins or has ended and
    where a loop starts over, so two plain assignments in a row are one step for them.
    """

    def __init__(
        self,
        device: Device,
        *,
        cmd_slots: int = 4096,
        done_slots: int | None = None,
        reward_slots: int | None = None,
        split_reward: bool = False,
        require_checked: bool = False,
        checked: bool = False,
        kv_arena_id: int = 0,
        group_id: int = 0,
        when_full: WhenFull = "block",
        timeout_s: float = 5.0,
        adopt_running: bool = False,
    ) -> None:
        """Lay the rings out at the start of the device's memory and enable the device.

        Args:
            device: from :func:`~descring_host.open_device`, or anything like it.
            cmd_slots: slots of the command ring, a power of two from 2 to 65536.
            done_slots: of the done ring; default: as the command ring.
            reward_slots: of the reward ring, with ``split_reward``; default likewise.
            split_reward: send completions with NEEDS_REWARD to a ring of their own [RING-008].
            require_checked: let the device refuse lines without CHECKED [DESC-025].
            checked: let :meth:`submit_decode` write CHECKED lines; implied by require_checked.
            kv_arena_id: what :meth:`submit_decode` writes into that field, u32.
            group_id: the GPU group, what it writes into ``reserved0``, u32.
            when_full: of the command ring: ``"block"`` (up to timeout_s), ``"raise"``
                :class:`QueueFull`, or ``"short"`` (return how many lines went in).
            timeout_s: how long blocking calls wait unless told otherwise.
            adopt_running: take over the rings of an enabled device without a reset, to carry on
                where another host ended; sizes and modes are then the device's own.

        Raises:
            ValueError: a size or value out of range, or rings larger than the memory.
            ContractMismatch: the device was built from another contract [HASH-001].
            DeviceError: the device refuses the configuration, or is not enabled with
                ``adopt_running``.
        """
        if when_full not in ("block", "raise", "short"):
            raise ValueError(f"when_full: expected block, raise or short, got {when_full!r}")
        nanoseconds(timeout_s)
        self._arena = check_unsigned("kv_arena_id", kv_arena_id, 32)
        self._group = check_unsigned("group_id", group_id, 32)
        check_identity(device)
        self.device = device
        self.when_full: WhenFull = when_full
        self.timeout_s = timeout_s
        if adopt_running:
            geometry, modes = adopt(device)
        else:
            cmd = check_slots("cmd_slots", cmd_slots)
            geometry = lay_out(
                cmd,
                cmd if done_slots is None else check_slots("done_slots", done_slots),
                cmd if reward_slots is None else check_slots("reward_slots", reward_slots),
                split_reward,
                len(device.memory),
            )
            modes = _CTRL["SPLIT_REWARD"] * split_reward
            modes |= _CTRL["REQUIRE_CHECKED"] * require_checked
            configure(device, geometry, modes)
        self.geometry = geometry
        self.require_checked = bool(modes & _CTRL["REQUIRE_CHECKED"])
        self._checked = int(checked or self.require_checked)
        make_port: Callable[[Geometry], Port] | None = getattr(device, "native_port", None)
        self._port: Port = (
            make_port(geometry) if make_port is not None else RegisterPort(device, geometry)
        )
        self._watch = Watch(device, self._port, geometry)
        self._rings = (DONE, REWARD) if geometry.split else (DONE,)
        self._closed = ""
        self._held = []
        self._under_way: list[Taking] | None = None
        if isinstance(self._port, NativePort):
            lib.hq_decode_fields(self._port.open_handle(), self._arena, self._group, self._checked)
            self._port.bind(self)
        belongs_to_this_process(self)

    def native_queue(self) -> Any:
        """The ``hw_queue_t *`` of rings in native memory, for native code that drives them.

        Raises:
            ValueError: the device has none, as a simulator's.
            DeviceClosed: it is closed.
        """
        if not isinstance(self._port, NativePort):
            raise ValueError(
                f"expected a device of the native core, as cpu, got {type(self.device).__name__}"
            )
        return self._port.open_handle()

    @property
    def next_index(self) -> int:
        """The ring index of the next line submitted: the tag that a CHECKED line there needs."""
        return self._port.next_index()

    @property
    def in_flight(self) -> int:
        """Descriptors submitted whose completions no call has returned yet."""
        return self._port.in_flight() + self._held_count()

    def _held_count(self, ring: int | None = None) -> int:
        """Completions that are taken from the rings (or from one) and not delivered."""
        held = sum(
            len(what) if isinstance(what, np.ndarray) else 1
            for its_ring, what in tuple(self._held)
            if ring in (None, its_ring)
        )
        return held + sum(
            taking.count(self._port)
            for taking in self._under_way or ()
            if ring in (None, taking.ring)
        )

    def seal(self, lines: npt.NDArray[Any]) -> Lines:
        """A copy of ``lines`` as CHECKED lines for the next indices [DESC-020] [DESC-022].

        They must be the next ones submitted. Raises ``ValueError`` as :meth:`submit`.
        """
        sealed = contiguous_lines(lines).copy()
        if len(sealed):
            lib.hd_seal(ffi.from_buffer(sealed), len(sealed), self.next_index)
        return sealed

    def _submit_slowly(self, lines: npt.NDArray[Any], *, timeout_s: float | None = None) -> int:
        todo = contiguous_lines(lines)
        self._check_open()
        if self.when_full == "raise" and self._port.room() < len(todo):
            self._watch.check_device()
            raise QueueFull(
                f"expected room for {len(todo)} lines, got {self._port.room()} of "
                f"{1 << self.geometry.cmd_log2} slots; take completions, or use when_full='block'"
            )
        done = self._submit_some(todo)
        if done < len(todo) and self.when_full == "block":
            wait = Patience(self.timeout_s if timeout_s is None else timeout_s)
            while done < len(todo):
                self._watch.for_room(wait, f"{done} of {len(todo)} lines went in")
                now = self._submit_some(todo[done:])
                done += now
                if now:
                    wait.renew()
        return done

    def _submit_some(self, lines: Lines) -> int:
        return self._port.submit(lines) if len(lines) else 0

    def _submit_decode_slowly(
        self,
        rollout_id: int,
        kv_offset: int,
        delta_offset: int,
        prefix_id: int,
        seq_len: int,
        max_tokens: int,
        *,
        user_data: int | None = None,
    ) -> int | None:
        words = (
            check_unsigned("rollout_id", rollout_id, 32),
            check_unsigned("kv_offset", kv_offset, 64),
            check_unsigned("delta_offset", delta_offset, 64),
            check_unsigned("prefix_id", prefix_id, 32),
            check_unsigned("seq_len", seq_len, 32),
            check_unsigned("max_tokens", max_tokens, 32),
            check_unsigned("user_data", rollout_id if user_data is None else user_data, 64),
            self._arena,
            self._group,
            self._checked,
        )
        self._check_open()
        wait = Patience(self.timeout_s)
        while not self._port.submit_decode(*words):
            if self.when_full == "short":
                return None
            if self.when_full == "raise":
                self._watch.check_device()
                raise QueueFull("the command ring is full; take completions first")
            self._watch.for_room(wait, "the line did not go in")
        return (self._port.next_index() - 1) & _MASK

    def _complain(self, code: int) -> None:
        assert isinstance(self._port, NativePort)  # only such answer so
        self._port.complain(code)

    def poll(
        self,
        max_lines: int = CHUNK,
        timeout_s: float = 0.0,
        *,
        reward: bool = False,
        out: npt.NDArray[Any] | None = None,
    ) -> Lines:
        """Take completions, oldest first.

        An exception, also one raised by a signal's handler, loses none: the next call returns them.

        Args:
            max_lines: at most so many, 0 or more.
            timeout_s: how long to wait for the first, 0: not at all.
            reward: take from the reward ring (with ``split_reward``).
            out: lines to fill instead of a fresh array; then max_lines is at most its length.

        Returns:
            ``(n,)`` of DESC_DTYPE, a copy of the ring's slots; empty if none came in time.

        Raises:
            ValueError: a reward ring that there is not, or a bad ``out``.
            PeerDied, DeviceError: nothing came, because the device is gone or has failed.
            DeviceClosed: the queue or its device is closed, meanwhile perhaps.
        """
        try:
            return self._poll(max_lines, timeout_s, reward, out)
        except BaseException:
            self._put_back()
            raise

    def _poll_slowly(
        self, max_lines: int, timeout_s: float, reward: bool, out: npt.NDArray[Any] | None
    ) -> Lines:
        self._check_open()
        if max_lines < 0:
            raise ValueError(f"max_lines: expected 0 or more, got {max_lines}")
        if not timeout_s >= 0:
            raise ValueError(f"timeout_s: expected 0 or more, got {timeout_s}")
        if reward and not self.geometry.split:
            raise ValueError("this queue has no reward ring; make it with split_reward=True")
        ring = REWARD if reward else DONE
        if out is None:
            return self._take(ring, max_lines, timeout_s)
        target = contiguous_lines(out)
        if not target.flags.writeable:
            raise ValueError("out: expected a writable array")
        # What is taken stays the queue's own until the caller has it: the caller may reuse `out`.
        lines = self._take(ring, min(max_lines, len(target)), timeout_s)
        copy_lines(target[: len(lines)], lines)
        return target[: len(lines)]

    def next_completion(self, timeout_s: float | None = None) -> Completion | None:
        """Take one completion of the done ring as an object; None if none came in time.

        An exception, also one raised by a signal's handler, loses none: the next call returns it.

        Args:
            timeout_s: seconds; default: the queue's.

        Raises:
            As :meth:`poll`.
        """
        try:
            return self._next(timeout_s, False)
        except BaseException:
            self._put_back()
            raise

    def _next_slowly(self, timeout_s: float | None, reward: bool) -> Completion | None:
        self._check_open()
        wait_s = self.timeout_s if timeout_s is None else timeout_s
        if not wait_s >= 0:
            raise ValueError(f"timeout_s: expected 0 or more, got {wait_s}")
        lines = self._take(REWARD if reward else DONE, 1, wait_s)
        if len(lines):
            return Completion._make(LINE_STRUCT.unpack(lines.tobytes()))
        if wait_s == 0:
            self._watch.check_device()
        return None

    def _take(self, ring: int, max_lines: int, timeout_s: float) -> Lines:
        """Take up to ``max_lines`` of a ring.

        At an exception, also behind it, the caller's caller calls ``_put_back()``.
        """
        self._hold_what_is_under_way()
        for place, (its_ring, _) in enumerate(self._held):
            if its_ring == ring:
                return self._deliver(place, max_lines)
        ready = self._port.ready(ring)
        if ready == 0 and timeout_s > 0 and max_lines > 0:
            ready = self._watch.for_completion(ring, timeout_s)
        target = np.empty(min(max_lines, ready), dtype=DESC_DTYPE)
        taking = Taking(ring, target, self._port.head(ring))
        self._under_way = [taking]
        taking.more(self._port)
        taken = taking.taken(self._port)
        self._last_ring, self._last = ring, taken
        self._under_way = None
        return taken

    def _deliver(self, place: int, max_lines: int) -> Lines:
        """Take of what is held at this place, as :meth:`_take`."""
        ring, what = self._held[place][0], as_array(self._held[place][1])
        taken, rest = what[:max_lines], (ring, what[max_lines:])
        whole = len(taken) == len(what)
        self._last_ring, self._last = ring, taken
        if whole:
            del self._held[place]
        else:
            self._held[place] = rest
        return taken

    def _hold_what_is_under_way(self) -> None:
        """Hold what an interrupted call had taken; each ring's in its order."""
        if self._under_way is not None:
            parts = [(taking.ring, taking.taken(self._port)) for taking in self._under_way]
            held = self._held + [part for part in parts if len(part[1])]
            self._held = held
            self._under_way = None

    def continue_after_stop(self) -> None:
        """Let a device that a STOP halted carry on with what lies behind it [LIFE-003]."""
        self._check_open()
        self.device.write32(_REG["CTRL"], self.device.read32(_REG["CTRL"]) | _CTRL["RESUME"])

    @property
    def answered(self) -> int:
        """Completions that lie in the rings and can be taken now."""
        self._check_open()
        reward = self._port.ready(REWARD) if self.geometry.split else 0
        return self._port.ready(DONE) + reward + self._held_count()

    @property
    def halted(self) -> bool:
        """Whether a STOP (or a bus error) has halted the device."""
        return self._watch.halted

    def close(self) -> None:
        """Give up the rings; the device stays open and enabled. Harmless if repeated."""
        self._closed = self._closed or QUEUE_CLOSED
        self._port.close()

    def abandon(self) -> None:
        """See :class:`descring_host.fork.Owned`."""
        self._closed = f"the queue is not this process's: {BELONGS_TO_PARENT}"
        self._port.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceClosed(self._closed)
