# SPDX-License-Identifier: Apache-2.0
"""The ``cpu`` backend: the native worker, as threads of this process or as a process of its own."""

from __future__ import annotations

import errno
import json
import os
import selectors
import subprocess
import sys
import uuid
import weakref
from dataclasses import dataclass
from typing import Any

from descring_host.errors import DEVICE_CLOSED, DeviceClosed, DeviceError, PeerDied
from descring_host.native import check_u32, ffi, lib
from descring_host.native_device import NativeDevice, open_native
from descring_host.segment import MemoryReport, Segment
from descring_host.trace_rings import MakeRing, Ring

WORKERS_MAX = 16
_START_S = 60.0
"""How long a worker process may take to come up on a busy machine."""
_END_S = 10.0
"""How long it may take to end in order."""

_STATES = {
    lib.HD_PEER_NONE: "none",
    lib.HD_PEER_ALIVE: "alive",
    lib.HD_PEER_DIED: "died",
    lib.HD_PEER_ENDED: "ended",
}


@dataclass(frozen=True)
class Peer:
    """The process at the other side of a shared segment.

    ``state`` is none (there never was one), alive, died (without leaving in order) or ended;
    ``incarnation`` counts how often the role was taken; ``beat_age_s`` is the time since its last
    heartbeat in seconds, which grows while a living process is stopped.
    """

    pid: int
    state: str
    incarnation: int
    beat_age_s: float


def peer_of(device: Any) -> Peer:
    """Look at the peer of a native device now."""
    info = ffi.new("hd_peer_info_t *")
    if lib.hd_peer(device, info):
        raise DeviceClosed(DEVICE_CLOSED)
    return Peer(int(info.pid), _STATES[int(info.state)], int(info.incarnation), info.beat_age / 1e9)


def join(device: Any, segment: Segment, role: int, what: str) -> None:
    """Take a role on a shared segment; ``DeviceError`` if somebody has it."""
    failed = lib.hd_join(device, segment.file, role)
    if failed:
        reason = "it has one already" if failed == errno.EBUSY else os.strerror(failed)
        raise DeviceError(f"cannot be the {what} of shared memory {segment.name!r}: {reason}")


class CpuDevice(NativeDevice):
    """A device whose worker is native code.

    Three forms: worker threads in this process (the default), a worker process started and ended
    with the device (``process=True``), or a worker process that runs already
    (``attach="name"``, see ``descring serve``).
    """

    def __init__(
        self,
        memory: int = 16 << 20,
        *,
        workers: int = 1,
        first_index: int = 0,
        process: bool = False,
        attach: str | None = None,
        name: str | None = None,
        huge_pages: bool = False,
        numa_node: int | None = None,
    ) -> None:
        """Make or find the segment, and its workers.

        Args:
            memory: bytes of the memory window; of an attached device it is the server's.
            workers: native worker threads, 1 to 16; completions keep submission order.
            first_index: the value of every index after reset [RING-012].
            process: let the workers live in a process of their own.
            attach: name of the shared memory of a running ``descring serve``.
            name: name of the shared memory with ``process``; default: a fresh one.
            huge_pages: ask for pages of 2 MiB; :attr:`memory_report` says what came of it.
            numa_node: bind the memory to this node; likewise.

        Raises:
            ValueError: an option out of range, or options that exclude each other.
            DeviceError: no such memory, a name that exists, a worker that does not start.
            ContractMismatch: the server was built from another contract.
        """
        if not 1 <= workers <= WORKERS_MAX:
            raise ValueError(f"workers: expected 1 to {WORKERS_MAX}, got {workers}")
        if attach is not None and (process or name is not None):
            raise ValueError("attach excludes process and name: the server has made the memory")
        if name is not None and not process:
            raise ValueError("name is for process=True; memory of threads is anonymous")
        super().__init__()
        self._server: subprocess.Popen[str] | None = None
        self._workers = workers
        self._traced: list[Ring | None] = []
        if process:
            name = name or f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
            check_u32("first_index", first_index)
            self._server = _start_server(
                name, workers, memory, first_index, huge_pages, numa_node, restart=False
            )
            attach = name
        try:
            if attach is None:
                self._segment = Segment.create(
                    memory, first_index=first_index, huge_pages=huge_pages, numa_node=numa_node
                )
            else:
                self._segment = Segment.attach(attach)
            self._start(shared=attach is not None)
        except BaseException:
            self._stop_server()
            raise
        self._window = self._segment.window

    def _start(self, *, shared: bool) -> None:
        device = open_native(self._segment)
        try:
            if shared:
                join(device, self._segment, lib.HD_ROLE_HOST, "host")
            else:
                failed = lib.hd_start_workers(device, self._workers)
                if failed:
                    raise DeviceError(f"cannot start workers: {os.strerror(failed)}")
        except BaseException:
            lib.hd_close(device)
            self._segment.close()
            raise
        self._device = device
        # An exception that leaves the device unclosed must still end its threads.
        self._finalizer = weakref.finalize(self, lib.hd_close, device)

    @property
    def memory_report(self) -> MemoryReport:
        """Pages and NUMA node: what was asked for and what was given."""
        return self._segment.report

    @property
    def name(self) -> str | None:
        """Name of the shared memory; None where it is anonymous."""
        return self._segment.name

    def trace(self, make_ring: MakeRing | None) -> None:
        """Have each worker thread of this process write trace events into a ring of its own.

        Args:
            make_ring: makes a ring for a thread by its name [TRC-003]; None: no longer.

        Raises:
            DeviceError: the workers are in another process.
        """
        for number in range(self._workers):
            ring = None if make_ring is None else make_ring(f"worker {number}")
            start = ffi.NULL if ring is None else ffi.from_buffer(ring, require_writable=True)
            if lib.hd_trace(self._handle(), number, start):
                raise DeviceError(
                    "expected worker threads in this process to trace, got a worker process; "
                    "open the device without process and attach"
                )
            # A thread may still be inside a batch when it loses its ring.
            self._traced.append(ring)

    @property
    def peer(self) -> Peer:
        """The worker process (its threads in this process are always alive)."""
        return peer_of(self._handle())

    def check_peer(self) -> None:
        """Raise :class:`PeerDied` if the worker process is gone."""
        handle = self._handle()
        peer = peer_of(handle)
        if peer.state == "alive":
            return
        counts = ffi.new("hd_counts_t *")
        self._open(lib.hd_counts(handle, counts))
        raise PeerDied(
            f"worker process {peer.pid} {peer.state}; the oldest descriptor without a completion "
            f"is index {counts.cmd_head}; restart a worker (restart_worker(), or "
            f"descring serve --restart {self.name}) and carry on",
            int(counts.cmd_head),
        )

    def restart_worker(self) -> None:
        """Start a worker process anew on the same memory, where ``process=True`` made the first.

        Raises:
            DeviceError: the device has no worker process of its own, or it is alive, or the new
                one refuses the state that it found.
        """
        with self._life:
            handle = self._handle()
            if self._server is None or self.name is None:
                raise DeviceError("only a device opened with process=True can restart its worker")
            # A dying process gives up its lock some moments before it can be waited for.
            dying = peer_of(handle).state in ("died", "ended")
            try:
                self._server.wait(_END_S if dying else 0)
            except subprocess.TimeoutExpired:
                raise DeviceError(f"the worker process {self._server.pid} is alive") from None
            self._server = _start_server(
                self.name, self._workers, len(self.memory), 0, False, None, restart=True
            )

    def _end(self) -> None:
        """End worker threads or leave the worker process."""
        self._finalizer()
        self._stop_server()
        self._segment.close()

    def _stop_server(self) -> None:
        if self._server is None:
            return
        _end_server(self._server)
        # A killed worker could not remove the memory's name itself.
        segment = getattr(self, "_segment", None)
        if segment is not None:
            segment.close(unlink=True)

    def abandon(self) -> None:
        """In a forked child: the device is the parent's; keep no hold on its roles."""
        super().abandon()
        finalizer = getattr(self, "_finalizer", None)
        if finalizer is not None:
            finalizer.detach()
        segment = getattr(self, "_segment", None)
        if segment is not None:
            segment.close(unlink=False)


def _start_server(
    name: str,
    workers: int,
    memory: int,
    first_index: int,
    huge_pages: bool,
    numa_node: int | None,
    *,
    restart: bool,
) -> subprocess.Popen[str]:
    """Run ``descring_host.serve`` and wait for its word that it is ready."""
    # -P: modules come from where this process could have them from, not from the current folder.
    command = [sys.executable, "-P", "-m", "descring_host.serve", name, "--exit-with-host"]
    command += ["--parent", str(os.getpid())]
    command += ["--workers", str(workers)]
    if restart:
        command.append("--restart")
    else:
        command += ["--memory", str(memory), "--first-index", str(first_index)]
        command += ["--huge-pages"] if huge_pages else []
        command += ["--numa-node", str(numa_node)] if numa_node is not None else []
    # A session of its own: the keys that stop or end a program at a terminal are for the host,
    # which may want to drain, and its end ends the worker.
    server = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert server.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(server.stdout, selectors.EVENT_READ)
            first = server.stdout.readline() if selector.select(_START_S) else ""
        report = json.loads(first) if first.startswith("{") else {}
        if report.get("event") != "ready":
            _end_server(server)
            reason = report.get("reason", f"it wrote {first!r} and ended with {server.returncode}")
            raise DeviceError(f"the worker process did not start: {reason}")
    except BaseException:
        _end_server(server)
        raise
    return server


def _end_server(server: subprocess.Popen[str]) -> None:
    """End a worker process in order, or at once where that takes long or is interrupted."""
    server.terminate()
    try:
        server.wait(_END_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()
