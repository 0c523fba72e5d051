# SPDX-License-Identifier: Apache-2.0
"""The worker process behind ``descring serve``.

It says what happens on stdout, one JSON object a line: ``ready``, ``host`` (a host came, ended or
died; with the indices), ``corrupt`` (a word of the memory is out of range; which), ``refused`` (and
why), ``bye``.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from types import FrameType
from typing import Any

from descring_host.cpu import WORKERS_MAX, join, peer_of
from descring_host.errors import HostError
from descring_host.native import ffi, lib
from descring_host.native_device import open_native
from descring_host.native_port import fault_of
from descring_host.segment import Segment

_LOOK_S = 0.1
"""How often a worker process looks for its host; the native threads need no such rhythm."""


def _say(event: str, **facts: Any) -> None:
    """Report on stdout; who reads it may be gone, which is no reason to leave a host alone."""
    try:
        print(json.dumps({"event": event, "time": time.monotonic(), **facts}), flush=True)
    except OSError as error:
        # Whatever is still in the buffer goes there too, so that the end of the process is quiet.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        with contextlib.suppress(OSError):
            print(
                f"descring serve: cannot write to stdout ({error.strerror}); going on without",
                file=sys.stderr,
            )


class _Signals:
    """Signals that ask the process to end in order.

    Their handler only takes note, so none interrupts the making of the memory or its removal, and a
    second one changes nothing. To block them would not do: a thread of NumPy's would get them.
    """

    def __init__(self) -> None:
        """Handle SIGTERM, SIGINT and, unless it is ignored as nohup wants it, SIGHUP."""
        self._asked: str | None = None
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._woken = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        asking = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            asking.append(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._note) for number in asking}

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._asked = self._asked or signal.Signals(number).name

    def wait(self, timeout_s: float) -> str | None:
        """The name of the first one; None if none came within this time."""
        if self._asked is None:
            select.select([self._reader], [], [], timeout_s)
        return self._asked

    def ignore(self) -> None:
        """Ignore them from now on: the process ends."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def restore(self) -> None:
        """Handle them as before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._woken)
        os.close(self._reader)
        os.close(self._writer)


def _indices(device: Any) -> dict[str, int]:
    counts = ffi.new("hd_counts_t *")
    lib.hd_counts(device, counts)
    return {
        "cmd_head": int(counts.cmd_head),
        "done_tail": int(counts.done_tail),
        "reward_tail": int(counts.reward_tail),
    }


def _watch(device: Any, signals: _Signals, exit_with_host: bool, parent: int | None) -> str | None:
    """Report hosts until it is time to end: the name of the signal that asks for it, if any."""
    known = ("none", 0)
    fault = ""
    while True:
        asked = signals.wait(_LOOK_S)
        if asked is not None:
            return asked
        if fault != (fault := fault_of(device)) and fault:
            _say("corrupt", word=fault, **_indices(device))
        host = peer_of(device)
        if host.state == "none" and parent is not None and os.getppid() != parent:
            return None
        if (host.state, host.incarnation) == known:
            continue
        known = (host.state, host.incarnation)
        _say("host", state=host.state, pid=host.pid, **_indices(device))
        if exit_with_host and host.state in ("died", "ended"):
            return None


def _serve(
    segment: Segment,
    signals: _Signals,
    workers: int,
    exit_with_host: bool,
    parent: int | None,
) -> str | None:
    """Be the worker of a segment until a signal asks for its end (its name), or its host is gone.

    Raises:
        HostError: it has a worker, or its state does not allow to carry on (the text says why).
    """
    device = open_native(segment)
    try:
        join(device, segment, lib.HD_ROLE_WORKER, "worker")
        if lib.hd_unrecoverable(device):
            raise HostError(
                f"cannot carry on with shared memory {segment.name!r}: {fault_of(device)}; reset "
                "the device or make a new one"
            )
        failed = lib.hd_start_workers(device, workers)
        if failed:
            raise HostError(f"cannot start workers: {os.strerror(failed)}")
        _say("ready", name=segment.name, pid=os.getpid(), **_indices(device))
        return _watch(device, signals, exit_with_host, parent)
    finally:
        lib.hd_close(device)


def run(
    name: str,
    *,
    memory: int,
    workers: int,
    first_index: int,
    huge_pages: bool,
    numa_node: int | None,
    restart: bool,
    exit_with_host: bool,
    parent: int | None = None,
) -> int:
    """Run the worker process and return its exit code: 0, or 2 with a ``refused`` line.

    SIGTERM, SIGINT and SIGHUP end it in order. They are ignored then, so that a second one does not
    disturb the end of the process, which is to follow. ``parent`` is a process without which nobody
    is going to be its host.
    """
    signals = _Signals()
    segment: Segment | None = None
    served = False
    try:
        if not 1 <= workers <= WORKERS_MAX:
            raise ValueError(f"workers: expected 1 to {WORKERS_MAX}, got {workers}")
        if restart:
            segment = Segment.attach(name)
        else:
            segment = Segment.create(
                memory,
                name=name,
                first_index=first_index,
                huge_pages=huge_pages,
                numa_node=numa_node,
            )
            report = segment.report
            if huge_pages or numa_node is not None:
                print(f"memory: {report}", file=sys.stderr, flush=True)
        served = True
        asked = _serve(segment, signals, workers, exit_with_host, parent)
        if asked is not None:
            _say("bye", reason=asked)
    except (HostError, ValueError, MemoryError) as error:
        served = served and not restart
        _say("refused", reason=str(error))
        return 2
    finally:
        if segment is not None:
            segment.close(unlink=served)
        if served:
            signals.ignore()
        else:
            signals.restore()
    return 0
