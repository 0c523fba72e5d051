# SPDX-License-Identifier: Apache-2.0
"""The contract's sections 1 to 4 once more: one line at a time, in plain Python, from the rules.

It shares nothing with the golden model, not even the contract's numbers, so that an error in
either shows. The checksum is google-crc32c's.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import google_crc32c

_LAYOUT = struct.Struct("<HHIIIQQIIIIQQ")

NOP, DECODE, REWARD, PREFILL, ROLLOUT, STOP = 0, 1, 2, 3, 4, 255
NEEDS_REWARD, DONE, COW_PREFIX, STOPPED, ERROR, CHECKED = 1, 2, 4, 8, 16, 32
BAD_CHECKSUM, BAD_OPCODE, BAD_TAG = 1, 2, 3
_HOST_OWNED = 0x00E4
_U32 = 1 << 32


class Desc(NamedTuple):
    """One descriptor, unpacked; the names are the contract's."""

    opcode: int = DECODE
    flags: int = 0
    rollout_id: int = 0
    kv_arena_id: int = 0
    prefix_id: int = 0
    kv_offset: int = 0
    delta_offset: int = 0
    seq_len: int = 0
    max_tokens: int = 0
    reward_model_id: int = 0
    reserved0: int = 0
    user_data: int = 0
    checksum_or_cookie: int = 0

    def pack(self) -> bytes:
        """The 64 bytes of the line."""
        return _LAYOUT.pack(*self)


def unpack(line: bytes) -> Desc:
    """The descriptor in the 64 bytes of ``line``."""
    return Desc(*_LAYOUT.unpack(line))


def crc32c(data: bytes) -> int:
    """CRC-32C by another hand [DESC-020]."""
    return int(google_crc32c.value(data))


def sealed(line: bytes, index: int) -> bytes:
    """``line`` with the tag of ``index`` and its checksum; the flags as they are."""
    body = line[:56] + struct.pack("<I", index % _U32)
    return body + struct.pack("<I", crc32c(body))


def float32_bits(value: Fraction) -> int:
    """IEEE 754 single-precision bits of 0 <= value <= 1, to nearest, ties to even."""
    if not value:
        return 0
    exponent = 0
    while value < 1:
        value *= 2
        exponent -= 1
    mantissa = round(value * (1 << 23))  # round() of a Fraction is to nearest, ties to even
    if mantissa == 1 << 24:
        mantissa, exponent = 1 << 23, exponent + 1
    return (exponent + 127) << 23 | (mantissa - (1 << 23))


class Result(NamedTuple):
    """A completion without its seal, whether it wants one, and the tokens it decoded."""

    desc: Desc
    tokens: int


def _refused(desc: Desc, code: int, require_checked: bool) -> Result:
    flags = desc.flags & _HOST_OWNED | ERROR | code << 8
    return Result(desc._replace(flags=flags | CHECKED * require_checked), 0)


def execute(line: bytes, index: int, *, require_checked: bool = False) -> Result:
    """Return the result of ``line``, written at ``index`` of the command ring."""
    desc = unpack(line)
    if desc.flags & CHECKED:
        if crc32c(line[:60]) != int.from_bytes(line[60:], "little"):
            return _refused(desc, BAD_CHECKSUM, require_checked)
        if int.from_bytes(line[56:60], "little") != index:
            return _refused(desc, BAD_TAG, require_checked)
    elif require_checked:
        return _refused(desc, BAD_CHECKSUM, require_checked)
    if desc.opcode not in (NOP, DECODE, REWARD, PREFILL, ROLLOUT, STOP):
        return _refused(desc, BAD_OPCODE, require_checked)

    result, tokens = DONE, 0
    length = desc.seq_len
    if desc.opcode == DECODE:
        while length < desc.max_tokens:
            length += 1
            tokens += 1
            if length % 32 == 0:
                result = DONE if length == desc.max_tokens else NEEDS_REWARD
                break
        desc = desc._replace(seq_len=length)
    elif desc.opcode == REWARD:
        desc = desc._replace(reserved0=float32_bits(Fraction(length & 255, 255)))
    elif desc.opcode == PREFILL:
        desc = desc._replace(seq_len=max(length, desc.max_tokens))
    elif desc.opcode == ROLLOUT:
        # Not token by token: there may be 2^32 - 1 of them.
        tokens = max(desc.max_tokens - length, 0)
        length += tokens
        score = float32_bits(Fraction(length & 255, 255))
        desc = desc._replace(seq_len=length, reserved0=score)
    elif desc.opcode == STOP:
        result = STOPPED
    flags = desc.flags & _HOST_OWNED | result
    return Result(desc._replace(flags=flags | CHECKED * require_checked), tokens)


def complete(
    lines: Sequence[bytes],
    *,
    first_index: int = 0,
    require_checked: bool = False,
    split_reward: bool = False,
) -> list[bytes]:
    """The completions of a stream in submission order; the device resumes after a STOP."""
    tails = {"done": first_index, "reward": first_index}
    completions = []
    for number, line in enumerate(lines):
        index = (first_index + number) % _U32
        desc = execute(line, index, require_checked=require_checked).desc
        ring = "reward" if split_reward and desc.flags & NEEDS_REWARD else "done"
        packed = desc.pack()
        if desc.flags & CHECKED:
            packed = sealed(packed, tails[ring])
        tails[ring] = (tails[ring] + 1) % _U32
        completions.append(packed)
    return completions
