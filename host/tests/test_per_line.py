# SPDX-License-Identifier: Apache-2.0
"""One line at a time on a native device: the base of the queue that is written in C."""

import inspect
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from descring_host import CommandQueue, DeviceClosed, DeviceError, open_device
from descring_host.completion import LINE_STRUCT, Completion
from descring_host.native import ffi
from descring_host.native_port import NativePort
from descring_host.ports import SLICE_S
from descring_model import DESC_DTYPE, complete, contract, streams
from host_support import GOOD_DECODE, PATIENCE_S, REG, SHORT_S, decode

WINDOW = 1 << 20
VALUES = tuple(GOOD_DECODE.values())


@pytest.fixture
def queue() -> Iterator[CommandQueue]:
    """A queue on one worker thread."""
    with (
        open_device("cpu", memory=WINDOW) as device,
        CommandQueue(device, cmd_slots=256, timeout_s=PATIENCE_S) as opened,
    ):
        yield opened


def test_every_field_of_a_completion_has_its_place(queue: CommandQueue) -> None:
    """[DESC-001] to [DESC-013]: attributes and order of the contract, for lines of every kind."""
    lines = streams.generate(200, seed=3, profile="mixed")
    lines = lines[lines["opcode"] != contract.OPCODE["STOP"]]
    queue.submit(lines)
    for expected in complete(lines):
        got = queue.next_completion()
        assert type(got) is Completion
        assert tuple(got) == LINE_STRUCT.unpack(expected.tobytes())
        assert all(type(value) is int for value in got)
        for name in DESC_DTYPE.names or ():
            assert getattr(got, name) == int(expected[name])
    assert queue.in_flight == 0


@pytest.mark.parametrize("place", range(7))
def test_positional_values_that_do_not_fit(queue: CommandQueue, place: int) -> None:
    """[DESC-024]: as with names: an error that names the field, and nothing submitted."""
    name = [*GOOD_DECODE, "user_data"][place]
    bits = 64 if name in ("kv_offset", "delta_offset", "user_data") else 32
    for value in (-1, 1 << bits, 1 << 70, 1.0, True, "1"):
        values = [*VALUES, 0]
        values[place] = value
        with pytest.raises(ValueError, match=name):
            queue.submit_decode(*values[:6], user_data=values[6])
    assert queue.in_flight == 0
    values = [*VALUES, 0]
    values[place] = (1 << bits) - 1
    assert queue.submit_decode(*values[:6], user_data=values[6]) == 0
    line = queue.device.memory[queue.geometry.cmd_base :][:64].view(DESC_DTYPE)[0]
    assert int(line[name]) == (1 << bits) - 1
    assert len(queue.drain()) == 1


def test_both_ways_have_one_signature() -> None:
    """What help() says of the C method is what its slow form in Python takes."""
    for fast, slow in (
        (CommandQueue.submit_decode, CommandQueue._submit_decode_slowly),
        (CommandQueue.submit, CommandQueue._submit_slowly),
    ):
        names = [str(item).split(":")[0] for item in inspect.signature(slow).parameters.values()]
        assert [str(item) for item in inspect.signature(fast).parameters.values()][1:] == [
            name if item.default is item.empty else f"{name}=None"
            for name, item in zip(
                names[1:], list(inspect.signature(slow).parameters.values())[1:], strict=True
            )
        ]
        assert fast.__doc__ and "Raises" in fast.__doc__


def test_wrong_numbers_of_arguments(queue: CommandQueue) -> None:
    """As any Python function: TypeError, and nothing submitted."""
    for wrong in ((), VALUES[:5], (*VALUES, 1), (*VALUES, *VALUES, *VALUES)):
        with pytest.raises(TypeError):
            queue.submit_decode(*wrong)
    with pytest.raises(TypeError):
        queue.submit_decode(*VALUES, other=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        queue.next_completion(1.0, 2.0)  # type: ignore[call-arg]
    assert queue.in_flight == 0


def test_a_refused_doorbell_is_rung_once(queue: CommandQueue) -> None:
    """[DB-002]: the device counts one bad doorbell for one call, and the queue says why."""
    device = queue.device
    device.write32(REG["CTRL"], 0)
    before = device.read32(REG["CNT_BAD_DOORBELLS"])
    with pytest.raises(DeviceError, match="refused doorbell"):
        queue.submit_decode(*VALUES)
    assert device.read32(REG["CNT_BAD_DOORBELLS"]) == before + 1
    assert queue.in_flight == 0


@pytest.mark.parametrize("given_s", [None, SHORT_S, 0.12])
def test_a_wait_lasts_as_long_as_was_said(queue: CommandQueue, given_s: float | None) -> None:
    """No less, and at most a little more; a wait of its own is the queue's present one."""
    queue.timeout_s = 0.08
    wait_s = 0.08 if given_s is None else given_s
    start = time.monotonic()
    assert (queue.next_completion() if given_s is None else queue.next_completion(given_s)) is None
    took = time.monotonic() - start
    assert wait_s * 0.99 <= took < wait_s + PATIENCE_S


def test_python_waits_for_what_is_left() -> None:
    """Of a wait longer than one piece only the rest is left to the slow form."""
    left: list[float | None] = []

    class Recording(CommandQueue):
        def _next_slowly(self, timeout_s: float | None, reward: bool) -> Completion | None:
            left.append(timeout_s)
            return None

    with open_device("cpu", memory=WINDOW) as device, Recording(device, cmd_slots=16) as queue:
        for wait_s in (0.0, SLICE_S, SLICE_S + 0.25):
            assert queue.next_completion(wait_s) is None
    assert left == [0.0, pytest.approx(0.25)]


def test_negative_and_odd_waits(queue: CommandQueue) -> None:
    """A negative time or NaN is an error; an int of seconds and a name will do."""
    for wrong in (-1.0, float("nan"), -1):
        with pytest.raises(ValueError, match="timeout_s"):
            queue.next_completion(wrong)
    assert queue.next_completion(0) is None
    queue.submit(decode(0, 1))
    assert queue.next_completion(timeout_s=PATIENCE_S) is not None


def test_other_threads_run_while_one_waits(queue: CommandQueue) -> None:
    """One may take while another submits: the wait lets the interpreter's lock go."""
    assert isinstance(queue._port, NativePort)
    # One piece, however long, so that nothing but the wait itself can let go.
    address = int(ffi.cast("uintptr_t", queue._port.open_handle()))
    queue._bind(address, Completion, DESC_DTYPE, False, PATIENCE_S)
    got: list[Completion | None] = []
    taker = threading.Thread(
        target=lambda: got.append(queue.next_completion(PATIENCE_S)), daemon=True
    )
    taker.start()
    time.sleep(SHORT_S)
    assert queue.submit_decode(*VALUES) == 0
    taker.join()
    assert got[0] is not None and got[0].user_data == VALUES[0]


def test_nothing_of_a_closed_queue_is_used() -> None:
    """Neither after the queue's close, nor after the device's."""
    device = open_device("cpu", memory=WINDOW)
    first = CommandQueue(device, cmd_slots=16)
    first.close()
    second = CommandQueue(device, cmd_slots=16)
    device.close()
    for queue in (first, second):
        with pytest.raises(DeviceClosed):
            queue.submit_decode(*VALUES)
        with pytest.raises(DeviceClosed):
            queue.next_completion()


def test_a_queue_with_no_native_device_goes_the_slow_way() -> None:
    """The same calls on the golden model, which has no native core behind it."""
    with open_device("model", memory=WINDOW) as device, CommandQueue(device, cmd_slots=16) as queue:
        assert queue.submit_decode(*VALUES) == 0
        got = queue.next_completion()
        assert got is not None and got.user_data == VALUES[0]
        assert type(got) is Completion
        assert queue.next_completion(0.0) is None


def test_completions_hold_no_references() -> None:
    """Neither the tuples nor their ints leak: memory stays as it is over 200 000 completions."""
    with open_device("cpu", memory=WINDOW) as device, CommandQueue(device, cmd_slots=1024) as queue:
        lines = streams.generate(1000, seed=5, profile="decode")
        lines["user_data"] |= np.uint64(1 << 63)

        def rounds(count: int) -> int:
            for _ in range(count):
                queue.submit(lines)
                for _ in range(len(lines)):
                    assert queue.next_completion() is not None
            return int(Path("/proc/self/statm").read_text().split()[1])

        before = rounds(20)
        assert rounds(200) - before < 700  # pages of 4 KiB; an int a completion makes 1500
