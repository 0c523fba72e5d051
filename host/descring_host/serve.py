# SPDX-License-Identifier: Apache-2.0
"""The worker process: ``descring serve``, or ``python -m descring_host.serve``.

It says what happens on stdout, one JSON object a line: ``ready``, ``host`` (a host came, ended or
died; with the indices), ``refused`` (and why), ``bye``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from types import FrameType
from typing import Any

from descring_host.cpu import WORKERS_MAX, join, peer_of
from descring_host.errors import HostError
from descring_host.native import ffi, lib
from descring_host.segment import Segment

_LOOK_S = 0.1
"""How often a worker process looks for its host; the native threads need no such rhythm."""


class _Leave(Exception):
    """A signal asks the process to end in order."""


def _say(event: str, **facts: Any) -> None:
    print(json.dumps({"event": event, "time": time.monotonic(), **facts}), flush=True)


def _indices(device: Any) -> dict[str, int]:
    counts = ffi.new("hd_counts_t *")
    lib.hd_counts(device, counts)
    return {
        "cmd_head": int(counts.cmd_head),
        "done_tail": int(counts.done_tail),
        "reward_tail": int(counts.reward_tail),
    }


def _watch(device: Any, exit_with_host: bool) -> None:
    known = ("none", 0)
    while True:
        time.sleep(_LOOK_S)
        host = peer_of(device)
        if (host.state, host.incarnation) == known:
            continue
        known = (host.state, host.incarnation)
        _say("host", state=host.state, pid=host.pid, **_indices(device))
        if exit_with_host and host.state in ("died", "ended"):
            return


def serve(segment: Segment, *, workers: int, exit_with_host: bool) -> None:
    """Be the worker of a segment until a signal comes, or its host is gone.

    Raises:
        HostError: it has a worker, or its state does not allow to carry on (the text says why).
    """
    device = lib.hd_open(segment.base)
    if device == ffi.NULL:
        raise MemoryError("no memory for a device handle")
    try:
        join(device, segment, lib.HD_ROLE_WORKER, "worker")
        refusal = lib.hd_unrecoverable(device)
        if refusal:
            raise HostError(
                f"cannot carry on with shared memory {segment.name!r}: "
                f"{ffi.string(refusal).decode()}; reset the device or make a new one"
            )
        failed = lib.hd_start_workers(device, workers)
        if failed:
            raise HostError(f"cannot start workers: {os.strerror(failed)}")
        _say("ready", name=segment.name, pid=os.getpid(), **_indices(device))
        _watch(device, exit_with_host)
    finally:
        lib.hd_close(device)


def _stop(number: int, _frame: FrameType | None) -> None:
    raise _Leave(signal.Signals(number).name)


def main(arguments: list[str] | None = None) -> int:
    """Run the worker process and return its exit code: 0, or 2 with a ``refused`` line."""
    parser = argparse.ArgumentParser(prog="descring serve", description=__doc__)
    parser.add_argument("name", help="of the POSIX shared memory")
    parser.add_argument("--memory", type=int, default=16 << 20, help="bytes of the window")
    parser.add_argument("--workers", type=int, default=1, help=f"threads, 1 to {WORKERS_MAX}")
    parser.add_argument("--first-index", type=int, default=0, help="test only: indices at reset")
    parser.add_argument("--huge-pages", action="store_true", help="ask for pages of 2 MiB")
    parser.add_argument("--numa-node", type=int, help="bind the memory to this node")
    parser.add_argument("--restart", action="store_true", help="carry on in existing memory")
    parser.add_argument("--exit-with-host", action="store_true", help="end when the host is gone")
    options = parser.parse_args(arguments)
    return run(**vars(options))


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
) -> int:
    """As the command line; every refusal is one JSON line with its reason and exit code 2."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
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
        serve(segment, workers=workers, exit_with_host=exit_with_host)
    except _Leave as leave:
        _say("bye", reason=str(leave))
    except (HostError, ValueError, MemoryError) as error:
        served = served and not restart
        _say("refused", reason=str(error))
        return 2
    finally:
        if segment is not None:
            segment.close(unlink=served)
    return 0


if __name__ == "__main__":
    sys.exit(main())
