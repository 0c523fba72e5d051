# SPDX-License-Identifier: Apache-2.0
"""Device tests of section 6: STOP and RESUME, pause, reset under load, bus errors."""

from __future__ import annotations

import time
from typing import cast

import numpy as np
import numpy.typing as npt

from descring_sim.conform.dut import FailingDevice
from descring_sim.conform.lockstep import CTRL, REG, STATUS
from descring_sim.conform.suite.bench import Bench, CheckFailed
from descring_sim.conform.suite.declare import MODES, device_test
from descring_sim.conform.suite.kinds import BAD_CHECKSUM, BAD_TAG, UNCHECKED, Kind, lines_of
from descring_sim.conform.suite.vector import OPCODE, U32

_RESUME = CTRL["ENABLE"] | CTRL["RESUME"]
_DRAIN_S = 10.0


@device_test("LIFE-003", "opcode:STOP", smoke=True)
def lines_behind_a_stop_wait(bench: Bench) -> None:
    """STOP completes last, HALTED follows, what is behind waits untouched, and RESUME continues."""
    bench.start(4, 4, 4)
    lines = bench.draw.lines(12)
    lines["opcode"][[3, 4, 9]] = OPCODE["STOP"]
    bench.submit(lines)
    for _ in range(4):
        bench.rest()
        bench.quiet()
        bench.write("CTRL", _RESUME)
    bench.rest()


@device_test("LIFE-003", "opcode:STOP")
def resume_without_a_halt(bench: Bench) -> None:
    """RESUME without HALTED has no effect, and is not kept for the next halt."""
    bench.start()
    bench.write("CTRL", _RESUME)
    lines = bench.draw.lines(4)
    lines["opcode"][1] = OPCODE["STOP"]
    bench.submit(lines)
    bench.rest()
    bench.quiet()
    bench.write("CTRL", CTRL["ENABLE"])
    bench.quiet()
    bench.write("CTRL", _RESUME)
    bench.rest()


@device_test("LIFE-003", "opcode:STOP", smoke=True)
def resume_while_paused(bench: Bench) -> None:
    """RESUME ends a halt whether or not ENABLE is set; lines behind it wait for ENABLE."""
    bench.start()
    for _ in range(3):
        lines = bench.draw.lines(4)
        lines["opcode"][1] = OPCODE["STOP"]
        bench.submit(lines)
        bench.rest()
        bench.write("CTRL", 0)
        bench.quiet()
        bench.write("CTRL", CTRL["RESUME"])
        bench.same("STATUS")
        bench.quiet()
        bench.write("CTRL", CTRL["ENABLE"])
        bench.rest()
        bench.take()


@device_test("OP-255", "opcode:STOP", smoke=True)
def stop_halts(bench: Bench) -> None:
    """STOP completes as STOPPED and sets STATUS.HALTED."""
    bench.start()
    bench.submit(bench.lines(1, ["STOP"]))
    bench.rest("OP-255", "LIFE-003")


@device_test("ERR-011", "opcode:STOP", "checked", smoke=True)
def refused_stop(bench: Bench) -> None:
    """A STOP with a bad checksum or tag does not halt, nor one without CHECKED where required."""
    granted = bench.capabilities.tokens()
    bench.start()
    for check in (BAD_CHECKSUM, BAD_TAG):
        stops = [Kind("STOP", "done", check)] * 2
        bench.submit(lines_of(bench.draw, stops, first_index=bench.tail))
        bench.rest("ERR-011")
        bench.take()
    bench.reset()
    if "require_checked" in granted:
        bench.start(3, 3, 3, "REQUIRE_CHECKED")
        stops = [Kind("STOP", "done", UNCHECKED)] * 2
        bench.submit(lines_of(bench.draw, stops, first_index=bench.tail))
        bench.rest("ERR-011", "DESC-025")


@device_test("LIFE-007", smoke=True)
def pause_and_go_on(bench: Bench) -> None:
    """Clearing ENABLE drains and keeps everything; setting it again continues, nothing lost."""
    bench.start(4, 2, 2)
    bench.submit(bench.lines(14, [bench.draw.echo_opcode()]))
    bench.rest()
    bench.write("CTRL", 0)
    bench.check("CTRL.ENABLE while paused", 0, bench.read("CTRL") & CTRL["ENABLE"])
    # How many lines a device had accepted is its own business: it drains them as there is room.
    before = bench.read("CMD_HEAD")
    deadline = time.monotonic() + _DRAIN_S
    while bench.read("STATUS") & STATUS["RUNNING"]:
        if time.monotonic() > deadline:
            text = f"STATUS.RUNNING did not clear in {_DRAIN_S:g} s, with room in the ring"
            raise CheckFailed(text, ("LIFE-007",))
        _take_own(bench)
        bench.device.wait(0.002)
    _take_own(bench)
    paused = bench.read("CMD_HEAD")
    time.sleep(0.01)
    bench.device.wait(0.01)
    bench.check("CMD_HEAD does not move while paused", paused, bench.read("CMD_HEAD"))
    bench.check("CMD_HEAD is kept", 1, int((paused - before & U32) <= 14))
    bench.write("CTRL", CTRL["ENABLE"])
    # Each at its own pace, until both have completed everything.
    deadline = time.monotonic() + _DRAIN_S
    while any(side.read32(REG["CMD_HEAD"]) != bench.tail for side in (bench.golden, bench.device)):
        if time.monotonic() > deadline:
            raise CheckFailed(f"not drained {_DRAIN_S:g} s after the pause", ("LIFE-007",))
        _take_own(bench)
        bench.device.wait(0.002)
    _take_own(bench)
    bench.heads["DONE"] = bench.tail
    bench.rest()


def _take_own(bench: Bench) -> None:
    """Take from either device what it has posted, however far the other is."""
    for side in (bench.golden, bench.device):
        side.write32(REG["DONE_HEAD"], side.read32(REG["DONE_TAIL"]))


@device_test("LIFE-007")
def pause_at_rest(bench: Bench) -> None:
    """A pause of an idle device keeps indices, configuration and counters; RUNNING is clear."""
    bench.start(3, 4, 3)
    for _ in range(3):
        bench.submit(bench.lines(4))
        bench.rest()
        bench.write("CTRL", 0)
        bench.quiet()
        bench.write("CTRL", CTRL["ENABLE"])
        bench.take()
        bench.rest()


@device_test("LIFE-007", "opcode:STOP")
def pause_keeps_halted(bench: Bench) -> None:
    """A pause while HALTED keeps HALTED and the lines behind it."""
    bench.start()
    lines = bench.draw.lines(4)
    lines["opcode"][0] = OPCODE["STOP"]
    bench.submit(lines)
    bench.rest()
    bench.write("CTRL", 0)
    bench.quiet()
    bench.write("CTRL", CTRL["ENABLE"])
    bench.quiet()
    bench.write("CTRL", _RESUME)
    bench.rest()


@device_test("LIFE-004", smoke=True)
def reset_under_load(bench: Bench) -> None:
    """RESET at random moments of a burst: READY, nothing written after it, no half completion.

    Each burst is carried out whole before: a line that is wrong anyway breaks a rule of its own.
    """
    for _ in range(12):
        lines = bench.lines(32)
        bench.start(5, 5, 5)
        bench.submit(lines)
        bench.rest()
        bench.reset()
        bench.start(5, 5, 5)
        bench.submit(lines)
        whole = bench.golden.memory.copy()  # with every completion posted
        if bench.rng.random() < 0.5:
            bench.device.wait(float(bench.rng.random()) * 0.001)
        posted = bench.read("DONE_TAIL") - bench.first_index & U32
        bench.reset()
        after = bench.device.memory.copy()
        _posted_lines_are_whole(bench, after, whole, posted)
        bench.device.wait(0.002)
        written = int(np.count_nonzero(after != bench.device.memory))
        bench.check("bytes written after RESET", 0, written)
        bench.golden.memory[:] = bench.device.memory
        bench.rest("LIFE-004", "LIFE-001")
    bench.start()
    bench.submit(bench.lines(8))
    bench.rest()


_Memory = npt.NDArray[np.uint8]


def _posted_lines_are_whole(bench: Bench, after: _Memory, whole: _Memory, posted: int) -> None:
    """What the tail had covered before the reset is there, byte for byte."""
    for slot in range(posted):
        at = bench.layout.slot("DONE", bench.first_index + slot)
        same = np.array_equal(after[at], whole[at])
        bench.check(f"completion {slot} is whole", 1, int(same))


@device_test("LIFE-005", "bus_errors", smoke=True)
def unreadable_line(bench: Bench) -> None:
    """A line that cannot be read halts with BUS_ERROR at its index; RESUME tries it again."""
    _bus_error(bench, "CMD")


@device_test("LIFE-005", "bus_errors", smoke=True)
def unwritable_slot(bench: Bench) -> None:
    """A completion that cannot be written halts with BUS_ERROR; nothing is skipped."""
    _bus_error(bench, "DONE")


def _bus_error(bench: Bench, ring: str) -> None:
    device = cast(FailingDevice, bench.device)
    bench.start(4, 4, 4)
    at = bench.layout.slot(ring, bench.first_index + 3)
    for side in (bench.golden, device):
        side.inject_bus_error(at.start, at.stop)
    bench.submit(bench.lines(8))
    bench.rest()
    bench.write("CTRL", _RESUME)
    bench.rest()
    for side in (bench.golden, device):
        side.clear_bus_errors()
    bench.write("STATUS", STATUS["BUS_ERROR"])
    bench.write("CTRL", _RESUME)
    bench.rest()


@device_test("RING-006")
def random_session(bench: Bench) -> None:
    """A long random session: batches, doorbells, heads, halts, pauses, faults and resets."""
    cmd, done, reward = (int(size) for size in bench.rng.integers(1, 6, 3))
    granted = bench.capabilities.tokens()
    modes = [mode for mode, token in MODES.items() if token in granted and bench.rng.random() < 0.5]
    bench.start(cmd, done, reward, *modes)
    for _ in range(60):
        free = (1 << cmd) - (bench.tail - bench.golden.read32(REG["CMD_HEAD"]) & U32)
        lines = bench.lines(int(bench.rng.integers(0, free + 1)))
        wrong = bench.rng.random(len(lines)) < 0.1
        lines["opcode"][wrong] ^= np.uint16(0x4000)
        if "STOP" in bench.capabilities.opcodes:
            stops = bench.rng.random(len(lines)) < 0.03
            lines["opcode"][stops] = OPCODE["STOP"]
        bench.submit(lines)
        bench.rest()
        for ring in ("DONE", "REWARD"):
            if bench.rng.random() < 0.7:
                bench.take(int(bench.rng.integers(0, 20)), ring)
        draw = bench.rng.random()
        if draw < 0.1:
            bench.ring(bench.tail - 3)
        elif draw < 0.15:
            # The event of the last posting may follow what is compared, once memory responds.
            bench.quiet()
            bench.write("IRQ_STATUS", U32)
        elif draw < 0.18:
            bench.rest()
            bench.reset()
            bench.start(cmd, done, reward, *modes)
        # A ring that was just drained may let a STOP through; before that, RESUME has no effect.
        bench.settle()
        bench.write("CTRL", _RESUME)
        bench.rest()
