# SPDX-License-Identifier: Apache-2.0
"""Closing a queue and its device while another thread is inside a call."""

import gc
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable

from descring_host import CommandQueue, Device, DeviceClosed
from host_support import CTRL, GOOD_DECODE, PATIENCE_S, REG, decode

CLOSE_S = 30.0
"""A close that takes longer has not woken whoever waits."""


def in_a_child(call: Callable[[], object]) -> str:
    """The ``repr`` of what ``call`` returns in a forked child, or the traceback of what it raises.

    Whatever happens, the child ends here: an exception that left this function in the child would
    go on as a second pytest, which reports results of its own and waits for more tests forever.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(PATIENCE_S))
        try:
            text = repr(call())
        except BaseException:
            text = traceback.format_exc()
        finally:
            os.write(write, text.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as report:
        text = report.read()
    _, status = os.waitpid(child, 0)
    return text if status == 0 else f"ended by signal {os.waitstatus_to_exitcode(status)}"


def _submit_and_poll(queue: CommandQueue) -> None:
    queue.submit(decode(0, 1, 8))
    queue.poll()


def _submit_line_by_line(queue: CommandQueue) -> None:
    queue.submit_decode(**GOOD_DECODE)
    queue.next_completion(0.0)


def _enable(queue: CommandQueue) -> None:
    queue.device.write32(REG["CTRL"], CTRL["ENABLE"] | CTRL["SPLIT_REWARD"])


CALLS: dict[str, Callable[[CommandQueue], object]] = {
    "next_completion": lambda queue: queue.next_completion(PATIENCE_S),
    "poll": lambda queue: queue.poll(timeout_s=PATIENCE_S),
    "poll-reward": lambda queue: queue.poll(timeout_s=PATIENCE_S, reward=True),
    "submit": _submit_and_poll,
    "submit_decode": _submit_line_by_line,
    "exchange": lambda queue: queue.exchange(decode(0, 40, 20)),
    "drain": lambda queue: (queue.submit(decode(0, 40, 5)), queue.drain()),
    "device.wait": lambda queue: queue.device.wait(PATIENCE_S),
    "device.read32": lambda queue: queue.device.read32(REG["CMD_HEAD"]),
    "device.write32": _enable,
    "CommandQueue": lambda queue: CommandQueue(queue.device, adopt_running=True).close(),
}


def close_beside(
    device: Device, call: Callable[[CommandQueue], object], *, device_only: bool
) -> None:
    """Close while another thread calls again and again; it must end with DeviceClosed."""
    queue = CommandQueue(device, cmd_slots=16, split_reward=True, timeout_s=PATIENCE_S)
    inside, ended = threading.Event(), list[BaseException]()

    def call_until_closed(queue: CommandQueue) -> None:
        try:
            while True:
                inside.set()
                call(queue)
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=call_until_closed, args=(queue,), daemon=True)
    thread.start()
    assert inside.wait(PATIENCE_S)
    time.sleep(0.0002 * (id(queue) // 64 % 16))
    start = time.monotonic()
    if not device_only:
        queue.close()
    device.close()
    assert time.monotonic() - start < CLOSE_S
    del queue, device
    gc.collect()
    # Whatever was given back is somebody else's now.
    for size in (48, 64, 128, 256, 512, 4096):
        bytearray(b"\x41" * size)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert [type(error) for error in ended] == [DeviceClosed], ended
