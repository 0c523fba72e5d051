# SPDX-License-Identifier: Apache-2.0
"""Stream tests of CHECKED lines, refusals and their order, and the fault list of a line."""

from __future__ import annotations

from typing import Any

import numpy as np
from descring_model import Lines, contract, line_bytes, seal

from descring_sim.conform.suite.declare import stream_test
from descring_sim.conform.suite.vector import CHECKED_BIT, FLAG, OPCODE, Draw, Vector, flip

_FIELD_NAMES = tuple(item.name for item in contract.FIELDS)


def _faults(count: int, rows: Any, kind: str) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    named = np.full(count, "none", dtype="<U16")
    named[rows] = kind
    return named


@stream_test("DESC-020", "checked", smoke=True)
def intact(draw: Draw) -> Vector:
    """Intact CHECKED lines of every opcode are accepted."""
    return Vector(draw.sealed(draw.lines(240)), focus=("flags",))


@stream_test("DESC-020", "checked", smoke=True)
def every_bit(draw: Draw) -> Vector:
    """Each bit of a CHECKED line flipped alone is found, but for the flag CHECKED itself."""
    bits = np.delete(np.arange(contract.DESC_BITS), CHECKED_BIT)
    lines = draw.sealed(draw.echoes(len(bits)))
    flip(lines, np.arange(len(bits)), bits)
    return Vector(lines, focus=("flags",), faults=_faults(len(bits), slice(None), "1 bit"))


@stream_test("DESC-020", "checked")
def up_to_four_bits(draw: Draw) -> Vector:
    """Two, three and four flipped bits are found in every second line."""
    lines = draw.sealed(draw.lines(300))
    faults = _faults(300, slice(None), "none")
    usable = np.delete(np.arange(contract.DESC_BITS), CHECKED_BIT)
    for row in range(0, 300, 2):
        count = int(draw.rng.integers(2, 5))
        bits = draw.rng.choice(usable, count, replace=False)
        flip(lines, np.full(count, row), bits)
        faults[row] = f"{count} bits"
    return Vector(lines, focus=("flags",), faults=faults)


@stream_test("DESC-020", "checked")
def torn(draw: Draw) -> Vector:
    """Lines of which only the first k bytes are new, k = 1 to 63, over an older CHECKED line."""
    new, old = draw.sealed(draw.lines(126)), draw.sealed(draw.lines(126))
    data, stale = line_bytes(new), line_bytes(old)
    for row in range(126):
        data[row, row // 2 + 1 :] = stale[row, row // 2 + 1 :]
    return Vector(new, focus=("flags",), faults=_faults(126, slice(None), "torn"))


@stream_test("DESC-021", smoke=True)
def cookies(draw: Draw) -> Vector:
    """Without CHECKED the field is echoed, also where it looks like a tag and checksum."""
    lines = draw.lines(200)
    lookalike = draw.sealed(lines)
    lines["checksum_or_cookie"][::2] = lookalike["checksum_or_cookie"][::2]
    return Vector(lines, focus=("checksum_or_cookie", "flags"))


@stream_test("DESC-022", "checked", smoke=True)
def foreign_tags(draw: Draw) -> Vector:
    """Intact lines of another index are refused: stale, early, and one bit of the index away."""
    away = np.array([-1, 1, -2, 2, 16, -16, 256, -256, *(1 << np.arange(32))])
    lines = draw.sealed(draw.echoes(2 * len(away)), away=np.repeat(away, 2) * ([1, 0] * len(away)))
    faults = _faults(len(lines), slice(0, None, 2), "foreign tag")
    return Vector(lines, focus=("flags",), faults=faults)


@stream_test("DESC-022", "checked")
def stale_and_duplicated(draw: Draw) -> Vector:
    """A line that stands there twice, and one of an earlier round, are refused."""
    lines = draw.sealed(draw.lines(200))
    faults = _faults(200, slice(None), "none")
    for row in draw.rng.choice(np.arange(64, 200), 60, replace=False):
        back = int(draw.rng.choice([1, 2, 16, 64]))
        identity = lines["user_data"][row]
        lines[row] = lines[row - back]
        # An own identity, sealed again for the old index: the line is intact and stale.
        lines["user_data"][row] = identity
        lines[row] = seal(lines[row : row + 1], int(row - back))[0]
        faults[row] = "stale"
    return Vector(lines, focus=("flags",), faults=faults)


@stream_test("DESC-023", "checked", smoke=True)
def completions_are_sealed(draw: Draw) -> Vector:
    """The completion of a CHECKED line has the index of its ring as tag, and its own checksum."""
    return Vector(draw.seal_some(draw.lines(240), 0.7), focus=("checksum_or_cookie",))


@stream_test("DESC-023", "checked")
def refused_lines_are_sealed(draw: Draw) -> Vector:
    """So is the completion of a CHECKED line that is refused."""
    lines = draw.lines(160)
    lines["opcode"][::3] = 0x0BAD
    sealed = draw.sealed(lines)
    flip(sealed, np.arange(1, 160, 3), np.full(len(range(1, 160, 3)), 8 * 20))
    return Vector(sealed, focus=("checksum_or_cookie",))


@stream_test("DESC-023", "checked", "split_reward", "opcode:DECODE")
def tags_of_two_rings(draw: Draw) -> Vector:
    """With two rings each counts its own tags."""
    lines = draw.sealed(draw.decodes(draw.rng.integers(0, 400, 240), 300))
    return Vector(lines, focus=("checksum_or_cookie",), modes={"split_reward": True})


@stream_test("DESC-025", "checked", "require_checked", smoke=True)
def unchecked_is_refused(draw: Draw) -> Vector:
    """With REQUIRE_CHECKED a line without CHECKED is refused, and every completion is sealed."""
    lines = draw.seal_some(draw.lines(240), 0.5)
    faults = _faults(240, lines["flags"] & FLAG["CHECKED"] == 0, "unchecked")
    return Vector(
        lines,
        focus=("flags", "checksum_or_cookie"),
        modes={"require_checked": True},
        faults=faults,
    )


@stream_test("DESC-025", "checked", "require_checked")
def flipped_checked_bit(draw: Draw) -> Vector:
    """The flag CHECKED flipped off does not switch the check off."""
    lines = draw.sealed(draw.echoes(120))
    rows = np.arange(0, 120, 2)
    flip(lines, rows, np.full(len(rows), CHECKED_BIT))
    return Vector(
        lines,
        focus=("flags", "checksum_or_cookie"),
        modes={"require_checked": True},
        faults=_faults(120, rows, "1 bit"),
    )


@stream_test("ERR-001", "checked", smoke=True)
def code_of_a_bad_checksum(draw: Draw) -> Vector:
    """A wrong checksum has the code BAD_CHECKSUM."""
    lines = draw.sealed(draw.lines(120))
    lines["checksum_or_cookie"][::2] ^= np.uint64(1 << 63)
    return Vector(lines, focus=("flags",))


@stream_test("ERR-002", smoke=True)
def code_of_a_bad_opcode(draw: Draw) -> Vector:
    """An unknown opcode has the code BAD_OPCODE."""
    lines = draw.lines(120)
    lines["opcode"][::2] = 0x0104
    return Vector(lines, focus=("flags",))


@stream_test("ERR-003", "checked", smoke=True)
def code_of_a_bad_tag(draw: Draw) -> Vector:
    """A line of another index has the code BAD_TAG."""
    return Vector(draw.sealed(draw.lines(120), away=np.arange(120) % 2), focus=("flags",))


def _refused_lines(draw: Draw, checked: bool) -> Lines:
    lines = draw.lines(200, draw.capabilities.in_order())
    lines["flags"] |= (draw.rng.integers(0, 4, 200) << 6).astype(np.uint16)
    lines["opcode"][::4] = 0x00FE
    if checked:
        lines = draw.sealed(lines, away=(np.arange(200) % 4 == 1).astype(int) * 7)
        bad = np.arange(2, 200, 4)
        flip(lines, bad, draw.rng.integers(32, 448, len(bad)))
    return lines


@stream_test("ERR-010", smoke=True)
def refused_lines_are_unchanged(draw: Draw) -> Vector:
    """A line with an unknown opcode changes nothing but its flags."""
    return Vector(_refused_lines(draw, False), focus=_FIELD_NAMES)


@stream_test("ERR-010", "checked")
def refused_checked_lines_are_unchanged(draw: Draw) -> Vector:
    """A refused CHECKED line changes nothing but flags, tag and checksum."""
    return Vector(_refused_lines(draw, True), focus=_FIELD_NAMES)


@stream_test("ERR-011", "checked", smoke=True)
def first_failing_check_names_the_error(draw: Draw) -> Vector:
    """Lines with two and three faults at once: checksum, then tag, then opcode."""
    count = 240
    faulty = np.arange(count) % 8
    lines = draw.lines(count)
    lines["opcode"][faulty & 1 != 0] = 0x0777
    lines = draw.sealed(lines, away=(faulty >> 1 & 1) * 3)
    rows = np.flatnonzero(faulty & 4)
    flip(lines, rows, np.full(len(rows), 8 * 50))
    return Vector(lines, focus=("flags",), faults=_faults(count, faulty != 0, "several"))


@stream_test("ERR-011", "checked", "opcode:STOP")
def refused_stop_does_not_stop(draw: Draw) -> Vector:
    """A STOP with a bad checksum or tag is refused and has no other effect."""
    lines = draw.sealed(draw.lines(120, ["STOP", draw.echo_opcode()]), away=np.arange(120) % 2)
    lines["opcode"][0] = OPCODE[draw.echo_opcode()]
    return Vector(lines, focus=("flags", "count"), faults=_faults(120, slice(1, None, 2), "tag"))


@stream_test("ERR-011", "checked", "opcode:STOP", "halt")
def refused_stop_does_not_halt(draw: Draw) -> Vector:
    """The stream continues behind a refused STOP, and ends at the one that is accepted."""
    lines = draw.lines(80, [draw.echo_opcode()])
    lines["opcode"][[10, 20, 60]] = OPCODE["STOP"]
    away = np.zeros(80, dtype=int)
    away[10] = 5
    lines = draw.sealed(lines, away=away)
    flip(lines, np.array([20]), np.array([8 * 30]))
    return Vector(lines, focus=("flags", "count"), modes={"halt": True})
