# SPDX-License-Identifier: Apache-2.0
"""Device tests of the bus: error responses, the order of stores, strobes, and what is not read."""

from __future__ import annotations

from typing import cast

from descring_model import contract

from descring_sim.conform.dut import ByteDevice, FailingDevice
from descring_sim.conform.lockstep import CTRL, IRQ, REG, RINGS, STATUS
from descring_sim.conform.suite.bench import RULE_OF, Bench
from descring_sim.conform.suite.declare import device_test
from descring_sim.conform.suite.kinds import UNCHECKED, Kind, lines_of
from descring_sim.conform.suite.vector import U32

_RESUME = CTRL["ENABLE"] | CTRL["RESUME"]
_LOOK_S = 10.0
_STATE = ("STATUS", "IRQ_STATUS", "CMD_HEAD", "DONE_TAIL", "REWARD_TAIL", "CNT_DESCRIPTORS")


def _fail(bench: Bench, at: slice) -> None:
    for side in (bench.golden, cast(FailingDevice, bench.device)):
        side.inject_bus_error(at.start, at.stop)


def _repair(bench: Bench) -> None:
    for side in (bench.golden, cast(FailingDevice, bench.device)):
        side.clear_bus_errors()


def _errors_in(bench: Bench, ring: str, kind: Kind) -> None:
    """Let slots 0, 1, 3 and 6 of a ring fail in turn, each until it is repaired."""
    submitted = 0
    for place in (0, 1, 3, 6):
        _fail(bench, bench.layout.slot(ring, bench.first_index + place))
        count = place + 2 - submitted
        bench.submit(lines_of(bench.draw, [kind] * count, first_index=bench.tail))
        submitted += count
        bench.rest("LIFE-005")
        bench.write("IRQ_STATUS", U32)
        bench.write("CTRL", _RESUME)
        bench.rest("LIFE-005")
        _repair(bench)
        bench.write("STATUS", STATUS["BUS_ERROR"])
        bench.write("CTRL", _RESUME)
        bench.rest("LIFE-005")


@device_test("LIFE-005", "bus_errors", smoke=True)
def errors_of_lines(bench: Bench) -> None:
    """Error responses of either sort, to reads of lines and to writes of completions."""
    plain = Kind(bench.draw.echo_opcode(), "done", UNCHECKED)
    for ring in ("CMD", "DONE"):
        bench.start(4, 4, 4)
        _errors_in(bench, ring, plain)
        bench.reset()


@device_test("LIFE-005", "bus_errors", "split_reward", "opcode:DECODE", smoke=True)
def errors_of_the_reward_ring(bench: Bench) -> None:
    """Error responses to writes of pauses to the reward ring."""
    bench.start(4, 4, 4, "SPLIT_REWARD")
    _errors_in(bench, "REWARD", Kind("DECODE", "pause", UNCHECKED))


@device_test("DB-001", "bus_errors", smoke=True)
def errors_behind_the_tail(bench: Bench) -> None:
    """Slots behind the tail, and completion slots that no line is for, may fail unnoticed."""
    bench.start(4, 4, 4)
    plain = Kind(bench.draw.echo_opcode(), "done", UNCHECKED)
    for ring, places in (("CMD", range(5, 12)), ("DONE", range(5, 12)), ("REWARD", range(16))):
        for place in places:
            _fail(bench, bench.layout.slot(ring, bench.first_index + place))
    bench.submit(lines_of(bench.draw, [plain] * 5))
    bench.quiet()
    _repair(bench)
    bench.submit(lines_of(bench.draw, [plain] * 6))
    bench.rest()


def _word_fails(bench: Bench, ring: str, kind: Kind) -> None:
    _fail(bench, list(bench.layout.words())[RINGS.index(ring)])
    bench.submit(lines_of(bench.draw, [kind], first_index=bench.tail))
    bench.rest("LIFE-005", "RING-013", memory=False, registers=_STATE)
    bench.write("CTRL", _RESUME)
    bench.rest("LIFE-005", "RING-013", memory=False, registers=_STATE)
    _repair(bench)
    bench.write("STATUS", STATUS["BUS_ERROR"])
    bench.write("IRQ_STATUS", IRQ["HALTED"] | IRQ["ERROR"])
    bench.write("CTRL", _RESUME)
    bench.rest("LIFE-005", "RING-013")
    plain = Kind(bench.draw.echo_opcode(), "done", UNCHECKED)
    bench.submit(lines_of(bench.draw, [plain] * 2, first_index=bench.tail))
    bench.rest("RING-013")


@device_test("LIFE-005", "bus_errors", "publish_tails", smoke=True)
def errors_of_index_words(bench: Bench) -> None:
    """An error response of either sort to the store of an index halts, and RESUME stores again."""
    bench.start(4, 4, 4, "PUBLISH_TAILS")
    plain = Kind(bench.draw.echo_opcode(), "done", UNCHECKED)
    for ring in ("DONE", "CMD", "CMD", "DONE"):
        _word_fails(bench, ring, plain)


@device_test("LIFE-005", "bus_errors", "publish_tails", "split_reward", "opcode:DECODE")
def errors_of_the_reward_word(bench: Bench) -> None:
    """Likewise of the reward ring's tail."""
    bench.start(4, 4, 4, "PUBLISH_TAILS", "SPLIT_REWARD")
    for _ in range(2):
        _word_fails(bench, "REWARD", Kind("DECODE", "pause", UNCHECKED))


@device_test("LIFE-005", "bus_errors", "publish_tails", "opcode:STOP", smoke=True)
def errors_of_index_words_behind_a_stop(bench: Bench) -> None:
    """A device that a STOP has halted reports such an error too; one RESUME ends both."""
    bench.start(4, 4, 4, "PUBLISH_TAILS")
    for ring in ("DONE", "CMD"):
        _word_fails(bench, ring, Kind("STOP", "done", UNCHECKED))


# ------------------------------------------------------------------ order of stores


def _word(bench: Bench, ring: str) -> int:
    at = list(bench.layout.words())[RINGS.index(ring)]
    stored = int.from_bytes(bench.device.memory[at].tobytes(), "little")
    return stored - bench.first_index & U32


def _at_most(bench: Bench, what: str, seen: int, limit: int) -> None:
    bench.check(f"{what}: {seen}, at most {limit}", 1, int(seen <= limit), "RING-013")


def _look_at_order(bench: Bench) -> None:
    """Read what moves last first: nothing that moves before it may then be behind it."""
    lines = bench.tail - bench.first_index & U32
    for _ in bench.watching(_LOOK_S):
        going = _word(bench, "CMD") < lines
        event = bench.read("IRQ_STATUS") & IRQ["COMPLETION"]
        head = _word(bench, "CMD")
        tails = _word(bench, "DONE") + _word(bench, "REWARD")
        if event:
            _at_most(bench, "lines of the event, and the word of CMD_HEAD", lines, head)
        _at_most(bench, "word of CMD_HEAD, and words of both tails", head, tails)
        for ring in ("DONE", "REWARD"):
            word = _word(bench, ring)
            tail = bench.read(f"{ring}_TAIL") - bench.first_index & U32
            _at_most(bench, f"word of {ring}_TAIL, and the register", word, tail)
        shown = bench.read("CMD_HEAD") - bench.first_index & U32
        _at_most(bench, "word of CMD_HEAD, and the register", head, shown)
        if not going:
            return


@device_test("RING-013", "publish_tails", smoke=True)
def line_words_and_event_in_order(bench: Bench) -> None:
    """A line's registers move before the words, the tails' words before the head's, which is
    stored before the event is set: seen between any two, as the device is watched.
    """
    granted = bench.capabilities.tokens()
    split = {"split_reward", "opcode:DECODE"} <= granted
    modes = ["PUBLISH_TAILS", *["SPLIT_REWARD"] * split]
    bench.configure(bench.plan(4, 4, 4))
    for word in bench.layout.words():
        bench.store(word.start, bench.first_index.to_bytes(4, "little"))
    bench.start(4, 4, 4, *modes)
    kinds = [Kind(bench.draw.echo_opcode(), "done", UNCHECKED)]
    kinds += [Kind("DECODE", "pause", UNCHECKED)] * split
    for turn in range(6):
        bench.write("IRQ_STATUS", U32)
        bench.submit_unsettled(
            lines_of(bench.draw, [kinds[turn % len(kinds)]], first_index=bench.tail)
        )
        _look_at_order(bench)
        bench.rest("RING-013")
        bench.take()
        bench.take(ring="REWARD")


# ------------------------------------------------------------------ strobes


@device_test("DB-007", "byte_writes", smoke=True)
def parts_of_registers(bench: Bench) -> None:
    """A write that lacks a byte changes nothing: of every register, with every set of strobes."""
    device = cast(ByteDevice, bench.device)
    for started in (False, True):
        if started:
            bench.start(3, 3, 3)
            bench.submit(bench.lines(3))
            bench.rest()
            bench.write("IRQ_MASK", 5)
        for register in contract.REGISTERS:
            for strobes in range(15):
                device.write_bytes(register.offset, U32, strobes)
            bench.same(register.name, "DB-007", RULE_OF[register.name])
        for strobes in (0x1, 0x3, 0x7, 0xE):
            device.write_bytes(REG["DOORBELL"], bench.tail + 1 & U32, strobes)
            device.write_bytes(REG["CTRL"], CTRL["ENABLE"], strobes)
        bench.rest("DB-007")
