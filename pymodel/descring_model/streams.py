# SPDX-License-Identifier: Apache-2.0
"""Descriptor streams drawn from a seed: the stimulus that every backend is replayed with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from descring_model import contract
from descring_model.completion import seal
from descring_model.lines import DESC_DTYPE, Lines, check_index, index_range, line_bytes

_INTERVAL = contract.REWARD_INTERVAL
_U32_MAX = 0xFFFFFFFF
_CHECKED = contract.FLAG["CHECKED"]
_COW_PREFIX = contract.FLAG["COW_PREFIX"]

ROLLOUT_TOKENS = 96
"""Tokens that a drawn ROLLOUT makes at most: three reward boundaries, and RTL takes a cycle each.
"""

_Indices = npt.NDArray[np.uint32]
_Mask = npt.NDArray[np.bool_]


def _decode_lines(rng: np.random.Generator, count: int) -> Lines:
    """Unchecked DECODE lines as the reference host writes them, cookie included [DESC-021]."""
    lines = np.zeros(count, dtype=DESC_DTYPE)
    lines["opcode"] = contract.OPCODE["DECODE"]
    lines["rollout_id"] = rng.integers(0, 1 << 32, count, dtype=np.uint32)
    lines["kv_arena_id"] = rng.integers(0, 16, count, dtype=np.uint32)
    prefix = rng.integers(1, 1 << 16, count, dtype=np.uint32)
    lines["prefix_id"] = np.where(rng.random(count) < 0.5, prefix, np.uint32(0))
    lines["flags"] = np.where(lines["prefix_id"] != 0, np.uint16(_COW_PREFIX), np.uint16(0))
    lines["kv_offset"] = rng.integers(0, 1 << 64, count, dtype=np.uint64)
    lines["delta_offset"] = rng.integers(0, 1 << 64, count, dtype=np.uint64)
    lines["seq_len"] = rng.integers(0, 2048, count, dtype=np.uint32)
    lines["max_tokens"] = lines["seq_len"] + rng.integers(0, 512, count, dtype=np.uint32)
    lines["reserved0"] = rng.integers(0, 8, count, dtype=np.uint32)
    lines["user_data"] = lines["rollout_id"]
    lines["checksum_or_cookie"] = (
        lines["kv_offset"]
        ^ lines["delta_offset"]
        ^ (lines["rollout_id"].astype(np.uint64) << np.uint64(32))
    )
    return lines


def _lengths_at_boundaries(rng: np.random.Generator, count: int) -> tuple[_Indices, _Indices]:
    """Pairs (seq_len, max_tokens) at most two away from a reward boundary or from each other."""
    base = rng.integers(1, 64, count) * _INTERVAL
    length = base + rng.integers(-2, 3, count)
    choices = np.stack(
        (
            length + rng.integers(-2, 3, count),
            base + rng.integers(-2, 3, count),
            base + _INTERVAL + rng.integers(-2, 3, count),
            np.zeros(count, dtype=np.int64),
        )
    )
    limit = choices[rng.integers(0, len(choices), count), np.arange(count)]
    return length.astype(np.uint32), limit.astype(np.uint32)


def _lengths_near_wrap(rng: np.random.Generator, count: int) -> tuple[_Indices, _Indices]:
    """Pairs (seq_len, max_tokens) within 80 of 2^32, where a boundary may not fit [DEC-004]."""
    length = _U32_MAX - rng.integers(0, 80, count)
    limit = np.where(rng.random(count) < 0.3, _U32_MAX, _U32_MAX - rng.integers(0, 80, count))
    return length.astype(np.uint32), limit.astype(np.uint32)


def _set_lengths(
    lines: Lines,
    where: _Mask,
    draw: Callable[[np.random.Generator, int], tuple[_Indices, _Indices]],
    rng: np.random.Generator,
) -> None:
    lengths, limits = draw(rng, len(lines))
    lines["seq_len"][where] = lengths[where]
    lines["max_tokens"][where] = limits[where]


def limit_rollouts(lines: Lines, most: int = ROLLOUT_TOKENS) -> None:
    """Give every ROLLOUT at most ``most`` tokens, in place, by lowering its ``max_tokens``.

    A ROLLOUT of random lengths makes a thousand million tokens, each a cycle in RTL. Limits at or
    below ``seq_len`` stay; the others become ``seq_len`` + 1 to ``seq_len`` + ``most``.

    Args:
        lines: ``(n,)`` of DESC_DTYPE; lines of another opcode stay as they are.
        most: 1 or more.
    """
    length = lines["seq_len"].astype(np.uint64)
    limit = lines["max_tokens"].astype(np.uint64)
    far = (lines["opcode"] == contract.OPCODE["ROLLOUT"]) & (limit > length + np.uint64(most))
    near = length + np.uint64(1) + (limit - length) % np.uint64(most)
    lines["max_tokens"][far] = near[far].astype(np.uint32)


def _seal_where(lines: Lines, where: _Mask, indices: _Indices) -> None:
    lines[where] = seal(lines[where], indices[where], set_flag=True)


def _set_opcodes(
    lines: Lines, rng: np.random.Generator, weights: Mapping[str, float], other: float = 0.0
) -> None:
    """Draw opcodes by weight; ``other`` is the weight of values that are no opcode [OP-ERR]."""
    known = set(contract.OPCODE.values())
    # Values that share a byte with a real opcode find a decoder that drops bits.
    near = np.array(
        [
            value
            for value in (5, 6, 12, 127, 128, 254, 256, 257, 258, 259, 511, 0x8001, 0xFF00, 0xFFFF)
            if value not in known
        ],
        dtype=np.uint16,
    )
    names = list(weights)
    share = np.array([*weights.values(), other])
    choice = rng.choice(len(share), len(lines), p=share / share.sum())
    values = np.array([*(contract.OPCODE[name] for name in names), 0], dtype=np.uint16)
    lines["opcode"] = values[choice]
    wrong = choice == len(names)
    lines["opcode"][wrong] = rng.choice(near, len(lines))[wrong]
    limit_rollouts(lines)


def _flip_bits(lines: Lines, where: _Mask, rng: np.random.Generator) -> None:
    """Flip one to four distinct bits of each chosen line, but never the flag CHECKED."""
    rows = np.flatnonzero(where)
    checked_bit = 8 * contract.FIELD["flags"].offset + _CHECKED.bit_length() - 1
    data = line_bytes(lines)
    # Four distinct residues mod 127 leave four distinct bits; 511 bits without the flag's.
    start = rng.integers(0, contract.DESC_BITS - 1, len(rows))
    for turn in range(4):
        bits = (start + turn * 127) % (contract.DESC_BITS - 1)
        bits += bits >= checked_bit
        flips = rows[rng.random(len(rows)) < 0.5] if turn else rows
        chosen = bits if not turn else bits[np.isin(rows, flips)]
        data[flips, chosen // 8] ^= (1 << chosen % 8).astype(np.uint8)


def _damage(lines: Lines, rng: np.random.Generator, indices: _Indices, share: float) -> None:
    """Give ``share`` of the CHECKED lines a flipped bit and as many a foreign but intact tag."""
    checked = lines["flags"] & _CHECKED != 0
    draw = rng.random(len(lines))
    _flip_bits(lines, checked & (draw < share), rng)
    foreign = checked & (draw >= share) & (draw < 2 * share)
    away = rng.choice(np.array([1, 2, 16, 256, _U32_MAX, 1 << 16, 1 << 31]), len(lines))
    _seal_where(lines, foreign, indices + away.astype(np.uint32))


def _decode(rng: np.random.Generator, count: int, indices: _Indices) -> Lines:
    return _decode_lines(rng, count)


def _nop(rng: np.random.Generator, count: int, indices: _Indices) -> Lines:
    lines = _decode_lines(rng, count)
    lines["opcode"] = contract.OPCODE["NOP"]
    return lines


def _one_token(rng: np.random.Generator, count: int, indices: _Indices) -> Lines:
    lines = _decode_lines(rng, count)
    at_boundary = rng.random(count) < 0.25
    lines["seq_len"][at_boundary] |= np.uint32(_INTERVAL - 1)
    lines["max_tokens"] = lines["seq_len"] + np.uint32(1)
    beyond = at_boundary & (rng.random(count) < 0.5)
    lines["max_tokens"][beyond] += rng.integers(1, 64, count, dtype=np.uint32)[beyond]
    return lines


def _boundary(rng: np.random.Generator, count: int, indices: _Indices) -> Lines:
    lines = _decode_lines(rng, count)
    _set_lengths(lines, np.ones(count, dtype=bool), _lengths_at_boundaries, rng)
    return lines


def _rollouts(rng: np.random.Generator, count: int, indices: _Indices) -> Lines:
    lines = _decode_lines(rng, count)
    draw = rng.random(count)
    _set_lengths(lines, draw < 0.4, _lengths_at_boundaries, rng)
    _set_lengths(lines, (draw >= 0.4) & (draw < 0.6), _lengths_near_wrap, rng)
    _set_opcodes(lines, rng, {"ROLLOUT": 8, "DECODE": 1, "REWARD": 1})
    return lines


def _near_wrap(rng: np.random.Generator, count: int, indices: _Indices) -> Lines:
    lines = _decode_lines(rng, count)
    _set_lengths(lines, np.ones(count, dtype=bool), _lengths_near_wrap, rng)
    _set_opcodes(lines, rng, {"DECODE": 6, "PREFILL": 1, "REWARD": 1, "ROLLOUT": 2})
    return lines


def _any_lines(rng: np.random.Generator, count: int) -> Lines:
    """Lines of random bytes everywhere but in opcode and lengths: every bit must be echoed."""
    raw = rng.integers(0, 256, (count, contract.DESC_BYTES), dtype=np.uint8)
    lines = raw.view(DESC_DTYPE)[:, 0]
    usual = _decode_lines(rng, count)
    plain = rng.random(count) < 0.5
    lines[plain] = usual[plain]
    lines["flags"] &= np.uint16(0xFFFF & ~_CHECKED)
    lines["seq_len"] = usual["seq_len"]
    lines["max_tokens"] = usual["max_tokens"]
    draw = rng.random(count)
    _set_lengths(lines, draw < 0.3, _lengths_at_boundaries, rng)
    _set_lengths(lines, (draw >= 0.3) & (draw < 0.45), _lengths_near_wrap, rng)
    return lines


def _checked(rng: np.random.Generator, count: int, indices: _Indices) -> Lines:
    lines = _any_lines(rng, count)
    weights = {"DECODE": 6, "REWARD": 1, "PREFILL": 1, "NOP": 1, "ROLLOUT": 1}
    _set_opcodes(lines, rng, weights)
    return seal(lines, indices, set_flag=True)


def _errors(rng: np.random.Generator, count: int, indices: _Indices) -> Lines:
    lines = _any_lines(rng, count)
    weights = {"DECODE": 3, "REWARD": 1, "PREFILL": 1, "NOP": 1, "ROLLOUT": 1, "STOP": 1}
    _set_opcodes(lines, rng, weights, other=4)
    _seal_where(lines, rng.random(count) < 0.75, indices)
    _damage(lines, rng, indices, share=0.35)
    return lines


def _stops(rng: np.random.Generator, count: int, indices: _Indices) -> Lines:
    lines = _any_lines(rng, count)
    _set_opcodes(lines, rng, {"DECODE": 2, "NOP": 1, "STOP": 2})
    _seal_where(lines, rng.random(count) < 0.5, indices)
    _damage(lines, rng, indices, share=0.1)
    return lines


def _mixed(rng: np.random.Generator, count: int, indices: _Indices) -> Lines:
    lines = _any_lines(rng, count)
    weights = {"DECODE": 60, "REWARD": 10, "PREFILL": 10, "NOP": 8, "ROLLOUT": 6, "STOP": 2}
    _set_opcodes(lines, rng, weights, other=4)
    _seal_where(lines, rng.random(count) < 0.5, indices)
    _damage(lines, rng, indices, share=0.04)
    return lines


_DRAW: dict[str, tuple[str, Callable[[np.random.Generator, int, _Indices], Lines]]] = {
    "mixed": ("everything the contract names, half of it CHECKED, with rare STOPs", _mixed),
    "decode": ("unchecked DECODE as the reference host writes it", _decode),
    "one-token": ("unchecked DECODE of exactly one token each", _one_token),
    "boundary": ("DECODE at most two tokens from a reward boundary or its limit", _boundary),
    "errors": ("bad checksums, foreign tags and unknown opcodes, mixed with good lines", _errors),
    "checked": ("good CHECKED lines of every opcode but STOP", _checked),
    "rollouts": ("ROLLOUT of up to 96 tokens, over reward boundaries and near 2^32", _rollouts),
    "near-wrap": ("lengths within 80 of 2^32", _near_wrap),
    "nop": ("unchecked NOP", _nop),
    "stops": ("two lines in five are STOP, some of them refused", _stops),
}

PROFILES: dict[str, str] = {name: meaning for name, (meaning, _) in _DRAW.items()}
"""Name of every profile, with what it draws in one line."""


def generate(count: int, *, seed: int, profile: str = "mixed", first_index: int = 0) -> Lines:
    """Draw a stream of submissions.

    Args:
        count: number of lines, 0 or more.
        seed: 0 or more; the same arguments give the same bytes.
        profile: a name of :data:`PROFILES`.
        first_index: ring index of the first line, which tags are written for [DESC-022].

    Returns:
        ``(count,)`` of DESC_DTYPE.

    Raises:
        ValueError: a negative count or seed, an unknown profile, or a first index that is no u32.
    """
    if count < 0:
        raise ValueError(f"count must be 0 or more, got {count}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}")
    if profile not in _DRAW:
        raise ValueError(f"unknown profile {profile!r}; there are {', '.join(PROFILES)}")
    first = check_index(first_index, "first_index")
    draw = _DRAW[profile][1]
    return draw(np.random.default_rng(seed), count, index_range(first, count))
