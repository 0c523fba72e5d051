# SPDX-License-Identifier: Apache-2.0
"""Trace events of a worker's lines; each case raises where one is missing, wrong or too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from descring_cuda import RemoteDevice
from descring_host import CommandQueue
from descring_host.trace_rings import DeviceClock, Ring, make_ring, ring_events
from descring_model import Lines, streams
from descring_model.rollouts import seeing
from descring_rollouts.native import lib
from host_support import run_stream

Open = Callable[..., RemoteDevice]
"""Opens a device; ``memory`` and other options by name."""
EVENT = seeing.TRACE_EVENT
COUNT = 150


class Rings:
    """Gives out rings, and takes what is in them.

    Attributes:
        given: by their name.
    """

    def __init__(self, events: int = 2048) -> None:
        self._events = events
        self.given: dict[str, Ring] = {}

    def make(self, name: str) -> Ring:
        """A ring for a block."""
        assert name not in self.given
        self.given[name] = make_ring(self._events)
        return self.given[name]

    def events(self) -> Any:
        """Of all rings, each in its own order; none may be lost."""
        found = [ring_events(ring) for ring in self.given.values()]
        assert [lost for _, lost in found] == [0] * len(found)
        return np.concatenate([events for events, _ in found])


def lines_of(seed: int) -> Lines:
    """Lines of every kind, with errors and STOPs among them."""
    return streams.generate(COUNT, seed=seed, profile="mixed")


def keys(lines: Lines) -> Counter[tuple[int, int, int]]:
    """Rollout, leg and opcode of each line."""
    legs = (lines["user_data"] >> np.uint64(32)).astype(int) & 0xFFFFFF
    return Counter(
        zip(lines["rollout_id"].tolist(), legs.tolist(), lines["opcode"].tolist(), strict=True)
    )


def keys_of(events: Any, name: str) -> Counter[tuple[int, int, int]]:
    """The same of the events of a name."""
    mine = events[events["event"] == EVENT[name]]
    columns = (mine[member].tolist() for member in ("rollout", "leg", "detail"))
    return Counter(zip(*columns, strict=True))


def every_line_has_its_two_events(opener: Open) -> None:
    """[TRC-002] Single lines and batches, through rings that are full at times, both in time."""
    for batch, count, modes in (
        (1, 50, {}),
        (40, COUNT, {}),
        (23, COUNT, {"split_reward": True}),
    ):
        lines, rings = lines_of(61 + batch)[:count], Rings()
        with (
            opener(memory=1 << 20) as device,
            CommandQueue(device, cmd_slots=64, done_slots=8, reward_slots=4, **modes) as queue,  # type: ignore[arg-type]
        ):
            device.trace(rings.make)
            began = int(lib.hr_stamp())
            run_stream(queue, lines, batch)
            ended = int(lib.hr_stamp())
            device.trace(None)
            clock = device.trace_clock
            assert clock is not None
        events = rings.events()
        assert len(events) == 2 * count
        for name in ("CONSUMED", "PRODUCED"):
            assert keys_of(events, name) == keys(lines), name
        assert set(events["clock"].tolist()) == {seeing.TRACE_CLOCK["GPU_GLOBALTIMER"]}
        stamps = events["host"].astype(np.int64)
        assert began - clock.error <= stamps.min() <= stamps.max() <= ended + clock.error
        in_order(events, rings)
        of_their_time(events, clock)


def in_order(events: Any, rings: Rings) -> None:
    """[TRC-003] [TRC-005] Rings by time; no line is posted before it is taken, some later."""
    for ring in rings.given.values():
        mine = ring_events(ring)[0]
        assert (np.diff(mine["host"].astype(np.int64)) >= 0).all()
    spans = [
        np.sort(events["device"][events["event"] == EVENT[name]].astype(np.int64))
        for name in ("CONSUMED", "PRODUCED")
    ]
    assert (spans[1] >= spans[0]).all()
    assert (spans[1] > spans[0]).any()


def of_their_time(events: Any, clock: DeviceClock) -> None:
    """[TRC-005] A stamp of the host's is that of the device's time."""
    whole = np.rint((events["host"].astype(np.int64) - clock.first.before) * clock.per_stamp)
    found = events["device"].astype(np.int64) - clock.first.device
    assert (np.abs(whole - found) <= (clock.error + 1) * clock.per_stamp).all()


def a_full_ring_keeps_the_last(opener: Open) -> None:
    """[TRC-003] Nothing waits for it, what is lost is counted, and rounds may be longer than it."""
    for events in (1, 16, 64):
        lines, rings = lines_of(71), Rings(events)
        with opener(memory=1 << 20) as device, CommandQueue(device, cmd_slots=512) as queue:
            device.trace(rings.make)
            run_stream(queue, lines, COUNT)
            device.trace(None)
        found = [ring_events(ring) for ring in rings.given.values()]
        assert sum(len(kept) + lost for kept, lost in found) == 2 * COUNT
        for kept, lost in found:
            assert len(kept) == events or not lost
            assert (kept["clock"] == seeing.TRACE_CLOCK["GPU_GLOBALTIMER"]).all()
            assert (np.isin(kept["event"], [EVENT["CONSUMED"], EVENT["PRODUCED"]])).all()
        if len(found) == 1:
            assert not keys_of(found[0][0], "PRODUCED") - keys(lines[-events:])
            assert keys_of(found[0][0], "PRODUCED")


def nothing_is_written_unasked(opener: Open) -> None:
    """[TRC-003] Before, between and behind two traces, whose rings are their own."""
    lines, first, second = lines_of(81), Rings(), Rings()
    with opener(memory=1 << 20) as device, CommandQueue(device, cmd_slots=64) as queue:
        device.trace(None)
        assert device.trace_clock is None
        run_stream(queue, lines[:20], 7)
        device.trace(first.make)
        run_stream(queue, lines[20:50], 7)
        tracing = device._tracing
        assert tracing is not None
        device.trace(None)
        before = [ring.tobytes() for ring in (*tracing.written, *first.given.values())]
        assert any(any(data[64:]) for data in before)
        run_stream(queue, lines[50:100], 7)
        device.trace(second.make)
        run_stream(queue, lines[100:], 7)
        device.trace(None)
        after = [ring.tobytes() for ring in (*tracing.written, *first.given.values())]
    assert before == after
    assert keys_of(first.events(), "PRODUCED") == keys(lines[20:50])
    assert keys_of(second.events(), "PRODUCED") == keys(lines[100:])


CASES = (
    every_line_has_its_two_events,
    a_full_ring_keeps_the_last,
    nothing_is_written_unasked,
)
