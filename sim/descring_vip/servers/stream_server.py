# SPDX-License-Identifier: Apache-2.0
"""The one way of streams into a simulation: a folder each, carried out from reset.

A simulation carries out the one folder that the environment names, or else every folder that a pipe
names, one after the other; while none is in progress, the simulator is blocked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from descring_sim.protocol.stream import FOLDER_VARIABLE
from descring_sim.protocol.stream_server import JOB_VARIABLE, LinkJob, receive, send


class Host(Protocol):
    """Carries out one stream."""

    async def start(self) -> None:
        """Clock, reset and whatever the first line needs."""

    async def run(self) -> None:
        """All lines in, all completions out."""

    def finish(self) -> None:
        """Check, and write the results into the folder."""


async def serve(make: Callable[[Path], Host]) -> None:
    """Carry out folders with a new host each; a folder that fails is the last."""

    async def carry_out(folder: Path) -> None:
        host = make(folder)
        await host.start()
        await host.run()
        host.finish()

    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is not None:
        await carry_out(Path(folder))
        return
    link = LinkJob.parse(os.environ[JOB_VARIABLE])
    with open(link.requests, "rb") as requests, open(link.replies, "wb", 0) as replies:  # noqa: PTH123
        while (request := receive(requests)) is not None:
            try:
                await carry_out(Path(request))
            except Exception as error:
                send(replies, str(error) or type(error).__name__)
                raise
            send(replies, "")
