# SPDX-License-Identifier: Apache-2.0
"""The single source of the engine's constants, formulas of its weights, and record.

Plain data without NumPy. A constant that is a float is given by its bits, so that no reader has to
round a decimal number. No part of the hash of :mod:`descring_model.contract`: what a device returns
for a line does not depend on this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from descring_model.contract import Value
from descring_model.rollouts.contract import BLOCK_BYTES as BLOCK_BYTES
from descring_model.rollouts.contract import BLOCK_TOKENS as BLOCK_TOKENS
from descring_model.rollouts.contract import NONE as NONE
from descring_model.rollouts.contract import TOKEN_BYTES as TOKEN_BYTES
from descring_model.rollouts.contract import VALUE_PLANE as VALUE_PLANE
from descring_model.rollouts.contract import Member as Member

DIMS = 128
"""Of a state, an embedding, a query, a key, a value and an output."""
DOT_CHUNK = 8
"""Neighbouring terms of a dot that are added in sequence [NUM-002]."""
VOCABULARY = 1024
VOCABULARY_MAX = 131072
"""Tokens by default, and at most [STATE-002]."""
LENGTH_MAX = (1 << 31) - 1
"""Greatest number of tokens of a rollout [REC-003]."""
VALUE_LIMIT_LOG2 = 24
"""A value that is checked is of magnitude below ``2^24`` [NUM-007]."""


@dataclass(frozen=True)
class Float:
    """A float32 constant: ``bits`` is its IEEE 754 encoding."""

    rule: str
    name: str
    bits: int
    meaning: str


EXP2_COEFFICIENTS: tuple[Float, ...] = (
    Float("NUM-005", "EXP2_C6", 0x392209C5, "first coefficient of Horner's scheme"),
    Float("NUM-005", "EXP2_C5", 0x3AAF8448, ""),
    Float("NUM-005", "EXP2_C4", 0x3C1D952A, ""),
    Float("NUM-005", "EXP2_C3", 0x3D6357B6, ""),
    Float("NUM-005", "EXP2_C2", 0x3E75FDF0, ""),
    Float("NUM-005", "EXP2_C1", 0x3F317218, "ln 2"),
    Float("NUM-005", "EXP2_C0", 0x3F800000, "1"),
)
"""Interpolation of ``(2^f - 1)/f`` at six Chebyshev points of [-1/2, 1/2], highest power first."""

FLOATS: tuple[Float, ...] = (
    *EXP2_COEFFICIENTS,
    Float("NUM-005", "EXP2_LOW", 0xC2C80000, "-100: below it exp2 is +0"),
    Float("NUM-006", "LOG2_E", 0x3FB8AA3B, "log2 e"),
    Float("ATT-001", "SCORE_SCALE", 0x3E0293EE, "log2 e / sqrt(128)"),
    Float("SAMP-001", "TEMPERATURE_MIN", 0x3A800000, "2^-10, the least above 0"),
    Float("SAMP-001", "TEMPERATURE_MAX", 0x44800000, "2^10"),
    Float("SAMP-001", "TOP_P_MIN", 0x35800000, "2^-20"),
)

HASH_MULTIPLIERS = (0x7FEB352D, 0x846CA68B)
HASH_SHIFTS = (16, 15, 16)
"""The 32-bit mixer ``lowbias32`` of C. Wellons [STATE-001]."""
GOLDEN_32 = 0x9E3779B9
"""2^32 / golden ratio, odd: steps of planes and columns [STATE-001]."""
SLOT_STEP = 0x9E3779B1
"""Step of the slot bias [ATT-001]."""


@dataclass(frozen=True)
class Plane:
    """A table of hashed values: ``(2 (hash >> (32 - bits)) - 2^bits + 1) / 2^scale``."""

    rule: str
    number: int
    name: str
    bits: int
    scale: int
    meaning: str


PLANES: tuple[Plane, ...] = (
    Plane("STATE-002", 0, "EMBEDDING", 7, 6, "row = token, column = dim"),
    Plane("STATE-002", 1, "POSITION", 6, 6, "row = position, column = dim"),
    Plane("STATE-006", 2, "W_K", 7, 10, "row = input dim k, column = output dim d"),
    Plane("STATE-006", 3, "W_V", 7, 10, "row = input dim k, column = output dim d"),
    Plane("STATE-007", 4, "UNEMBEDDING", 7, 6, "row = token, column = dim"),
)


@dataclass(frozen=True)
class Ramp:
    """A weight by remainder: ``(((r + row) (c + column)) mod modulus - middle) / divisor``."""

    rule: str
    name: str
    row: int
    column: int
    modulus: int
    middle: int
    divisor: int


RAMPS: tuple[Ramp, ...] = (
    Ramp("STATE-003", "W_IN", 3, 1, 23, 11, 48),
    Ramp("STATE-003", "W_RES", 9, 5, 17, 8, 64),
    Ramp("STATE-005", "W_Q", 3, 5, 29, 14, 32),
)
BIAS_OFFSET, BIAS_FACTOR, BIAS_MODULUS, BIAS_MIDDLE, BIAS_DIVISOR = 5, 7, 19, 9, 64
"""``bias[d] = (((d + 5) 7) mod 19 - 9) / 64`` [STATE-003]."""

MASS_BITS = 40
"""The heaviest token has mass ``2^40`` [SAMP-003]."""
TABLE_BITS = 8
TABLE_ENTRIES = 1 << TABLE_BITS
TABLE_FRACTION = 31
"""Two tables of 256 entries with 31 fraction bits [SAMP-003]."""
MASS_CUT = 41
"""Distance in log2 units from which a mass is 0 [SAMP-003]."""


def _powers(exponent: int) -> tuple[int, ...]:
    """``round(2^(i / 2^exponent) 2^31)`` for i from 0 to 255, by integers alone."""
    precision = 128
    one = 1 << precision
    root = one << 1
    for _ in range(exponent):
        root = isqrt(root << precision)
    entries, value = [], one
    for _ in range(TABLE_ENTRIES):
        shift = precision - TABLE_FRACTION
        entries.append((value + (1 << (shift - 1))) >> shift)
        value = value * root >> precision
    return tuple(entries)


EXP2_COARSE = _powers(TABLE_BITS)
EXP2_FINE = _powers(2 * TABLE_BITS)
LN2_FRACTION = 0x58B90BFC
"""``round(ln 2 * 2^31)`` [SAMP-003]."""

PHILOX_ROUNDS = 10
PHILOX_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
PHILOX_WEYL = (0x9E3779B9, 0xBB67AE85)
"""Philox4x32-10 [SAMP-006]."""
STREAM_SAMPLING = 0
"""Last word of the counter: what the number is for [SAMP-006]."""

XOSHIRO_S1 = 0x9E3779B97F4A7C15
XOSHIRO_S2 = 0x3C6EF372FE94F82A
XOSHIRO_S2_ROTATION = 17
"""Seeding of the compatibility stream [SAMP-008]."""

RECORD_BYTES = 64
RECORD_ALIGNMENT = 64
"""Of the record and of everything that it points to [REC-001]."""
STATE_BYTES = 4 * DIMS

ROLLOUT_RECORD: tuple[Member, ...] = (
    Member("tokens", "<u8", "offset of the tokens: a u32 each, token p at `4 p`"),
    Member("blocks", "<u8", "offset of the block map: a u32 for every 32 tokens"),
    Member("state", "<u8", "offset of the state: 128 float32"),
    Member("seed", "<u8", "key of the generator"),
    Member("prompt_tokens", "<u4", "tokens that were given, at least 1"),
    Member("length", "<u4", "tokens that have been ingested"),
    Member("group", "<u4", "prompt that the samples share"),
    Member("sample", "<u4", "number within the group"),
    Member("temperature", "<f4", "0, or 2^-10 to 2^10"),
    Member("top_p", "<f4", "2^-20 to 1; 1 keeps all"),
    Member("top_k", "<u4", "tokens that are kept; 0 keeps all"),
    Member("eos", "<u4", "token that ends a rollout; NONE = no such token"),
)
"""A rollout's data in the arena, 64 bytes [REC-001]."""

STATUSES: tuple[Value, ...] = (
    Value("REC-003", 0, "OK", "`length` is the end that was asked for, or was there already"),
    Value("REC-003", 1, "BAD_RECORD", "a member out of range, misaligned or beyond the arena"),
    Value("REC-003", 2, "BAD_BLOCK", "an entry of the block map beyond the arena"),
    Value("REC-003", 3, "BAD_TOKEN", "a given token that the vocabulary does not have"),
    Value("NUM-007", 4, "BAD_STATE", "a value of the state is NaN, infinite or too great"),
    Value("NUM-007", 5, "BAD_QUERY", "likewise of the query"),
    Value("NUM-007", 6, "BAD_SCORE", "likewise a score"),
    Value("NUM-007", 7, "BAD_OUTPUT", "likewise of the attention's output"),
    Value("NUM-007", 8, "BAD_LOGIT", "likewise a logit"),
)
STATUS: dict[str, int] = {item.name: item.value for item in STATUSES}
