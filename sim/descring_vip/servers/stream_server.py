# SPDX-License-Identifier: Apache-2.0
"""One simulation for many streams: the hosts of line ports, one after the other, each from reset.

Requests come through a pipe; while none is in progress, the simulator is blocked.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from descring_sim.protocol.stream_server import JOB_VARIABLE, LinkJob, receive, send

Carry = Callable[[Path], Awaitable[None]]
"""Carries out the job in a folder, from reset to the end of its files."""


async def serve(carry_out: Carry) -> None:
    """Carry out requests until the other end closes; a request that fails is the last."""
    link = LinkJob.parse(os.environ[JOB_VARIABLE])
    with open(link.requests, "rb") as requests, open(link.replies, "wb", 0) as replies:  # noqa: PTH123
        while (request := receive(requests)) is not None:
            try:
                await carry_out(Path(request))
            except Exception as error:
                send(replies, str(error) or type(error).__name__)
                raise
            send(replies, "")
