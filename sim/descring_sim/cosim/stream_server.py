# SPDX-License-Identifier: Apache-2.0
"""A simulation that runs one stream after another: starting a simulator costs seconds."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from descring_sim.cosim import build as builds
from descring_sim.cosim import runner, simulators
from descring_sim.cosim.results import FATAL
from descring_sim.protocol.stream_server import JOB_VARIABLE, LinkJob, send
from descring_sim.support import paths

START_S = 300.0
"""What a simulator may take to start on a busy machine, beyond the time of its first stream."""


class StreamFailed(Exception):
    """A stream that was not carried out; the simulation is gone."""


class StreamHung(StreamFailed):
    """A stream that did not end in its time; the simulation was killed."""


class StreamSimulation:
    """A running simulator. Streams have no effect on each other: each begins with a reset."""

    def __init__(
        self,
        simulator: str,
        *,
        top: str,
        cases: str,
        parameters: Mapping[str, int],
        seed: int,
        rtl_dir: Path | None = None,
        build_root: Path | None = None,
    ) -> None:
        """Build what is not built yet, and start.

        Args:
            simulator: ``icarus`` or ``verilator``.
            top: name of the top module.
            cases: module whose one case serves requests.
            parameters: of the top module.
            seed: of the random initial state.
            rtl_dir: folder of the sources, the project's own when None.
            build_root: where builds and logs go; ``build/sim`` when None.

        Raises:
            SimulationError: the simulator is missing, or refuses the sources.
        """
        found = simulators.find(simulator)
        root = (build_root or paths.build_dir() / "sim").resolve()
        product = builds.build(
            found,
            top=top,
            parameters=dict(parameters),
            rtl_dir=(rtl_dir or paths.rtl_dir()).resolve(),
            build_root=root,
            waves=False,
        )
        self._name = f"{found.name} {found.version}, seed {seed}"
        root.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="streams-", dir=root))
        self._log = self._folder / "sim.log"
        self._fresh = True
        own = Path("/proc") / str(os.getpid()) / "fd"
        requests, to_simulator = os.pipe()
        from_simulator, replies = os.pipe()
        # Both ends of both pipes stay open here: the simulator opens its own once it has started.
        self._ends: tuple[int, ...] = (requests, from_simulator, replies)
        self._requests = os.fdopen(to_simulator, "wb", 0)
        self._replies = from_simulator
        self._process = builds.start_child(
            runner.specification(
                found,
                product,
                top=top,
                cases=cases,
                test_filter=None,
                seed=seed,
                run_dir=self._folder,
                waves=None,
            ),
            file=self._folder / "run.json",
            log=self._log,
            env=runner.environment(self._folder, paths.vip_root())
            | {JOB_VARIABLE: LinkJob(str(own / str(requests)), str(own / str(replies))).text()},
        )

    def carry_out(self, folder: Path, timeout_s: float) -> None:
        """Carry out the job in ``folder``.

        Raises:
            StreamFailed: the testbench or the design's own assertions refused it, or the simulator
                died. StreamHung: no end after ``timeout_s``.
        """
        limit = timeout_s + (START_S if self._fresh else 0.0)
        with contextlib.suppress(BrokenPipeError):
            send(self._requests, str(folder))
        text = self._reply(limit)
        self._fresh = False
        if text:
            self.close(keep_log=True)
            raise StreamFailed(f"{self._name}: {text}; log {self._log}")

    def _reply(self, timeout_s: float) -> str:
        """The text of the reply, or what became of the simulator."""
        deadline = time.monotonic() + timeout_s
        data = b""
        while not data.endswith(b"\n"):
            if select.select([self._replies], [], [], 0.5)[0]:
                data += os.read(self._replies, 65536)
            elif self._process.poll() is not None:
                return self._death()
            elif time.monotonic() > deadline:
                self.close(keep_log=True)
                raise StreamHung(f"{self._name}: no end after {timeout_s:.0f} s; log {self._log}")
        text: str = json.loads(data)
        fatal = FATAL.search(self._log.read_text("utf-8", "replace")) if text else None
        return " ".join((fatal.group() if fatal else text).split())

    def _death(self) -> str:
        fatal = FATAL.search(self._log.read_text("utf-8", "replace"))
        if fatal:
            return " ".join(fatal.group().split())
        return f"it ended with exit code {self._process.returncode}"

    @property
    def gone(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def close(self, *, keep_log: bool = False) -> None:
        """End the simulator; harmless if repeated."""
        builds.end_child(self._process)
        self._requests.close()
        ends, self._ends = self._ends, ()
        for file in ends:
            os.close(file)
        if not keep_log:
            shutil.rmtree(self._folder, ignore_errors=True)
