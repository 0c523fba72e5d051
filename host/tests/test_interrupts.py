# SPDX-License-Identifier: Apache-2.0
"""Signal handlers that raise, as Ctrl-C does, at any moment of any call.

No line is lost, none comes twice, and the next call returns its own.

``DESCRING_INTERRUPTS=n`` interrupts n calls a backend and kind of call instead of a few hundred;
``DESCRING_INTERRUPT_SEED=n`` draws other moments, so that a long run can be made in pieces.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import OpenBackend
from descring_host import CommandQueue, Completion, DeviceHalted, QueueTimeout
from descring_host.completion import LINE_STRUCT
from descring_model import DESC_DTYPE, Lines, complete, line_bytes, streams
from host_support import FLAG, GOOD_DECODE, PATIENCE_S, decode, stop
from interrupt_support import Timer

INTERRUPTS = int(os.environ.get("DESCRING_INTERRUPTS", "0"))
SEED = int(os.environ.get("DESCRING_INTERRUPT_SEED", "7"))
SHORT = {"model": 150, "cpu": 300, "cpu-process": 150, "icarus": 10, "verilator": 10}
"""Interrupted calls of the short form, where the backend has one: the others take 25."""
LINES = {"icarus": 24, "verilator": 24}
"""Lines of a call, at most, where the backend takes milliseconds for a register access."""


def _bytes(what: Lines | Completion | None) -> bytes:
    if what is None:
        return b""
    return what.tobytes() if isinstance(what, np.ndarray) else LINE_STRUCT.pack(*what)


def _exchange(queue: CommandQueue, todo: Lines, got: list[Any]) -> None:
    got.append(queue.exchange(todo))


def _submit_and_poll(queue: CommandQueue, todo: Lines, got: list[Any]) -> None:
    sent = 0
    while sent < len(todo) or queue.in_flight:
        if sent < len(todo):
            sent += queue.submit(todo[sent : sent + 7])
        got.append(queue.poll(5, timeout_s=0.01))
        if queue.geometry.split:
            got.append(queue.poll(reward=True))


def _line_by_line(queue: CommandQueue, todo: Lines, got: list[Any]) -> None:
    for at in range(len(todo)):
        queue.submit(todo[at : at + 1])
        if at % 3:
            got.append(queue.next_completion(0.001))
            if queue.geometry.split:
                got.append(queue.poll(1, 0.0, reward=True, out=np.empty(3, DESC_DTYPE)))


def _iterate(queue: CommandQueue, todo: Lines, got: list[Any]) -> None:
    queue.submit(todo[:40])
    for completion in queue:
        got.append(completion)


def _drain(queue: CommandQueue, todo: Lines, got: list[Any]) -> None:
    queue.submit(todo[:50])
    got.append(queue.drain())


def _drain_more(queue: CommandQueue, got: list[Any]) -> None:
    got.append(queue.drain())


CALLS = [_exchange, _submit_and_poll, _line_by_line, _iterate, _drain]


@pytest.mark.parametrize("split", [False, True], ids=["one-ring", "two-rings"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__[1:])
def test_interrupted_calls_lose_nothing(
    open_backend: OpenBackend, call: Callable[..., None], split: bool
) -> None:
    """[RING-003] [RING-010]: every line that went in has its completion, once, and in order."""
    wanted = INTERRUPTS or SHORT.get(open_backend.name, 25)
    timer = Timer(SEED)
    draw = timer.draw
    with open_backend(first_index=0xFFFFF000) as device, timer.installed():
        queue = CommandQueue(
            device, cmd_slots=64, done_slots=32, split_reward=split, timeout_s=PATIENCE_S
        )
        user_data = 0
        while timer.hits < wanted:
            todo = streams.generate(
                draw.randint(1, LINES.get(open_backend.name, 90)),
                seed=draw.getrandbits(30),
                profile="decode",
            )
            todo["user_data"] = np.arange(user_data, user_data + len(todo))
            user_data += len(todo)
            first = queue.next_index
            got: list[Any] = []
            timer.interrupt(call, queue, todo, got)
            if draw.random() < 0.3:  # a second one, in the call that makes up for the first
                timer.interrupt(_drain_more, queue, got)
            got.append(queue.drain())
            sent = (queue.next_index - first) % (1 << 32)
            answers = np.frombuffer(b"".join(map(_bytes, got)), dtype=DESC_DTYPE)
            if split:
                answers = answers[np.argsort(answers["user_data"], kind="stable")]
            assert len(answers) == sent, (timer.hits, answers["user_data"], todo["user_data"])
            assert (line_bytes(answers) == line_bytes(complete(todo[:sent]))).all()
            assert queue.in_flight == 0
        mine = decode(0, 9, 5)
        assert (line_bytes(queue.exchange(mine)) == line_bytes(complete(mine))).all()


def _resume(queue: CommandQueue, came: list[Lines]) -> None:
    came.append(queue.resume(came[-1]))


def test_an_interrupted_resume_has_every_rollout_once(open_backend: OpenBackend) -> None:
    """[DEC-005]: ended ones, ones between two legs, and ones in flight."""
    wanted = INTERRUPTS or SHORT.get(open_backend.name, 25) // 3
    timer = Timer(SEED + 1)
    with open_backend() as device, timer.installed():
        for split in (False, True):
            queue = CommandQueue(device, cmd_slots=16, split_reward=split, timeout_s=PATIENCE_S)
            hits = timer.hits
            while timer.hits - hits < wanted:
                start = np.concatenate([decode(3, 200, 9), decode(31, 97, 9), decode(5, 5, 3)])
                start["user_data"] = np.arange(len(start))
                came: list[Lines] = [queue.exchange(start)]

                timer.interrupt(_resume, queue, came)
                held = queue.drain()
                if len(came) == 1 and len(held):
                    gone = np.isin(start["user_data"], held["user_data"])
                    came.append(np.concatenate([held, came[0][~gone]]))
                assert sorted(came[-1]["user_data"].tolist()) == start["user_data"].tolist()
                last = queue.resume(came[-1])
                last = last[np.argsort(last["user_data"])]
                assert last["seq_len"].tolist() == [200] * 9 + [97] * 9 + [5] * 3


@pytest.mark.parametrize("split", [False, True])
def test_a_timeout_or_a_stop_loses_nothing(open_backend: OpenBackend, split: bool) -> None:
    """[RING-008] [LIFE-003]: the host's own values, in the order of submission."""
    lines = streams.generate(24, seed=5, profile="decode")
    lines["user_data"] = np.arange(24) + 0xABC000
    lines[[11, 12]] = stop()[0]
    lines["user_data"] = np.arange(24) + 0xABC000
    with CommandQueue(
        open_backend(), cmd_slots=8, split_reward=split, timeout_s=PATIENCE_S
    ) as queue:
        first = queue.next_index
        with pytest.raises(DeviceHalted) as halted:
            queue.exchange(lines)
        sent = queue.next_index - first
        assert "were not submitted" in str(halted.value) or sent == len(lines)
        assert (line_bytes(halted.value.completions) == line_bytes(complete(lines)[:12])).all()
        queue.continue_after_stop()
        with pytest.raises(DeviceHalted) as halted:
            queue.drain()
        assert halted.value.completions["user_data"].tolist() == [0xABC00C]
        queue.continue_after_stop()
        rest = queue.drain()
        assert sorted(rest["user_data"].tolist()) == lines["user_data"][13:sent].tolist()
    with CommandQueue(open_backend(), cmd_slots=8, split_reward=split) as queue:
        queue.timeout_s, first = 0.0, queue.next_index
        mine = decode(0, 40, 40)
        try:
            whole = [queue.exchange(mine)]
        except QueueTimeout:
            whole = [queue.drain(PATIENCE_S)]
        assert whole[0]["user_data"].tolist() == mine["user_data"][: len(whole[0])].tolist()
        assert len(whole[0]) == queue.next_index - first


@pytest.mark.parametrize("split", [False, True])
def test_sealed_lines_of_the_caller_are_exchanged_as_they_are(
    open_backend: OpenBackend, split: bool
) -> None:
    """[DESC-020] [DESC-022]: on two rings too, good checksums are good and bad ones bad."""
    with CommandQueue(
        open_backend(), cmd_slots=64, split_reward=split, timeout_s=PATIENCE_S
    ) as queue:
        sealed = queue.seal(streams.generate(40, seed=6, profile="decode"))
        sealed["kv_offset"][[3, 17]] ^= np.uint64(1)
        back = queue.exchange(sealed)
    failed = np.flatnonzero(back["flags"] & FLAG["ERROR"])
    assert failed.tolist() == [3, 17]
    assert (back["user_data"] == sealed["user_data"]).all()
    expected = complete(sealed, split_reward=split)
    assert (line_bytes(back) == line_bytes(expected)).all()


def test_iterating_takes_from_both_rings(open_backend: OpenBackend) -> None:
    """[RING-008]: whichever ring a completion lies in, and not one is left."""
    lines = np.concatenate([decode(0, 5, 3), decode(0, 99, 5), decode(0, 6, 2)])
    lines["user_data"] = np.arange(len(lines))
    with CommandQueue(
        open_backend(), cmd_slots=16, split_reward=True, timeout_s=PATIENCE_S
    ) as queue:
        queue.submit(lines)
        assert sorted(completion.user_data for completion in queue) == list(range(len(lines)))
        assert queue.in_flight == 0
        queue.submit(np.concatenate([decode(0, 99, 2), stop(), decode(0, 5)]))
        with pytest.raises(DeviceHalted):
            taken = 0
            for _ in queue:
                taken += 1
        assert taken == 3
        queue.continue_after_stop()
        assert len(list(queue)) == 1


def test_an_interrupted_submit_is_counted(open_backend: OpenBackend) -> None:
    """[DB-001]: ``next_index`` and ``in_flight`` know how many lines went in."""
    queue = CommandQueue(open_backend(first_index=9), cmd_slots=16)
    port_submit = queue._port.submit

    def interrupted(lines: Lines) -> int:
        port_submit(lines)
        raise KeyboardInterrupt

    queue._port.submit = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        queue._submit_slowly(decode(0, 1, 3))
    queue._port.submit = port_submit  # type: ignore[method-assign]
    assert (queue.next_index, queue.in_flight) == (12, 3)
    assert queue.submit_decode(**GOOD_DECODE) == 12
    assert len(queue.drain(PATIENCE_S)) == 4
