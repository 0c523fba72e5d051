# SPDX-License-Identifier: Apache-2.0
"""Device tests that enumerate: kinds of lines in every mode, sizes, slots, and states of heads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from descring_model import Lines, contract, ring_log2

from descring_sim.conform.lockstep import CTRL, REG, STATUS
from descring_sim.conform.suite.bench import Bench
from descring_sim.conform.suite.declare import MODES, device_test
from descring_sim.conform.suite.kinds import (
    INTACT,
    UNCHECKED,
    Kind,
    every_pair,
    kinds,
    lines_of,
    representatives,
)
from descring_sim.conform.suite.stream_products import covering_opcodes, known
from descring_sim.conform.suite.vector import OPCODE, U32

_RESUME = CTRL["ENABLE"] | CTRL["RESUME"]
_BIG = 16 << 20
"""Memory for three rings of the greatest size."""


def mode_sets(bench: Bench) -> Iterator[tuple[str, ...]]:
    """Yield every combination of the claimed modes."""
    granted = bench.capabilities.tokens()
    claimed = [mode for mode, token in MODES.items() if token in granted]
    for count in range(len(claimed) + 1):
        yield from itertools.combinations(claimed, count)


def carry_out(bench: Bench, lines: Lines, *rules: str) -> None:
    """Submit lines, as many at a time as fit; take, and resume, until all are done."""
    while len(lines) or bench.golden.read32(REG["CMD_HEAD"]) != bench.tail:
        free = bench.layout.slots("CMD") - (bench.tail - bench.golden.read32(REG["CMD_HEAD"]) & U32)
        now, lines = lines[:free], lines[free:]
        bench.submit(now)
        bench.rest(*rules)
        bench.take()
        bench.take(ring="REWARD")
        bench.rest(*rules)
        if bench.golden.read32(REG["STATUS"]) & STATUS["HALTED"]:
            bench.write("CTRL", _RESUME)
            bench.rest(*rules)


def run_through(bench: Bench, chosen: list[Kind], *rules: str) -> None:
    """Carry out a line of each kind. Half of them have every device-owned flag."""
    owned = np.where(bench.rng.random(len(chosen)) < 0.5, contract.DEVICE_OWNED_FLAGS, 0)
    carry_out(bench, lines_of(bench.draw, chosen, first_index=bench.tail, flags=owned), *rules)


@device_test("RING-006", smoke=True, costly=True)
def every_kind_in_every_mode(bench: Bench) -> None:
    """One completion of every kind of line, in every mode, through rings that are often full."""
    for turn, modes in enumerate(mode_sets(bench)):
        bench.start(5, 4 - turn % 3, 2 + turn % 2, *modes)
        run_through(bench, kinds(bench.capabilities))
        bench.reset()


@device_test("RING-006")
def every_pair_in_rings(bench: Bench) -> None:
    """The same for every kind behind every other, in all modes together and in none."""
    sets = list(mode_sets(bench))
    for modes in (sets[0], sets[-1]):
        bench.start(8, 7, 6, *modes)
        run_through(bench, every_pair(representatives(bench.capabilities)))
        bench.reset()


@device_test("OP-ERR", smoke=True)
def opcodes_that_look_alike_in_rings(bench: Bench) -> None:
    """Values of which some bits are those of an opcode: a quarter of them where that is slow."""
    values = bench.rng.permutation(known(bench.draw, covering_opcodes(bench.draw)))
    if not bench.capabilities.exhaustive:
        values = values[::4]
    values = values[values != OPCODE["STOP"]]
    bench.start(7, 7, 7)
    for at in range(0, len(values), 128):
        lines = bench.draw.lines(len(values[at : at + 128]), [bench.draw.echo_opcode()])
        lines["opcode"] = values[at : at + 128]
        bench.draw.lengths(lines)
        bench.submit(lines)
        bench.rest()
        bench.take()


@device_test("RING-008", "split_reward", smoke=True)
def each_kind_in_its_ring(bench: Bench) -> None:
    """Pauses go to the reward ring and every other kind to the done ring."""
    bench.start(6, 6, 6, "SPLIT_REWARD")
    run_through(bench, kinds(bench.capabilities))


@device_test("DESC-023", "checked", "first_index", smoke=True, costly=True, first_index=U32 - 20)
def tags_in_rings_through_the_wrap(bench: Bench) -> None:
    """Tags of either completion ring through 2^32, in every mode."""
    pool = [kind for kind in kinds(bench.capabilities, stops=False) if kind.check == INTACT]
    pool += [kind for kind in pool if kind.outcome == "pause"] * 4
    for modes in mode_sets(bench):
        bench.start(5, 5, 5, *modes)
        places = bench.rng.integers(0, len(pool), 90)
        run_through(bench, [pool[place] for place in places])
        bench.reset()


@device_test("LIFE-003", "opcode:STOP", smoke=True, costly=True)
def nothing_behind_a_stop(bench: Bench) -> None:
    """Whatever stands behind a STOP waits for RESUME, in one mode after the other."""
    modes = list(mode_sets(bench))
    check = INTACT if bench.capabilities.checked else UNCHECKED
    for turn, behind in enumerate(representatives(bench.capabilities)):
        if turn % 4 == 0:
            if turn:
                bench.reset()
            bench.start(4, 4, 4, *modes[turn // 4 % len(modes)])
        two = [Kind("STOP", "done", check), behind]
        bench.submit(lines_of(bench.draw, two, first_index=bench.tail))
        bench.quiet()
        for _ in range(2):
            bench.write("CTRL", _RESUME)
            bench.rest()
        bench.take()
        bench.take(ring="REWARD")


# ------------------------------------------------------------------ what waits for room


def _waits(bench: Bench, kind: Kind, *modes: str) -> None:
    """Let a line of this kind wait for room: nothing of it shows until it is posted."""
    ring = "REWARD" if kind.outcome == "pause" and "SPLIT_REWARD" in modes else "DONE"
    filler = Kind("DECODE", "pause", UNCHECKED) if ring == "REWARD" else None
    plain = filler or Kind(bench.draw.echo_opcode(), "done", UNCHECKED)
    bench.start(3, 1, 1, *modes)
    last = Kind(bench.draw.echo_opcode(), "done", UNCHECKED)
    bench.submit(lines_of(bench.draw, [plain, plain, kind, last]))
    bench.quiet()
    bench.write("IRQ_STATUS", U32)
    bench.quiet()
    bench.take(1, ring)
    bench.quiet()
    bench.take()
    bench.rest()
    if kind.stops:
        bench.write("CTRL", _RESUME)
    bench.take(ring=ring)
    bench.take()
    bench.rest()
    bench.reset()


@device_test("LIFE-003", "opcode:STOP", smoke=True)
def stop_that_waits_for_room(bench: Bench) -> None:
    """A STOP whose completion has no room has not halted: neither STATUS nor the event show it."""
    for check in (UNCHECKED, INTACT) if bench.capabilities.checked else (UNCHECKED,):
        _waits(bench, Kind("STOP", "done", check))


@device_test("CNT-001", smoke=True, costly=True)
def what_waits_is_not_counted(bench: Bench) -> None:
    """A line whose completion has no room counts nowhere, and sets no event: of each opcode."""
    split = "split_reward" in bench.capabilities.tokens()
    chosen = [kind for kind in representatives(bench.capabilities) if kind.check == UNCHECKED]
    for kind in chosen:
        _waits(bench, kind, *(["SPLIT_REWARD"] if split and kind.outcome == "pause" else []))


@device_test("CNT-001")
def nothing_that_waits_is_counted(bench: Bench) -> None:
    """The same for every outcome and check."""
    for kind in kinds(bench.capabilities):
        _waits(bench, kind)


# ------------------------------------------------------------------ sizes and slots


def _plain(bench: Bench, count: int) -> Lines:
    """Lines that any slot is right for: one in another's place shows as that, and as no more."""
    return lines_of(bench.draw, [Kind(bench.draw.echo_opcode(), "done", UNCHECKED)] * count)


@device_test(
    "RING-001", "first_index", smoke=True, costly=True, first_index=(1 << 16) - 4, memory=_BIG
)
def every_size_over_its_end(bench: Bench) -> None:
    """Rings of every size from 2 to 65 536 slots, from their last slots to their first ones."""
    for log2 in range(contract.RING_LOG2_MIN, contract.RING_LOG2_MAX + 1):
        bench.start(log2, log2, 1)
        bench.ring(bench.tail + (1 << log2) + 1)
        for _ in range(2 if log2 > 2 else 8 >> log2):
            bench.submit(_plain(bench, min(6, 1 << log2)))
            bench.rest()
            bench.take()
        bench.rest()
        bench.reset()


def _declare_slots(log2: int) -> None:
    def slots(bench: Bench) -> None:
        split = {"split_reward", "opcode:DECODE"} <= bench.capabilities.tokens()
        bench.start(16, 16, 16, *["SPLIT_REWARD"] * split)
        bench.submit(_plain(bench, 9))
        bench.rest()
        if split:
            pause = Kind("DECODE", "pause", UNCHECKED)
            bench.submit(lines_of(bench.draw, [pause] * 9, first_index=bench.tail))
        bench.rest()

    slots.__name__ = f"slots_around_{1 << log2}"
    slots.__doc__ = f"in the greatest rings, slots on both sides of {1 << log2} are apart"
    declare = device_test(
        "RING-001",
        "first_index",
        smoke=log2 in (8, 12, 13),
        first_index=(1 << log2) - 4,
        memory=_BIG,
    )
    declare(slots)


for _log2 in range(5, 16):
    _declare_slots(_log2)


@device_test("RING-001", "exhaustive", smoke=True, memory=_BIG)
def whole_greatest_ring(bench: Bench) -> None:
    """Every slot of rings of 65 536 slots, filled at once, and half of them again."""
    bench.start(16, 16, 1)
    for count in (1 << 16, 1 << 15):
        bench.submit(_plain(bench, count))
        bench.rest()
        bench.take()


# ------------------------------------------------------------------ heads in every state


def _try_heads(bench: Bench) -> None:
    """Write heads that are legal and heads that are not; each is compared."""
    for ring in ("DONE", "REWARD"):
        name = f"{ring}_HEAD"
        head, tail = (bench.golden.read32(REG[f"{ring}_{end}"]) for end in ("HEAD", "TAIL"))
        wrong = [head - 1, tail + 1, tail + (1 << 16), head + (1 << 31), head - (1 << 16)]
        for value in (*wrong, *(bench.rng.integers(0, 1 << 32, 2).tolist()), head):
            bench.write(name, value & U32)
            bench.same(name, "RING-010", f"REG-{REG[name]:03X}")
        if tail != head:
            bench.move_head(ring, head + 1)
            bench.same(name, "RING-010", f"REG-{REG[name]:03X}")
        bench.heads[ring] = bench.golden.read32(REG[name])


@device_test("RING-010", "split_reward", smoke=True)
def heads_in_every_state(bench: Bench) -> None:
    """Heads move over completions only: after reset, refused, with completions in both rings and
    with both full, each while it runs, paused, halted, and both.
    """
    _try_heads(bench)
    bench.write("RING_LOG2", ring_log2(0, 0, 0))
    bench.write("CTRL", CTRL["ENABLE"])
    _try_heads(bench)
    bench.start(5, 2, 2, "SPLIT_REWARD")
    _try_heads(bench)
    pause = [Kind("DECODE", "pause", UNCHECKED)] * ("DECODE" in bench.capabilities.opcodes)
    plain = Kind(bench.draw.echo_opcode(), "done", UNCHECKED)
    stop = [Kind("STOP", "done", UNCHECKED)] * ("STOP" in bench.capabilities.opcodes)
    for count, last, paused in itertools.product((3, 4), ([plain], stop or [plain]), (False, True)):
        chosen = [*pause * count, *[plain] * (count - 1), *last]
        bench.submit(lines_of(bench.draw, chosen, first_index=bench.tail))
        bench.rest()
        if paused:
            bench.write("CTRL", 0)
            bench.quiet()
        _try_heads(bench)
        bench.rest()
        bench.write("CTRL", _RESUME)
        bench.rest()
        bench.take()
        bench.take(ring="REWARD")
        bench.rest()
    bench.reset()
    _try_heads(bench)
