# SPDX-License-Identifier: Apache-2.0
"""Stream tests of sections 2 and 4: opcodes, and what DECODE does."""

from __future__ import annotations

import numpy as np
from descring_model import complete, contract

from descring_sim.conform.suite.declare import stream_test
from descring_sim.conform.suite.vector import FLAG, OPCODE, U32, Draw, Vector

_OUTCOME = ("flags", "seq_len", "reserved0")


@stream_test("OP-000", "opcode:NOP", smoke=True)
def nop(draw: Draw) -> Vector:
    """NOP is DONE, and nothing else changes."""
    return Vector(draw.lines(120, ["NOP"]), focus=_OUTCOME)


@stream_test("OP-001", "opcode:DECODE", smoke=True)
def decode(draw: Draw) -> Vector:
    """DECODE makes tokens, and changes `seq_len` and its flags only."""
    return Vector(draw.lines(240, ["DECODE"]), focus=_OUTCOME)


@stream_test("OP-002", "opcode:REWARD", smoke=True)
def reward(draw: Draw) -> Vector:
    """REWARD is DONE with a score, whatever the lengths."""
    return Vector(draw.lines(120, ["REWARD"]), focus=_OUTCOME)


@stream_test("OP-003", "opcode:PREFILL", smoke=True)
def prefill(draw: Draw) -> Vector:
    """PREFILL is DONE with the longer of both lengths."""
    return Vector(draw.lines(160, ["PREFILL"]), focus=_OUTCOME)


@stream_test("OP-004", "opcode:ROLLOUT", smoke=True)
def rollout(draw: Draw) -> Vector:
    """ROLLOUT is DONE with every token and a score, whatever the lengths."""
    return Vector(draw.lines(160, ["ROLLOUT"]), focus=_OUTCOME)


@stream_test("OP-255", "opcode:STOP", smoke=True)
def stop(draw: Draw) -> Vector:
    """STOP is STOPPED, and a device that is resumed continues with the next line."""
    return Vector(draw.lines(60, [draw.echo_opcode(), "STOP"]), focus=(*_OUTCOME, "count"))


def _unknown(draw: Draw, values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
    named = set(contract.OPCODE.values())
    return np.array([value for value in values if value not in named], dtype=np.uint16)


@stream_test("OP-ERR", smoke=True)
def one_bit_from_an_opcode(draw: Draw) -> Vector:
    """Values one bit away from an opcode are refused: all 16 bits count."""
    near = sorted({OPCODE[name] ^ 1 << bit for name in OPCODE for bit in range(16)})
    values = _unknown(draw, near)
    lines = draw.lines(2 * len(values))
    lines["opcode"][::2] = values
    return Vector(lines, focus=("flags",))


@stream_test("OP-ERR")
def random_opcodes(draw: Draw) -> Vector:
    """Random values are refused with BAD_OPCODE."""
    values = _unknown(draw, draw.rng.integers(0, 1 << 16, 300).tolist())
    lines = draw.lines(len(values))
    lines["opcode"] = values
    return Vector(lines, focus=("flags",))


@stream_test("OP-010", "opcode:REWARD", smoke=True)
def every_score(draw: Draw) -> Vector:
    """All 256 scores, with random bits above the eight that count."""
    lines = draw.lines(512, ["REWARD"])
    high = draw.rng.integers(0, 1 << 24, 512) << 8
    lines["seq_len"] = (high | np.arange(512) % 256).astype(np.uint32)
    return Vector(lines, focus=("reserved0",))


@stream_test("OP-011", "opcode:PREFILL", smoke=True)
def prefill_lengths(draw: Draw) -> Vector:
    """The longer length wins, with boundaries and the ends of 32 bits among them."""
    corners = np.array(
        [0, 1, 31, 32, 33, 64, 1 << 31, (1 << 31) - 1, U32 - 1, U32], dtype=np.uint32
    )
    starts, limits = (part.reshape(-1) for part in np.meshgrid(corners, corners))
    lines = draw.lines(len(starts) + 100, ["PREFILL"])
    lines["seq_len"][: len(starts)], lines["max_tokens"][: len(starts)] = starts, limits
    return Vector(lines, focus=("seq_len", "flags"))


@stream_test("DEC-001", "opcode:DECODE", smoke=True)
def nothing_to_do(draw: Draw) -> Vector:
    """A length at or above its limit makes no token, also at a boundary and with limit 0."""
    starts = np.array([0, 1, 31, 32, 33, 63, 64, 96, 1 << 31, U32 - 1, U32])
    below = np.concatenate([starts, np.maximum(starts - 1, 0), np.zeros_like(starts)])
    more = draw.rng.integers(0, U32, 100)
    limits = np.concatenate([below, draw.rng.integers(0, more + 1)])
    return Vector(
        draw.shuffled(draw.decodes(np.concatenate([np.tile(starts, 3), more]), limits)),
        focus=("seq_len", "flags"),
    )


@stream_test("DEC-002", "opcode:DECODE", smoke=True)
def to_limit_or_boundary(draw: Draw) -> Vector:
    """Every place between two boundaries, with limits before and behind the next."""
    starts = np.arange(32) + 32 * draw.rng.integers(0, 1 << 20, 32)
    spans = np.array([1, 2, 15, 31, 33, 64, 1000])
    pairs = np.repeat(starts, len(spans))
    return Vector(
        draw.shuffled(draw.decodes(pairs, pairs + np.tile(spans, 32))), focus=("seq_len", "flags")
    )


@stream_test("DEC-003", "opcode:DECODE", smoke=True)
def done_wins(draw: Draw) -> Vector:
    """A limit that is the next boundary is DONE, from every place before it."""
    base = 32 * draw.rng.integers(0, 1 << 22, 32)
    starts = base + np.arange(32)
    return Vector(draw.decodes(starts, base + 32), focus=("seq_len", "flags"))


@stream_test("DEC-004", "opcode:DECODE", smoke=True)
def last_interval(draw: Draw) -> Vector:
    """In the last 32 lengths before 2^32 only the limit ends a run."""
    starts = np.repeat(U32 - np.arange(33), 4)
    limits = np.stack([starts, np.full_like(starts, U32), starts + 1, starts + 5])
    picked = limits[np.arange(len(starts)) % 4, np.arange(len(starts))]
    return Vector(draw.decodes(starts, np.minimum(picked, U32)), focus=("seq_len", "flags"))


@stream_test("DEC-005", "opcode:DECODE", smoke=True)
def chains(draw: Draw) -> Vector:
    """Completions are resubmitted as they are until DONE, and their lengths join up."""
    open_lines = draw.decodes(draw.rng.integers(0, 200, 24), draw.rng.integers(0, 400, 24))
    rounds = []
    while len(open_lines):
        rounds.append(open_lines)
        answers = complete(open_lines)
        open_lines = answers[answers["flags"] & FLAG["NEEDS_REWARD"] != 0].copy()
        # An identity for each submission: the chain itself is in rollout_id and the lengths.
        open_lines["user_data"] += np.uint64(1) << np.uint64(40)
    return Vector(np.concatenate(rounds), focus=("seq_len", "flags"))


@stream_test("DEC-006", "opcode:ROLLOUT", smoke=True)
def rollout_passes_boundaries(draw: Draw) -> Vector:
    """A ROLLOUT ends at its limit: from every place between two boundaries, over none to three of
    them, at one, and in the last lengths before 2^32; a limit at or below its length adds nothing.
    """
    starts = np.arange(32) + 32 * draw.rng.integers(0, 1 << 20, 32)
    spans = np.array([0, 1, 2, 31, 32, 33, 64, 96])
    top = U32 - np.arange(33)
    begun = np.concatenate([np.repeat(starts, len(spans)), top, top, starts])
    ends = np.concatenate(
        [
            np.repeat(starts, len(spans)) + np.tile(spans, len(starts)),
            np.full_like(top, U32),
            np.minimum(top + 5, U32),
            draw.rng.integers(0, starts + 1),
        ]
    )
    lines = draw.with_lengths("ROLLOUT", begun, ends)
    return Vector(draw.shuffled(lines), focus=("seq_len", "flags"))


@stream_test("DEC-006", "opcode:ROLLOUT")
def rollout_of_thousands(draw: Draw) -> Vector:
    """A ROLLOUT of more tokens than twelve bits count, with short lines behind it."""
    lines = draw.lines(20)
    lines[::10] = draw.with_lengths("ROLLOUT", [0, 4090], [4097, 9000])
    return Vector(lines, focus=("seq_len", "flags", "order"))


@stream_test("DEC-007", "opcode:ROLLOUT", smoke=True)
def rollout_score(draw: Draw) -> Vector:
    """The score is that of the final length: all 256, after tokens and without any."""
    ends = (draw.rng.integers(1, 1 << 24, 512) << 8) | np.arange(512) % 256
    tokens = np.where(np.arange(512) < 256, draw.rng.integers(1, 90, 512), 0)
    above = draw.rng.random(512) < 0.2
    limits = np.where(above & (tokens == 0), ends // 2, ends)
    return Vector(draw.with_lengths("ROLLOUT", ends - tokens, limits), focus=("reserved0",))
