# SPDX-License-Identifier: Apache-2.0
"""Kinds of lines: every outcome that the contract knows, under every state of the two checks.

A fault that needs two conditions at once is met by a product of kinds, not by a random line.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from descring_model import Lines, contract

from descring_sim.conform.capabilities import Capabilities
from descring_sim.conform.suite.vector import CHECKED_BIT, OPCODE, U32, Draw, flip

UNCHECKED, INTACT, BAD_CHECKSUM, BAD_TAG = "unchecked", "intact", "bad checksum", "bad tag"
_CHECKS = (UNCHECKED, INTACT, BAD_CHECKSUM, BAD_TAG)
_INTERVAL = contract.REWARD_INTERVAL
_OUTCOMES = {
    "DECODE": ("pause", "limit", "boundary", "nothing"),
    "ROLLOUT": ("tokens", "nothing"),
    "PREFILL": ("longer", "shorter"),
}
"""Opcodes of which lengths decide the outcome; the others have one."""
UNKNOWN = "unknown"
_UNKNOWN = np.setdiff1d(np.arange(1 << 16), list(OPCODE.values())).astype(np.uint16)
_FLAGS = 8 * contract.FIELD["flags"].offset


@dataclass(frozen=True)
class Kind:
    """An opcode of the contract or :data:`UNKNOWN`, its outcome, and the state of the checks."""

    opcode: str
    outcome: str
    check: str

    @property
    def stops(self) -> bool:
        """Whether a device that does not require CHECKED halts behind it."""
        return self.opcode == "STOP" and self.check in (UNCHECKED, INTACT)


def kinds(capabilities: Capabilities, *, stops: bool = True) -> list[Kind]:
    """All kinds within these claims; without ``stops`` none that halts a device."""
    names = [*capabilities.in_order(), UNKNOWN]
    checks = _CHECKS if capabilities.checked else (UNCHECKED,)
    found = [
        Kind(name, outcome, check)
        for name in names
        for outcome in _OUTCOMES.get(name, ("done",))
        for check in checks
    ]
    return [kind for kind in found if stops or not kind.stops]


def representatives(capabilities: Capabilities) -> list[Kind]:
    """One kind of each opcode and check, where an outcome by lengths makes no difference."""
    first = {(kind.opcode, kind.check): kind for kind in reversed(kinds(capabilities))}
    return list(reversed(first.values()))


def claimed_modes(capabilities: Capabilities, *, halt: bool = False) -> Iterator[dict[str, Any]]:
    """Yield every combination of the claimed modes; those that halt only with ``halt``."""
    names = ["split_reward", "require_checked"] + ["halt"] * halt
    granted = capabilities.tokens()
    values = [(False, True) if name in granted else (False,) for name in names]
    for combination in itertools.product(*values):
        yield {name: value for name, value in zip(names, combination, strict=True) if value}


def unknown_opcodes(draw: Draw, count: int) -> Any:
    """Random values that no opcode has, ``(count,)``."""
    return _UNKNOWN[draw.rng.integers(0, len(_UNKNOWN), count)]


def lines_of(
    draw: Draw, chosen: Sequence[Kind], *, first_index: int = 0, flags: Any = None
) -> Lines:
    """One line of each kind in ``chosen``, in that order, for a stream from ``first_index``.

    ``flags`` are set besides, before a line is sealed; CHECKED is not to be among them.
    """
    count = len(chosen)
    lines = draw.lines(count, [draw.echo_opcode()])
    named = [OPCODE.get(kind.opcode, -1) for kind in chosen]
    lines["opcode"] = np.where(np.array(named) < 0, unknown_opcodes(draw, count), named)
    _lengths(draw, lines, [kind.outcome for kind in chosen])
    if flags is not None:
        lines["flags"] |= np.asarray(flags, dtype=np.uint16)
    checks = np.array([kind.check for kind in chosen])
    if draw.capabilities.checked:
        away = np.where(checks == BAD_TAG, _distances(draw, count), 0)
        checked = checks != UNCHECKED
        lines[checked] = draw.sealed(lines, first_index, away)[checked]
        spoilt = np.flatnonzero(checks == BAD_CHECKSUM)
        bits = draw.rng.integers(_FLAGS + 16, contract.DESC_BITS, len(spoilt))
        flip(lines, spoilt, bits)
        assert not np.isin(bits, CHECKED_BIT).any()
    return lines


def _distances(draw: Draw, count: int) -> Any:
    """How far wrong tags are away: a power of two, ahead or behind."""
    return (1 << draw.rng.integers(0, 32, count)) * draw.rng.choice([-1, 1], count)


def _lengths(draw: Draw, lines: Lines, outcomes: Sequence[str]) -> None:
    count = len(lines)
    place = draw.rng.integers(0, _INTERVAL - 1, count)
    start = _INTERVAL * draw.rng.integers(0, 1 << 20, count) + place
    room = _INTERVAL - place
    span = {
        "pause": room + draw.rng.integers(1, 100, count),
        "limit": np.minimum(draw.rng.integers(1, _INTERVAL, count), room - 1),
        "boundary": room,
        "nothing": -draw.rng.integers(0, place + 1),
        "tokens": draw.rng.integers(1, 96, count),
        "longer": draw.rng.integers(1, 1 << 30, count),
        "shorter": -draw.rng.integers(0, place + 1),
    }
    named = np.array(outcomes)
    limit = lines["max_tokens"].astype(np.int64)
    for name, added in span.items():
        limit = np.where(named == name, start + added, limit)
    lines["seq_len"], lines["max_tokens"] = start, np.clip(limit, 0, U32)


def every_pair(chosen: Sequence[Kind]) -> list[Kind]:
    """A sequence in which each kind is followed by each once: a de Bruijn sequence of order 2."""
    count = len(chosen)
    left = {place: list(range(count - 1, -1, -1)) for place in range(count)}
    # Hierholzer: an Eulerian circuit through the complete graph with loops.
    path, circuit = [0], []
    while path:
        place = path[-1]
        if left[place]:
            path.append(left[place].pop())
        else:
            circuit.append(path.pop())
    return [chosen[place] for place in reversed(circuit)]


def times(chosen: Iterable[Kind], count: int) -> list[Kind]:
    """Each kind ``count`` times in a row."""
    return [kind for kind in chosen for _ in range(count)]
