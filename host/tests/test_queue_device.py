# SPDX-License-Identifier: Apache-2.0
"""The queue and its device: indices and doorbells, taking over, refusing, closing."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from conftest import OpenBackend
from descring_host import (
    CommandQueue,
    ContractMismatch,
    DeviceClosed,
    DeviceError,
    open_device,
)
from descring_host import device as device_module
from descring_model import DESC_DTYPE, GoldenDevice, contract
from host_support import (
    CTRL,
    GOOD_DECODE,
    PATIENCE_S,
    REG,
    SHORT_S,
    as_device,
    decode,
    eventually,
    word,
)


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
        self.closed = False

    def read32(self, offset: int) -> int:
        return self.lie[1] if offset == self.lie[0] else super().read32(offset)

    def write32(self, offset: int, value: int) -> None:
        self.writes += 1

    def close(self) -> None:
        self.closed = True
        super().close()


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


@pytest.mark.parametrize("register", ["CONTRACT_HASH", "ID", "VERSION"])
def test_a_device_that_is_refused_is_closed(register: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """[HASH-001]: nobody else could give it back, for nobody gets it."""
    device = _Foreign(register, 0x12345678)
    monkeypatch.setitem(device_module._BUILT_IN, "foreign", lambda: device)
    with pytest.raises(DeviceError if register != "CONTRACT_HASH" else ContractMismatch):
        open_device("foreign")
    assert device.closed


class _Counting(_Recorder):
    """Counts the reads of each register."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[int] = Counter()

    def read32(self, offset: int) -> int:
        self.reads[offset] += 1
        return super().read32(offset)


def test_the_hosts_own_indices_are_not_read_back() -> None:
    """A read takes a simulator milliseconds; only the host moves the heads of completion rings."""
    device = _Counting()
    with CommandQueue(as_device(device), cmd_slots=8, split_reward=True) as queue:
        device.reads.clear()
        for _ in range(3):
            assert len(queue.exchange(decode(0, 99, 5))) == 5
            assert queue.in_flight == 0
            assert len(queue.exchange(decode(0, 9, 5))) == 5
        assert device.reads[REG["DONE_TAIL"]] > 0
        assert (device.reads[REG["DONE_HEAD"]], device.reads[REG["REWARD_HEAD"]]) == (0, 0)


def test_another_queue_takes_over_without_a_loss(open_backend: OpenBackend) -> None:
    """[RING-003] [RING-010]: adopt_running carries on at the device's own indices."""
    device = open_backend(first_index=0xFFFFFFFD)
    first = CommandQueue(device, cmd_slots=8, split_reward=True, require_checked=False)
    first.submit(np.concatenate([decode(0, 1, 2), decode(0, 99, 2)]))
    assert first.poll(1, timeout_s=PATIENCE_S)["user_data"].tolist() == [0]
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
        lambda: queue.submit_decode(**GOOD_DECODE),
        lambda: queue.poll(),
        lambda: queue.next_completion(0.0),
    ):
        with pytest.raises(DeviceClosed):
            use()
    other = CommandQueue(device, cmd_slots=8)
    device.close()
    device.close()
    for use in (lambda: other.submit(decode(0, 1)), lambda: other.submit_decode(**GOOD_DECODE)):
        with pytest.raises((DeviceClosed, RuntimeError)):
            use()
    with pytest.raises((DeviceClosed, RuntimeError)):
        device.read32(0)
    assert device.memory.sum() >= 0, "the array over the memory outlives the device"


def test_a_bus_error_names_the_descriptor() -> None:
    """[LIFE-005]: the queue reports what the device says, with the index."""
    device = GoldenDevice(1 << 16)
    queue: CommandQueue = CommandQueue(as_device(device), cmd_slots=8)
    device.inject_bus_error(128 + 2 * 64, 128 + 3 * 64)
    queue.submit(decode(0, 1, 4))
    with pytest.raises(DeviceError, match="bus error at descriptor index 2"):
        queue.drain(SHORT_S)


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


def test_a_refused_doorbell_leaves_everything_as_it_was(open_backend: OpenBackend) -> None:
    """[DB-006] [LIFE-007]: an error, no line submitted, and the tail in memory is the old one."""
    device = open_backend()
    with CommandQueue(device, cmd_slots=8) as queue:
        queue.exchange(decode(0, 1, 3))
        device.write32(REG["CTRL"], 0)
        with pytest.raises(DeviceError, match="refused doorbell"):
            queue.submit(decode(0, 1, 2))
        with pytest.raises(DeviceError, match="refused doorbell"):
            queue.submit_decode(**GOOD_DECODE)
        assert word(device, queue.geometry.cmd_base - 64) == 3
        assert queue.in_flight == 0
        device.write32(REG["CTRL"], CTRL["ENABLE"])
        assert queue.exchange(decode(7, 9, 2))["seq_len"].tolist() == [9, 9]
