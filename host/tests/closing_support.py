# SPDX-License-Identifier: Apache-2.0
"""Closing a queue and its device while another thread is inside a call."""

import gc
import threading
import time
from collections.abc import Callable

from descring_host import CommandQueue, Device, DeviceClosed
from host_support import CTRL, GOOD_DECODE, PATIENCE_S, REG, decode

CLOSE_S = 30.0
"""A close that takes longer has not woken whoever waits."""


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

    thread = threading.Thread(target=call_until_closed, args=(queue,))
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
