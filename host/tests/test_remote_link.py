# SPDX-License-Identifier: Apache-2.0
"""The host's half of the link, with a worker that only does what a test tells it to."""

import errno
import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from descring_host import CommandQueue, DeviceError
from descring_host.native import lib, nanoseconds
from descring_model import complete, streams
from host_support import CTRL, PATIENCE_S, REG, SHORT_S, STATUS
from linked_worker import (
    BEAT,
    CONFIG,
    ENDED,
    LINE_CHUNKS,
    NEWEST,
    REPLY,
    REPORT,
    STOP,
    LinkedDevice,
    ScriptedWorker,
)

WORDS_NS, ROOM_NS = 100_000, 1_000_000
CMD_RING, DONE_RING, REWARD_RING = 0x1000, 0x3000, 0x5000
COMPLETION, HALTED = 1, 2
FIRST = 0xFFFFFFF9
NEWEST_IS_TOLD = 10
WHOLE = bool(re.search(r"^flags\b.* avx ", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
whole = pytest.mark.skipif(not WHOLE, reason="this CPU does not store 16 bytes whole")


@pytest.fixture
def worker() -> ScriptedWorker:
    """The worker of ``device``."""
    return ScriptedWorker()


@pytest.fixture
def device(worker: ScriptedWorker) -> Iterator[LinkedDevice]:
    """A device behind which nothing happens of itself."""
    with LinkedDevice(worker, 1 << 16) as opened:
        yield opened


def enable(device: LinkedDevice, modes: int) -> None:
    """Rings of 16 lines in memory."""
    device.write32(REG["RING_LOG2"], 0x040404)
    device.write32(REG["CMD_BASE_LO"], CMD_RING)
    device.write32(REG["DONE_BASE_LO"], DONE_RING)
    device.write32(REG["CTRL"], CTRL["ENABLE"] | modes)


def set_head_word(device: LinkedDevice, value: int) -> None:
    """The command ring's head in memory, 128 bytes before slot 0 [RING-004]."""
    device.memory[CMD_RING - 128 : CMD_RING - 124].view(np.uint32)[0] = value


def time_of_event(device: LinkedDevice, worker: ScriptedWorker, lines: int) -> int:
    """Nanoseconds that reading and clearing COMPLETION takes behind a report of ``lines`` lines."""
    worker.report(lines)
    start = time.perf_counter_ns()
    events = device.read32(REG["IRQ_STATUS"])
    took = time.perf_counter_ns() - start
    assert events & COMPLETION
    device.write32(REG["IRQ_STATUS"], COMPLETION)
    return took


def time_of_room(queue: CommandQueue, expected: int) -> int:
    """Nanoseconds that asking for the room takes, which is ``expected`` lines."""
    start = time.perf_counter_ns()
    room = lib.hq_room(queue.native_queue())
    took = time.perf_counter_ns() - start
    assert room == expected
    return took


def test_an_event_waits_for_the_words_that_are_promised_before_it(
    device: LinkedDevice, worker: ScriptedWorker
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
    device: LinkedDevice, worker: ScriptedWorker
) -> None:
    """No completion was promised."""
    enable(device, 0)
    assert min(time_of_event(device, worker, n) for n in range(1, 21)) < WORDS_NS


@whole
def test_the_newest_line_is_told_whole_with_its_index(
    device: LinkedDevice, worker: ScriptedWorker
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


@whole
def test_a_reply_is_taken_once_it_is_whole(device: LinkedDevice, worker: ScriptedWorker) -> None:
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


@whole
def test_the_room_behind_an_ended_worker_waits_for_its_last_report(
    device: LinkedDevice, worker: ScriptedWorker
) -> None:
    """[RING-009] The report of a reply that was taken is waited for, for 1 ms."""
    with CommandQueue(device, cmd_slots=16) as queue:
        queue.submit(streams.generate(1, seed=19, profile="decode"))
        worker.words(REPLY)[3 : 4 * LINE_CHUNKS : 4] = [0] * LINE_CHUNKS
        assert len(queue.poll(1)) == 1
        worker.words(ENDED)[0] = 1
        assert [time_of_room(queue, 15) >= ROOM_NS for _ in range(3)] == [True] * 3
        worker.report(1)
        assert min(time_of_room(queue, 16) for _ in range(20)) < ROOM_NS


def test_whoever_else_opens_the_segment_reads_the_report_and_leaves_the_worker_alone(
    device: LinkedDevice, worker: ScriptedWorker
) -> None:
    """[CNT-001] [LIFE-001] The worker ends with the handle that it was started from."""
    worker.report(3)
    other = device.open_again()
    for name in ("CMD_HEAD", "DONE_TAIL", "CNT_DESCRIPTORS"):
        assert lib.hd_read32(other, REG[name]) == 3
    lib.hd_close(other)
    assert worker.control(STOP) == 0
    worker.report(4)
    assert device.read32(REG["CMD_HEAD"]) == 4
    assert worker.running()


def test_the_newest_line_is_told_where_the_cpu_stores_chunks_whole() -> None:
    """Where it does not, or the worker does not want it, the worker fetches lines from the ring."""
    for wanted in (True, False):
        worker = ScriptedWorker()
        worker.newest = wanted
        with LinkedDevice(worker, 1 << 16):
            assert worker.link[NEWEST_IS_TOLD] == (wanted and WHOLE)


def test_the_configuration_reaches_the_worker(device: LinkedDevice, worker: ScriptedWorker) -> None:
    """[LIFE-006] Each register in its word, once the gate opens; what is enabled is said last."""
    names = [f"{ring}_BASE_{half}" for ring in ("CMD", "DONE", "REWARD") for half in ("LO", "HI")]
    for number, name in enumerate(["RING_LOG2", *names]):
        device.write32(REG[name], 0x40 + 0x1000 * number)
    device.write32(REG["CTRL"], CTRL["SPLIT_REWARD"])
    bases = [0x40 + 0x1000 * number for number in range(1, 7)]
    assert worker.words(CONFIG)[:10] == [0, CTRL["SPLIT_REWARD"], 0x40, 0, *bases]
    device.write32(REG["CTRL"], CTRL["PUBLISH_TAILS"])
    assert worker.words(CONFIG)[:4] == [0, CTRL["PUBLISH_TAILS"], 0x40, 1]
    for half in ("CMD_BASE_HI", "DONE_BASE_HI"):
        device.write32(REG[half], 0)
    enable(device, 0)
    assert worker.words(CONFIG)[:7] == [1, 0, 0x040404, 0, CMD_RING, 0, DONE_RING]
    CommandQueue(device, cmd_slots=16)
    assert worker.words(CONFIG)[3] == 1  # a native queue polls the words in memory


def test_the_address_of_a_trace_reaches_the_worker_whole(
    device: LinkedDevice, worker: ScriptedWorker
) -> None:
    """[TRC-003] Both halves of it, and 0 where the trace ends."""
    for address in (0x0123_4567_89AB_CDEF, 0x8000_0001_0000_0000, 0):
        assert lib.hd_trace_remote(device.handle, address, nanoseconds(PATIENCE_S)) == 0
        low, high = worker.words(CONFIG)[10:12]
        assert high << 32 | low == address


def test_a_report_is_what_the_registers_say() -> None:
    """[CNT-001] [REG-054] [REG-058] Each word of it in its register, near the indices' wrap."""
    worker = ScriptedWorker()
    with LinkedDevice(worker, 1 << 16, FIRST) as device:
        head, done, reward = FIRST + 4, FIRST + 1, FIRST + 3
        worker.store_report([head, done, reward, 11, 12, 1, 0x89ABCDEF, 0x01234567, 13, 14, 0, 0])
        expected = {
            **{"CMD_HEAD": head, "DONE_TAIL": done, "REWARD_TAIL": reward},
            **{"CNT_DESCRIPTORS": 11, "CNT_ERRORS": 12, "CNT_STALL_CYCLES": 13},
            **{"CNT_TOKENS_LO": 0x89ABCDEF, "CNT_TOKENS_HI": 0x01234567},
        }
        assert {name: device.read32(REG[name]) for name in expected} == expected
        assert device.read32(REG["STATUS"]) & STATUS["HALTED"]
        assert device.read32(REG["IRQ_STATUS"]) == COMPLETION | HALTED
        device.write32(REG["IRQ_STATUS"], COMPLETION | HALTED)
        assert device.read32(REG["IRQ_STATUS"]) == 0
        # Resumed: only that it has halted is taken out of the report.
        before = list(worker.words(REPORT)[:16])
        device.write32(REG["CTRL"], CTRL["RESUME"])
        after = list(worker.words(REPORT)[:16])
        assert set(after[3::4]) == {before[3] + 1}
        before[6] = 0
        before[3::4] = after[3::4]
        assert after == before
        assert not device.read32(REG["STATUS"]) & STATUS["HALTED"]
        assert device.read32(REG["IRQ_STATUS"]) == 0


def test_a_reset_replaces_report_newest_line_and_reply() -> None:
    """[LIFE-004] [RING-012] None of them has an index that this life will use."""
    worker = ScriptedWorker()
    with LinkedDevice(worker, 1 << 16, FIRST) as device:
        worker.store_report([FIRST + 2, FIRST + 2, FIRST, *range(21, 28), 0, 0])
        number = worker.words(REPORT)[3]
        for place in (NEWEST, REPLY):
            worker.words(place)[3 : 4 * LINE_CHUNKS : 4] = [7] * LINE_CHUNKS
        device.write32(REG["CTRL"], CTRL["RESET"])
        report = list(worker.words(REPORT)[:16])
        # Two reports: one without the stalls and halts, then one without the rest.
        assert report[3::4] == [number + 2] * 4
        del report[3::4]
        assert report == [FIRST] * 3 + [0] * 9
        assert worker.words(ENDED)[:4] == [0] * 4  # right behind the report
        for place in (NEWEST, REPLY):
            indices = worker.words(place)[3 : 4 * LINE_CHUNKS : 4]
            assert indices == [FIRST - 1] * LINE_CHUNKS
        assert device.read32(REG["IRQ_STATUS"]) == 0


@pytest.mark.parametrize("chunk", [0, 3])
def test_a_report_that_stays_torn_is_an_error(
    device: LinkedDevice, worker: ScriptedWorker, chunk: int
) -> None:
    """[CNT-001] A chunk of another report is waited for, for 0.2 s; a reset makes it whole."""
    worker.report(0)
    worker.words(REPORT)[4 * chunk + 3] += 1
    start = time.monotonic()
    with pytest.raises(DeviceError, match="the report of the remote worker: expected"):
        device.read32(REG["CMD_HEAD"])
    assert time.monotonic() - start >= 0.2
    device.write32(REG["CTRL"], CTRL["RESET"])
    assert device.read32(REG["CMD_HEAD"]) == 0


def test_the_workers_clock_is_read_between_two_of_the_host(
    device: LinkedDevice, worker: ScriptedWorker
) -> None:
    """[TRC-005] In 64 bits; a worker that does not reply is given up after the patience."""
    start = time.monotonic()
    assert device.read_clock(SHORT_S)[0] == lib.HD_BUSY
    assert time.monotonic() - start >= SHORT_S
    for worker.clock in (0x0123_4567_89AB_CDEF, 5):
        failed, before, clock, after = device.read_clock(PATIENCE_S)
        assert failed == 0
        assert clock == worker.clock
        assert before < after


def test_a_host_beats_until_it_closes_and_then_tells_the_worker_to_stop() -> None:
    """[LIFE-001] A second worker is refused meanwhile; why one has ended is what it said."""
    worker = ScriptedWorker()
    with LinkedDevice(worker, 1 << 16) as device:
        first = worker.control(BEAT)
        deadline = time.monotonic() + PATIENCE_S
        while worker.control(BEAT) == first and time.monotonic() < deadline:
            time.sleep(0.001)
        assert worker.control(BEAT) != first
        assert lib.hd_serve_remote(device.handle, 1, 1, 0) == errno.EBUSY
        assert lib.hd_remote_ended(device.handle) == 0
        worker.words(ENDED)[0] = 3
        assert lib.hd_remote_ended(device.handle) == 3
        lib.hd_lose_remote(device.handle)
        assert lib.hd_remote_ended(device.handle) == 4
    assert not worker.running()
