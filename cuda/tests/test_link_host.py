# SPDX-License-Identifier: Apache-2.0
"""The host's half of the link, with a worker that only does what a test tells it to."""

import ctypes
import struct
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from descring_cuda import RemoteDevice
from descring_host import CommandQueue
from descring_model import complete, streams
from host_support import CTRL, REG

NEWEST, REPLY, REPORT, ACK = range(4, 8)
LINK_WORDS = 13
LINE_CHUNKS = 6
GATE, STOP = 0, 1
WORDS_NS = 100_000
CMD_RING, DONE_RING = 0x1000, 0x3000
COMPLETION = 1


class ScriptedWorker:
    """Acknowledges gates and ends when told to; everything else is the test's."""

    newest = True
    posting = 1

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.link: ctypes.Array[ctypes.c_uint64]

    def words(self, place: int) -> ctypes.Array[ctypes.c_uint32]:
        """32 words of the memory that this address of the link points to."""
        return (ctypes.c_uint32 * 32).from_address(self.link[place])

    def allocate(self, size: int) -> ctypes.Array[ctypes.c_uint8]:
        """See :class:`descring_cuda.Launcher`."""
        raw = (ctypes.c_uint8 * (size + 4096))()
        return (ctypes.c_uint8 * size).from_buffer(raw, -ctypes.addressof(raw) % 4096)

    def launch(self, link: int) -> None:
        """See :class:`descring_cuda.Launcher`."""
        self.link = (ctypes.c_uint64 * LINK_WORDS).from_address(link)
        self._thread.start()

    def _run(self) -> None:
        control, ack = self.words(NEWEST), self.words(ACK)
        while not control[4 * LINE_CHUNKS + STOP]:
            gate = control[4 * LINE_CHUNKS + GATE]
            if gate & 1:
                ack[0] = gate
            time.sleep(0.0005)

    def running(self) -> bool:
        """See :class:`descring_cuda.Launcher`."""
        return self._thread.is_alive()

    def error(self) -> str:
        """See :class:`descring_cuda.Launcher`."""
        return "it was told nothing else"

    def close(self) -> None:
        """See :class:`descring_cuda.Launcher`."""

    def report(self, lines: int) -> None:
        """Report that so many lines are completed, without storing any word into the rings."""
        report = self.words(REPORT)
        sequence = report[3] + 1
        chunks = [(lines, lines, 0), (lines, 0, 0), (0, 0, 0), (0, 0, 0)]
        for at, chunk in enumerate(chunks):
            report[4 * at : 4 * at + 4] = [*chunk, sequence]


@pytest.fixture
def worker() -> ScriptedWorker:
    """The worker of ``device``."""
    return ScriptedWorker()


@pytest.fixture
def device(worker: ScriptedWorker) -> Iterator[RemoteDevice]:
    """A device behind which nothing happens of itself."""
    with RemoteDevice(worker, 1 << 16) as opened:
        yield opened


def enable(device: RemoteDevice, modes: int) -> None:
    """Rings of 16 lines in memory."""
    device.write32(REG["RING_LOG2"], 0x040404)
    device.write32(REG["CMD_BASE_LO"], CMD_RING)
    device.write32(REG["DONE_BASE_LO"], DONE_RING)
    device.write32(REG["CTRL"], CTRL["ENABLE"] | modes)


def set_head_word(device: RemoteDevice, value: int) -> None:
    """The command ring's head in memory, 128 bytes before slot 0 [RING-004]."""
    device.memory[CMD_RING - 128 : CMD_RING - 124].view(np.uint32)[0] = value


def time_of_event(device: RemoteDevice, worker: ScriptedWorker, lines: int) -> int:
    """Nanoseconds that reading and clearing COMPLETION takes behind a report of ``lines`` lines."""
    worker.report(lines)
    start = time.perf_counter_ns()
    events = device.read32(REG["IRQ_STATUS"])
    took = time.perf_counter_ns() - start
    assert events & COMPLETION
    device.write32(REG["IRQ_STATUS"], COMPLETION)
    return took


def test_an_event_waits_for_the_words_that_are_promised_before_it(
    device: RemoteDevice, worker: ScriptedWorker
) -> None:
    """[RING-013]: a report whose words are not in memory yet holds the event back, for 100 us."""
    enable(device, CTRL["PUBLISH_TAILS"])
    assert [time_of_event(device, worker, n) >= WORDS_NS for n in range(1, 6)] == [True] * 5
    prompt = []
    for lines in range(6, 26):
        set_head_word(device, lines)
        prompt.append(time_of_event(device, worker, lines))
    assert min(prompt) < WORDS_NS


def test_an_event_without_published_words_does_not_wait(
    device: RemoteDevice, worker: ScriptedWorker
) -> None:
    """No completion was promised."""
    enable(device, 0)
    assert min(time_of_event(device, worker, n) for n in range(1, 21)) < WORDS_NS


def test_the_newest_line_is_told_whole_with_its_index(
    device: RemoteDevice, worker: ScriptedWorker
) -> None:
    """Six chunks: 12 bytes of the line in order, then its index; of a batch the last line."""
    lines = streams.generate(40, seed=17, profile="mixed")
    with CommandQueue(device, cmd_slots=64) as queue:
        sent = 0
        for count in (1, 1, 5, 33):
            assert queue.submit(lines[sent : sent + count]) == count
            sent += count
            mail = bytes(worker.words(NEWEST))[: 16 * LINE_CHUNKS]
            chunks = [mail[16 * at : 16 * at + 16] for at in range(LINE_CHUNKS)]
            assert [chunk[12:] for chunk in chunks] == [struct.pack("<I", sent - 1)] * LINE_CHUNKS
            told = b"".join(chunk[:12] for chunk in chunks)
            assert told == lines[sent - 1 : sent].tobytes() + bytes(8)


def test_a_reply_is_taken_once_it_is_whole(device: RemoteDevice, worker: ScriptedWorker) -> None:
    """A completion sent ahead of the ring: not before its last chunk, and only under its index."""
    line = streams.generate(1, seed=18, profile="decode")
    back = complete(line)
    with CommandQueue(device, cmd_slots=16) as queue:
        queue.submit(line)
        reply = worker.words(REPLY)
        payload = struct.unpack("<18I", back.tobytes() + bytes(8))
        for chunk in reversed(range(LINE_CHUNKS)):
            assert len(queue.poll(1)) == 0
            reply[4 * chunk : 4 * chunk + 4] = [*payload[3 * chunk : 3 * chunk + 3], 0]
        assert queue.poll(1).tobytes() == back.tobytes()
        worker.report(1)
