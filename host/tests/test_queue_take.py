# SPDX-License-Identifier: Apache-2.0
"""Taking completions: in arrays, one by one, behind a STOP, and beside other tasks."""

import asyncio

import numpy as np
import pytest
from conftest import OpenBackend
from descring_host import CommandQueue, Completion, DeviceHalted
from descring_model import DESC_DTYPE, contract, status_of
from host_support import GOOD_DECODE, PATIENCE_S, REG, SHORT_S, decode, eventually, stop


def test_poll_takes_no_more_than_asked_and_nothing_twice(open_backend: OpenBackend) -> None:
    """[RING-010]: the head moves by what was taken."""
    with CommandQueue(open_backend(), cmd_slots=8) as queue:
        queue.submit(decode(0, 1, 5))
        eventually(lambda: queue.device.read32(REG["DONE_TAIL"]) == 5, "five completions")
        assert len(queue.poll(0)) == 0
        first = queue.poll(2)
        into = np.zeros(2, dtype=DESC_DTYPE)
        second = queue.poll(out=into)
        assert np.shares_memory(second, into)
        rest = queue.poll()
        taken = np.concatenate([first, second, rest])
        assert taken["user_data"].tolist() == [0, 1, 2, 3, 4]
        assert len(queue.poll(timeout_s=SHORT_S)) == 0
        assert queue.device.read32(REG["DONE_HEAD"]) == 5
        with pytest.raises(ValueError, match="split_reward"):
            queue.poll(reward=True)
        with pytest.raises(ValueError):
            queue.poll(-1)
        with pytest.raises(ValueError):
            queue.poll(timeout_s=-1.0)


def test_completions_one_by_one(open_backend: OpenBackend) -> None:
    """[DESC-014]: objects with the contract's fields, and an end when nothing is in flight."""
    with CommandQueue(open_backend(), cmd_slots=8) as queue:
        assert list(queue) == []
        queue.submit(decode(0, 40, 2))
        queue.submit_decode(**GOOD_DECODE)
        taken = list(queue)
        assert [item.seq_len for item in taken] == [32, 32, 6]
        assert [item.status for item in taken] == [2, 2, 1]
        assert all(isinstance(item, Completion) for item in taken)
        assert queue.next_completion(SHORT_S) is None
        line = np.zeros(1, dtype=DESC_DTYPE)
        line["opcode"] = 77
        queue.submit(line)
        refused = queue.next_completion(PATIENCE_S)
        assert refused is not None
        assert (refused.status, refused.error) == (0x80, "BAD_OPCODE")
        line["opcode"], line["seq_len"] = contract.OPCODE["REWARD"], 51
        scored = Completion._make(queue.exchange(line)[0].item())
        assert scored.reward == np.float32(51) / np.float32(255)
        assert int(status_of(queue.exchange(line))[0]) == scored.status


def test_a_stop_is_reported_with_what_waits_behind_it(open_backend: OpenBackend) -> None:
    """[LIFE-003]: neither lost nor executed; drain() hands over what came before."""
    with CommandQueue(open_backend(), cmd_slots=8) as queue:
        queue.submit(np.concatenate([decode(0, 1, 2), stop(), decode(0, 2, 3)]))
        with pytest.raises(DeviceHalted, match="index 3; 3 descriptors wait") as caught:
            queue.drain()
        assert len(caught.value.completions) == 3
        assert queue.in_flight == 3
        with pytest.raises(DeviceHalted):
            list(queue)
        queue.continue_after_stop()
        assert queue.drain()["seq_len"].tolist() == [2, 2, 2]
        queue.submit(stop())
        assert len(queue.drain()) == 1, "nothing waits behind this STOP"


def test_waiting_tasks_leave_the_event_loop_free(open_backend: OpenBackend) -> None:
    """[RING-006]: apoll() waits while other tasks submit, and times out empty."""

    async def submit_later(queue: CommandQueue, turns: list[int]) -> None:
        for turn in range(30):
            await asyncio.sleep(0.001)
            turns.append(turn)
        queue.submit(decode(0, 3, 4))

    async def program(queue: CommandQueue) -> None:
        turns: list[int] = []
        task = asyncio.create_task(submit_later(queue, turns))
        lines = await queue.apoll(timeout_s=PATIENCE_S)
        await task
        assert len(turns) == 30
        while len(lines) < 4:
            lines = np.concatenate([lines, await queue.apoll(timeout_s=PATIENCE_S)])
        assert (lines["seq_len"] == 3).all()
        assert len(await queue.apoll(timeout_s=SHORT_S)) == 0

    with CommandQueue(open_backend(), cmd_slots=8) as queue:
        asyncio.run(program(queue))
