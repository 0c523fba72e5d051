# SPDX-License-Identifier: Apache-2.0
"""A simulator that stays up for a host program, and what is reported when it ends."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from descring_host.errors import DeviceError

from descring_sim.cosim import build as builds
from descring_sim.cosim import results, runner, simulators
from descring_sim.protocol.device import (
    JOB_VARIABLE,
    DeviceJob,
    LinkBroken,
    Op,
    Operation,
    receive_reply,
    send_request,
)
from descring_sim.support import paths, processes
from descring_sim.support.errors import SimulationError

TOP = "rl_runtime_axi"
CASES = "descring_vip.servers.device"
SEED_VARIABLE, WAVES_VARIABLE = "DESCRING_SEED", "DESCRING_WAVES"
"""Environment variables that replace the options ``seed`` and ``waves``."""

START_S = 300.0
"""How long a simulator may take to start on a busy machine, its build not counted."""
REPLY_S = 300.0
"""How long it may take over a request. Each asks for a bounded number of cycles."""
CLOSE_S = 300.0
"""How long it may take to end."""

_FATAL = re.compile(r"^.*(?:%Fatal|FATAL): .*$", re.MULTILINE)


@dataclass(frozen=True)
class Design:
    """A device with the ports of ``rl_runtime_axi``: its top, and where it is built.

    ``rtl_dir`` has the sources, and ``build_root`` gets the builds; the project's own when None.
    """

    top: str = TOP
    parameters: builds.Parameters = field(default_factory=dict)
    rtl_dir: Path | None = None
    build_root: Path | None = None
    reset_cycles: int = 2


@dataclass(frozen=True)
class ProcessOptions:
    """How the device is built and run; see :class:`descring_sim.cosim.device.SimulatorDevice`."""

    simulator: str
    design: Design
    first_index: int
    seed: int
    latency: int
    late_writes: bool
    backpressure: float
    waves: bool
    monitor: bool


class SimulatorProcess:
    """A running simulator and the pipes to it.

    Attributes:
        folder: log, waves and results of the run; removed on an orderly end without waves.
        waves: the file of the waves, None if there are none.
    """

    def __init__(self, options: ProcessOptions, memory_file: int) -> None:
        """Build what is not built yet, start the simulator, and wait until it responds.

        Raises:
            DeviceError: it is missing, does not build, or does not start.
        """
        self.options = options
        try:
            found = simulators.find(options.simulator)
            product = _build(options, found)
        except SimulationError as error:
            raise DeviceError(str(error)) from error
        parent = paths.build_dir() / "sim" / "devices"
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{options.simulator}-", dir=parent))
        self.waves = self.folder / "waves.fst" if options.waves else None
        self._log = self.folder / "sim.log"
        self._sequence = 0
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        try:
            self._start(found, product, memory_file, requests, replies)
        except BaseException:
            self.kill()
            raise
        finally:
            # The simulator has opened its own by now; with ours closed, its end is ours too.
            os.close(requests)
            os.close(replies)

    def _start(
        self,
        found: simulators.Simulator,
        product: builds.Build,
        memory_file: int,
        requests: int,
        replies: int,
    ) -> None:
        own = Path("/proc") / str(os.getpid()) / "fd"
        job = self.folder / "job.json"
        DeviceJob(
            memory=str(own / str(memory_file)),
            requests=str(own / str(requests)),
            replies=str(own / str(replies)),
            first_index=self.options.first_index,
            latency=self.options.latency,
            late_writes=self.options.late_writes,
            backpressure=self.options.backpressure,
            monitor=self.options.monitor,
            reset_cycles=self.options.design.reset_cycles,
        ).save(job)
        self._process: subprocess.Popen[bytes] = builds.start_child(
            runner.specification(
                found,
                product,
                top=self.options.design.top,
                cases=CASES,
                test_filter=None,
                seed=self.options.seed,
                run_dir=self.folder,
                waves=self.waves,
            ),
            file=self.folder / "run.json",
            log=self._log,
            env=runner.environment(self.folder, paths.vip_root()) | {JOB_VARIABLE: str(job)},
        )
        self._receive(START_S)

    @property
    def pid(self) -> int:
        """Process id, and process group, of the child and all that it started."""
        return self._process.pid

    def exchange(self, operations: Sequence[Operation]) -> list[int]:
        """Carry out operations, at most ``REQUEST_MAX``; a result for each, see ``Op``.

        An exception that comes from elsewhere, as KeyboardInterrupt, leaves the link usable; it is
        then not known whether the operations were carried out.

        Raises:
            DeviceError: the simulator has ended, or does not respond and was ended.
        """
        self._sequence += 1
        try:
            send_request(self._requests, self._sequence, operations)
        except LinkBroken:
            raise self._failure() from None
        while True:
            sequence, results = self._receive(REPLY_S)
            # A reply to an earlier request is one whose wait was interrupted.
            if sequence == self._sequence:
                return results

    def _receive(self, seconds: float) -> tuple[int, list[int]]:
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._replies, selectors.EVENT_READ)
            while not selector.select(0.5):
                if self._process.poll() is not None:
                    raise self._failure()
                if time.monotonic() > deadline:
                    raise self._failure(f"no response for {seconds:.0f} s")
        try:
            return receive_reply(self._replies)
        except LinkBroken as error:
            raise self._failure(str(error) or None) from None

    def check(self) -> None:
        """Raise :class:`DeviceError` if the simulator has ended."""
        if self._process.poll() is not None:
            raise self._failure()

    def close(self) -> None:
        """End the simulation in order; kill it if it takes too long."""
        with contextlib.suppress(LinkBroken):
            self._sequence += 1
            send_request(self._requests, self._sequence, [Operation(Op.CLOSE)])
        failed = None
        try:
            if self._process.wait(CLOSE_S) != 0:
                failed = self._failure()
        except subprocess.TimeoutExpired:
            failed = self._failure(f"no end for {CLOSE_S:.0f} s")
        self.kill()
        if failed is not None:
            raise failed
        if self.waves is None:
            shutil.rmtree(self.folder)

    def kill(self) -> None:
        """End the simulator at once, with everything that it started."""
        for name in ("_requests", "_replies"):
            file = self.__dict__.pop(name, None)
            if file is not None:
                os.close(file)
        if hasattr(self, "_process"):
            builds.end_child(self._process)

    def abandon(self) -> None:
        """In a forked child: the simulator is the parent's; close the copies of its pipes."""
        for name in ("_requests", "_replies"):
            os.close(self.__dict__.pop(name))
        if self._process.stdin is not None:
            os.close(self._process.stdin.fileno())

    def _failure(self, why: str | None = None) -> DeviceError:
        """The error for a simulator that has ended, or that must end now because of ``why``."""
        if why is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(CLOSE_S)
            why = f"it ended with exit code {self._process.poll()}"
        builds.end_child(self._process)
        text = self._log.read_text(encoding="utf-8", errors="replace")
        cases, _ = results.read_results(self.folder / "results.xml")
        failed = next((case for case in cases if case.status == "failed"), None)
        fatal = _FATAL.search(text)
        if fatal:
            why = fatal.group(0).strip()
        elif failed is not None and failed.message:
            why = " / ".join(runner.essence(failed.message))
        elif "ended" in why:
            why += ", and the log ends with:\n" + processes.log_tail(self._log, 6)
        return DeviceError(
            f"the simulator {self.options.simulator} is gone: {why}\n"
            f"  seed:  {self.options.seed}\n"
            f"  rerun: {rerun_line(self.options.seed)}\n"
            f"  log:   {self._log}" + (f"\n  waves: {self.waves}" if self.waves else "")
        )


def rerun_line(seed: int) -> str:
    """The command that repeats this program with the same seed, and with waves."""
    program = shlex.join([sys.executable, *sys.orig_argv[1:]])
    return f"{SEED_VARIABLE}={seed} {WAVES_VARIABLE}=1 {program}"


def parameters(workers: int, prefetch_depth: int) -> dict[str, int]:
    """The parameters that the device is built with."""
    return {"WorkerCount": workers, "PrefetchDepth": prefetch_depth}


def _build(options: ProcessOptions, found: simulators.Simulator) -> builds.Build:
    design = options.design
    return builds.build(
        found,
        top=design.top,
        parameters=design.parameters,
        rtl_dir=(design.rtl_dir or paths.rtl_dir()).resolve(),
        build_root=(design.build_root or paths.build_dir() / "sim").resolve(),
        waves=options.waves,
    )
