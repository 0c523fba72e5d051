# SPDX-License-Identifier: Apache-2.0
"""Stream tests of what only shows at the ports of a core: `enable`, `resume` and `halted`."""

from __future__ import annotations

from collections.abc import Iterator

from descring_sim.conform.suite.declare import stream_test
from descring_sim.conform.suite.kinds import INTACT, UNCHECKED, Kind, kinds, lines_of
from descring_sim.conform.suite.vector import Draw, Vector


def _with_stops(draw: Draw, count: int, every: int) -> Vector:
    """Lines of every kind with an accepted STOP among ``every`` of them, or none for 0."""
    pool = [kind for kind in kinds(draw.capabilities, stops=False) if kind.opcode != "ROLLOUT"]
    chosen = [pool[place] for place in draw.rng.integers(0, len(pool), count)]
    check = INTACT if draw.capabilities.checked else UNCHECKED
    for place in range(every // 2, count, every) if every else ():
        chosen[place] = Kind("STOP", "done", check)
    return Vector(lines_of(draw, chosen), ("count",))


def _as(vector: Vector, host: str, **modes: bool) -> Vector:
    return Vector(vector.lines, vector.focus, {"host": host, **modes})


@stream_test("LIFE-007", "enable", "rings:chip", smoke=True)
def enable_before_during_and_after(draw: Draw) -> Vector:
    """Nothing is completed before `enable`; what is published while it is low waits for it."""
    return _as(_with_stops(draw, 160, 0), "pauses")


@stream_test("LIFE-003", "enable", "opcode:STOP", "rings:chip", smoke=True)
def resume_while_disabled(draw: Draw) -> Vector:
    """A `resume` while `enable` is low ends the halt, and lines wait for `enable`."""
    return _as(_with_stops(draw, 100, 24), "pauses")


@stream_test("LIFE-003", "enable", "opcode:STOP", "rings:chip", smoke=True)
def resume_out_of_turn(draw: Draw) -> Vector:
    """A `resume` where nothing has halted has no effect, and is not kept for the next STOP."""
    return _as(_with_stops(draw, 120, 20), "resumes")


@stream_test("LIFE-003", "halted", "opcode:STOP", "rings:chip", smoke=True)
def halted_before_during_and_after(draw: Draw) -> Iterator[Vector]:
    """`halted` is low without a STOP in the ring, high behind one, and low after the resume."""
    for every in (0, 40):
        yield _as(_with_stops(draw, 160, every), "eager")
    if "halt" in draw.capabilities.tokens():
        yield _as(_with_stops(draw, 40, 40), "eager", halt=True)


@stream_test("RING-005", "backpressure", "rings:chip", smoke=True)
def offered_until_taken(draw: Draw) -> Iterator[Vector]:
    """A completion that is valid stays valid and the same until it is taken, in either ring."""
    granted = draw.capabilities.tokens()
    for split in (False, True) if "split_reward" in granted else (False,):
        vector = _with_stops(draw, 120, 30 if "opcode:STOP" in granted else 0)
        yield _as(vector, "slow", split_reward=split)


@stream_test("RING-008", "split_reward", "opcode:DECODE", "rings:chip", smoke=True)
def pauses_and_the_rest_by_turns(draw: Draw) -> Vector:
    """Pauses and other completions by turns: each ring gets its own."""
    checks = (INTACT, UNCHECKED) if draw.capabilities.checked else (UNCHECKED,)
    chosen = [
        Kind("DECODE", outcome, checks[int(check)])
        for outcome, check in zip(
            ["pause", "limit"] * 40, draw.rng.integers(0, len(checks), 80), strict=True
        )
    ]
    lines = lines_of(draw, chosen)
    return Vector(lines, ("ring", "count"), {"split_reward": True})
