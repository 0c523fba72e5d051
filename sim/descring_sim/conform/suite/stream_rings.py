# SPDX-License-Identifier: Apache-2.0
"""Stream tests of sections 5 and 6: indices, order, both rings, backpressure, STOP."""

from __future__ import annotations

import numpy as np

from descring_sim.conform.suite.declare import stream_test
from descring_sim.conform.suite.vector import FLAG, OPCODE, U32, Draw, Vector

MOVES = ("order", "count", "ring")
"""Aspects of a completion's place."""


def _everything(draw: Draw, count: int, first_index: int = 0) -> Vector:
    """A stream of all that is claimed, with faults, half of it CHECKED where that is claimed."""
    names = draw.capabilities.in_order()
    weight = np.array([1.0 if name == "STOP" else 8.0 for name in names])
    chosen = draw.rng.choice(len(names), count, p=weight / weight.sum())
    lines = draw.lines(count)
    lines["opcode"] = np.array([OPCODE[name] for name in names], dtype=np.uint16)[chosen]
    lines["flags"] |= (draw.rng.integers(0, 4, count) << 6).astype(np.uint16)
    lines["opcode"][draw.rng.random(count) < 0.04] = 0xC0DE
    if draw.capabilities.checked:
        lines = draw.seal_some(lines, 0.5, first_index)
        bad = draw.rng.random(count) < 0.03
        lines["checksum_or_cookie"][bad] ^= np.uint64(1) << np.uint64(draw.rng.integers(0, 64))
    return Vector(lines, focus=MOVES, modes={"first_index": first_index})


def _long_and_short(draw: Draw, count: int = 300) -> Vector:
    """Lines of 1 and of 32 tokens by turns: a worker that overtakes another shows at once."""
    if "DECODE" not in draw.capabilities.opcodes:
        return Vector(draw.echoes(count), focus=MOVES)
    long_run = draw.rng.random(count) < 0.4
    starts = 32 * draw.rng.integers(0, 1000, count)
    return Vector(draw.decodes(starts, starts + np.where(long_run, 90, 1)), focus=MOVES)


# Not quick: where the size of a ring on chip is a parameter, another size is another build.
@stream_test("RING-001", "ring_slots")
def smallest_ring(draw: Draw) -> Vector:
    """The smallest ring, many times round: every slot is used."""
    low, _ = draw.capabilities.ring_slots or (2, 2)
    vector = _everything(draw, 120)
    return Vector(vector.lines, focus=MOVES, modes={"ring_slots": low})


@stream_test("RING-001", "ring_slots")
def some_ring(draw: Draw) -> Vector:
    """A ring of a size in between, several times round."""
    low, high = draw.capabilities.ring_slots or (2, 2)
    slots = min(high, max(low, 32))
    vector = _everything(draw, 5 * slots)
    return Vector(vector.lines, focus=MOVES, modes={"ring_slots": slots})


@stream_test("RING-002", "first_index", "checked", smoke=True)
def tags_through_the_wrap(draw: Draw) -> Vector:
    """CHECKED lines through the wrap of all indices: tags are compared and written mod 2^32."""
    first = U32 - 40
    lines = draw.sealed(draw.lines(120), first)
    return Vector(
        lines, focus=("flags", "checksum_or_cookie", *MOVES), modes={"first_index": first}
    )


@stream_test("RING-002", "first_index")
def everything_through_the_wrap(draw: Draw) -> Vector:
    """All that is claimed through the wrap, from a random start before it."""
    first = U32 - int(draw.rng.integers(0, 200))
    vector = _everything(draw, 300, first)
    return Vector(vector.lines, (*MOVES, "flags", "checksum_or_cookie"), vector.modes)


@stream_test("RING-005", "backpressure", smoke=True)
def late_host(draw: Draw) -> Vector:
    """A host that takes completions late loses none, and none is overwritten."""
    return Vector(_everything(draw, 300).lines, focus=MOVES, modes={"host": "slow"})


@stream_test("RING-005", "backpressure", "ring_slots")
def late_host_of_a_small_ring(draw: Draw) -> Vector:
    """The same with the smallest rings, which are full most of the time."""
    low, _ = draw.capabilities.ring_slots or (2, 2)
    modes = {"host": "slow", "ring_slots": low}
    return Vector(_long_and_short(draw, 160).lines, focus=MOVES, modes=modes)


@stream_test("RING-006", smoke=True)
def one_each(draw: Draw) -> Vector:
    """As many completions as lines, each of its own line: all that is claimed, mixed."""
    return _everything(draw, 400)


@stream_test("RING-007", smoke=True)
def long_and_short(draw: Draw) -> Vector:
    """Short lines do not overtake long ones."""
    return _long_and_short(draw)


@stream_test("RING-007", "workers")
def most_workers(draw: Draw) -> Vector:
    """Nor with the most workers that there can be."""
    _, high = draw.capabilities.workers or (1, 1)
    return Vector(_long_and_short(draw).lines, focus=MOVES, modes={"workers": high})


@stream_test("RING-007", "workers")
def fewest_workers(draw: Draw) -> Vector:
    """The fewest workers give the same bytes."""
    low, _ = draw.capabilities.workers or (1, 1)
    return Vector(_everything(draw, 200).lines, focus=MOVES, modes={"workers": low})


@stream_test("RING-008", "split_reward", "opcode:DECODE", smoke=True)
def two_rings(draw: Draw) -> Vector:
    """With SPLIT_REWARD pauses go to the reward ring, all else to the done ring, each in order."""
    return Vector(_everything(draw, 400).lines, focus=MOVES, modes={"split_reward": True})


@stream_test("RING-008", "opcode:DECODE")
def one_ring(draw: Draw) -> Vector:
    """Without it all go to the done ring, pauses too."""
    return Vector(_long_and_short(draw, 200).lines, focus=MOVES)


@stream_test("RING-008", "split_reward", "opcode:DECODE", "backpressure")
def full_ring_holds_back_the_other(draw: Draw) -> Vector:
    """A host that takes late from both rings gets both streams whole and in order."""
    modes = {"split_reward": True, "host": "slow"}
    return Vector(_long_and_short(draw).lines, focus=MOVES, modes=modes)


@stream_test("RING-012", "first_index", smoke=True)
def any_start(draw: Draw) -> Vector:
    """Indices start where they are told to: tags of a random start."""
    first = int(draw.rng.integers(1 << 20, 1 << 31))
    vector = _everything(draw, 160, first)
    return Vector(vector.lines, (*MOVES, "flags", "checksum_or_cookie"), vector.modes)


@stream_test("RING-011", "doorbell", "rings:chip", smoke=True)
def doorbell_before_the_lines(draw: Draw) -> Vector:
    """A doorbell that runs ahead of the lines: each runs once it is written, and none before."""
    return Vector(_everything(draw, 200).lines, (*MOVES, "flags"), {"host": "ahead"})


@stream_test("DB-001", "doorbell", "rings:chip", smoke=True)
def lines_before_the_doorbell(draw: Draw) -> Vector:
    """Lines that no doorbell has published are not completed, however long they wait."""
    return Vector(_everything(draw, 200).lines, (*MOVES, "flags"), {"host": "late"})


@stream_test("LIFE-003", "opcode:STOP", smoke=True)
def resumed(draw: Draw) -> Vector:
    """Lines behind a STOP are completed after the resume: none is lost or duplicated."""
    lines = draw.lines(160, [*draw.working, "STOP"])
    return Vector(lines, focus=(*MOVES, "flags"))


@stream_test("LIFE-003", "opcode:STOP", "halt", smoke=True)
def left_halted(draw: Draw) -> Vector:
    """Without a resume nothing behind the STOP is completed, and all before it is."""
    lines = draw.lines(120)
    lines["opcode"][int(draw.rng.integers(20, 100))] = OPCODE["STOP"]
    return Vector(lines, focus=(*MOVES, "flags"), modes={"halt": True})


@stream_test("LIFE-006", "require_checked", "split_reward", "opcode:DECODE")
def both_modes(draw: Draw) -> Vector:
    """Both modes in force together, for the whole stream."""
    lines = draw.seal_some(draw.lines(200), 0.8)
    lines["flags"] &= np.uint16(0xFFFF ^ FLAG["RESERVED"])
    modes = {"require_checked": True, "split_reward": True}
    return Vector(lines, focus=MOVES, modes=modes)
