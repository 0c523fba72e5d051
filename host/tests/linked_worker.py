# SPDX-License-Identifier: Apache-2.0
"""A worker behind a bus that only does what a test tells it to, and the device that it serves."""

import ctypes
import threading
import time
from typing import Any

from descring_host.native import ffi, lib, nanoseconds
from descring_host.native_device import NativeDevice, open_native
from descring_host.segment import Segment
from host_support import PATIENCE_S

CONFIG, NEWEST, REPLY, REPORT, ACK, ENDED, CLOCK = range(3, 10)
"""Places of addresses in the link (hw_link.h)."""
LINK_WORDS = 13
LINE_CHUNKS, REPORT_CHUNKS = 6, 4
GATE, STOP, BEAT, ASK_CLOCK = range(4)
"""Words of the chunk ``control``."""


class ScriptedWorker:
    """Acknowledges gates and ends when told to; everything else is the test's."""

    newest = True
    posting = 1

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.link: ctypes.Array[ctypes.c_uint64]
        self.clock = 0

    def words(self, place: int) -> ctypes.Array[ctypes.c_uint32]:
        """32 words of the memory that this address of the link points to."""
        return (ctypes.c_uint32 * 32).from_address(self.link[place])

    def control(self, word: int) -> int:
        """A word of the chunk ``control``."""
        return int(self.words(NEWEST)[4 * LINE_CHUNKS + word])

    def allocate(self, size: int) -> ctypes.Array[ctypes.c_uint8]:
        """See :class:`descring_cuda.Launcher`."""
        raw = (ctypes.c_uint8 * (size + 4096))()
        return (ctypes.c_uint8 * size).from_buffer(raw, -ctypes.addressof(raw) % 4096)

    def launch(self, link: int) -> None:
        """See :class:`descring_cuda.Launcher`."""
        self.link = (ctypes.c_uint64 * LINK_WORDS).from_address(link)
        self._thread.start()

    def _run(self) -> None:
        ack, clock = self.words(ACK), self.words(CLOCK)
        while not self.control(STOP):
            gate = self.control(GATE)
            if gate & 1:
                ack[0] = gate
            asked = self.control(ASK_CLOCK)
            if self.clock and clock[3] != asked:
                clock[0], clock[1], clock[3] = self.clock & 0xFFFFFFFF, self.clock >> 32, asked
            time.sleep(0.0005)

    def running(self) -> bool:
        """See :class:`descring_cuda.Launcher`."""
        return self._thread.is_alive()

    def error(self) -> str:
        """See :class:`descring_cuda.Launcher`."""
        return "it was told nothing else"

    def close(self) -> None:
        """See :class:`descring_cuda.Launcher`."""
        self._thread.join()

    def store_report(self, words: list[int]) -> None:
        """Store a report of these 12 words, three a chunk."""
        report = self.words(REPORT)
        sequence = report[3] + 1
        for at in range(REPORT_CHUNKS):
            report[4 * at : 4 * at + 4] = [*words[3 * at : 3 * at + 3], sequence]

    def report(self, lines: int) -> None:
        """Report that so many lines are completed, without storing any word into the rings."""
        self.store_report([lines, lines, 0, lines, 0, 0, *[0] * 6])


class LinkedDevice(NativeDevice):
    """The native core's side of a link, with nothing on top."""

    def __init__(self, worker: ScriptedWorker, memory: int, first_index: int = 0) -> None:
        super().__init__()
        self._worker = worker
        self._segment = Segment.within(worker.allocate, memory, first_index)
        self._device = open_native(self._segment)
        patience_ns = nanoseconds(PATIENCE_S)
        assert lib.hd_serve_remote(self._device, worker.newest, patience_ns, 0) == 0
        worker.launch(int(lib.hd_link(self._device)))
        self._window = self._segment.window

    @property
    def handle(self) -> object:
        """The native device."""
        return self._handle()

    def open_again(self) -> Any:
        """Another native device on the same segment."""
        return open_native(self._segment)

    def check_peer(self) -> None:
        """The worker ends when the test does."""

    def _end(self) -> None:
        lib.hd_close(self._device)
        self._worker.close()
        self._segment.close()

    def read_clock(self, patience_s: float) -> tuple[int, int, int, int]:
        """What the call returns; the host's stamp before, the worker's clock, the host's behind."""
        found = ffi.new("hd_clock_reading_t *")
        failed = lib.hd_read_clock(self._handle(), nanoseconds(patience_s), found)
        return int(failed), int(found.before), int(found.device), int(found.after)
