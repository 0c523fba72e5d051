# SPDX-License-Identifier: Apache-2.0
"""The core alone, over rings that are lists: what it counts, tells, and keeps when interrupted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from descring_model import GoldenCore, Lines, Ring, complete
from descring_model.core import Counters, Events
from model_support import U32, lines_of, packed
from scalar_reference import STOP, Desc


class ListPort:
    """Lines in order, and the completions of each ring; accesses fail where the sets have it."""

    def __init__(self, *lines: Desc, first_index: int = 0) -> None:
        self.lines = lines_of(*lines)
        self.first_index = first_index
        self.posted: dict[Ring, list[bytes]] = {Ring.DONE: [], Ring.REWARD: []}
        self.released: list[int] = []
        self.published: list[tuple[int, int | None, int]] = []
        self.unreadable: set[int] = set()
        self.unwritable: set[int] = set()
        self.refused = 0
        self.interrupted = ""

    def _places(self, indices: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        return indices - np.uint32(self.first_index)

    def _interrupt(self, name: str) -> None:
        """Raise once, as the handler of a signal would."""
        if self.interrupted == name:
            self.interrupted = ""
            raise KeyboardInterrupt

    def available(self, tail: int, head: int) -> int:
        """All that are published."""
        return (tail - head) % U32

    def readable(self, indices: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """All but :attr:`unreadable`."""
        return ~np.isin(self._places(indices), [*self.unreadable])

    def read(self, indices: npt.NDArray[np.uint32]) -> Lines:
        """Lines by their index."""
        return self.lines[self._places(indices)]

    def release(self, head: int) -> None:
        """Note the head."""
        self._interrupt("release")
        self.released.append(head)

    def writable(self, ring: Ring, indices: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """All but :attr:`unwritable`, of both rings."""
        return ~np.isin(self._places(indices), [*self.unwritable])

    def write(self, ring: Ring, indices: npt.NDArray[np.uint32], lines: Lines) -> None:
        """Append to the ring."""
        self._interrupt("write")
        self.posted[ring] += packed(lines)

    def publish(self, done_tail: int, reward_tail: int | None, cmd_head: int) -> bool:
        """Note the indices; False as often as :attr:`refused` is."""
        self._interrupt("publish")
        self.published.append((done_tail, reward_tail, cmd_head))
        self.refused -= 1
        return self.refused < 0


def enabled(port: ListPort, **modes: bool) -> GoldenCore:
    """A core over ``port`` to which all of its lines are published."""
    core = GoldenCore(port, done_log2=3, reward_log2=3, first_index=port.first_index)
    core.enabled = True
    for name, value in modes.items():
        setattr(core, name, value)
    core.publish((port.first_index + len(port.lines)) % U32)
    return core


def test_a_core_takes_nothing_until_it_is_enabled() -> None:
    """[LIFE-001] And has no mode that was not asked for."""
    port = ListPort(Desc(), Desc())
    core = GoldenCore(port, done_log2=3, reward_log2=3)
    core.tail = 2
    core.run()
    assert (core.head, port.posted[Ring.DONE], port.released) == (0, [], [])
    assert not (core.require_checked or core.split_reward or core.publish_tails)
    core.enabled = True
    core.run()
    assert (core.head, len(port.posted[Ring.DONE]), port.published) == (2, 2, [])


@pytest.mark.parametrize("first_index", [0, U32 - 1])
def test_counters_and_events_are_of_what_was_posted(first_index: int) -> None:
    """[CNT-001] [RING-012] All of them, and each event once; those of another core are its own."""
    port = ListPort(
        Desc(max_tokens=20), Desc(opcode=77), Desc(opcode=STOP), first_index=first_index
    )
    core, other = enabled(port), GoldenCore(port, done_log2=1, reward_log2=1)
    core.run()
    assert core.counters == Counters(descriptors=3, tokens=20, errors=1, stalls=0)
    assert core.take_events() == Events(completion=True, halted=True, bus_error=False)
    assert core.take_events() == other.take_events() == Events()
    assert other.counters == Counters()
    assert core.head == (first_index + 3) % U32
    assert port.posted[Ring.DONE] == packed(complete(port.lines, first_index=first_index))


def test_completion_that_finds_no_room_is_one_stall() -> None:
    """[RING-005] However often the core is run before the host takes one."""
    port = ListPort(*[Desc()] * 10)
    core = enabled(port)
    for _ in range(3):
        core.run()
    assert core.counters == Counters(descriptors=8, stalls=1)
    assert core.rings[Ring.DONE].take(1)
    core.run()
    assert core.counters == Counters(descriptors=9, stalls=2)


@pytest.mark.parametrize("failing", ["unreadable", "unwritable"])
def test_memory_that_fails_halts_the_core_at_its_line(failing: str) -> None:
    """[LIFE-005] The lines before it are posted; after the repair it continues there."""
    port = ListPort(*[Desc(user_data=n) for n in range(4)])
    getattr(port, failing).add(2)
    core = enabled(port)
    for _ in range(2):
        core.run()
        assert (core.halted, core.head) == (True, 2)
    assert core.take_events() == Events(completion=True, halted=True, bus_error=True)
    getattr(port, failing).clear()
    core.resume()
    core.run()
    assert (core.halted, core.head) == (False, 4)
    assert core.take_events() == Events(completion=True)
    assert port.posted[Ring.DONE] == packed(complete(port.lines))


def test_words_that_cannot_be_stored_halt_the_core() -> None:
    """[RING-013] No completion is told of before the words; RESUME stores them again."""
    port = ListPort(Desc(), Desc())
    port.refused = 2
    core = enabled(port, publish_tails=True)
    for _ in range(2):
        core.run()
        assert core.take_events() == Events(halted=True, bus_error=True)
        core.resume()
    core.run()
    assert core.take_events() == Events(completion=True)
    assert port.published == [(2, None, 2)] * 3
    assert (core.counters.descriptors, len(port.posted[Ring.DONE])) == (2, 2)


@pytest.mark.parametrize("place", ["release", "publish", "write"])
def test_signal_while_completions_are_posted_loses_nothing(place: str) -> None:
    """A handler that raises leaves a core that tells the host when it is run again."""
    port = ListPort(Desc(max_tokens=5), Desc(opcode=STOP))
    port.interrupted = place
    core = enabled(port, publish_tails=True)
    with pytest.raises(KeyboardInterrupt):
        core.run()
    assert not core.events.completion
    core.run()
    assert core.take_events() == Events(completion=True, halted=True)
    assert core.counters == Counters(descriptors=2, tokens=5)
    assert (port.released[-1], port.published) == (2, [(2, None, 2)])
    assert port.posted[Ring.DONE] == packed(complete(port.lines))
    core.run()
    assert core.take_events() == Events()
