# SPDX-License-Identifier: Apache-2.0
"""Device tests of doorbells: lost, doubled, backward, too far, early, and while it is disabled."""

from __future__ import annotations

from descring_sim.conform.lockstep import CTRL, STATUS
from descring_sim.conform.suite.bench import Bench
from descring_sim.conform.suite.declare import device_test
from descring_sim.conform.suite.vector import U32


@device_test("DB-001", smoke=True)
def unpublished_lines(bench: Bench) -> None:
    """Lines without a doorbell are not completed, and only those before its tail are."""
    bench.start(4, 4, 4)
    bench.put(bench.lines(9))
    bench.quiet()
    bench.ring(bench.tail - 5)
    bench.rest()
    bench.quiet()
    bench.ring()
    bench.rest()


@device_test("DB-001", smoke=True)
def rewritten_before_the_doorbell(bench: Bench) -> None:
    """A line behind the tail may change until its doorbell: what runs is what lies there then."""
    bench.start(4, 4, 4)
    for _ in range(4):
        bench.put(bench.lines(6))
        bench.ring(bench.tail - 5)
        bench.quiet()
        bench.rewrite(5)
        bench.ring()
        bench.rest()
        bench.take()


def _illegal(bench: Bench, tails: list[int]) -> None:
    for tail in tails:
        bench.ring(tail)
        bench.same("CMD_TAIL")
        bench.same("CNT_BAD_DOORBELLS")
        bench.same("STATUS")
    bench.quiet()
    bench.write("STATUS", STATUS["BAD_DOORBELL"])
    bench.same("STATUS")
    bench.submit(bench.lines(3))
    bench.rest()


@device_test("DB-002", smoke=True)
def backward(bench: Bench) -> None:
    """A tail behind the accepted one is ignored, noted and counted, and nothing is lost."""
    bench.start(4, 4, 4)
    bench.submit(bench.lines(8))
    bench.rest()
    _illegal(
        bench, [bench.tail - 1, bench.tail - 8, bench.tail - (1 << 31), bench.tail + 1 - (1 << 31)]
    )


@device_test("DB-002", smoke=True)
def backward_over_waiting_lines(bench: Bench) -> None:
    """A tail between the oldest waiting line and the accepted tail is behind, and is ignored."""
    bench.start(4, 1, 1)
    bench.submit(bench.lines(12, [bench.draw.echo_opcode()]))
    bench.rest()
    for back in (1, 2, 9):
        bench.ring(bench.tail - back)
        bench.rest()
    for _ in range(6):
        bench.take()
        bench.rest()


@device_test("DB-002", smoke=True)
def too_far(bench: Bench) -> None:
    """A tail that leaves more than the ring holds is ignored, by one and by many."""
    bench.start(3, 3, 3)
    bench.submit(bench.lines(5))
    bench.rest()
    _illegal(
        bench, [bench.tail + 9, bench.tail + 16, bench.tail + (1 << 30), bench.tail + (1 << 16)]
    )


@device_test("DB-002")
def full_ring_is_legal(bench: Bench) -> None:
    """A tail that fills the ring to the last slot is accepted, with work waiting and without."""
    bench.start(2, 1, 1)
    bench.submit(bench.lines(4, [bench.draw.echo_opcode()]))
    bench.rest()
    bench.put(bench.lines(2, [bench.draw.echo_opcode()]))
    bench.ring(bench.tail + 1)
    bench.rest()
    bench.ring()
    bench.rest()
    while bench.golden.read32(0x14) != bench.tail:
        bench.take()
        bench.rest()


@device_test("DB-002", "first_index", first_index=U32 - 5)
def through_the_wrap(bench: Bench) -> None:
    """Legal and illegal tails on both sides of 2^32."""
    bench.start(3, 3, 3)
    for _ in range(3):
        bench.submit(bench.lines(5))
        bench.rest("DB-002", "RING-002")
        bench.ring(bench.tail - 2)
        bench.ring(bench.tail + 9)
        bench.rest("DB-002", "RING-002")
        bench.take()


@device_test("DB-003", smoke=True)
def doubled_and_lost(bench: Bench) -> None:
    """A doorbell given again has no effect, and one that is lost is covered by the next."""
    bench.start(4, 4, 4)
    for count in (3, 1, 5):
        bench.submit(bench.lines(count))
        bench.ring()
        bench.rest()
        bench.ring()
        bench.put(bench.lines(2))
        bench.submit(bench.lines(1))
        bench.ring()
        bench.rest()
        bench.take()
    bench.check("CNT_BAD_DOORBELLS", 0, bench.read("CNT_BAD_DOORBELLS"))


@device_test("DB-006", smoke=True)
def while_disabled(bench: Bench) -> None:
    """A doorbell before ENABLE is ignored and noted, except one that repeats the accepted tail."""
    bench.configure(bench.plan(3, 3, 3))
    bench.ring()
    bench.rest()
    bench.ring(bench.tail + 2)
    bench.rest()
    bench.write("STATUS", U32)
    bench.start()
    bench.submit(bench.lines(3))
    bench.rest()
    bench.write("CTRL", 0)
    bench.ring()
    bench.rest()
    bench.ring(bench.tail + 1)
    bench.rest()


@device_test("DB-006", "opcode:STOP")
def while_halted(bench: Bench) -> None:
    """While HALTED doorbells are accepted, and the lines wait for RESUME."""
    bench.start(4, 4, 4)
    bench.submit(bench.lines(1, ["STOP"]))
    bench.rest()
    bench.submit(bench.lines(4))
    bench.quiet()
    bench.write("CTRL", CTRL["ENABLE"] | CTRL["RESUME"])
    bench.rest()


@device_test("DB-002")
def random_doorbells(bench: Bench) -> None:
    """A hundred random tails, legal and not, near and far: accepted, ignored and counted alike."""
    bench.start(4, 4, 4)
    for _ in range(100):
        count = int(bench.rng.integers(0, 5))
        bench.put(bench.lines(count))
        published = bench.golden.read32(0x18)
        draw = bench.rng.random()
        if draw < 0.5:
            bench.ring()
        elif draw < 0.75:
            bench.ring(published - int(bench.rng.integers(1, 1 << 31)))
        else:
            bench.ring(published + 17 + int(bench.rng.integers(0, 1 << 31)))
        bench.ring()
        bench.rest(memory=False)
        bench.take()
    bench.rest()
