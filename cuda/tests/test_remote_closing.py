# SPDX-License-Identifier: Apache-2.0
"""Devices behind a bus that are closed, forked or interrupted beside a call."""

import asyncio
import os
from contextlib import suppress

import numpy as np
import pytest
from closing_support import CALLS, close_beside, in_a_child
from descring_host import CommandQueue, DeviceClosed
from descring_model import Lines, complete, streams
from host_support import PATIENCE_S, REG, assert_same, decode
from interrupt_support import Timer
from remote_support import OpenRemote

ROUNDS = int(os.environ.get("DESCRING_CLOSINGS", "3"))
INTERRUPTS = int(os.environ.get("DESCRING_INTERRUPTS", "100"))


@pytest.mark.parametrize("call", list(CALLS))
def test_closing_ends_a_call_of_another_thread(open_remote: OpenRemote, call: str) -> None:
    """[LIFE-001]: it is woken, raises DeviceClosed, and the memory stays until it has ended."""
    for turn in range(ROUNDS):
        close_beside(open_remote(1 << 16), CALLS[call], device_only=bool(turn % 2))


def test_a_cancelled_apoll_is_harmless(open_remote: OpenRemote) -> None:
    """The thread that it left in the device ends when the device is closed."""

    async def cancel() -> None:
        with (
            open_remote(1 << 16) as device,
            CommandQueue(device, cmd_slots=16) as queue,
            suppress(TimeoutError),
        ):
            await asyncio.wait_for(queue.apoll(timeout_s=PATIENCE_S), 0.02)

    asyncio.run(cancel())


def test_a_forked_child_is_told_that_nothing_is_its_own(open_remote: OpenRemote) -> None:
    """[RING-003]: and the worker is still the parent's when the child has ended."""
    device = open_remote(1 << 16)
    with CommandQueue(device, cmd_slots=16, timeout_s=PATIENCE_S) as queue:

        def worked() -> list[str]:
            names = []
            for call in (queue.poll, queue.drain, device.check_peer, lambda: device.read32(0)):
                with suppress(DeviceClosed):
                    call()
                    names.append(call.__name__)
            device.close()
            return names

        assert in_a_child(worked) == "[]"
        assert len(queue.exchange(decode(0, 1, 9))) == 9
        assert device.read32(REG["CMD_HEAD"]) == 9


def _exchange(queue: CommandQueue, todo: Lines, got: list[Lines]) -> None:
    got.append(queue.exchange(todo))


def test_interrupted_exchanges_lose_nothing(open_remote: OpenRemote) -> None:
    """[RING-003] [RING-010]: what had been taken is returned by the next call that takes."""
    timer = Timer(3)
    with (
        timer.installed(),
        CommandQueue(open_remote(), cmd_slots=64, timeout_s=PATIENCE_S) as queue,
    ):
        while timer.hits < INTERRUPTS:
            count = timer.draw.randint(1, 150)
            todo = streams.generate(count, seed=timer.hits, profile="decode")
            first = queue.next_index
            got: list[Lines] = []
            timer.interrupt(_exchange, queue, todo, got)
            got.append(queue.drain())
            sent = (queue.next_index - first) % (1 << 32)
            if sent:
                assert_same(complete(todo[:sent]), np.concatenate(got))
