# SPDX-License-Identifier: Apache-2.0
"""Device tests that enumerate configurations and states: every size and bit of a base, every place
of a ring, doorbells and configuration in every state, addresses, events and masks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from descring_model import ring_log2

from descring_sim.conform.lockstep import CTRL, IRQ, LINE, REG, RINGS, STATUS, Layout
from descring_sim.conform.suite.bench import RULE_OF, Bench
from descring_sim.conform.suite.declare import device_test
from descring_sim.conform.suite.kinds import UNCHECKED, Kind, lines_of
from descring_sim.conform.suite.vector import U32

_RESUME = CTRL["ENABLE"] | CTRL["RESUME"]
_CONFIG = ("RING_LOG2", *(f"{ring}_BASE_{half}" for ring in RINGS for half in ("LO", "HI")))
_WINDOW_BITS = 12
"""Registers are looked for in the first 4 KiB."""
_BIG = 16 << 20


def _used(bench: Bench) -> tuple[str, ...]:
    """The rings that can be in use."""
    return RINGS if "split_reward" in bench.capabilities.tokens() else RINGS[:2]


def _is_refused(bench: Bench, what: str, modes: int) -> None:
    bench.write("CTRL", CTRL["ENABLE"] | modes)
    bench.check(f"{what}: CTRL", modes, bench.read("CTRL"), "LIFE-002")
    bench.same("STATUS", "LIFE-002")
    bench.write("STATUS", STATUS["BAD_CONFIG"])


def _split(bench: Bench) -> int:
    return CTRL["SPLIT_REWARD"] if len(_used(bench)) == len(RINGS) else 0


@device_test("LIFE-002", smoke=True, memory=_BIG)  # in which 2^17 slots would fit
def every_size_out_of_range(bench: Bench) -> None:
    """Each size of 8 bits but 1 to 16 refuses ENABLE, of every ring that is in use."""
    sizes = [0, *range(17, 256)]
    if not bench.capabilities.exhaustive:
        sizes = [0, 17, 19, 32, 33, 35, 48, 64, 67, 128, 131, 160, 255]
    bench.configure(bench.plan(3, 3, 3))
    for place, size in itertools.product(range(len(_used(bench))), sizes):
        chosen = [3, 3, 3]
        chosen[place] = size
        bench.write("RING_LOG2", ring_log2(*chosen))
        _is_refused(bench, f"sizes {chosen}", _split(bench))
    bench.rest()


@device_test("LIFE-002", smoke=True)
def every_bit_of_a_base(bench: Bench) -> None:
    """A base with any bit set that makes it unaligned, or leads outside, refuses ENABLE."""
    good = bench.plan(3, 3, 3)
    outside = (len(bench.device.memory) - 1).bit_length()
    bits = [*range(6), *range(outside, 64)]
    if not bench.capabilities.exhaustive:
        bits = [0, 2, 5, outside, 31, 32, 33, 40, 48, 52, 56, 63]
    for place, bit in itertools.product(range(len(_used(bench))), bits):
        bases = list(good.bases)
        bases[place] += 1 << bit
        bench.configure(Layout((bases[0], bases[1], bases[2]), good.log2))
        _is_refused(bench, f"base {bases[place]:#x}", _split(bench))
    bench.rest()


@device_test("LIFE-002", "split_reward", smoke=True)
def reward_ring_is_checked_as_others(bench: Bench) -> None:
    """With SPLIT_REWARD a reward ring that ends behind the window refuses ENABLE, or whose index
    words lie before it; one that ends with the window does not.
    """
    good = bench.plan(3, 3, 3)
    size = len(bench.device.memory)
    end = size - (LINE << 3)
    tried = [(end + LINE, 0), (size, 0)]
    if "publish_tails" in bench.capabilities.tokens():
        tried += [(0, CTRL["PUBLISH_TAILS"]), (LINE, CTRL["PUBLISH_TAILS"])]
    for base, modes in tried:
        bench.configure(Layout((good.bases[0], good.bases[1], base), good.log2))
        _is_refused(bench, f"base {base:#x}", CTRL["SPLIT_REWARD"] | modes)
    bench.configure(Layout((good.bases[0], good.bases[1], end), good.log2))
    bench.write("CTRL", CTRL["ENABLE"] | CTRL["SPLIT_REWARD"])
    bench.submit(bench.lines(6))
    bench.rest()


def _placed(order: tuple[int, ...], start: int, gap: int) -> Layout:
    """Rings of 4, 8 and 4 slots one behind the other in this order, ``gap`` bytes between them."""
    log2 = (2, 3, 2)
    bases, place = [0, 0, 0], start
    for ring in order:
        bases[ring] = place
        place += (LINE << log2[ring]) + gap
    return Layout((bases[0], bases[1], bases[2]), log2)


@device_test("RING-004", smoke=True)
def rings_at_any_line(bench: Bench) -> None:
    """Rings in each order, at addresses that are multiples of 64 and of no more, with a gap between
    them and with none: all of that is good, and a ring lies where its base puts it.
    """
    for order in itertools.permutations(range(len(RINGS))):
        for start, gap in ((1024 + LINE, 3 * LINE), (LINE, 0)):
            layout = _placed(order, start, gap)
            bench.configure(layout)
            bench.write("CTRL", CTRL["ENABLE"] | _split(bench))
            bench.check("CTRL", CTRL["ENABLE"] | _split(bench), bench.read("CTRL"), "LIFE-002")
            for _ in range(2):
                bench.submit(bench.lines(4))
                bench.rest("RING-004")
                bench.take()
                bench.take(ring="REWARD")
            bench.reset()


@device_test("REG-030", smoke=True)
def registers_keep_apart(bench: Bench) -> None:
    """A write to one register changes no other: all of the configuration holds values meanwhile."""
    kept = (*_CONFIG, "IRQ_MASK")
    spare = {"RING_LOG2": 0xFF00_0000, "IRQ_MASK": U32 ^ 7}
    for _ in range(2):
        for name in bench.rng.permutation(kept).tolist():
            bench.write(name, int(bench.rng.integers(0, 1 << 32)))
            for other in kept:
                bench.same(other, RULE_OF[other])
        for name in ("STATUS", "DOORBELL", "DONE_HEAD", "REWARD_HEAD", "IRQ_STATUS", *spare):
            bench.write(name, spare.get(name, 0) | int(bench.rng.integers(0, 1 << 32)))
            for other in kept:
                bench.same(other, RULE_OF[other])


@device_test("DB-004", smoke=True)
def addresses_that_look_alike(bench: Bench) -> None:
    """In the first 4 KiB no address that shares bits with a register's is that register."""
    bits = range((max(REG.values())).bit_length(), _WINDOW_BITS)
    pairs = list(itertools.product(REG.values(), bits))
    if not bench.capabilities.exhaustive:
        pairs = pairs[:: len(bits) - 1]
    bench.start()
    bench.submit(bench.lines(3))
    bench.rest()
    for offset, bit in pairs:
        bench.check(f"address 0x{offset | 1 << bit:x}", 0, bench.read(offset | 1 << bit))
        bench.write(offset | 1 << bit, U32)
    bench.rest()


# ------------------------------------------------------------------ in every state


def _states(bench: Bench) -> Iterator[str]:
    """Bring a device from one state to the next: halted and paused with lines that wait."""
    yield "after reset"
    bench.write("RING_LOG2", 0)
    bench.write("CTRL", CTRL["ENABLE"])
    yield "refused"
    bench.start(4, 2, 2)
    yield "idle"
    plain = bench.draw.echo_opcode()
    if "STOP" in bench.capabilities.opcodes:
        chosen = [Kind(name, "done", UNCHECKED) for name in (plain, "STOP", plain)]
        bench.submit(lines_of(bench.draw, chosen, first_index=bench.tail))
        bench.rest()
        yield "halted"
        bench.write("CTRL", _RESUME)
        bench.rest()
        bench.take()
    bench.submit(lines_of(bench.draw, [Kind(plain, "done", UNCHECKED)] * 6))
    bench.rest()
    yield "without room"
    for _ in range(3):
        bench.take()
        bench.rest()
    bench.write("CTRL", 0)
    bench.rest()
    yield "paused"
    bench.write("CTRL", CTRL["ENABLE"])
    bench.rest()
    yield "idle again"


@device_test("DB-002", smoke=True)
def doorbells_in_every_state(bench: Bench) -> None:
    """Tails too far and backward are ignored and counted, and what is legal is accepted: after
    reset, refused, idle, halted, without room, paused.
    """
    for state in _states(bench):
        head, tail = (bench.golden.read32(REG[f"CMD_{end}"]) for end in ("HEAD", "TAIL"))
        slots = bench.layout.slots("CMD")
        wrong = (head + slots + 1, head - 1, tail + slots + 1, tail + (1 << 31), head + (1 << 16))
        rule = "DB-006" if state in ("after reset", "refused", "paused") else "DB-002"
        between = (tail - 1,) if tail != head else ()
        for value in (*wrong, *between, tail):
            bench.write("DOORBELL", value & U32)
            for name in ("CMD_TAIL", "CNT_BAD_DOORBELLS", "STATUS", "IRQ_STATUS"):
                bench.same(name, rule, *(["DB-002"] * (rule != "DB-002")))
            bench.write("STATUS", STATUS["BAD_DOORBELL"])
            bench.write("IRQ_STATUS", IRQ["ERROR"])
        if state in ("idle", "halted", "idle again"):
            bench.put(bench.lines(2, [bench.draw.echo_opcode()]))
            bench.write("DOORBELL", bench.tail)
            bench.same("CMD_TAIL", rule)
    bench.take()
    bench.rest()


@device_test("LIFE-006", smoke=True)
def locked_in_every_state(bench: Bench) -> None:
    """Sizes, bases and modes ignore writes while idle, halted, without room and paused."""
    claimed = _split(bench)
    for state in _states(bench):
        if state in ("after reset", "refused"):
            continue
        for name in _CONFIG:
            bench.write(name, int(bench.rng.integers(0, 1 << 32)))
            bench.same(name, "LIFE-006", RULE_OF[name])
        bench.write("CTRL", bench.golden.read32(REG["CTRL"]) ^ claimed)
        bench.same("CTRL", "LIFE-006", "REG-008")
    bench.rest()


def _all_events(bench: Bench) -> None:
    """Raise each event that can be raised."""
    bench.submit(bench.lines(1, [bench.draw.echo_opcode()]))
    if "STOP" in bench.capabilities.opcodes:
        bench.submit(lines_of(bench.draw, [Kind("STOP", "done", UNCHECKED)]))
    bench.ring(bench.tail - 1)
    bench.rest(memory=False, registers=("IRQ_STATUS",))


def _masks(bench: Bench, check: Callable[[], None]) -> None:
    """Every set of events under every mask; writes to the mask change no event."""
    bench.start()
    every = sum(IRQ.values())
    for left in range(every + 1):
        _all_events(bench)
        bench.write("IRQ_STATUS", every ^ left)
        bench.same("IRQ_STATUS")
        for mask in range(every + 1):
            bench.write("IRQ_MASK", mask)
            check()
        bench.same("IRQ_STATUS")
        bench.write("CTRL", _RESUME)
        bench.rest(memory=False)
        bench.take()


@device_test("IRQ-001", smoke=True)
def events_under_every_mask(bench: Bench) -> None:
    """Each set of events can be cleared alone and stays, whatever the mask is."""
    _masks(bench, lambda: bench.same("IRQ_MASK"))


@device_test("IRQ-001", "interrupt", smoke=True)
def level_of_every_event_and_mask(bench: Bench) -> None:
    """The interrupt is high for each set of events and each mask that have a bit in common."""
    _masks(bench, bench.interrupt)
