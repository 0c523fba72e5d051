# SPDX-License-Identifier: Apache-2.0
"""The native pipeline: a run in logical time, a tick at a time or over the rings of a device."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_host import DeviceClosed, DeviceError, HostError, QueueTimeout
from descring_model import DESC_DTYPE, Lines
from descring_model.rollouts import contract, seeing
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.records import (
    RECORD_DTYPE,
    Records,
    check_config,
    check_requests,
)

from descring_rollouts.kv import Memory
from descring_rollouts.native import check, check_u32, fail, ffi, lib

_SCORE_DTYPE = np.dtype([("request", "<u4"), ("length", "<u4"), ("final", "<u4")])
_MEMBERS = ("result", "user_data", "opcode", "rollout_id", "max_tokens", "number of completions")
_SLICE_TICKS = 1024
_SLICE_NS = 20_000_000
"""How long a native call goes on before a signal's handler may run."""


@dataclass(frozen=True)
class Step:
    """What one tick asks of the device and of the scorer.

    Attributes:
        lines: ``(k,)`` of DESC_DTYPE, the tick's window, not sealed.
        requests: ``(j,)`` uint32, whose scores are asked for.
        lengths: ``(j,)`` uint32, the tokens that each score is of.
        final: ``(j,)`` bool.
    """

    lines: Lines
    requests: npt.NDArray[np.uint32]
    lengths: npt.NDArray[np.uint32]
    final: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Usage:
    """What is held now; all 0 at the end of a run but ``queues``, where free has every slot.

    ``queues`` is the number of entries by the number of the queue; ``taken``, of the lines in
    flight, those that :meth:`Core.run` holds.
    """

    blocks: int
    reserved: int
    decode: int
    reward: int
    trajectory: int
    live: int
    nodes: int
    in_flight: int
    taken: int
    queues: tuple[int, ...]


class Core:
    """A run of requests, without a device: byte for byte the golden model's log.

    One thread at a time.
    """

    def __init__(
        self,
        config: Records,
        requests: Records,
        *,
        memory: Memory | None = None,
        keep_log: bool = True,
    ) -> None:
        """Lay a run out.

        Args:
            config: ``(1,)`` of CONFIG_DTYPE.
            requests: ``(n,)`` of REQUEST_DTYPE.
            memory: KV memory of ``kv_blocks`` blocks; None: with CHECK_KV the run has tags of its
                own, else none.
            keep_log: False: :meth:`log` has the last tick's events only.

        Raises:
            RolloutError: BAD_CONFIG or BAD_REQUEST.
            ValueError: too little memory.
            MemoryError: the run does not fit.
        """
        check_config(config)
        check_requests(config, requests)
        blocks = int(config["kv_blocks"][0])
        needed = blocks * contract.BLOCK_BYTES
        if memory is not None and memory.report.bytes < needed:
            raise ValueError(f"memory: expected {needed} bytes, got {memory.report.bytes}")
        error = ffi.new("int *")
        whole = np.ascontiguousarray(requests)
        handle = lib.hr_pipe_open(
            ffi.from_buffer(np.ascontiguousarray(config)),
            ffi.from_buffer(whole) if len(whole) else ffi.NULL,
            len(whole),
            ffi.NULL if memory is None else memory.start,
            keep_log,
            error,
        )
        if handle == ffi.NULL:
            fail(int(error[0]), f"a run of {len(whole)} requests over {blocks} blocks")
        # The memory must not go first.
        start = None if memory is None else memory.start
        self.handle = ffi.gc(handle, lambda pipe, _memory=start: lib.hr_pipe_close(pipe))
        self.memory = memory
        self._first = ffi.new("uint32_t *")
        self._second = ffi.new("uint32_t *")
        self._events = ffi.new("uint64_t *")

    @property
    def due(self) -> tuple[int, int]:
        """Completions and scores that the next :meth:`step` consumes."""
        lib.hr_pipe_due(self.handle, self._first, self._second)
        return int(self._first[0]), int(self._second[0])

    @property
    def tick(self) -> int:
        """The tick that :meth:`step` runs next."""
        return int(lib.hr_pipe_tick(self.handle))

    @property
    def finished(self) -> bool:
        """END is logged, or the run was abandoned."""
        return bool(lib.hr_pipe_finished(self.handle))

    @property
    def legs(self) -> int:
        """DECODE completions that were used so far."""
        return int(self.counters[seeing.COUNTER["legs"]])

    @property
    def counters(self) -> npt.NDArray[np.uint64]:
        """Counters as of the last tick's end, ``(COUNTER_WORDS,)`` uint64 [MET-001]."""
        words = np.empty(seeing.COUNTER_WORDS, dtype=np.uint64)
        lib.hr_pipe_counters(self.handle, ffi.from_buffer("uint64_t[]", words))
        return words

    @property
    def gauges(self) -> npt.NDArray[np.uint64]:
        """Gauges as of the last tick's end, ``(GAUGE_WORDS,)`` uint64 [MET-001]."""
        words = np.empty(seeing.GAUGE_WORDS, dtype=np.uint64)
        lib.hr_pipe_gauges(self.handle, ffi.from_buffer("uint64_t[]", words))
        return words

    def show(self, page: npt.NDArray[np.uint8] | None) -> None:
        """End every tick from now on with gauges and counters in a live page [MET-005].

        Args:
            page: ``(LIVE_BYTES,)`` uint8, writable, at a multiple of 8; None: no longer.

        Raises:
            ValueError: another size or place.
        """
        if page is not None and (len(page) != seeing.LIVE_BYTES or page.ctypes.data % 8):
            raise ValueError(
                f"page: expected {seeing.LIVE_BYTES} bytes at a multiple of 8, got {len(page)}"
            )
        self._page = page  # the memory must not go first
        start = ffi.NULL if page is None else ffi.from_buffer(page, require_writable=True)
        lib.hr_pipe_show(self.handle, start)

    @property
    def events(self) -> int:
        """Events so far, also those that are no longer kept."""
        return int(lib.hr_pipe_events(self.handle))

    @property
    def usage(self) -> Usage:
        """What is held now."""
        found = ffi.new("hr_usage_t *")
        lib.hr_pipe_usage(self.handle, found)
        return Usage(
            found.blocks,
            found.reserved,
            found.decode,
            found.reward,
            found.trajectory,
            found.live,
            found.nodes,
            found.in_flight,
            found.taken,
            tuple(found.queue),
        )

    def step(self, completions: Lines | None = None, scores: Sequence[int] | None = ()) -> Step:
        """Run one tick.

        Args:
            completions: ``(n,)`` of DESC_DTYPE, of the window that is due, in the order of the
                index.
            scores: words of the batch that is due, in order; None if the batch failed.

        Returns:
            The lines to submit now, and the scores that are asked for now.

        Raises:
            RolloutError: BAD_COMPLETION, nothing has changed; STALLED.
            ValueError: another number of scores than :attr:`due`, or the run has ended.
        """
        if self.finished:
            raise ValueError("expected a run that has not ended; this one has")
        lines = np.empty(0, dtype=DESC_DTYPE) if completions is None else completions
        if lines.dtype != DESC_DTYPE or lines.ndim != 1:
            raise ValueError(f"completions: expected 1-D DESC_DTYPE, got {lines.dtype}")
        due = self.due[1]
        if scores is not None and len(scores) != due:
            raise ValueError(f"expected {due} scores, got {len(scores)}")
        words: Any = ffi.NULL
        if scores is not None:
            words = ffi.new("uint32_t[]", [int(score) for score in scores] or [0])
        whole = np.ascontiguousarray(lines)
        start = ffi.from_buffer(whole) if len(whole) else ffi.NULL
        self._check(lib.hr_pipe_step(self.handle, start, len(whole), words))
        return Step(self.window, *self._batch())

    def run(self, queue: Any, *, timeout_s: float = 60.0, ticks: int | None = None) -> int:
        """Run over a native queue with one completion ring that nobody else uses.

        Args:
            queue: a :class:`descring_host.CommandQueue` over a device of the native core, with
                nothing in flight and no fewer slots than ``ring_slots``.
            timeout_s: how long a window may take to return.
            ticks: at most so many; None: to the end.

        Returns:
            The ticks that were run.

        Raises:
            RolloutError: as :meth:`step`; BAD_CONFIG: a scorer from 16 on, or too small a ring.
            QueueTimeout: a window did not return in time; the same call goes on.
            PeerDied: the worker is gone; with another one the same call goes on.
            HostError: the device is closed, refuses doorbells or is corrupt.
        """
        port = queue.native_queue()
        if queue.geometry.split:
            raise ValueError("expected a queue with one completion ring, got split_reward=True")
        usage = self.usage
        if queue.in_flight != usage.in_flight - usage.taken:
            raise ValueError(
                f"expected {usage.in_flight - usage.taken} lines in flight, got {queue.in_flight}: "
                "the queue must be the run's alone"
            )
        first = self.tick
        left = 1 << 62 if ticks is None else ticks
        deadline = time.monotonic() + timeout_s
        while left and not self.finished:
            before = self.tick
            code = lib.hr_pipe_run(self.handle, port, min(left, _SLICE_TICKS), _SLICE_NS)
            ran = self.tick - before
            left -= ran
            if ran:
                deadline = time.monotonic() + timeout_s
            if code in (lib.HR_TIMEOUT, lib.HR_DEVICE + lib.HD_GONE):
                queue.device.check_peer()
                if time.monotonic() > deadline:
                    raise QueueTimeout(
                        f"expected the window of tick {self.tick} within {timeout_s} s"
                    )
                continue
            self._check(code)
        return self.tick - first

    def cancel(self, request: int) -> None:
        """Cancel a request with the next tick, as if its ``cancel`` had been that from the start.

        Raises:
            RolloutError: BAD_REQUEST, there is none of that number.
        """
        check(
            lib.hr_pipe_cancel(self.handle, check_u32("request", request)),
            f"a request's number, got {request}",
        )

    def abandon(self) -> None:
        """End every live rollout as cancelled, whatever is in flight, and give all back."""
        lib.hr_pipe_abandon(self.handle)

    def log(self, first: int = 0) -> Records:
        """The events kept, from the ``first``-th on, ``(n,)`` of RECORD_DTYPE; a copy [LOG-001]."""
        start = lib.hr_pipe_log(self.handle, self._events)
        left = max(0, int(self._events[0]) - first)
        skipped = first * RECORD_DTYPE.itemsize if left else 0
        return self._array(ffi.cast("char *", start) + skipped, left, RECORD_DTYPE)

    @property
    def window(self) -> Lines:
        """The last tick's lines, ``(k,)`` of DESC_DTYPE; a copy."""
        start = lib.hr_pipe_lines(self.handle, self._first)
        return self._array(start, int(self._first[0]), DESC_DTYPE)

    def trace(self, ring: npt.NDArray[np.uint8] | None) -> None:
        """Write trace events into a ring of :func:`descring_host.trace_rings.make_ring`.

        Args:
            ring: its memory; None: no longer.
        """
        self._ring = ring  # the memory must not go first
        start = ffi.NULL if ring is None else ffi.from_buffer(ring, require_writable=True)
        lib.hr_pipe_trace(self.handle, start)

    def note(self, event: str, lines: Lines) -> None:
        """Write a trace event of each of ``lines``, by its name in the contract."""
        whole = np.ascontiguousarray(lines)
        start = ffi.from_buffer(whole)
        lib.hr_pipe_note(self.handle, seeing.TRACE_EVENT[event], start, len(whole))

    def _batch(self) -> tuple[Any, Any, Any]:
        start = lib.hr_pipe_batch(self.handle, self._first)
        batch = self._array(start, int(self._first[0]), _SCORE_DTYPE)
        return batch["request"].copy(), batch["length"].copy(), batch["final"] != 0

    @staticmethod
    def _array(start: Any, count: int, dtype: np.dtype[np.void]) -> npt.NDArray[Any]:
        if not count:
            return np.empty(0, dtype=dtype)
        view = ffi.buffer(ffi.cast("char *", start), count * dtype.itemsize)
        return np.frombuffer(view, dtype=dtype).copy()

    def _check(self, code: int) -> None:
        if code == 0:
            return
        if code == -contract.ERROR["BAD_COMPLETION"]:
            raise self._bad_completion()
        if code <= lib.HR_DEVICE + lib.HD_REFUSED:
            raise _device_failure(code - lib.HR_DEVICE)
        fail(code, f"tick {self.tick} to run")

    def _bad_completion(self) -> RolloutError:
        bad = ffi.new("hr_bad_completion_t *")
        lib.hr_pipe_bad(self.handle, bad)
        return RolloutError(
            "BAD_COMPLETION",
            f"window {bad.window}, index {bad.index}: {_MEMBERS[bad.member]}: expected "
            f"0x{bad.expected:x}, got 0x{bad.got:x}; resubmit nothing: abandon the run",
        )


def _device_failure(failure: int) -> HostError:
    if failure == lib.HD_CLOSED:
        return DeviceClosed("the device or the queue was closed while a run was inside")
    if failure == lib.HD_REFUSED:
        return DeviceError("the device refused the doorbell of a window; look at STATUS")
    return DeviceError("the device's memory is corrupt; reset the device")
