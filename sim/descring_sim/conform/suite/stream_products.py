# SPDX-License-Identifier: Apache-2.0
"""Stream tests that enumerate: kinds of lines, flags, opcodes and modes, each with each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model import Lines, contract, seal

from descring_sim.conform.suite.declare import stream_test
from descring_sim.conform.suite.kinds import (
    BAD_CHECKSUM,
    BAD_TAG,
    INTACT,
    UNCHECKED,
    Kind,
    claimed_modes,
    every_pair,
    kinds,
    lines_of,
    representatives,
    times,
)
from descring_sim.conform.suite.vector import FLAG, OPCODE, U32, Draw, Vector

_OWNED = [1 << bit for bit in range(16) if contract.DEVICE_OWNED_FLAGS >> bit & 1]
_HOST = [0, FLAG["COW_PREFIX"], FLAG["RESERVED"], FLAG["COW_PREFIX"] | FLAG["RESERVED"]]


def _by_flags(draw: Draw, masks: list[int], *, stops: bool) -> tuple[list[Kind], Any]:
    """Each kind with each of ``masks``, and host-owned flags by turns."""
    chosen = times(kinds(draw.capabilities, stops=stops), len(masks))
    flags = np.resize(np.array(masks), len(chosen))
    kind = np.arange(len(chosen)) // len(masks)
    # Not the kind's number alone: the checks of a line take turns with it.
    return chosen, flags | np.array(_HOST)[(kind + kind // len(_HOST)) % len(_HOST)]


@stream_test("FLAG-010", smoke=True)
def every_outcome_clears_them(draw: Draw) -> Iterator[Vector]:
    """Submissions of every outcome with all device-owned flags, and with one; in every mode."""
    masks = [contract.DEVICE_OWNED_FLAGS, int(draw.rng.choice(_OWNED))]
    for modes in claimed_modes(draw.capabilities):
        chosen, flags = _by_flags(draw, masks, stops=True)
        yield Vector(lines_of(draw, chosen, flags=flags), ("flags",), modes)


@stream_test("DESC-025", "checked", "require_checked", smoke=True)
def every_kind_where_it_is_required(draw: Draw) -> Iterator[Vector]:
    """With REQUIRE_CHECKED every kind of line is refused without CHECKED, and is sealed."""
    for modes in claimed_modes(draw.capabilities):
        if modes.get("require_checked"):
            lines = lines_of(draw, times(kinds(draw.capabilities), 2))
            yield Vector(lines, ("flags", "checksum_or_cookie"), modes)


@stream_test("FLAG-010")
def every_outcome_clears_each(draw: Draw) -> Iterator[Vector]:
    """Submissions of every outcome with each device-owned flag alone; in every mode."""
    for modes in claimed_modes(draw.capabilities):
        chosen, flags = _by_flags(draw, [0, *_OWNED], stops=True)
        yield Vector(lines_of(draw, chosen, flags=flags), ("flags",), modes)


@stream_test("RING-006", smoke=True, costly=True)
def every_kind_behind_every_other(draw: Draw) -> Iterator[Vector]:
    """One completion each, whatever stands before and behind a line; in every mode."""
    for modes in claimed_modes(draw.capabilities):
        chosen = every_pair(representatives(draw.capabilities))
        yield Vector(lines_of(draw, chosen), ("count",), modes)


@stream_test("DESC-014", smoke=True)
def corner_values(draw: Draw) -> Iterator[Vector]:
    """Each field at 0, 1, all ones and its top bit alone, with every opcode."""
    fields = [field for field in contract.FIELDS if field.name not in ("opcode", "flags")]
    checks = [INTACT, UNCHECKED] if draw.capabilities.checked else [UNCHECKED]
    rows = [
        (Kind(name, "done", check), field, value)
        for name in (*draw.working, "unknown")
        for place, field in enumerate(fields)
        for check in checks[place % len(checks) :][:1]
        for value in (0, 1, (1 << field.bits) - 1, 1 << field.bits - 1)
    ]
    lines = lines_of(draw, [kind for kind, _, _ in rows])
    for row, (_, field, value) in enumerate(rows):
        lines[field.name][row] = value
    rollouts = lines["opcode"] == OPCODE["ROLLOUT"]
    lines["seq_len"][rollouts] = np.maximum(
        lines["seq_len"][rollouts], lines["max_tokens"][rollouts].astype(np.int64) - 90
    )
    checked = np.array([kind.check == INTACT for kind, _, _ in rows])
    if checked.any():
        lines[checked] = draw.sealed(lines)[checked]
    yield Vector(lines, focus=())


# ------------------------------------------------------------------ opcodes


def _spread(draw: Draw, values: npt.NDArray[Any], turn: int, modes: dict[str, Any]) -> Vector:
    """Lines of these opcodes, every second CHECKED; a device that halts meets its STOP last."""
    halt = bool(modes.get("halt"))
    if halt:
        values = np.append(values[values != OPCODE["STOP"]], OPCODE["STOP"])
    lines = draw.lines(len(values) + 4 * halt, [draw.echo_opcode()])
    lines["opcode"][: len(values)] = values
    owned = draw.rng.integers(0, 1 << 16, len(lines)) & contract.DEVICE_OWNED_FLAGS
    lines["flags"] |= np.where(draw.rng.random(len(lines)) < 0.5, owned, 0).astype(np.uint16)
    draw.lengths(lines)
    if draw.capabilities.checked:
        checked = (np.arange(len(lines)) + turn) % 2 == 0
        if halt:
            checked[len(values) - 1] = True
        lines[checked] = draw.sealed(lines)[checked]
    return Vector(lines, ("flags",), modes)


def known(draw: Draw, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Without the opcodes that are not claimed: what becomes of them is open."""
    open_ = [OPCODE[name] for name in OPCODE if name not in draw.capabilities.opcodes]
    return values[~np.isin(values, open_)]


def _halting_modes(draw: Draw) -> list[dict[str, Any]]:
    can_stop = "STOP" in draw.capabilities.opcodes
    return list(claimed_modes(draw.capabilities, halt=can_stop))


@stream_test("OP-ERR", "exhaustive", smoke=True)
def every_opcode(draw: Draw) -> Iterator[Vector]:
    """All 65 536 values in every mode, every second line CHECKED."""
    for turn, modes in enumerate(_halting_modes(draw)):
        yield _spread(draw, known(draw, np.arange(1 << 16)), turn, modes)


@stream_test("OP-ERR", "exhaustive", "checked")
def every_opcode_checked_the_other_way(draw: Draw) -> Iterator[Vector]:
    """All 65 536 values in every mode, CHECKED where `every-opcode` has them not."""
    for turn, modes in enumerate(_halting_modes(draw)):
        yield _spread(draw, known(draw, np.arange(1 << 16)), turn + 1, modes)


def covering_opcodes(draw: Draw) -> npt.NDArray[Any]:
    """Values that a decoder which reads part of the bits takes for an opcode, and others."""
    one = 1 << np.arange(16)
    named = np.array([OPCODE[name] for name in draw.capabilities.in_order()])
    near = named[:, np.newaxis] ^ one
    parts = [
        *(near, named ^ 0xFFFF, named | 0xFF00, named << 8, named * 0x0101, named + 1, named - 1),
        *(one, one - 1, 0xFFFF ^ one, 0x8000 + named, [0xFFFF, 0xFF00, 0x00FE, 0x0100, 5, 6, 7]),
    ]
    return np.unique(np.concatenate([np.ravel(part) for part in parts]) & 0xFFFF)


@stream_test("OP-ERR", smoke=True)
def opcodes_that_look_alike(draw: Draw) -> Iterator[Vector]:
    """Values of which some bits are those of an opcode, by turns in every mode and CHECKED."""
    values = known(draw, covering_opcodes(draw))
    modes = _halting_modes(draw)
    for turn, chosen in enumerate(modes):
        share = values if draw.capabilities.exhaustive else values[turn % 4 :: 4]
        yield _spread(draw, share, turn // 4, chosen)


@stream_test("OP-ERR")
def opcodes_that_look_alike_in_two_bits(draw: Draw) -> Iterator[Vector]:
    """Values two bits away from an opcode, and every value of one byte beside one."""
    one = 1 << np.arange(16)
    two = np.unique(one[:, np.newaxis] | one)
    named = np.array([OPCODE[name] for name in draw.capabilities.in_order()])
    values = np.concatenate([np.ravel(named[:, np.newaxis] ^ two), np.arange(256)])
    values = draw.rng.permutation(known(draw, np.unique(values & 0xFFFF)))
    modes = _halting_modes(draw)
    for turn, chosen in enumerate(modes):
        yield _spread(draw, values[turn :: len(modes)], turn, chosen)


# ------------------------------------------------------------------ STOP and what is behind it


def _refused_stops(modes: dict[str, Any], checked: bool) -> list[Kind]:
    refused = [Kind("STOP", "done", check) for check in (BAD_CHECKSUM, BAD_TAG)] * checked
    if modes.get("require_checked"):
        refused.append(Kind("STOP", "done", UNCHECKED))
    return refused


def _halting(
    draw: Draw, modes: dict[str, Any], check: str, behind: Kind, *, before: int = 3
) -> Vector:
    """Refused STOPs among others, an accepted one, ``behind``, and lines of every kind."""
    mixed = [kind for kind in kinds(draw.capabilities, stops=False) if kind.opcode != "STOP"]
    some = [mixed[place] for place in draw.rng.integers(0, len(mixed), before)]
    refused = _refused_stops(modes, draw.capabilities.checked)
    rest = [mixed[place] for place in draw.rng.permutation(len(mixed))[:12]]
    chosen = [*some, *refused, Kind("STOP", "done", check), behind, *rest]
    flags = np.resize(np.array([0, contract.DEVICE_OWNED_FLAGS, 0]), len(chosen))
    return Vector(
        lines_of(draw, chosen, flags=np.roll(flags, int(draw.rng.integers(0, 3)))),
        ("flags", "checksum_or_cookie"),
        {**modes, "halt": True},
    )


def _passing(draw: Draw, modes: dict[str, Any]) -> list[str]:
    """The checks that a STOP passes in these modes."""
    checks = [INTACT] if draw.capabilities.checked else []
    return checks if modes.get("require_checked") else [UNCHECKED, *checks]


@stream_test("LIFE-003", "opcode:STOP", "halt", smoke=True)
def halt_before_every_kind(draw: Draw) -> Iterator[Vector]:
    """No line behind a STOP is completed, whatever it is, and a refused STOP does not halt."""
    modes = list(claimed_modes(draw.capabilities))
    for turn, behind in enumerate(kinds(draw.capabilities)):
        # Four kinds have one outcome: these steps give each the modes by turns.
        mode = modes[(turn + turn // 4) % len(modes)]
        checks = _passing(draw, mode)
        yield _halting(draw, mode, checks[turn % len(checks)], behind)


def _declare_halts(split: bool, require: bool) -> None:
    names = ["split_reward"] * split + ["require_checked"] * require

    def halts(draw: Draw) -> Iterator[Vector]:
        modes = dict.fromkeys(names, True)
        checks = _passing(draw, modes)
        for turn, behind in enumerate(kinds(draw.capabilities)):
            yield _halting(draw, modes, checks[turn // 2 % len(checks)], behind, before=1)

    halts.__name__ = "halt_with_" + ("_and_".join(names) or "no_mode")
    halts.__doc__ = f"the same for every kind with {' and '.join(names) or 'no other mode'}"
    stream_test("LIFE-003", "opcode:STOP", "halt", *names)(halts)


for _split, _require in ((False, False), (True, False), (False, True), (True, True)):
    _declare_halts(_split, _require)


# ------------------------------------------------------------------ indices and tags


def _walk(draw: Draw, first_index: int, count: int) -> Lines:
    """Lines of every kind, most of them CHECKED, from an index on."""
    chosen = [kind for kind in kinds(draw.capabilities) if kind.check in (INTACT, BAD_TAG)]
    pauses = [kind for kind in chosen if kind.outcome == "pause" and kind.check == INTACT]
    pool = chosen + pauses * 6
    return lines_of(
        draw,
        [pool[place] for place in draw.rng.integers(0, len(pool), count)],
        first_index=first_index,
    )


@stream_test("DESC-023", "checked", "first_index", smoke=True)
def tags_through_the_wrap_in_every_mode(draw: Draw) -> Iterator[Vector]:
    """Tags of submissions and of either completion ring through 2^32, in every mode."""
    for modes in claimed_modes(draw.capabilities):
        first = U32 - 20
        lines = _walk(draw, first, 110)
        yield Vector(lines, ("checksum_or_cookie",), modes | {"first_index": first})


@stream_test("DESC-023", "checked", "first_index")
def tags_through_powers_of_two(draw: Draw) -> Iterator[Vector]:
    """Tags of every ring through 2^8, 2^12, 2^16, 2^24 and 2^31, in every mode by turns."""
    modes = list(claimed_modes(draw.capabilities))
    for turn, bit in enumerate((8, 10, 12, 13, 16, 20, 24, 31)):
        first = (1 << bit) - 20
        chosen = modes if draw.capabilities.exhaustive else modes[-1 - turn % len(modes) :][:1]
        for mode in chosen:
            lines = _walk(draw, first, 80)
            yield Vector(lines, ("checksum_or_cookie",), mode | {"first_index": first})


@stream_test("DESC-022", "checked", smoke=True)
def tags_at_every_distance(draw: Draw) -> Iterator[Vector]:
    """Tags 2^k and 2^k ± 1 away, ahead and behind, and tags 0 and 2^32 - 1, are refused."""
    bits = 1 << np.arange(32)
    away = np.unique(np.concatenate([bits, -bits, bits + 1, bits - 1, 1 - bits])) % (U32 + 1)
    away = draw.rng.permutation(away[away != 0])
    firsts = [0, 0xA5C3_3C5A] if "first_index" in draw.capabilities.tokens() else [0]
    for first in firsts:
        lines = draw.sealed(draw.echoes(len(away)), first, away)
        index = (np.arange(len(lines)) + first) % (U32 + 1)
        for row, tag in ((len(lines) // 2, 0), (len(lines) // 2 + 1, U32)):
            if index[row] != tag:
                lines[row] = seal(lines[row : row + 1], tag)[0]
        yield Vector(lines, ("flags",), {"first_index": first})
