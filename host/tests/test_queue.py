# SPDX-License-Identifier: Apache-2.0
"""The queue's own behaviour: validation, policies, waiting, taking over, and refusing."""

import asyncio
import struct
from typing import Any

import numpy as np
import pytest
from conftest import OpenBackend
from descring_host import (
    CommandQueue,
    Completion,
    ContractMismatch,
    Device,
    DeviceClosed,
    DeviceError,
    DeviceHalted,
    QueueFull,
    QueueTimeout,
    open_device,
)
from descring_model import DESC_DTYPE, GoldenDevice, contract, status_of
from host_support import CTRL, REG, decode, eventually, stop, word

SHORT_S = 0.05
GOOD: dict[str, Any] = {
    "rollout_id": 7,
    "kv_offset": 1 << 40,
    "delta_offset": 3,
    "prefix_id": 0,
    "seq_len": 5,
    "max_tokens": 6,
}


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
        for field in (*GOOD, "user_data"):
            bits = 64 if field in ("kv_offset", "delta_offset", "user_data") else 32
            for value in (-1, 1 << bits, 1.0, np.float32(1.5), np.float64(1), "1", None):
                if field == "user_data" and value is None:
                    continue  # None stands for the default
                with pytest.raises(ValueError, match=field):
                    queue.submit_decode(**{**GOOD, field: value})
        assert queue.in_flight == 0
        assert queue.submit_decode(**GOOD) == 0
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
    device = _typed(GoldenDevice(1 << 20))
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
        assert queue.submit_decode(**GOOD) is None
        queue.when_full = "raise"
        with pytest.raises(QueueFull, match="take completions"):
            queue.submit(decode(0, 1, 1))
        with pytest.raises(QueueFull):
            queue.submit_decode(**GOOD)
        queue.when_full = "block"
        with pytest.raises(QueueTimeout, match="0 of 1 lines went in"):
            queue.submit(decode(0, 1, 1))
        with pytest.raises(QueueTimeout):
            queue.submit_decode(**GOOD)
        assert queue.in_flight == 6
        queue.timeout_s = 60.0
        assert queue.drain()["user_data"].tolist() == [0, 1, 2, 0, 1, 2]


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
        queue.submit_decode(**GOOD)
        taken = list(queue)
        assert [item.seq_len for item in taken] == [32, 32, 6]
        assert [item.status for item in taken] == [2, 2, 1]
        assert all(isinstance(item, Completion) for item in taken)
        assert queue.next_completion(SHORT_S) is None
        line = np.zeros(1, dtype=DESC_DTYPE)
        line["opcode"] = 77
        queue.submit(line)
        refused = queue.next_completion(60.0)
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
        lines = await queue.apoll(timeout_s=60.0)
        await task
        assert len(turns) == 30
        while len(lines) < 4:
            lines = np.concatenate([lines, await queue.apoll(timeout_s=60.0)])
        assert (lines["seq_len"] == 3).all()
        assert len(await queue.apoll(timeout_s=SHORT_S)) == 0

    with CommandQueue(open_backend(), cmd_slots=8) as queue:
        asyncio.run(program(queue))


def test_indices_in_memory_are_where_the_contract_puts_them(open_backend: OpenBackend) -> None:
    """[RING-004]: head at 0, tail at 64, slots from 128; BASE is the address of slot 0."""
    device = open_backend(first_index=0xFFFFFFFE)
    with CommandQueue(device, cmd_slots=8, done_slots=4) as queue:
        queue.submit(decode(0, 1, 5))
        eventually(lambda: device.read32(REG["DONE_TAIL"]) == 2, "four completions")
        cmd, done = (device.read32(REG[f"{ring}_BASE_LO"]) for ring in ("CMD", "DONE"))
        assert (cmd, done) == (128, 128 + 8 * 64 + 128)
        assert word(device, cmd - 64) == 3
        slots = device.memory[cmd : cmd + 512].view(DESC_DTYPE)
        assert slots["user_data"][[6, 7, 0, 1, 2]].tolist() == [0, 1, 2, 3, 4]
        queue.poll(3)
        assert word(device, done - 128) == 1
        if hasattr(device, "native_port"):  # a device that publishes its indices in memory too
            eventually(lambda: word(device, done - 64) == 3, "done tail in memory")
            eventually(lambda: word(device, cmd - 128) == 3, "command head in memory")


class _Recorder:
    """A device that looks at memory at the moment of each doorbell."""

    def __init__(self) -> None:
        self.inner = GoldenDevice(1 << 16)
        self.memory = self.inner.memory
        self.seen: list[tuple[int, int, list[int]]] = []

    def read32(self, offset: int) -> int:
        return self.inner.read32(offset)

    def write32(self, offset: int, value: int) -> None:
        if offset == REG["DOORBELL"]:
            slots = self.memory[128 : 128 + 512].view(DESC_DTYPE)
            tail = int(self.memory[64:68].view(np.uint32)[0])
            self.seen.append((value, tail, slots["user_data"].tolist()))
        self.inner.write32(offset, value)

    def wait(self, timeout_s: float) -> None:
        self.inner.wait(timeout_s)

    def close(self) -> None:
        self.inner.close()

    def __enter__(self) -> "_Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def test_the_doorbell_comes_last_and_once_a_batch() -> None:
    """[DB-005] [DB-001]: line, then tail in memory, then the doorbell; one for the whole batch."""
    device = _Recorder()
    with CommandQueue(device, cmd_slots=8) as queue:
        lines = decode(0, 1, 3)
        lines["user_data"] = [71, 72, 73]
        queue.submit(lines)
        queue.submit_decode(74, 0, 0, 0, 0, 1)
    assert [(value, tail) for value, tail, _ in device.seen] == [(3, 3), (4, 4)]
    assert device.seen[0][2][:3] == [71, 72, 73]
    assert device.seen[1][2][:4] == [71, 72, 73, 74]


class _Foreign(_Recorder):
    """A device of another contract, or no device at all."""

    def __init__(self, register: str, value: int) -> None:
        super().__init__()
        self.lie = (REG[register], value)
        self.writes = 0

    def read32(self, offset: int) -> int:
        return self.lie[1] if offset == self.lie[0] else super().read32(offset)

    def write32(self, offset: int, value: int) -> None:
        self.writes += 1


@pytest.mark.parametrize("register", ["CONTRACT_HASH", "ID", "VERSION"])
def test_a_device_of_another_contract_is_refused(register: str) -> None:
    """[HASH-001] [REG-07C] [REG-000] [REG-004]: both values are named; nothing is written."""
    device = _Foreign(register, 0x12345678)
    kind = ContractMismatch if register == "CONTRACT_HASH" else DeviceError
    with pytest.raises(kind, match="12345678") as caught:
        CommandQueue(device)
    expected = {
        "CONTRACT_HASH": f"{contract.CONTRACT_HASH:08x}",
        "ID": f"{contract.DEVICE_ID:08X}",
        "VERSION": f"{contract.VERSION:08X}",
    }[register]
    assert expected in str(caught.value)
    assert device.writes == 0


def test_another_queue_takes_over_without_a_loss(open_backend: OpenBackend) -> None:
    """[RING-003] [RING-010]: adopt_running carries on at the device's own indices."""
    device = open_backend(first_index=0xFFFFFFFD)
    first = CommandQueue(device, cmd_slots=8, split_reward=True, require_checked=False)
    first.submit(np.concatenate([decode(0, 1, 2), decode(0, 99, 2)]))
    assert first.poll(1, timeout_s=60.0)["user_data"].tolist() == [0]
    geometry = first.geometry
    first.close()
    with CommandQueue(device, adopt_running=True) as second:
        assert second.geometry == geometry
        assert second.in_flight == 3
        assert second.next_index == 1
        second.submit(decode(0, 2, 1))
        assert second.drain()["seq_len"].tolist() == [1, 2, 32, 32]
    device.write32(REG["CTRL"], CTRL["RESET"])
    with pytest.raises(DeviceError, match="nothing to adopt"):
        CommandQueue(device, adopt_running=True)


def test_closed_queues_and_devices_say_so(open_backend: OpenBackend) -> None:
    """[LIFE-001]: no use after close, no crash, and close() may be repeated."""
    device = open_backend()
    queue = CommandQueue(device, cmd_slots=8)
    queue.close()
    queue.close()
    for use in (
        lambda: queue.submit(decode(0, 1)),
        lambda: queue.submit_decode(**GOOD),
        lambda: queue.poll(),
        lambda: queue.next_completion(0.0),
    ):
        with pytest.raises(DeviceClosed):
            use()
    other = CommandQueue(device, cmd_slots=8)
    device.close()
    device.close()
    for use in (lambda: other.submit(decode(0, 1)), lambda: other.submit_decode(**GOOD)):
        with pytest.raises((DeviceClosed, RuntimeError)):
            use()
    with pytest.raises((DeviceClosed, RuntimeError)):
        device.read32(0)
    assert device.memory.sum() >= 0, "the array over the memory outlives the device"


def test_a_bus_error_names_the_descriptor() -> None:
    """[LIFE-005]: the queue reports what the device says, with the index."""
    device = GoldenDevice(1 << 16)
    queue: CommandQueue = CommandQueue(_typed(device), cmd_slots=8)
    device.fail_memory(128 + 2 * 64, 128 + 3 * 64)
    queue.submit(decode(0, 1, 4))
    with pytest.raises(DeviceError, match="bus error at descriptor index 2"):
        queue.drain(SHORT_S)


def _typed(device: Any) -> Device:
    typed: Device = device
    return typed


@pytest.mark.parametrize(
    "backend, options",
    [
        ("fpga", {}),
        ("cpu", {"nonsense": 1}),
        ("model", {"workers": 2}),
        ("cpu", {"workers": 0}),
        ("cpu", {"workers": 17}),
        ("cpu", {"first_index": -1}),
        ("cpu", {"first_index": 1 << 32}),
        ("cpu", {"memory": 0}),
        ("cpu", {"process": True, "attach": "x"}),
        ("cpu", {"name": "x"}),
        ("cpu", {"attach": "no/slash"}),
    ],
)
def test_bad_options_are_refused(backend: str, options: dict[str, Any]) -> None:
    """[LIFE-001]: a ValueError, before anything is made."""
    with pytest.raises(ValueError):
        open_device(backend, **options)
