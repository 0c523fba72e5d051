# SPDX-License-Identifier: Apache-2.0
"""Device tests of what depends on a history: how often something has happened, how long nothing
has, and lines that are alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from descring_sim.conform.lockstep import CTRL, IRQ, STATUS
from descring_sim.conform.suite.bench import Bench
from descring_sim.conform.suite.declare import device_test
from descring_sim.conform.suite.kinds import UNCHECKED, Kind, kinds, lines_of
from descring_sim.conform.suite.stream_history import alike
from descring_sim.conform.suite.vector import U32

_RESUME = CTRL["ENABLE"] | CTRL["RESUME"]
_LONG_S = 0.4
_WAITS = 600
_BIG = 16 << 20


def _often(bench: Bench) -> Iterator[int]:
    """Yield turns: more than a count of 8 bits holds, and 20 where that is slow."""
    yield from range(300 if bench.capabilities.exhaustive else 20)


@device_test("LIFE-003", "opcode:STOP")
def many_halts(bench: Bench) -> None:
    """The 300th STOP halts as the first does, and the 300th RESUME ends it."""
    bench.start()
    for _ in _often(bench):
        bench.submit(lines_of(bench.draw, [Kind("STOP", "done", UNCHECKED)]))
        bench.rest(memory=False, registers=("STATUS", "IRQ_STATUS"))
        bench.write("IRQ_STATUS", IRQ["HALTED"])
        bench.write("CTRL", _RESUME)
        bench.same("STATUS")
        bench.take()
    bench.rest()


@device_test("LIFE-004")
def many_resets(bench: Bench) -> None:
    """The 300th RESET is as whole as the first."""
    for turn in _often(bench):
        bench.write("IRQ_MASK", 1 + turn % 7)
        bench.start(3 + turn % 3, 3, 3)
        bench.submit(lines_of(bench.draw, [Kind(bench.draw.echo_opcode(), "done", UNCHECKED)]))
        bench.settle()
        bench.reset()
        bench.rest(memory=False)


@device_test("LIFE-002")
def many_refusals(bench: Bench) -> None:
    """The 300th refused ENABLE is refused as the first is, and then a good one is accepted."""
    for _ in _often(bench):
        bench.write("CTRL", CTRL["ENABLE"])
        for name in ("CTRL", "STATUS", "IRQ_STATUS"):
            bench.same(name)
        bench.write("STATUS", STATUS["BAD_CONFIG"])
        bench.write("IRQ_STATUS", U32)
    bench.start()
    bench.submit(bench.lines(3))
    bench.rest()


@device_test("LIFE-007")
def many_pauses(bench: Bench) -> None:
    """The 300th pause pauses, and ends, as the first does."""
    bench.start()
    for _ in _often(bench):
        bench.write("CTRL", 0)
        bench.settle()
        for name in ("CTRL", "STATUS"):
            bench.same(name)
        bench.write("CTRL", CTRL["ENABLE"])
        bench.submit(lines_of(bench.draw, [Kind(bench.draw.echo_opcode(), "done", UNCHECKED)]))
        bench.rest(memory=False, registers=("STATUS", "CMD_HEAD"))
        bench.take()
    bench.rest()


@device_test("RING-006", "exhaustive", "split_reward", "opcode:DECODE", memory=_BIG)
def more_pauses_than_slots(bench: Bench) -> None:
    """More completions in the reward ring than the greatest ring has slots."""
    bench.start(15, 1, 16, "SPLIT_REWARD")
    for _ in range(3):
        pauses = [Kind("DECODE", "pause", UNCHECKED)] * (1 << 15)
        bench.submit(lines_of(bench.draw, pauses))
        bench.rest()
        bench.take(ring="REWARD")


@device_test("RING-006", smoke=True)
def lines_alike_in_rings(bench: Bench) -> None:
    """Each has a completion of its own: equal lines in a row, and lines with a field in common."""
    bench.start(7, 7, 7)
    lines = alike(bench.draw)
    for at in range(0, len(lines), 128):
        bench.submit(lines[at : at + 128])
        bench.rest(memory=False, registers=("CMD_HEAD", "DONE_TAIL", "CNT_DESCRIPTORS"))
        bench.take()
    bench.rest()


@device_test("IRQ-001", smoke=True)
def event_of_each_kind(bench: Bench) -> None:
    """A completion of each kind, posted alone, in either ring, sets the event and counts."""
    split = "split_reward" in bench.capabilities.tokens()
    bench.start(4, 4, 4, *["SPLIT_REWARD"] * split)
    for kind in kinds(bench.capabilities):
        bench.write("IRQ_STATUS", U32)
        bench.submit(lines_of(bench.draw, [kind], first_index=bench.tail))
        bench.rest(memory=False, registers=("IRQ_STATUS", "CNT_ERRORS", "CNT_TOKENS_LO"))
        bench.take()
        bench.take(ring="REWARD")
        bench.write("CTRL", _RESUME)
    bench.rest()


# ------------------------------------------------------------------ long waits


def _for_long(bench: Bench) -> None:
    """Let time pass in which nothing may happen, then compare."""
    deadline, waits = time.monotonic() + _LONG_S, 0
    least = _WAITS if bench.capabilities.exhaustive else 0
    while time.monotonic() < deadline or waits < least:
        bench.device.wait(_LONG_S / _WAITS)
        waits += 1
        time.sleep(_LONG_S / _WAITS / 2)
    bench.rest()


def _goes_on(bench: Bench, count: int) -> None:
    """What waited is completed, and so are new lines."""
    for _ in range(count):
        bench.take()
        bench.rest()
    bench.submit(bench.lines(1, [bench.draw.echo_opcode()]))
    bench.rest()


def _declare_wait(
    rule: str, name: str, what: str, begin: Callable[[Bench], None], *needs: str
) -> None:
    def waits(bench: Bench) -> None:
        bench.start(3, 1, 1)
        begin(bench)
        _for_long(bench)
        bench.write("CTRL", _RESUME)
        bench.rest()
        _goes_on(bench, 4)

    waits.__name__ = name
    waits.__doc__ = f"{what}, however long it waits"
    device_test(rule, *needs, smoke=True)(waits)


def _full(bench: Bench) -> None:
    bench.submit(bench.lines(5, [bench.draw.echo_opcode()]))
    bench.rest()


def _halted(bench: Bench) -> None:
    plain = Kind(bench.draw.echo_opcode(), "done", UNCHECKED)
    bench.submit(lines_of(bench.draw, [Kind("STOP", "done", UNCHECKED), plain]))
    bench.rest()


def _paused(bench: Bench) -> None:
    bench.submit(bench.lines(1, [bench.draw.echo_opcode()]))
    bench.rest()
    bench.write("CTRL", 0)
    bench.rest()


def _idle(bench: Bench) -> None:
    bench.check("CMD_HEAD", bench.first_index, bench.read("CMD_HEAD"))


_declare_wait("RING-005", "long_without_room", "a full ring loses nothing", _full)
_declare_wait("LIFE-003", "long_halted", "a halt does not end", _halted, "opcode:STOP")
_declare_wait("LIFE-007", "long_paused", "a pause does not end", _paused)
_declare_wait("RING-006", "long_idle", "an idle device takes the next line", _idle)
