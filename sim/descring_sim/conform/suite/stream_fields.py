# SPDX-License-Identifier: Apache-2.0
"""Stream tests of section 1's fields and section 3's flags: what is echoed and what is set."""

from __future__ import annotations

import numpy as np
from descring_model import Lines, contract

from descring_sim.conform.suite.declare import stream_test
from descring_sim.conform.suite.vector import FLAG, OPCODE, U32, Draw, Vector

_ECHOED = tuple(f.name for f in contract.FIELDS if f.name not in ("opcode", "flags"))
ALL_FIELDS = tuple(f.name for f in contract.FIELDS)
RANDOM = 160


def _walking(draw: Draw, name: str) -> Lines:
    """Lines that carry a single one, a single zero and random values in field ``name``."""
    bits = contract.FIELD[name].bits
    ones = [1 << bit for bit in range(bits)]
    top = (1 << bits) - 1
    values = [0, top, *ones, *(top ^ one for one in ones)]
    lines = draw.echoes(len(values) + 64)
    lines[name][: len(values)] = np.array(values, dtype=np.uint64).astype(f"u{bits // 8}")
    return lines


def _declare_field(rule: str, name: str) -> None:
    def walking(draw: Draw) -> Vector:
        return Vector(_walking(draw, name), focus=(name,))

    walking.__doc__ = f"every bit of `{name}`, alone set and alone clear, is echoed"
    stream_test(rule, "opcode:NOP", smoke=True)(walking)

    def random(draw: Draw) -> Vector:
        return Vector(draw.lines(RANDOM), focus=(name,))

    random.__doc__ = f"`{name}` of random lines of every opcode is echoed as required"
    stream_test(rule)(random)


for _field in contract.FIELDS:
    if _field.name in _ECHOED:
        _declare_field(_field.rule, _field.name)


@stream_test("DESC-001", smoke=True)
def opcodes(draw: Draw) -> Vector:
    """The opcode is in bytes 0 and 1 and is echoed."""
    return Vector(draw.lines(RANDOM), focus=("opcode",))


@stream_test("DESC-001", "opcode:NOP")
def unknown_opcodes(draw: Draw) -> Vector:
    """An opcode is echoed also where it is refused: every bit of the field."""
    lines = draw.echoes(64)
    lines["opcode"][:48:3] = [1 << bit for bit in range(16)]
    known = [OPCODE[name] for name in contract.OPCODE if name not in draw.capabilities.opcodes]
    lines["opcode"][np.isin(lines["opcode"], [*known, OPCODE["STOP"]])] = OPCODE["NOP"]
    return Vector(lines, focus=("opcode",))


@stream_test("DESC-002", smoke=True)
def host_flags(draw: Draw) -> Vector:
    """The flags are in bytes 2 and 3; the host's own are echoed."""
    lines = draw.echoes(RANDOM)
    host = FLAG["COW_PREFIX"] | FLAG["RESERVED"]
    lines["flags"] = draw.rng.integers(0, 1 << 16, RANDOM).astype(np.uint16) & np.uint16(host)
    return Vector(lines, focus=("flags",))


@stream_test("DESC-014", smoke=True)
def only_what_changes(draw: Draw) -> Vector:
    """Only what the contract names changes in a line, with random lines of every opcode."""
    return Vector(draw.lines(400), focus=tuple(name for name in ALL_FIELDS if name != "flags"))


@stream_test("DESC-015", smoke=True)
def every_byte_in_its_place(draw: Draw) -> Vector:
    """Byte k of a line is byte k of the completion: lines whose bytes all differ."""
    lines = draw.echoes(64)
    echoed = np.arange(64, dtype=np.uint8)
    data = lines[:, np.newaxis].view(np.uint8)
    for row in range(len(data)):
        data[row, 4:] = np.roll(echoed[4:], row) + 64
    return Vector(lines, focus=("bytes",))


def _flag_vector(draw: Draw, mask: int, opcode_names: list[str] | None = None) -> Vector:
    lines = draw.lines(RANDOM, opcode_names)
    lines["flags"] |= np.where(draw.rng.random(RANDOM) < 0.5, mask, 0).astype(np.uint16)
    return Vector(lines, focus=("flags",))


@stream_test("FLAG-000", "opcode:DECODE", smoke=True)
def paused(draw: Draw) -> Vector:
    """A DECODE that meets a boundary has NEEDS_REWARD, and no other result."""
    starts = draw.rng.integers(0, 1 << 20, RANDOM) * 32 + draw.rng.integers(0, 32, RANDOM)
    return Vector(draw.decodes(starts, starts + 100), focus=("flags",))


@stream_test("FLAG-001", smoke=True)
def done(draw: Draw) -> Vector:
    """A finished line has DONE, and no other result."""
    return Vector(draw.echoes(RANDOM), focus=("flags",))


@stream_test("FLAG-002", smoke=True)
def cow_prefix(draw: Draw) -> Vector:
    """COW_PREFIX is echoed, whatever `prefix_id` is."""
    return _flag_vector(draw, FLAG["COW_PREFIX"])


@stream_test("FLAG-003", "opcode:STOP", smoke=True)
def stopped(draw: Draw) -> Vector:
    """A STOP has STOPPED, and no other result."""
    lines = draw.lines(40, [draw.echo_opcode(), "STOP"])
    return Vector(lines, focus=("flags",))


@stream_test("FLAG-004", smoke=True)
def refused(draw: Draw) -> Vector:
    """A refused line has ERROR, and no other result."""
    lines = draw.lines(RANDOM)
    lines["opcode"][::2] = 0x7FF0
    return Vector(lines, focus=("flags",))


@stream_test("FLAG-005", "checked", smoke=True)
def checked_is_echoed(draw: Draw) -> Vector:
    """CHECKED is echoed on the lines that carried it, and on no other."""
    return Vector(draw.seal_some(draw.lines(RANDOM), 0.5), focus=("flags",))


@stream_test("FLAG-006", smoke=True)
def reserved(draw: Draw) -> Vector:
    """The reserved flags are echoed, each alone and both."""
    lines = draw.lines(RANDOM)
    lines["flags"] |= (draw.rng.integers(0, 4, RANDOM) << 6).astype(np.uint16)
    return Vector(lines, focus=("flags",))


@stream_test("FLAG-008", smoke=True)
def error_code(draw: Draw) -> Vector:
    """The high byte is 0 in a line that is not refused, also where the submission has bits."""
    lines = draw.lines(RANDOM)
    lines["flags"] |= (draw.rng.integers(0, 256, RANDOM) << 8).astype(np.uint16)
    return Vector(lines, focus=("flags",))


@stream_test("FLAG-010", smoke=True)
def device_flags_are_cleared(draw: Draw) -> Vector:
    """Every device-owned flag that a submission carries is cleared before the device's are set."""
    owned = [1 << bit for bit in range(16) if contract.DEVICE_OWNED_FLAGS >> bit & 1]
    lines = draw.lines(len(owned) * 4 + 64)
    for place, mask in enumerate(owned * 4):
        lines["flags"][place] |= mask
    rest = draw.rng.integers(0, 1 << 16, 64).astype(np.uint16)
    lines["flags"][-64:] = rest & np.uint16(U32 & 0xFFFF ^ FLAG["CHECKED"])
    return Vector(lines, focus=("flags",))


@stream_test("FLAG-011", smoke=True)
def exactly_one_result(draw: Draw) -> Vector:
    """Exactly one result, and a code only with ERROR: submissions with random flags."""
    lines = draw.lines(400)
    flags = draw.rng.integers(0, 1 << 16, 400).astype(np.uint16)
    lines["flags"] = flags & np.uint16(0xFFFF ^ FLAG["CHECKED"])
    lines["opcode"][draw.rng.random(400) < 0.2] = 0x1234
    return Vector(lines, focus=("flags",))


def _status_vector(draw: Draw) -> Vector:
    lines = draw.lines(RANDOM)
    lines["opcode"][draw.rng.random(RANDOM) < 0.25] = 0x4321
    return Vector(lines, focus=("flags",))


@stream_test("STAT-001", smoke=True)
def status_done(draw: Draw) -> Vector:
    """The status that follows from the flags is DONE where the line is finished."""
    return Vector(draw.echoes(RANDOM), focus=("flags",))


@stream_test("STAT-002", "opcode:DECODE", smoke=True)
def status_reward_needed(draw: Draw) -> Vector:
    """The status that follows from the flags is REWARD_NEEDED at a boundary."""
    return Vector(draw.decodes(np.arange(RANDOM) * 7, U32), focus=("flags",))


@stream_test("STAT-080", smoke=True)
def status_error(draw: Draw) -> Vector:
    """The status that follows from the flags is ERROR for a refused line."""
    return _status_vector(draw)


@stream_test("STAT-255", "opcode:STOP", smoke=True)
def status_stopped(draw: Draw) -> Vector:
    """The status that follows from the flags is STOPPED for a STOP."""
    return Vector(draw.lines(40, ["STOP"]), focus=("flags",))
