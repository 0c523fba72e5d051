# SPDX-License-Identifier: Apache-2.0
"""Submitting: bytes written, values and arrays refused, and what happens at a full ring."""

import struct
from typing import Any

import numpy as np
import pytest
from conftest import OpenBackend
from descring_host import CommandQueue, CpuDevice, QueueFull, QueueTimeout
from descring_model import DESC_DTYPE, GoldenDevice, complete, contract
from host_support import (
    GOOD_DECODE,
    PATIENCE_S,
    REG,
    SHORT_S,
    as_device,
    assert_same,
    decode,
    eventually,
)


@pytest.mark.parametrize("prefix, flags", [(0, 0), (9, 4)])
def test_submit_decode_writes_the_reference_hosts_bytes(
    open_backend: OpenBackend, prefix: int, flags: int
) -> None:
    """[DESC-024] [DESC-021] [DESC-015]: all 64 bytes, written out by hand."""
    device = open_backend()
    with CommandQueue(device, cmd_slots=8, kv_arena_id=0xA1, group_id=0xB2) as queue:
        rollout, kv, delta = 0x89ABCDEF, 0xFEDCBA9876543210, 0x1122334455667788
        assert queue.submit_decode(rollout, kv, delta, prefix, 5, 6) == 0
        assert queue.submit_decode(rollout, kv, delta, prefix, 5, 6, user_data=1 << 63) == 1
        queue.drain()
        base = queue.geometry.cmd_base
        lines = [device.memory[base + at : base + at + 64].tobytes() for at in (0, 64)]
    cookie = (kv ^ delta ^ (rollout << 32)) & 0xFFFFFFFFFFFFFFFF
    for line, user_data in zip(lines, (rollout, 1 << 63), strict=True):
        assert line == struct.pack(
            "<HHIIIQQIIIIQQ",
            1, flags, rollout, 0xA1, prefix, kv, delta, 5, 6, 0, 0xB2, user_data, cookie,
        )  # fmt: skip


def test_submit_decode_refuses_what_does_not_fit(open_backend: OpenBackend) -> None:
    """[DESC-024]: never narrowed; the error names the field and nothing is submitted."""
    with CommandQueue(open_backend(), cmd_slots=8) as queue:
        for field in (*GOOD_DECODE, "user_data"):
            bits = 64 if field in ("kv_offset", "delta_offset", "user_data") else 32
            for value in (-1, 1 << bits, 1.0, np.float32(1.5), np.float64(1), "1", None):
                if field == "user_data" and value is None:
                    continue  # None stands for the default
                with pytest.raises(ValueError, match=field):
                    queue.submit_decode(**{**GOOD_DECODE, field: value})
        assert queue.in_flight == 0
        assert queue.submit_decode(**GOOD_DECODE) == 0
        assert len(queue.drain()) == 1


def test_submit_decode_takes_numpy_integers(open_backend: OpenBackend) -> None:
    """[DESC-024]: a NumPy integer that fits is as good as an int, however narrow its type."""
    with CommandQueue(open_backend(), cmd_slots=8) as queue:
        values: list[Any] = [
            np.uint8(200),
            np.uint64(1 << 63),
            np.int16(1000),
            np.uint32(0),
            70000,
            70001,
        ]
        assert queue.submit_decode(*values) == 0
        line = queue.drain()
        assert line["rollout_id"] == 200
        assert line["kv_offset"] == 1 << 63
        assert line["delta_offset"] == 1000
        assert line["seq_len"] == 70001


WRONG_ARRAYS: list[Any] = [
    np.zeros((4, 64), np.int8),
    np.zeros((4, 63), np.uint8),
    np.zeros(64, np.uint8),
    np.zeros(8, DESC_DTYPE)[::2],
    np.zeros((8, 64), np.uint8)[::2],
    np.asfortranarray(np.zeros((4, 64), np.uint8)),
    [b"0" * 64],
]


def test_wrong_arrays_are_refused_and_harm_nothing(open_backend: OpenBackend) -> None:
    """[DESC-015]: wrong dtype, shape or scattered memory is a ValueError, never a copy of junk."""
    with CommandQueue(open_backend(), cmd_slots=8) as queue:
        queue.submit(decode(0, 2, 1))
        for bad in WRONG_ARRAYS:
            with pytest.raises(ValueError, match=r"expected|must lie"):
                queue.submit(bad)
            with pytest.raises(ValueError, match=r"expected|must lie"):
                queue.seal(bad)
            eventually(lambda: queue.device.read32(REG["DONE_TAIL"]) == 1, "the completion")
            with pytest.raises(ValueError, match=r"expected|must lie"):
                queue.poll(out=bad)
        frozen = np.zeros(4, DESC_DTYPE)
        frozen.flags.writeable = False
        with pytest.raises(ValueError, match="writable"):
            queue.poll(out=frozen)
        assert queue.drain()["seq_len"].tolist() == [2]
        for bad in WRONG_ARRAYS:
            with pytest.raises(ValueError, match=r"expected|must lie"):
                queue.exchange(bad)
            with pytest.raises(ValueError, match=r"expected|must lie"):
                queue.resume(bad)
        assert queue.in_flight == 0
        assert queue.submit(decode(0, 1, 3)) == 3
        assert queue.drain()["user_data"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("slots", [0, 1, 3, 65537, 131072, -2, 2.0, "8"])
@pytest.mark.parametrize("which", ["cmd_slots", "done_slots", "reward_slots"])
def test_ring_sizes_that_are_no_power_of_two_are_refused(which: str, slots: Any) -> None:
    """[RING-001]: before the device is touched."""
    device = as_device(GoldenDevice(1 << 20))
    with pytest.raises(ValueError, match=which):
        CommandQueue(device, **{which: slots})
    assert device.read32(REG["CTRL"]) == 0


def test_rings_larger_than_the_memory_are_refused(open_backend: OpenBackend) -> None:
    """[LIFE-002]: the error says how much memory they need."""
    with pytest.raises(ValueError, match="these rings need 16640 bytes"):
        CommandQueue(open_backend(memory=16384), cmd_slots=128)


def test_full_ring_policies(open_backend: OpenBackend) -> None:
    """[RING-005] [RING-009]: block times out, raise submits nothing, short says how many."""
    with CommandQueue(open_backend(), cmd_slots=4, done_slots=2) as queue:
        queue.timeout_s = SHORT_S
        queue.when_full = "short"
        assert queue.submit(decode(0, 1, 3)) == 3
        eventually(lambda: queue.device.read32(REG["DONE_TAIL"]) == 2, "two completions")
        assert queue.submit(decode(0, 1, 9)) == 3
        assert queue.submit(decode(0, 1, 1)) == 0
        assert queue.submit_decode(**GOOD_DECODE) is None
        queue.when_full = "raise"
        with pytest.raises(QueueFull, match="take completions"):
            queue.submit(decode(0, 1, 1))
        with pytest.raises(QueueFull):
            queue.submit_decode(**GOOD_DECODE)
        queue.when_full = "block"
        with pytest.raises(QueueTimeout, match="0 of 1 lines went in"):
            queue.submit(decode(0, 1, 1))
        with pytest.raises(QueueTimeout):
            queue.submit_decode(**GOOD_DECODE)
        assert queue.in_flight == 6
        queue.timeout_s = PATIENCE_S
        assert queue.drain()["user_data"].tolist() == [0, 1, 2, 0, 1, 2]


def test_submit_decode_seals_where_lines_are_checked(open_backend: OpenBackend) -> None:
    """[DESC-020] [DESC-022] [DESC-025]: a device that wants CHECKED lines accepts every one."""
    device = open_backend(first_index=0xFFFFFFFE)
    with CommandQueue(device, cmd_slots=8, require_checked=True) as queue:
        for _ in range(4):
            queue.submit_decode(**GOOD_DECODE)
        assert [item.error for item in queue] == [None] * 4


def test_an_unknown_policy_is_refused() -> None:
    """[RING-005]: at once, not when the ring is full."""
    device = as_device(GoldenDevice(1 << 20))
    policy: Any = "wait"
    with pytest.raises(ValueError, match="expected block, raise or short, got 'wait'"):
        CommandQueue(device, when_full=policy)
    assert device.read32(REG["CTRL"]) == 0


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("process", [False, True], ids=["cpu", "cpu-process"])
def test_a_slot_is_free_once_its_completion_was_taken(process: bool, split: bool) -> None:
    """[RING-009]: a worker stores CMD_HEAD in memory behind the completions, and may be late."""
    lines = decode(0, 1, 16)
    with (
        CpuDevice(1 << 16, process=process) as device,
        CommandQueue(
            device, cmd_slots=16, when_full="raise", split_reward=split, timeout_s=PATIENCE_S
        ) as queue,
    ):
        at = queue.geometry.cmd_base - contract.RING_SLOTS_OFFSET + contract.RING_HEAD_OFFSET
        word = device.memory[at : at + 4].view(np.uint32)
        assert queue.submit(lines) == 16
        assert_same(complete(lines), queue.drain())
        eventually(lambda: word[0] == 16, "CMD_HEAD in memory")
        word[0] = 0
        assert queue.submit(lines) == 16
        assert_same(complete(lines, first_index=16), queue.drain())
        eventually(lambda: word[0] == 32, "CMD_HEAD in memory")
        word[0] = 16
        assert queue.submit_decode(**GOOD_DECODE) == 32
        assert len(queue.drain()) == 1
