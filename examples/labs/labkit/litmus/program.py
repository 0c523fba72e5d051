# SPDX-License-Identifier: Apache-2.0
"""Litmus tests as data: the one source of the enumerators and of the generated programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Order = Literal["relaxed", "acquire", "release", "seq_cst"]
FenceKind = Literal["acquire", "release", "seq_cst", "light", "all"]
"""``light`` holds back the compiler alone; ``all`` fences for every CPU (sys_membarrier)."""


@dataclass(frozen=True)
class Store:
    """Write a value, at least 1, to a location."""

    location: str
    value: int
    order: Order = "relaxed"


@dataclass(frozen=True)
class Load:
    """Read a location into a register; its name is unique in the test."""

    register: str
    location: str
    order: Order = "relaxed"


@dataclass(frozen=True)
class Fence:
    """Order what is before it and what is behind it."""

    kind: FenceKind = "seq_cst"


Op = Store | Load | Fence
Thread = tuple[Op, ...]
Outcome = tuple[tuple[str, int], ...]
"""Registers and observed locations with their values at the end, by name."""


@dataclass(frozen=True)
class Test:
    """Threads over locations that begin at 0.

    Attributes:
        name: unique; letters, digits, blanks and a few signs.
        threads: what each does.
        weak: the outcome that the test is about.
        final: locations whose values at the end are part of an outcome.
    """

    name: str
    threads: tuple[Thread, ...]
    weak: Outcome
    final: tuple[str, ...] = ()

    # Not a class of pytest's.
    __test__ = False

    def locations(self) -> tuple[str, ...]:
        """All locations, by name."""
        found = {
            op.location for thread in self.threads for op in thread if not isinstance(op, Fence)
        }
        return tuple(sorted(found))

    def registers(self) -> tuple[str, ...]:
        """All registers, by name."""
        found = [op.register for thread in self.threads for op in thread if isinstance(op, Load)]
        return tuple(sorted(found))

    def names(self) -> tuple[str, ...]:
        """What an outcome has, in its order: registers, then locations at the end."""
        return self.registers() + tuple(f"[{name}]" for name in self.final)

    def with_orders(self, name: str, store: Order, load: Order, *, fences: bool = False) -> Test:
        """The same test with these orders, and with a full fence between the accesses if asked."""

        def changed(op: Op) -> Op:
            if isinstance(op, Store):
                return replace(op, order=store)
            return replace(op, order=load) if isinstance(op, Load) else op

        def fenced(thread: Thread) -> Thread:
            ops: list[Op] = []
            for op in thread:
                ops += [Fence()] if ops and fences else []
                ops.append(changed(op))
            return tuple(ops)

        return replace(self, name=name, threads=tuple(fenced(thread) for thread in self.threads))

    def swapped(self, thread: int) -> Test:
        """The same test with the two accesses of one thread in the other order."""
        first, second = self.threads[thread]
        threads = [*self.threads]
        threads[thread] = (second, first)
        return replace(self, name=f"{self.name} swapped", threads=tuple(threads))


def outcome(**values: int) -> Outcome:
    """An outcome; a location at the end as ``at_x``."""
    return tuple(
        (f"[{name.removeprefix('at_')}]" if name.startswith("at_") else name, value)
        for name, value in sorted(values.items())
    )


W, R = Store, Load
SB = Test("SB", ((W("x", 1), R("r0", "y")), (W("y", 1), R("r1", "x"))), outcome(r0=0, r1=0))
MP = Test("MP", ((W("x", 1), W("y", 1)), (R("r0", "y"), R("r1", "x"))), outcome(r0=1, r1=0))
LB = Test("LB", ((R("r0", "x"), W("y", 1)), (R("r1", "y"), W("x", 1))), outcome(r0=1, r1=1))
IRIW = Test(
    "IRIW",
    ((W("x", 1),), (W("y", 1),), (R("r0", "x"), R("r1", "y")), (R("r2", "y"), R("r3", "x"))),
    outcome(r0=1, r1=0, r2=1, r3=0),
)
W22 = Test(
    "2+2W",
    ((W("x", 1), W("y", 2)), (W("y", 1), W("x", 2))),
    outcome(at_x=1, at_y=1),
    final=("x", "y"),
)
CORR = Test("CoRR", ((W("x", 1),), (R("r0", "x"), R("r1", "x"))), outcome(r0=1, r1=0))
SHAPES = (SB, MP, LB, IRIW, W22, CORR)
SWAPPED = {"SB": 0, "MP": 0, "LB": 0, "IRIW": 3, "2+2W": 1, "CoRR": 1}
"""The thread of each shape that is reordered to see the weak outcome on any machine."""


def forms(shape: Test) -> tuple[Test, ...]:
    """A shape with relaxed accesses, with release and acquire, with full fences, and swapped."""
    many = any(len(thread) > 1 for thread in shape.threads)
    return (
        shape.with_orders(f"{shape.name} relaxed", "relaxed", "relaxed"),
        shape.with_orders(f"{shape.name} release-acquire", "release", "acquire"),
        *(
            (shape.with_orders(f"{shape.name} fenced", "relaxed", "relaxed", fences=True),)
            if many
            else ()
        ),
        shape.swapped(SWAPPED[shape.name]),
    )


@dataclass(frozen=True)
class RingProtocol:
    """Two sides of the ring, and each order or fence of them that can be weakened.

    ``weakened`` has, by what is weakened, the test without it.
    """

    text: str
    intact: Test
    weakened: dict[str, Test]


def _without(test: Test, name: str, change: Callable[[Op], Op | None], thread: int) -> Test:
    """``test`` with the operations of one thread changed, or left out where None is returned."""
    threads = [*test.threads]
    threads[thread] = tuple(new for op in threads[thread] if (new := change(op)) is not None)
    return replace(test, name=name, threads=tuple(threads))


def _relaxed(op: Op) -> Op | None:
    return op if isinstance(op, Fence) else replace(op, order="relaxed")


def _light(op: Op) -> Op | None:
    return Fence("light") if isinstance(op, Fence) else op


def protocols() -> tuple[RingProtocol, ...]:
    """The ring's own orders, as `host/native/sync.h` has them, and each of them weakened."""
    publish = Test(
        "ring publish",
        (
            (Store("line", 1), Store("tail", 1, "release")),
            (Load("seen", "tail", "acquire"), Load("got", "line")),
        ),
        outcome(seen=1, got=0),
    )
    reuse = Test(
        "ring reuse",
        (
            (Load("got", "line"), Store("head", 1, "release")),
            (Load("room", "head", "acquire"), Store("line", 1)),
        ),
        outcome(got=1, room=1),
    )
    sleep = Test(
        "ring sleep",
        (
            (Store("tail", 1, "release"), Fence(), Load("asleep", "sleeping")),
            (Store("sleeping", 1), Fence(), Load("news", "tail", "acquire")),
        ),
        outcome(asleep=0, news=0),
    )
    membarrier = Test(
        "ring sleep by membarrier",
        (
            (Store("tail", 1, "release"), Fence("light"), Load("asleep", "sleeping")),
            (Store("sleeping", 1), Fence("all"), Load("news", "tail", "acquire")),
        ),
        outcome(asleep=0, news=0),
    )
    return (
        RingProtocol(
            "the line, then the tail; the tail, then the line",
            publish,
            {
                "release of the tail": _without(publish, "ring publish, tail relaxed", _relaxed, 0),
                "acquire of the tail": _without(publish, "ring publish, look relaxed", _relaxed, 1),
            },
        ),
        RingProtocol(
            "a slot is read, then free; free, then written again",
            reuse,
            {
                "release of the head": _without(reuse, "ring reuse, head relaxed", _relaxed, 0),
                "acquire of the head": _without(reuse, "ring reuse, look relaxed", _relaxed, 1),
            },
        ),
        RingProtocol(
            "news, fence, is anyone asleep; asleep, fence, is there news",
            sleep,
            {
                "fence of the waker": _without(sleep, "ring sleep, waker light", _light, 0),
                "fence of the sleeper": _without(sleep, "ring sleep, sleeper light", _light, 1),
            },
        ),
        RingProtocol(
            "the same, the sleeper fencing for both by sys_membarrier",
            membarrier,
            {
                "membarrier": _without(membarrier, "ring membarrier, light", _light, 1),
            },
        ),
    )
