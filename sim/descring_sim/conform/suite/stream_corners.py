# SPDX-License-Identifier: Apache-2.0
"""Stream tests at corners: checksums that look right, powers of two, long streams."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from descring_model import Lines, contract, crc32c, line_bytes

from descring_sim.conform.suite.declare import stream_test
from descring_sim.conform.suite.kinds import claimed_modes, kinds, lines_of
from descring_sim.conform.suite.vector import U32, Draw, Vector, flip

_CRC_AT = contract.CRC_BYTES
_TAIL_BITS = np.arange(8 * contract.FIELD["checksum_or_cookie"].offset, contract.DESC_BITS)
_LONG = 70_000


def _stored(lines: Lines) -> npt.NDArray[np.uint32]:
    """The checksums that lines carry."""
    data = line_bytes(lines)[:, _CRC_AT:]
    return np.ascontiguousarray(data).view("<u4")[:, 0]


def _store(lines: Lines, rows: npt.NDArray[np.int64], values: npt.NDArray[np.uint32]) -> None:
    line_bytes(lines)[rows, _CRC_AT:] = values.astype("<u4")[:, np.newaxis].view(np.uint8)


def _force_checksum(lines: Lines, row: int, wanted: int) -> None:
    """Choose bytes 48 to 51 of a line so that its checksum is ``wanted``: CRCs are linear."""
    data = line_bytes(lines)
    at = contract.FIELD["user_data"].offset
    basis = []
    data[row, at : at + 4] = 0
    start = int(crc32c(data[row : row + 1, :_CRC_AT])[0])
    for bit in range(32):
        one = data[row : row + 1, :_CRC_AT].copy()
        one[0, at + bit // 8] ^= 1 << bit % 8
        basis.append((int(crc32c(one)[0]) ^ start, 1 << bit))
    left, chosen = start ^ wanted, 0
    for top in reversed(range(32)):
        pivot = next(item for item in basis if item[0] >> top & 1)
        basis.remove(pivot)
        basis = [(v ^ pivot[0], m ^ pivot[1]) if v >> top & 1 else (v, m) for v, m in basis]
        if left >> top & 1:
            left ^= pivot[0]
            chosen ^= pivot[1]
    data[row, at : at + 4] = np.frombuffer(chosen.to_bytes(4, "little"), np.uint8)
    _store(lines, np.array([row]), np.array([wanted], dtype=np.uint32))


@stream_test("DESC-020", "checked", smoke=True)
def checksums_that_look_right(draw: Draw) -> Iterator[Vector]:
    """Checksums 0 and all ones, inverted, with bytes or bits in reverse, of another length, and
    with one byte wrong, are refused; in every mode. One that is rightly 0 or all ones is accepted.
    """
    for modes in claimed_modes(draw.capabilities):
        lines = draw.sealed(draw.echoes(64))
        right = _stored(lines)
        data = line_bytes(lines)
        reverse = np.array([int(f"{value:032b}"[::-1], 2) for value in right.tolist()])
        wrong = [
            np.zeros(64),
            np.full(64, U32),
            right ^ U32,
            right.byteswap(),
            reverse,
            *(right ^ (0xFF << shift) for shift in (0, 8, 16, 24)),
            *(right ^ (1 << 8 * byte) for byte in range(4)),
            np.full(64, contract.CRC32C_POLY_REFLECTED),
            right - 1,
            right + 1,
            data[:, 56:60].copy().view("<u4")[:, 0],
        ]
        rows = np.arange(64)
        for place, values in enumerate(wrong):
            at = rows[3 * place : 3 * place + 1]
            _store(lines, at, np.asarray(values).astype(np.uint32)[at])
        # Rightly 0 and all ones, two of each.
        for row, value in ((58, 0), (59, U32), (61, 0), (62, U32)):
            _force_checksum(lines, row, value)
        yield Vector(lines, ("flags",), modes)


@stream_test("DESC-020", "checked")
def two_bits_of_tag_and_checksum(draw: Draw) -> Iterator[Vector]:
    """Every pair of flipped bits of tag and checksum is found; a tenth of them where it is slow."""
    first, second = np.triu_indices(len(_TAIL_BITS), 1)
    order = draw.rng.permutation(len(first))
    if not draw.capabilities.exhaustive:
        order = order[: len(order) // 10]
    lines = draw.sealed(draw.echoes(len(order)))
    rows = np.arange(len(order))
    for chosen in (first, second):
        flip(lines, rows, _TAIL_BITS[chosen[order]])
    yield Vector(lines, ("flags",))


@stream_test("DESC-020", "checked")
def every_byte_wrong(draw: Draw) -> Iterator[Vector]:
    """Each byte of a CHECKED line but those of the flags inverted, zeroed and all ones."""
    places = np.delete(np.arange(contract.DESC_BYTES), (2, 3))
    lines = draw.sealed(draw.echoes(3 * len(places)))
    data = line_bytes(lines)
    for row, place in enumerate(np.tile(places, 3)):
        old = data[row, place]
        data[row, place] = (old ^ 0xFF, 0, 0xFF)[row // len(places)]
        if data[row, place] == old:
            data[row, place] ^= 0x10
    yield Vector(lines, ("flags",))


def _around_powers(
    spans: npt.NDArray[np.int64], deltas: list[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Starts around each power of two up to 2^32, and limits ``spans`` behind them."""
    starts = np.ravel((1 << np.arange(33))[:, np.newaxis] + np.array(deltas))
    pairs = np.unique(np.stack(np.meshgrid(starts, spans)).reshape(2, -1), axis=1)
    begun, limit = pairs[0], pairs[0] + pairs[1]
    good = (begun >= 0) & (begun <= U32) & (limit >= 0) & (limit <= U32)
    return begun[good], limit[good]


@stream_test("DEC-002", "opcode:DECODE", smoke=True)
def lengths_around_powers_of_two(draw: Draw) -> Vector:
    """Starts and limits on both sides of each power of two up to 2^32."""
    begun, limit = _around_powers(np.array([-1, 1, 31, 32, 33]), [-32, -1, 0, 1])
    return Vector(draw.shuffled(draw.decodes(begun, limit)), ("seq_len", "flags"))


@stream_test("DEC-002", "opcode:DECODE")
def far_limits_around_powers_of_two(draw: Draw) -> Vector:
    """Limits far above and below, on both sides of each power of two, and starts likewise."""
    near = np.ravel((1 << np.arange(33))[:, np.newaxis] + np.array([-33, -32, -1, 0, 1, 31, 32]))
    near = np.unique(np.append(near[(near >= 0) & (near <= U32)], [0, U32]))
    if draw.capabilities.exhaustive:
        begun, limit = (part.reshape(-1) for part in np.meshgrid(near, near))
    else:
        begun, limit = near.repeat(4), draw.rng.choice(near, 4 * len(near))
    return Vector(draw.shuffled(draw.decodes(begun, limit)), ("seq_len", "flags"))


@stream_test("DEC-006", "opcode:ROLLOUT", smoke=True)
def rollouts_around_powers_of_two(draw: Draw) -> Vector:
    """A ROLLOUT over each power of two up to 2^32, and up to it, and from it."""
    begun, limit = _around_powers(np.array([-1, 1, 32, 65]), [-33, -1, 0])
    lines = draw.with_lengths("ROLLOUT", begun, limit)
    return Vector(draw.shuffled(lines), ("seq_len", "flags"))


@stream_test("DEC-006", "opcode:ROLLOUT", "exhaustive")
def rollouts_of_every_power_of_two(draw: Draw) -> Vector:
    """A ROLLOUT of 2^k - 1, 2^k and 2^k + 1 tokens, k up to 20, from low and high lengths."""
    spans = np.ravel((1 << np.arange(21))[:, np.newaxis] + np.array([-1, 0, 1]))
    begun = np.array([0, 5, (1 << 31) - 9, U32 - (1 << 21)])
    starts, added = (part.reshape(-1) for part in np.meshgrid(begun, spans))
    lines = draw.with_lengths("ROLLOUT", starts, starts + added)
    return Vector(draw.shuffled(lines), ("seq_len", "flags"))


@stream_test("OP-011", "opcode:PREFILL")
def prefills_around_powers_of_two(draw: Draw) -> Vector:
    """PREFILL with both lengths on both sides of each power of two."""
    near = np.ravel((1 << np.arange(33))[:, np.newaxis] + np.array([-1, 0, 1]))
    near = np.unique(near[near <= U32])
    begun = np.concatenate([near, np.roll(near, 1), draw.rng.permutation(near)])
    lines = draw.with_lengths("PREFILL", begun, np.tile(near, 3))
    return Vector(lines, ("seq_len", "flags"))


@stream_test("RING-006", "exhaustive", smoke=True)
def longer_than_any_ring(draw: Draw) -> Iterator[Vector]:
    """A stream of 70 000 lines of every kind but STOP, all round the greatest ring."""
    modes = list(claimed_modes(draw.capabilities))
    # Without STOPs: a host may take milliseconds to resume.
    pool = kinds(draw.capabilities, stops=False)
    chosen = [pool[place] for place in draw.rng.integers(0, len(pool), _LONG)]
    yield Vector(lines_of(draw, chosen), ("count", "order"), modes[-1])
