# SPDX-License-Identifier: Apache-2.0
"""Queues and devices that are closed, forked or left while another thread is inside a call.

``DESCRING_CLOSINGS=n`` does n rounds of each call on the backends without a simulator.
``native/check/closing.c`` is the same below Python, under sanitizers.
"""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
from closing_support import CALLS, close_beside, in_a_child
from conftest import BACKENDS, OpenBackend
from descring_host import CommandQueue, Device, DeviceClosed, open_device
from host_support import GOOD_DECODE, PATIENCE_S, REG, decode

CLOSINGS = int(os.environ.get("DESCRING_CLOSINGS", "0"))
ROUNDS = {"model": 3, "cpu": 5, "cuda-latency": 2}
"""Rounds of each call in the short form, where a device opens at once; 1 otherwise."""
SIMULATORS = ("icarus", "verilator")
SLOW = (*SIMULATORS, "verilated")


@pytest.mark.parametrize("call", list(CALLS))
def test_closing_ends_a_call_of_another_thread(open_backend: OpenBackend, call: str) -> None:
    """[LIFE-001]: it is woken, raises DeviceClosed, and nothing that it uses goes before."""
    if open_backend.name in SIMULATORS and call not in ("poll", "exchange", "device.wait"):
        pytest.skip(
            "takes seconds to open, and all calls of a simulator's device wait in one place"
        )
    rounds = 1 if open_backend.name in SLOW else CLOSINGS or ROUNDS.get(open_backend.name, 1)
    for turn in range(rounds):
        device = open_backend(memory=1 << 16)
        open_backend.opened.clear()
        close_beside(device, CALLS[call], device_only=bool((turn + len(call)) % 2))


def test_a_cancelled_apoll_is_harmless(open_backend: OpenBackend) -> None:
    """The thread that it left in the device ends when the device is closed."""

    async def cancel() -> None:
        device = open_backend(memory=1 << 16)
        with device, CommandQueue(device, cmd_slots=16) as queue:
            with suppress(TimeoutError):
                await asyncio.wait_for(queue.apoll(timeout_s=PATIENCE_S), 0.02)
            task = asyncio.create_task(queue.apoll(timeout_s=PATIENCE_S))
            await asyncio.sleep(0.01)
            queue.close()
            with pytest.raises(DeviceClosed):
                await task

    for _ in range(1 if open_backend.name in SLOW else CLOSINGS // 10 or 3):
        asyncio.run(cancel())


EXIT = """
import contextlib, threading, time
from descring_host import CommandQueue, DeviceClosed, open_device
from host_support import decode
device = open_device({backend!r}, memory=1 << 16, **{options!r})
queue = CommandQueue(device, cmd_slots=16)
def take():
    # A traceback printed now would make CPython itself abort, over the lock of stderr.
    with contextlib.suppress(DeviceClosed):
        while True:
            queue.{call}
threading.Thread(target=take, daemon=True).start()
time.sleep({rest})
print("end", flush=True)
"""


@pytest.mark.parametrize("call", ["poll(timeout_s=100.0)", "next_completion(100.0)",
                                  "device.wait(100.0)", "exchange(decode(0, 40, 9))"])  # fmt: skip
@pytest.mark.parametrize("backend", ["model", "cpu", "cpu-process", "verilated"])
def test_a_daemon_thread_inside_a_call_does_not_keep_the_process(backend: str, call: str) -> None:
    """[LIFE-001]: nor does it crash it, at the interpreter's end."""
    name, options, _ = BACKENDS[backend]
    for turn in range(CLOSINGS // 50 or 1):
        program = EXIT.format(backend=name, options=options, call=call, rest=0.01 * (turn % 8))
        ended = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", program],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert (ended.returncode, ended.stdout) == (0, "end\n"), ended.stderr
        assert "Fatal" not in ended.stderr, ended.stderr


def _refused_in_a_child(queue: CommandQueue) -> list[str]:
    """The calls that a forked child can make on its parent's queue and device: none."""
    device = queue.device
    calls: dict[str, Callable[[], object]] = {
        "submit": lambda: queue.submit(decode(0, 1, 6)),
        "submit_decode": lambda: queue.submit_decode(**GOOD_DECODE),
        "poll": queue.poll,
        "next_completion": lambda: queue.next_completion(0.01),
        "exchange": lambda: queue.exchange(decode(0, 1)),
        "drain": queue.drain,
        "iterate": lambda: list(queue),
        "in_flight": lambda: queue.in_flight,
        "answered": lambda: queue.answered,
        "halted": lambda: queue.halted,
        "resume": queue.continue_after_stop,
        "another queue": lambda: CommandQueue(device, cmd_slots=4),
        "read32": lambda: device.read32(REG["ID"]),
        "write32": lambda: device.write32(REG["CTRL"], 0),
        "wait": lambda: device.wait(0.01),
    }
    worked = []
    for name, call in calls.items():
        try:
            call()
            worked.append(name)
        except DeviceClosed as error:
            if "forked" not in str(error):
                worked.append(f"{name}: {error}")
    queue.close()
    device.close()
    return worked


def test_a_forked_child_is_told_that_nothing_is_its_own(open_backend: OpenBackend) -> None:
    """[RING-003]: every call reports it, and the parent gets its own completions."""
    device = open_backend(memory=1 << 16)
    with CommandQueue(device, cmd_slots=64, timeout_s=PATIENCE_S) as queue:
        queue.exchange(decode(0, 1, 3))
        queue.submit(decode(0, 7, 2))
        waiting = threading.Thread(target=lambda: device.wait(0.2), daemon=True)
        waiting.start()
        for _ in range(2):
            assert in_a_child(lambda: _refused_in_a_child(queue)) == "[]"
        waiting.join()
        assert len(queue.drain()) == 2
        mine = decode(0, 9, 10)
        mine["user_data"] += 0xAA
        assert (queue.exchange(mine)["user_data"] == mine["user_data"]).all()


@pytest.mark.parametrize("backend", ["cpu", "cpu-process"])
def test_the_memory_of_a_device_is_not_a_forked_childs(backend: str) -> None:
    """[RING-003]: what it would store there, the parent's worker would see; the error says why."""
    name, options, _ = BACKENDS[backend]

    def look(device: Device) -> str:
        try:
            return f"{len(device.memory)} bytes"
        except DeviceClosed as error:
            return str(error)

    with open_device(name, memory=1 << 16, **options) as device:
        assert "this one was forked" in in_a_child(lambda: look(device))
        assert look(device) == "65536 bytes"
    assert look(device) == "65536 bytes", "an array that was asked for outlives the device"


def _child_of_multiprocessing(queue: CommandQueue) -> None:
    if _refused_in_a_child(queue):
        raise SystemExit(1)


@pytest.mark.parametrize("options", [{}, {"process": True}])
def test_the_end_of_forked_children_is_not_the_end_of_the_device(options: dict[str, bool]) -> None:
    """[LIFE-001]: exit handlers and finalizers of a child leave the parent's worker alone."""
    fork = multiprocessing.get_context("fork")
    with (
        open_device("cpu", memory=1 << 16, **options) as device,
        CommandQueue(device, cmd_slots=16) as queue,
    ):
        for _ in range(CLOSINGS // 10 or 3):
            child = fork.Process(target=_child_of_multiprocessing, args=(queue,))
            child.start()
            child.join()
            assert child.exitcode == 0
            assert len(queue.exchange(decode(0, 1, 5))) == 5
