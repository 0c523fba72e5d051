# SPDX-License-Identifier: Apache-2.0
"""Several devices that run the groups of one run, and the run over what they return.

The run's own core steps in logical time as over one device; each completion that it waits for is
taken from the device that ran the rollout's group. A completion is a function of its line, a token
of seed, group, sample and position. So log and trajectories have the bytes of a run on one device,
whichever device ran what, and whatever was lost on the way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from descring_host import ContractMismatch, HostError
from descring_host.errors import ArithmeticRefused
from descring_host.wakeup import Wakeup
from descring_model import Lines
from descring_model.rollouts import contract
from descring_model.rollouts.records import (
    RECORD_DTYPE,
    Records,
    inputs_digest,
    log_bytes,
)
from descring_model.rollouts.windows import PREFILL

from descring_rollouts.errors import DevicesLost
from descring_rollouts.groups import Groups, Trajectories
from descring_rollouts.prompts import Tokens
from descring_rollouts.shares import Found, Share, ShareResult, Worker
from descring_rollouts.summary import Summary, summarise

_RESULT_FLAGS = 0xFF1B
"""The flags that a COMPLETION event has [LOG-003]."""


@dataclass(frozen=True)
class Loss:
    """A device that was lost.

    Attributes:
        device: its number.
        name: what it is.
        error: why.
        groups: what it was running, which was run again elsewhere.
    """

    device: int
    name: str
    error: HostError
    groups: tuple[int, ...]

    def __str__(self) -> str:
        names = ", ".join(map(str, self.groups))
        return (
            f"device {self.device} ({self.name}) was lost: {type(self.error).__name__}: "
            f"{self.error}; groups {names} were run again"
        )


@dataclass
class DeviceReport:
    """What one device has done in a run.

    Attributes:
        number: its place among the devices.
        name: what it is.
        config: ``(1,)`` of CONFIG_DTYPE, of its runs.
        requests: ``(n,)`` of REQUEST_DTYPE, of the whole run.
        done: the shares that it ran to the end, and what came of them.
        losses: of it, or of those in whose place it is.
    """

    number: int
    name: str
    config: Records
    requests: Records
    done: list[tuple[Share, ShareResult]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)

    @property
    def groups(self) -> tuple[int, ...]:
        """The groups that it ran to the end, in that order."""
        return tuple(group for share, _ in self.done for group in share.groups)

    @property
    def log(self) -> Records:
        """Events of its runs, one after the other, ``(n,)`` of RECORD_DTYPE.

        A rollout is its request in the whole run; ticks go on from run to run.
        """
        parts, tick = [], 0
        for share, result in self.done:
            part = result.log.copy()
            named = part["rollout"] != contract.NONE
            part["rollout"][named] = share.members[part["rollout"][named]]
            part["tick"] += tick
            tick = int(part["tick"][-1]) + 1
            parts.append(part)
        return np.concatenate(parts) if parts else np.empty(0, dtype=RECORD_DTYPE)

    def log_file(self) -> bytes:
        """The bytes of a file with :attr:`log` [LOG-001]."""
        return log_bytes(self.log, inputs_digest(self.config, self.requests))

    @property
    def trajectories(self) -> Trajectories:
        """Of its groups, with the ticks of :attr:`log` and without tokens."""
        groups = Groups(self.config, self.requests)
        groups.add(self.log)
        columns = groups.all().columns()
        mine = np.isin(columns["group"], self.groups)
        return Trajectories(**{name: values[mine] for name, values in columns.items()})

    @property
    def summary(self) -> Summary:
        """Its numbers."""
        mine = np.isin(self.requests["group"], self.groups)
        return summarise(self.requests[mine], self.trajectories, self.log)


class _Stopped(Exception):
    """The run has ended before its devices."""


class DevicePool:
    """A thread for each worker, which takes shares as it gets through with them.

    Attributes:
        reports: of the devices.
    """

    def __init__(
        self, workers: Sequence[Worker], config: Records, requests: Records, shares: Sequence[Share]
    ) -> None:
        """Nothing is run before :meth:`start`.

        Args:
            workers: one or more.
            config: of their runs.
            requests: of the whole run.
            shares: of it.
        """
        self.reports = [
            DeviceReport(number, worker.name, config, requests)
            for number, worker in enumerate(workers)
        ]
        self._workers = workers
        self._lock = threading.Lock()
        self._changed = Wakeup()
        self._waiting = deque(shares)
        self._unfinished = len(shares)
        self._working = len(workers)
        self._found: Found = {}
        self._tokens: dict[int, Tokens] = {}
        self._digests: dict[int, int] = {}
        self._there: set[int] = set()
        self._failure: BaseException | None = None
        self._stopping = False
        self._threads: list[threading.Thread] = []

    @property
    def losses(self) -> list[Loss]:
        """Of all devices."""
        return [loss for report in self.reports for loss in report.losses]

    def start(self) -> None:
        """Begin."""
        for number, worker in enumerate(self._workers):
            thread = threading.Thread(
                target=self._work, args=(worker, self.reports[number]), name=f"device {number}"
            )
            thread.start()
            self._threads.append(thread)

    def wait_for(self, group: int) -> None:
        """Return once a device has run ``group``.

        Raises:
            DevicesLost: no device is left.
            BaseException: what a device's run raised that is no loss of the device.
        """
        with self._lock:
            wanted = next((share for share in self._waiting if group in share.groups), None)
            if wanted is not None:  # whatever the order of the shares, the run waits for this one
                self._waiting.remove(wanted)
                self._waiting.appendleft(wanted)
        while True:
            mark = self._changed.mark
            with self._lock:
                if group in self._there:
                    return
                if self._failure is not None:
                    raise self._failure
                if not self._working:
                    losses = self.losses
                    raise DevicesLost(
                        f"all {len(self._workers)} devices were lost: "
                        + "; ".join(map(str, losses[-len(self._workers) :]))
                    ) from losses[-1].error
            self._changed.wait(mark)

    def completion(
        self, opcode: int, request: int, group: int, length: int
    ) -> tuple[int, int, int]:
        """Flags, ``seq_len`` and ``reserved0`` of the completion of a line."""
        self.wait_for(group)
        return self._found[(opcode, group, 0) if opcode == PREFILL else (opcode, request, length)]

    def tokens(self, request: int) -> Tokens:
        """Of a rollout whose group is there: prompt and decoded tokens."""
        return self._tokens[request]

    def digest(self, request: int) -> int:
        """Of its keys and values, likewise."""
        return self._digests[request]

    def close(self) -> None:
        """End every device's run, and wait until it has ended."""
        self._stopping = True
        self._changed.ring()
        for thread in self._threads:
            thread.join()
        for worker in self._workers:
            worker.close()

    def _check(self) -> None:
        if self._stopping:
            raise _Stopped

    def _next(self) -> Share | None:
        """A share to run, once there is one; None: there will be none."""
        while True:
            mark = self._changed.mark
            with self._lock:
                if self._stopping or not self._unfinished:
                    return None
                if self._waiting:
                    return self._waiting.popleft()
            self._changed.wait(mark)  # another device may yet be lost

    def _work(self, worker: Worker, report: DeviceReport) -> None:
        """The thread of one worker."""
        try:
            while (share := self._next()) is not None:
                try:
                    result = worker.run(share, self._check)
                except (ContractMismatch, ArithmeticRefused):
                    raise
                except HostError as error:
                    with self._lock:
                        report.losses.append(Loss(report.number, report.name, error, share.groups))
                        self._waiting.appendleft(share)
                    self._changed.ring()
                    if not worker.replace():
                        return
                else:
                    self._keep(report, share, result)
        except _Stopped:
            return
        except BaseException as error:
            with self._lock:
                self._failure = self._failure or error
                self._stopping = True
        finally:
            with self._lock:
                self._working -= 1
            self._changed.ring()

    def _keep(self, report: DeviceReport, share: Share, result: ShareResult) -> None:
        found = result.completions(share)
        members = share.members.tolist()
        with self._lock:
            report.done.append((share, result))
            self._found.update(found)
            if result.tokens:
                self._tokens.update(zip(members, result.tokens, strict=True))
                self._digests.update(zip(members, result.digests, strict=True))
            self._there.update(share.groups)
            self._unfinished -= 1
        self._changed.ring()


class PoolLane:
    """The run's windows, completed by what the devices have returned."""

    def __init__(self, pool: DevicePool, requests: Records) -> None:
        """Start the devices."""
        self._pool = pool
        self._groups = requests["group"].tolist()
        self._open: deque[Lines] = deque()
        pool.start()

    def submit(self, lines: Lines) -> None:
        """See :class:`descring_rollouts.loop.Lane`."""
        self._open.append(lines.copy())

    def take(self) -> Lines:
        """See :class:`descring_rollouts.loop.Lane`; it raises what the pool raises."""
        lines = self._open.popleft()
        names = ("opcode", "rollout_id", "seq_len")
        for place, (opcode, request, length) in enumerate(lines[list(names)].tolist()):
            flags, end, reserved = self._pool.completion(
                opcode, request, self._groups[request], length
            )
            kept = int(lines["flags"][place]) & ~_RESULT_FLAGS
            lines["flags"][place] = kept | flags
            lines["seq_len"][place], lines["reserved0"][place] = end, reserved
        return lines

    def close(self) -> None:
        """End the devices' runs."""
        self._open.clear()
        self._pool.close()


class PoolTokens:
    """The tokens of the run, as the devices have made them.

    Attributes:
        tokens: of each rollout that was delivered.
        digests: likewise.
    """

    def __init__(self, pool: DevicePool) -> None:
        self._pool = pool
        self.tokens: dict[int, Tokens] = {}
        self.digests: dict[int, int] = {}

    def address(self, lines: Lines) -> Lines:
        """The lines as they are: each device has an arena of its own."""
        return lines

    def end_at_eos(self, lines: Lines) -> Lines:
        """The completions as they are: those of the devices' runs have ended where they end."""
        return lines

    def process(self, records: Records) -> None:
        """See :class:`descring_rollouts.loop.Maker`."""
        delivered = records[records["code"] == contract.EVENT["TRAJECTORY"]]
        for request, length in zip(
            delivered["rollout"].tolist(), delivered["a"].tolist(), strict=True
        ):
            found = self._pool.tokens(request)
            if len(found) != length:
                raise AssertionError(
                    f"request {request}: expected {length} tokens, a device made {len(found)}"
                )
            self.tokens[request] = found
            self.digests[request] = self._pool.digest(request)

    def tokens_so_far(self, request: int, length: int) -> Tokens:
        """See :class:`descring_rollouts.loop.Maker`."""
        return self._pool.tokens(request)[:length].copy()
