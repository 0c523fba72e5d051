# SPDX-License-Identifier: Apache-2.0
"""Stream tests of what depends on more than a line alone: lines that are alike, how many there have
been of a kind, what stood before, how long a stream is, and what has been carried out already.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model import Lines, contract, line_bytes
from descring_model.streams import limit_rollouts

from descring_sim.conform.suite.declare import stream_test
from descring_sim.conform.suite.kinds import (
    BAD_CHECKSUM,
    BAD_TAG,
    INTACT,
    UNCHECKED,
    UNKNOWN,
    Kind,
    claimed_modes,
    kinds,
    lines_of,
    representatives,
    times,
)
from descring_sim.conform.suite.vector import FLAG, OPCODE, Draw, Vector

_APART = (1, 2, 3, 8, 16, 32)
_MANY = (1 << 16) + 40
_SOME = 300
_WORD = 4
_HOST_FLAGS = [
    sum(chosen)
    for count in range(4)
    for chosen in itertools.combinations((FLAG["COW_PREFIX"], 0x40, 0x80), count)
]


def alike(draw: Draw) -> Lines:
    """Lines that nothing tells from an earlier one, and lines that one field does not.

    Three equal ones of each kind; then for each field and each of some distances three lines with
    the value that it has so many lines before. None is CHECKED, since tags tell lines apart.
    """
    plain = [kind for kind in kinds(draw.capabilities, stops=False) if kind.check == UNCHECKED]
    same = lines_of(draw, plain).repeat(3)
    fields = [field.name for field in contract.FIELDS if field.name not in ("opcode", "flags")]
    parts = [same]
    for name, apart in itertools.product(fields, _APART):
        lines = draw.lines(apart + 3)
        lines[name][apart:] = lines[name][:3] if apart > 2 else lines[name][0]
        limit_rollouts(lines)
        parts.append(lines)
    return np.concatenate(parts)


@stream_test("RING-006", smoke=True)
def lines_that_are_alike(draw: Draw) -> Vector:
    """Each has a completion of its own: equal lines in a row, and lines with a field in common."""
    return Vector(alike(draw), ("count", "order"))


@stream_test("RING-007", smoke=True)
def the_same_stream_again(draw: Draw) -> Iterator[Vector]:
    """A stream has the same completions each time, also after another one."""
    first, other = (
        Vector(lines_of(draw, times(kinds(draw.capabilities, stops=False), 2)), ("order", "count"))
        for _ in range(2)
    )
    yield from (first, first, other, first, replace(first, focus=("order",)))


@stream_test("RING-006", smoke=True)
def streams_of_every_length(draw: Draw) -> Iterator[Vector]:
    """Streams of one line and a few, and of each power of two, one less and one more."""
    lengths = {1, 2, 3}
    if draw.capabilities.exhaustive:
        lengths |= {(1 << bits) + more for bits in range(2, 14) for more in (-1, 0, 1)}
    for length in sorted(lengths):
        yield Vector(draw.lines(length), ("count",))


def _third_order(count: int) -> list[int]:
    """A sequence of 0 to ``count`` - 1 with every three in a row: a de Bruijn sequence of order 3.

    The Lyndon words whose lengths divide 3, in lexicographic order (Fredricksen and Maiorana).
    """
    triples = itertools.product(range(count), repeat=3)
    words = [
        word for word in triples if word < (*word[1:], word[0]) and word < (word[2], *word[:2])
    ]
    ordered = sorted([*words, *((place,) for place in range(count))])
    sequence = [place for word in ordered for place in word]
    return sequence + sequence[:2]


@stream_test("RING-006", "exhaustive")
def every_three_in_a_row(draw: Draw) -> Iterator[Vector]:
    """One completion each, whatever the two lines before it are, in all modes and in none."""
    pool = representatives(draw.capabilities)
    chosen = [pool[place] for place in _third_order(len(pool))]
    modes = list(claimed_modes(draw.capabilities))
    for mode in (modes[0], modes[-1]):
        yield Vector(lines_of(draw, chosen), ("count", "flags"), mode)


def _many(draw: Draw) -> Sequence[Kind]:
    checks = (BAD_CHECKSUM, BAD_TAG, INTACT) if draw.capabilities.checked else (UNCHECKED,)
    pause = [Kind("DECODE", "pause", UNCHECKED)] * ("DECODE" in draw.capabilities.opcodes)
    return [*pause, *(Kind(draw.echo_opcode(), "done", check) for check in checks)]


@stream_test("RING-006")
def many_of_a_kind(draw: Draw) -> Iterator[Vector]:
    """More in a row than a count of 16 bits holds of pauses, of refusals by check, and of lines
    that pass both; 300 where that is slow, and 300 STOPs everywhere.
    """
    count = _MANY if draw.capabilities.exhaustive else _SOME
    split = "split_reward" in draw.capabilities.tokens()
    for kind in _many(draw):
        lines = lines_of(draw, [kind, Kind(UNKNOWN, "done", UNCHECKED)] * 2 + [kind] * count)
        yield Vector(lines, ("count", "order"), {"split_reward": split})
    if "STOP" in draw.capabilities.opcodes:
        stops = [Kind("STOP", "done", UNCHECKED)] * _SOME
        yield Vector(lines_of(draw, stops), ("count", "order"))


# ------------------------------------------------------------------ values that meet


def _with_equal_words(draw: Draw, opcode: str, pairs: npt.NDArray[Any], zero: bool) -> Lines:
    """A line for each pair of words, ``(n, 2)`` byte offsets: both hold the same value."""
    count = len(pairs)
    lines = draw.lines(count, [opcode])
    rollout = opcode == "ROLLOUT"
    if rollout:  # a token is a cycle in RTL
        for name in ("seq_len", "max_tokens"):
            lines[name] = draw.rng.integers(0, 90, count)
    values = draw.rng.integers(0, 90 if rollout else 1 << 32, count) * (not zero)
    words = line_bytes(lines).view("<u4")
    for column in (0, 1):
        words[np.arange(count), pairs[:, column] // _WORD] = values
    return lines


@stream_test("DESC-014", smoke=True)
def words_that_are_equal(draw: Draw) -> Vector:
    """Every two words of a line with the same value, and both 0: nothing more changes by it."""
    words = range(_WORD, contract.CRC_BYTES + _WORD, _WORD)
    pairs = np.array(list(itertools.combinations(words, 2)))
    names = draw.working or [draw.echo_opcode()]
    whole = draw.capabilities.exhaustive
    parts = [
        _with_equal_words(draw, name, pairs if whole else pairs[turn :: len(names)], zero)
        for turn, name in enumerate(names)
        for zero in (False, True)
    ]
    fields = tuple(field.name for field in contract.FIELDS)
    return Vector(draw.shuffled(np.concatenate(parts)), fields)


@stream_test("FLAG-006", smoke=True)
def every_host_flag_with_every_kind(draw: Draw) -> Iterator[Vector]:
    """Each set of host-owned flags with lines of every kind, device-owned ones set and clear."""
    modes = list(claimed_modes(draw.capabilities))
    chosen = times(kinds(draw.capabilities), 2 * len(_HOST_FLAGS))
    host = np.resize(np.array(_HOST_FLAGS).repeat(2), len(chosen))
    owned = np.resize(np.array([0, contract.DEVICE_OWNED_FLAGS]), len(chosen))
    for mode in modes if draw.capabilities.exhaustive else modes[-1:]:
        yield Vector(lines_of(draw, chosen, flags=host | owned), ("flags",), mode)


@stream_test("FLAG-010", "exhaustive")
def every_value_of_the_flags(draw: Draw) -> Iterator[Vector]:
    """All 65 536 values with every opcode but STOP; those with CHECKED have tag and checksum."""
    values = np.arange(1 << 16)
    if not draw.capabilities.checked:
        values = values[values & FLAG["CHECKED"] == 0]
    for name in (*draw.working, UNKNOWN):
        lines = draw.lines(len(values), [draw.echo_opcode()])
        lines["opcode"] = OPCODE.get(name, 0x00F0)
        lines["flags"] = values
        draw.lengths(lines)
        checked = values & FLAG["CHECKED"] != 0
        if checked.any():
            lines[checked] = draw.sealed(lines)[checked]
        yield Vector(lines, ("flags",))
