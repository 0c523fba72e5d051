# SPDX-License-Identifier: Apache-2.0
"""Corners of the host runtime: lengths, one ring alone, taking over, timeouts, order of stores."""

import itertools
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from descring_host import CommandQueue, QueueTimeout, open_device
from descring_host.waiting import Patience
from descring_model import DESC_DTYPE, GoldenDevice, Lines, complete, contract
from host_support import (
    CTRL,
    FLAG,
    GOOD_DECODE,
    OPCODE,
    PATIENCE_S,
    REG,
    as_device,
    assert_same,
    decode,
    eventually,
    run_stream,
)

NATIVE = Path(__file__).resolve().parents[1] / "native"
LENGTHS = sorted(
    {
        (1 << power) + step
        for power in (5, 8, 16, 31, 32)
        for step in (-33, -32, -31, -1, 0, 1, 31, 32)
        if 0 <= (1 << power) + step < 1 << 32
    }
    | {0, 1}
)
DEVICES: dict[str, dict[str, Any]] = {"model": {}, "cpu": {}, "cpu-3-workers": {"workers": 3}}


def opened(name: str, **options: Any) -> Any:
    """One of the devices that need no simulator."""
    return open_device(name.split("-")[0], memory=1 << 20, **DEVICES[name], **options)


def test_every_opcode_at_every_corner_of_both_lengths() -> None:
    """[DEC-001..DEC-007] [OP-ERR] [OP-010] [OP-011] [ERR-010]: across 2^31 and up to 2^32 too."""
    pairs = list(itertools.product(LENGTHS, LENGTHS))
    opcodes = [*OPCODE.values(), 5, 0x0103]
    lines = np.zeros((len(opcodes), len(pairs)), dtype=DESC_DTYPE)
    lines["opcode"] = np.array(opcodes)[:, None]
    lines["seq_len"], lines["max_tokens"] = np.array(pairs, dtype=np.uint32).T
    lines["reserved0"] = 0xDEADBEEF
    lines = lines[lines["opcode"] != OPCODE["STOP"]]
    with opened("cpu") as device, CommandQueue(device, cmd_slots=4096) as queue:
        done, _ = run_stream(queue, lines, 4096)
    assert_same(complete(lines), done)


@pytest.mark.parametrize("name", DEVICES)
def test_the_greatest_rings_are_filled_by_one_doorbell(name: str) -> None:
    """[RING-001] [DB-002] [RING-005]: 2^16 lines, and as many completions before one is taken.

    The device has room for no other line until the host has taken one.
    """
    slots = 1 << contract.RING_LOG2_MAX
    lines = np.zeros(slots, dtype=DESC_DTYPE)
    lines["opcode"] = OPCODE["NOP"]
    lines["user_data"] = np.arange(slots)
    first_index = 0xFFFFFFFF - slots // 2
    with (
        open_device(
            name.split("-")[0], memory=16 << 20, first_index=first_index, **DEVICES[name]
        ) as device,
        CommandQueue(device, cmd_slots=slots, done_slots=slots) as queue,
    ):
        for _ in range(2):
            assert queue.submit(lines) == slots
            eventually(lambda: queue.answered == slots, "completions of all")
            tail = (device.read32(REG["DONE_HEAD"]) + slots) % (1 << 32)
            assert device.read32(REG["DONE_TAIL"]) == tail
            assert device.read32(REG["CMD_HEAD"]) == tail
            done = queue.poll(slots)
            assert_same(complete(lines, first_index=tail), done)


@pytest.mark.parametrize("name", DEVICES)
def test_the_reward_ring_alone_is_consumed(name: str) -> None:
    """[RING-008] [RING-010] [RING-005]: a done ring that nobody takes from holds up nothing."""
    with (
        opened(name) as device,
        CommandQueue(
            device, cmd_slots=16, done_slots=4, reward_slots=2, split_reward=True
        ) as queue,
    ):
        queue.submit(decode(0, 1, 2))
        eventually(lambda: device.read32(REG["DONE_TAIL"]) == 2, "two done completions")
        queue.submit(decode(0, 99, 9))
        eventually(lambda: device.read32(REG["REWARD_TAIL"]) == 2, "a full reward ring")
        taken: list[int] = []
        while len(taken) < 9:
            lines = queue.poll(1, timeout_s=PATIENCE_S, reward=True)
            assert len(lines) == 1, f"nothing came behind {taken}"
            taken += lines["user_data"].tolist()
        assert taken == list(range(9))
        assert device.read32(REG["DONE_HEAD"]) == 0
        assert queue.poll()["user_data"].tolist() == [0, 1]


@pytest.mark.parametrize("name", ["cpu", "cpu-3-workers"])
def test_a_wait_ends_for_the_reward_ring_alone(name: str) -> None:
    """[RING-008]: whoever waits for the device is told of a completion in either ring."""
    with opened(name) as device, CommandQueue(device, cmd_slots=8, split_reward=True) as queue:
        queue.submit(decode(0, 99))
        eventually(lambda: device.read32(REG["REWARD_TAIL"]) == 1, "a completion")
        start = time.monotonic()
        device.wait(PATIENCE_S)
        assert time.monotonic() - start < PATIENCE_S / 2
        assert len(queue.poll(reward=True)) == 1


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("required", [False, True])
def test_a_queue_takes_over_a_device_in_each_mode(name: str, split: bool, required: bool) -> None:
    """[RING-003] [RING-008] [DESC-025] [DESC-022]: sizes, modes and what lies in the rings.

    Indices are about to wrap; the sizes differ, so none is taken for another.
    """
    first_index = 0xFFFFFFFD
    with opened(name, first_index=first_index) as device:
        first = CommandQueue(
            device,
            cmd_slots=16,
            done_slots=8,
            reward_slots=4,
            split_reward=split,
            require_checked=required,
        )
        for most in (1, 99, 1, 99, 1):
            first.submit_decode(**{**GOOD_DECODE, "seq_len": 0, "max_tokens": most})
        eventually(lambda: first.answered == 5, "five completions")
        assert len(first.poll(1)) == 1
        if split:
            assert len(first.poll(1, reward=True)) == 1
        first.close()
        with CommandQueue(device, adopt_running=True) as second:
            assert second.geometry == first.geometry
            assert second.require_checked == required
            assert second.next_index == 2
            assert second.in_flight == (3 if split else 4)
            second.submit_decode(**GOOD_DECODE)
            lines = second.drain()
            assert len(lines) == (4 if split else 5)
            assert not (lines["flags"] & FLAG["ERROR"]).any()
            assert ((lines["flags"] & FLAG["CHECKED"] != 0) == required).all()
            assert int((lines["seq_len"] == 6).sum()) == 1
            assert (device.read32(REG["CTRL"]) & CTRL["SPLIT_REWARD"] != 0) == split


class _Clock:
    """Time that passes only where somebody waits for the device."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("descring_host.waiting.time.monotonic", lambda: self.now)
        monkeypatch.setattr("descring_host.waiting.time.sleep", lambda _: None)


class _Slow:
    """A device that answers a line each time that ``period_s`` have been waited.

    Lines reach the golden device at their turn; a doorbell for the others waits here.
    """

    def __init__(self, clock: _Clock, period_s: float) -> None:
        self.inner = GoldenDevice(1 << 16)
        self.memory = self.inner.memory
        self._clock, self._period_s, self._due = clock, period_s, clock.now + period_s
        self._tail = 0
        self.freed: Callable[[int], None] | None = None

    def read32(self, offset: int) -> int:
        return self._tail if offset == REG["CMD_TAIL"] else self.inner.read32(offset)

    def write32(self, offset: int, value: int) -> None:
        if offset == REG["DOORBELL"]:
            self._tail = value
            return
        if offset == REG["DONE_HEAD"] and self.freed is not None:
            self.freed(value)
        self.inner.write32(offset, value)

    def wait(self, timeout_s: float) -> None:
        self._clock.now += max(timeout_s, 1e-4)
        head = self.inner.read32(REG["CMD_HEAD"])
        if self._clock.now >= self._due and head != self._tail:
            self._due = self._clock.now + self._period_s
            self.inner.write32(REG["DOORBELL"], head + 1)

    def close(self) -> None:
        self.inner.close()

    def __enter__(self) -> "_Slow":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.mark.parametrize("call", ["submit", "drain", "exchange"])
@pytest.mark.parametrize("period_s", [0.6, 1.6])
def test_a_timeout_counts_from_the_last_progress(
    monkeypatch: pytest.MonkeyPatch, call: str, period_s: float
) -> None:
    """[RING-005]: a slow device is waited for as long as it goes on; one that stands still is not.

    A line every 0.6 s takes longer than the timeout of 1 s for all of them, and is in time.
    """
    clock = _Clock(monkeypatch)
    lines = decode(0, 1, 6)
    with CommandQueue(
        as_device(_Slow(clock, period_s)), cmd_slots=2, done_slots=8, timeout_s=1.0
    ) as queue:

        def use() -> Lines | int:
            if call == "exchange":
                return queue.exchange(lines)
            if call == "submit":
                return queue.submit(lines)
            queue.submit(lines[:2])
            return queue.drain()

        if period_s < 1.0:
            result = use()
            assert (result if isinstance(result, int) else len(result)) == (
                2 if call == "drain" else 6
            )
        else:
            start = clock.now
            with pytest.raises(QueueTimeout):
                use()
            assert 1.0 <= clock.now - start < 1.6


def test_patience_counts_from_its_start_and_from_each_renewal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A deadline is kept; what happened before it does not count."""
    clock = _Clock(monkeypatch)
    clock.now += 50.0
    wait = Patience(2.0)
    clock.now += 1.5
    assert wait.left_s == pytest.approx(0.5) and not wait.over
    wait.renew()
    clock.now += 1.5
    assert not wait.over
    clock.now += 0.6
    assert wait.over


def test_a_slot_is_given_back_only_once_its_completion_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[RING-010]: the device may write a slot the moment that DONE_HEAD moves."""
    device = _Slow(_Clock(monkeypatch), 0.0)
    with CommandQueue(as_device(device), cmd_slots=4) as queue:
        base = device.read32(REG["DONE_BASE_LO"])
        heads: list[int] = []

        def freed(head: int) -> None:
            heads.append(head)
            device.memory[base : base + 4 * 64] = 0xA5

        lines = decode(0, 1, 3)
        queue.submit(lines)
        for _ in range(3):
            device.wait(0.01)
        device.freed = freed
        assert_same(complete(lines), queue.poll())
        assert heads == [3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "of_it", "seen"),
    [
        ("store_order", ["execute.c"], f"good: {4 * 6} completions\n"),
        ("queue_store_order", ["submit.c", "completions.c"], f"good: {3 * (5 * 16 + 2)} lines\n"),
    ],
    ids=["worker", "queue"],
)
def test_stores_are_seen_in_the_order_of_the_contract(
    tmp_path: Path, program: str, of_it: list[str], seen: str
) -> None:
    """[RING-004] [RING-010] [RING-013] [RING-008] [DB-005]: as the other process sees them.

    The worker's own code, and the queue's, with an observer in the place of each store:
    completions, registers, words, event, wake-up; lines, tail, doorbell, wake-up; copies, heads,
    wake-up.
    """
    sources = [str(path) for path in NATIVE.glob("*.c") if path.name not in of_it]
    binary = tmp_path / program
    flags = ["-std=c11", "-O1", "-pthread", f"-I{NATIVE}", f"-I{NATIVE.parent / 'include'}"]
    check = str(NATIVE / "check" / f"{program}.c")
    subprocess.run(["cc", *flags, check, *sources, "-o", str(binary)], check=True, timeout=120)
    result = subprocess.run([str(binary)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == seen
