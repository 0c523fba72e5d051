# SPDX-License-Identifier: Apache-2.0
"""Helpers of the host runtime's tests."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from descring_host import CommandQueue, Device
from descring_host.segment import PREFIX, SHM_FOLDER
from descring_model import (
    DESC_DTYPE,
    Lines,
    complete,
    contract,
    first_difference,
    goes_to_reward,
    streams,
)

REG = contract.OFFSET
CTRL = contract.MASK["CTRL"]
STATUS = contract.MASK["STATUS"]
FLAG = contract.FLAG
OPCODE = contract.OPCODE
RUN = f"{os.getpid()}-{uuid.uuid4().hex[:6]}"
PATIENCE_S = float(os.environ.get("DESCRING_PATIENCE_S", "180"))
"""A bound, not an expectation: a busy machine may be slow, but must not hang the suite."""
SHORT_S = 0.05
"""How long a test waits for what must not come."""
GOOD_DECODE: dict[str, Any] = {
    "rollout_id": 7,
    "kv_offset": 1 << 40,
    "delta_offset": 3,
    "prefix_id": 0,
    "seq_len": 5,
    "max_tokens": 6,
}
"""Arguments of ``submit_decode()`` that fit."""


def shm_name(what: str) -> str:
    """A name that no other test and no other run has."""
    return f"test-{RUN}-{what}-{uuid.uuid4().hex[:6]}"


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until ``condition()`` holds; fails, naming ``what``, if it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.001)


class Server:
    """A ``descring serve`` of its own, and what it says."""

    def __init__(self, name: str, *options: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "descring_host.serve", name, "--memory", "1048576", *options],
            stdout=subprocess.PIPE,
            text=True,
        )

    def event(self, kind: str) -> dict[str, object]:
        """The next event of a kind; a server that does not say it is killed."""
        assert self.process.stdout is not None
        late = threading.Timer(PATIENCE_S, self.process.kill)
        late.start()
        try:
            for line in self.process.stdout:
                said: dict[str, object] = json.loads(line)
                if said["event"] == kind:
                    return said
        finally:
            late.cancel()
        raise AssertionError(f"the server ended without saying {kind}")

    def end(self) -> None:
        """Kill it if it lives, and leave nothing of it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        (SHM_FOLDER / f"{PREFIX}{self.name}").unlink(missing_ok=True)


def stop_process(process: int) -> None:
    """SIGSTOP, and wait until each of its threads stands still."""

    def still() -> bool:
        tasks = [task.read_text() for task in Path(f"/proc/{process}/task").glob("*/stat")]
        return all(text.rpartition(")")[2].split()[0] == "T" for text in tasks)

    os.kill(process, signal.SIGSTOP)
    eventually(still, f"process {process} stands still")


def run_stream(queue: CommandQueue, lines: Lines, batch: int) -> tuple[Lines, Lines]:
    """Push a whole stream through a queue, going on behind every STOP: (done, reward) lines."""
    parts: tuple[list[Lines], list[Lines]] = ([], [])
    sent = 0
    queue.when_full = "short"
    deadline, progress = time.monotonic() + PATIENCE_S, (0, 0)
    while sent < len(lines) or queue.in_flight:
        sent += queue.submit(lines[sent : sent + batch])
        got = queue.poll()
        parts[0].append(got)
        if queue.geometry.split:
            parts[1].append(queue.poll(reward=True))
        if not len(got):
            if queue.halted:
                queue.continue_after_stop()
            queue.device.wait(0.01)
        # Patience is with a device that stands still; a long stream on a slow one takes its time.
        if progress != (progress := (sent, queue.in_flight)):
            deadline = time.monotonic() + PATIENCE_S
        assert time.monotonic() < deadline, f"stuck with {queue.in_flight} in flight"
    empty = np.empty(0, dtype=DESC_DTYPE)
    return np.concatenate([empty, *parts[0]]), np.concatenate([empty, *parts[1]])


def assert_same(expected: Lines, actual: Lines) -> None:
    """Byte for byte, and of the same, positive length."""
    assert len(expected) > 0
    difference = first_difference(expected, actual)
    assert difference is None, str(difference)


def split(completions: Lines) -> tuple[Lines, Lines]:
    """What goes to the done ring and what to the reward ring."""
    reward = goes_to_reward(completions)
    return completions[~reward], completions[reward]


def word(device: Device, offset: int) -> int:
    """The u32 at a byte of the memory window."""
    return int(device.memory[offset : offset + 4].view(np.uint32)[0])


def decode(seq_len: int, max_tokens: int, count: int = 1) -> Lines:
    """Unchecked DECODE lines, ``user_data`` counting up from 0."""
    lines = np.zeros(count, dtype=DESC_DTYPE)
    lines["opcode"] = OPCODE["DECODE"]
    lines["seq_len"] = seq_len
    lines["max_tokens"] = max_tokens
    lines["user_data"] = np.arange(count)
    return lines


def stop() -> Lines:
    """One STOP."""
    line = np.zeros(1, dtype=DESC_DTYPE)
    line["opcode"] = OPCODE["STOP"]
    return line


def as_device(device: Any) -> Device:
    """``device`` for a type checker that does not see that it is one."""
    typed: Device = device
    return typed


def assert_counts_all_tokens(device: Any) -> None:
    """Hold CNT_TOKENS against ROLLOUTs of up to 2^32 - 1 tokens each, in batches and alone.

    [DEC-006] [CNT-001] Their sum needs more than 40 bits.
    """
    lines = streams.generate(700, seed=44, profile="rollouts")
    lines["opcode"] = contract.OPCODE["ROLLOUT"]
    lines["seq_len"] = 0
    lines["max_tokens"][:600] = 0xFFFFFFFF
    with CommandQueue(device, cmd_slots=1024) as queue:
        assert_same(complete(lines[:650]), queue.exchange(lines[:650]))
        for at in range(650, 700):
            assert_same(complete(lines[at : at + 1]), queue.exchange(lines[at : at + 1]))
        expected = int(lines["max_tokens"].astype(np.uint64).sum())

        def counted() -> bool:
            low, high = (device.read32(REG[f"CNT_TOKENS_{half}"]) for half in ("LO", "HI"))
            return bool((high << 32 | low) == expected)

        eventually(counted, f"CNT_TOKENS is {expected}")
