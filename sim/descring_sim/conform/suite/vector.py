# SPDX-License-Identifier: Apache-2.0
"""A stream vector, and what draws its lines from a seed within an implementation's claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model import DESC_DTYPE, Lines, contract, line_bytes, seal
from descring_model.streams import limit_rollouts

from descring_sim.conform.capabilities import Capabilities

OPCODE = contract.OPCODE
FLAG = contract.FLAG
U32 = 0xFFFF_FFFF
WORKING = ("NOP", "DECODE", "REWARD", "PREFILL", "ROLLOUT")
"""Opcodes that do not halt a device."""


@dataclass(frozen=True)
class Vector:
    """A stream and its modes.

    ``focus`` names the fields, or ``order``, ``count`` and ``ring``, in which a difference breaks
    the test's own rule; a difference elsewhere fails the test under the rule that it does break.
    """

    lines: Lines
    focus: tuple[str, ...]
    modes: dict[str, Any] = field(default_factory=dict)
    faults: npt.NDArray[np.str_] | None = None

    @property
    def first_index(self) -> int:
        """Index of the first line."""
        return int(self.modes.get("first_index", 0))


class Draw:
    """Draws lines: everything that a test makes comes from its ``rng`` and the capabilities."""

    def __init__(self, rng: np.random.Generator, capabilities: Capabilities) -> None:
        self.rng = rng
        self.capabilities = capabilities

    @property
    def working(self) -> list[str]:
        """Claimed opcodes that do not halt."""
        return [name for name in WORKING if name in self.capabilities.opcodes]

    def echo_opcode(self) -> str:
        """An opcode that changes as little as possible: NOP, or else one that is claimed."""
        if "NOP" in self.capabilities.opcodes:
            return "NOP"
        return self.working[0] if self.working else self.capabilities.in_order()[0]

    def lines(self, count: int, opcodes: Sequence[str] | None = None) -> Lines:
        """Lines of random bytes, ``(count,)``: unchecked, with the flags of a clean submission.

        ``user_data`` differs from line to line. Lengths lie anywhere in 32 bits; a ROLLOUT makes
        at most 96 tokens, since RTL takes a cycle for each.
        """
        raw = self.rng.integers(0, 256, (count, contract.DESC_BYTES), dtype=np.uint8)
        lines: Lines = raw.view(DESC_DTYPE)[:, 0]
        lines["flags"] = np.where(self.rng.random(count) < 0.5, FLAG["COW_PREFIX"], 0)
        names = list(opcodes or self.working or self.capabilities.in_order())
        values = np.array([OPCODE[name] for name in names], dtype=np.uint16)
        lines["opcode"] = values[self.rng.integers(0, len(values), count)]
        self.lengths(lines)
        return lines

    def lengths(self, lines: Lines) -> None:
        """Draw lengths around boundaries, limits and the end of 32 bits."""
        count = len(lines)
        base = self.rng.integers(0, 1 << 27, count) * 32
        small = self.rng.integers(0, 64, count) * 32
        start = np.where(self.rng.random(count) < 0.7, small, base) + self.rng.integers(
            0, 32, count
        )
        top = U32 - self.rng.integers(0, 80, count)
        start = np.where(self.rng.random(count) < 0.1, top, start)
        span = self.rng.choice([-5, -1, 0, 1, 2, 31, 32, 33, 64, 200], count)
        lines["seq_len"] = np.clip(start, 0, U32).astype(np.uint32)
        lines["max_tokens"] = np.clip(start + span, 0, U32).astype(np.uint32)
        limit_rollouts(lines)

    def echoes(self, count: int) -> Lines:
        """Lines whose completions are the lines but for the flag DONE."""
        return self.lines(count, [self.echo_opcode()])

    def decodes(self, seq_len: Any, max_tokens: Any) -> Lines:
        """DECODE lines of these lengths; broadcast against each other."""
        return self.with_lengths("DECODE", seq_len, max_tokens)

    def with_lengths(self, opcode: str, seq_len: Any, max_tokens: Any) -> Lines:
        """Lines of one opcode and these lengths; broadcast against each other."""
        starts, limits = np.broadcast_arrays(np.asarray(seq_len), np.asarray(max_tokens))
        lines = self.lines(starts.size, [opcode])
        lines["seq_len"] = starts.reshape(-1).astype(np.uint32)
        lines["max_tokens"] = limits.reshape(-1).astype(np.uint32)
        return lines

    def shuffled(self, lines: Lines) -> Lines:
        """The same lines in another order."""
        shuffled: Lines = lines[self.rng.permutation(len(lines))]
        return shuffled

    def sealed(self, lines: Lines, first_index: int = 0, away: Any = 0) -> Lines:
        """CHECKED lines for their places in the stream; ``away`` is added to their tags."""
        indices = np.arange(len(lines), dtype=np.int64) + first_index + np.asarray(away)
        return seal(lines, indices % (U32 + 1), set_flag=True)

    def seal_some(self, lines: Lines, share: float, first_index: int = 0) -> Lines:
        """A copy in which ``share`` of the lines is CHECKED."""
        mixed = lines.copy()
        chosen = self.rng.random(len(lines)) < share
        mixed[chosen] = self.sealed(lines, first_index)[chosen]
        return mixed


def flip(lines: Lines, rows: npt.NDArray[np.int64], bits: npt.NDArray[np.int64]) -> None:
    """Flip bit ``bits[k]`` of line ``rows[k]``, in place."""
    data = line_bytes(lines)
    np.bitwise_xor.at(data, (rows, bits // 8), (1 << bits % 8).astype(np.uint8))


CHECKED_BIT = 8 * contract.FIELD["flags"].offset + FLAG["CHECKED"].bit_length() - 1
"""Number of the bit that enables the checks of a line."""
