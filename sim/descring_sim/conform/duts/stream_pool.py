# SPDX-License-Identifier: Apache-2.0
"""Streams through the RTL with its rings on chip, in simulations that stay up between them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from descring_model import Lines

from descring_sim.conform.dut import StreamResult
from descring_sim.conform.errors import DutError, DutHung
from descring_sim.cosim.stream_server import StreamFailed, StreamHung, StreamSimulation
from descring_sim.protocol.stream import StreamFolder, StreamRequest
from descring_sim.replay import cosim
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError

_KEPT = 2
"""Simulations that stay up: one of the default parameters, one of others in turn."""


class CoreStreams:
    """Runs streams as ``descring replay`` does, a simulation for each set of parameters."""

    def __init__(self, simulator: str) -> None:
        self._simulator = simulator
        self._live: dict[tuple[int, ...], StreamSimulation] = {}

    def answer(self, lines: Lines, options: StreamRequest, timeout_s: float) -> StreamResult:
        """The completions of ``lines``.

        Raises:
            DutError: there is no whole result. DutHung: it did not end in ``timeout_s``.
        """
        options = cosim.complete(options)
        parent = paths.build_dir() / "replay"
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{self._simulator}-", dir=parent) as folder:
            job = cosim.write_job(Path(folder), lines, options)
            self._carry_out(job, timeout_s)
            summary = cosim.read_summary(job.result)
            return StreamResult(*cosim.completions(job, summary), f"{summary.cycles} cycles")

    def _carry_out(self, job: StreamFolder, timeout_s: float) -> None:
        parameters = cosim.parameters(job.request)
        key = tuple(parameters.values())
        try:
            live = self._live.pop(key, None)
            if live is None or live.gone:
                live = StreamSimulation(
                    self._simulator,
                    top=cosim.TOP,
                    cases=cosim.CASES,
                    parameters=parameters,
                    seed=job.request.seed or 0,
                )
            live.carry_out(job.folder, timeout_s)
        except StreamHung as error:
            raise DutHung(str(error)) from error
        except (StreamFailed, SimulationError) as error:
            raise DutError(" ".join(str(error).split())) from error
        self._live[key] = live
        if len(self._live) > _KEPT:
            self._live.pop(next(iter(self._live))).close()
