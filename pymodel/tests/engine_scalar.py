# SPDX-License-Identifier: Apache-2.0
"""The engine a number at a time, written from the text of docs/engine-contract.md alone.

A float32 is a Python float that float32 holds. A float64 operation on two of them, rounded again to
float32, is the float32 operation: 53 bits are enough for +, -, * and / of 24 bits.
"""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Vector = list[float]


def fl(x: float) -> float:
    """``x`` rounded to float32; overflow gives infinity."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", x))[0])
    except OverflowError:
        return math.copysign(math.inf, x)


def half(x: float) -> float:
    """``x`` rounded to float16."""
    return float(struct.unpack("<e", struct.pack("<e", x))[0])


def word(x: float) -> int:
    """The encoding of a float32."""
    return int(struct.unpack("<I", struct.pack("<f", x))[0])


def of_word(bits: int) -> float:
    """The float32 of an encoding."""
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """NUM-002."""
    sums = []
    for first in range(0, 128, 8):
        s = fl(a[first] * b[first])
        for i in range(first + 1, first + 8):
            s = fl(s + fl(a[i] * b[i]))
        sums.append(s)
    for step in (8, 4, 2, 1):
        sums = [fl(sums[i] + sums[i + step]) for i in range(step)]
    return sums[0]


def pow2(e: int) -> float:
    """NUM-004."""
    return math.ldexp(1, e) if e >= -126 else 0.0


C = [0x392209C5, 0x3AAF8448, 0x3C1D952A, 0x3D6357B6, 0x3E75FDF0, 0x3F317218, 0x3F800000]


def exp2(x: float) -> float:
    """NUM-005."""
    if x < -100:
        return 0.0
    n = round(x)
    f = x - n
    p = of_word(C[0])
    for bits in C[1:]:
        p = fl(fl(p * f) + of_word(bits))
    return fl(p * 2.0**n)


LOG2_E = of_word(0x3FB8AA3B)


def silu(a: float) -> float:
    """NUM-006."""
    t = exp2(fl(-abs(a) * LOG2_E))
    return fl(a / fl(1 + t)) if a >= 0 else fl(fl(a * t) / fl(1 + t))


M32 = 0xFFFFFFFF


def mix(h: int) -> int:
    """STATE-001."""
    h ^= h >> 16
    h = h * 0x7FEB352D & M32
    h ^= h >> 15
    h = h * 0x846CA68B & M32
    return h ^ h >> 16


def element(plane: int, row: int, column: int) -> float:
    """An element of a hashed plane [STATE-001]."""
    bits, scale = [(7, 6), (6, 6), (7, 10), (7, 10), (7, 6)][plane]
    hashed = mix((mix((row + plane * 0x9E3779B9) & M32) + column * 0x9E3779B9) & M32)
    return (2 * (hashed >> (32 - bits)) - (1 << bits) + 1) / (1 << scale)


def remainder_weight(
    row: int, column: int, modulus: int, middle: int, divisor: int
) -> list[Vector]:
    """A weight of STATE-003, by rows."""
    return [
        [half(((r + row) * (c + column) % modulus - middle) / divisor) for c in range(128)]
        for r in range(128)
    ]


W_IN = remainder_weight(3, 1, 23, 11, 48)
W_RES = remainder_weight(9, 5, 17, 8, 64)
W_Q = remainder_weight(3, 5, 29, 14, 32)
W_K = [[element(2, r, c) for c in range(128)] for r in range(128)]
W_V = [[element(3, r, c) for c in range(128)] for r in range(128)]
BIAS = [((d + 5) * 7 % 19 - 9) / 64 for d in range(128)]


def times(v: Vector, w: list[Vector]) -> Vector:
    """A vector by a matrix [STATE-003]."""
    return [dot(v, [row[d] for row in w]) for d in range(128)]


def next_state(h: Vector, x: Vector) -> Vector:
    """STATE-004."""
    a = [fl(b + s) for b, s in zip(BIAS, times(x, W_IN), strict=True)]
    r = times(h, W_RES)
    return [
        fl(fl(fl(0.5 * h[d] + fl(0.125 * r[d])) + fl(0.25 * x[d])) + fl(0.125 * silu(a[d])))
        for d in range(128)
    ]


def slot_bias(p: int) -> float:
    """ATT-001."""
    return ((p * 0x9E3779B1 & M32) >> 24) / 128


@dataclass
class Part:
    """A partial result of ATT-005."""

    m: int
    l: float  # noqa: E741
    a: Vector


def tree_of(leaf: Callable[[int], Vector | None], bits: Sequence[int], p: int = 0) -> Vector:
    """NUM-003 over ``bits``, the first joined first; the other bits of the index are those of p."""
    if not bits:
        return leaf(p) or []
    low = tree_of(leaf, bits[:-1], p)
    high = tree_of(leaf, bits[:-1], p | 1 << bits[-1])
    if not low or not high:
        return low or high
    return [fl(x + y) for x, y in zip(low, high, strict=True)]


def join(first: Part | None, second: Part | None) -> Part | None:
    """ATT-005."""
    if first is None or second is None:
        return first or second
    m = max(first.m, second.m)
    f, g = pow2(first.m - m), pow2(second.m - m)
    return Part(
        m,
        fl(fl(first.l * f) + fl(second.l * g)),
        [fl(fl(x * f) + fl(y * g)) for x, y in zip(first.a, second.a, strict=True)],
    )


def attend(q: Vector, keys: list[Vector], values: list[Vector], *, biased: bool = True) -> Vector:
    """The output of one query [ATT-001..ATT-007]."""
    n = len(keys)
    scale = of_word(0x3E0293EE)
    scores = [fl(fl(dot(q, keys[p]) * scale) + (slot_bias(p) if biased else 0.0)) for p in range(n)]

    def block(number: int) -> Part | None:
        first = 32 * number
        if first >= n:
            return None
        m = max(math.ceil(scores[p]) for p in range(first, min(first + 32, n)))
        w = {p: exp2(fl(scores[p] - m)) for p in range(first, min(first + 32, n))}

        def weight(p: int) -> Vector | None:
            return [w[p]] if p in w else None

        def value(p: int) -> Vector | None:
            return [fl(w[p] * v) for v in values[p]] if p in w else None

        weights = tree_of(weight, (0, 1, 2, 3, 4), first)[0]
        return Part(m, weights, tree_of(value, (1, 2, 3, 4, 0), first))

    def blocks(level: int, number: int) -> Part | None:
        if level == 0:
            return block(number)
        return join(blocks(level - 1, 2 * number), blocks(level - 1, 2 * number + 1))

    top = 0
    while 32 << top < n:
        top += 1
    whole = blocks(top, 0)
    assert whole is not None
    return [fl(fl(a + 0.0) / whole.l) for a in whole.a]


def philox(counter: Sequence[int], key: Sequence[int]) -> list[int]:
    """SAMP-006."""
    c, k = list(counter), list(key)
    for turn in range(10):
        if turn:
            k = [(k[0] + 0x9E3779B9) & M32, (k[1] + 0xBB67AE85) & M32]
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & M32, (p0 >> 32) ^ c[3] ^ k[1], p0 & M32]
    return c


def mass(u: float) -> int:
    """SAMP-003, of a distance in log2 units."""
    if u >= 41:
        return 0
    q = math.floor(u * 2**32)
    n = -(-q >> 32)
    f = (n << 32) - q
    y = round(2 ** ((f >> 24) / 256) * 2**31) * round(2 ** ((f >> 16) % 256 / 65536) * 2**31) >> 31
    y += y * ((0x58B90BFC * (f % 65536)) >> 16) >> 47
    return (y << 9) >> n


def choose(
    logits: Vector, temperature: float, top_k: int, top_p: float, random: int
) -> tuple[int, list[int]]:
    """The token, and the mass of each token that is kept [SAMP-001..SAMP-005]."""
    order = sorted(range(len(logits)), key=lambda t: (-logits[t], t))
    if temperature == 0:
        return order[0], []
    s = [fl(x / temperature) for x in logits]
    masses = [mass(fl(fl(max(s) - x) * LOG2_E)) for x in s]
    if top_k:
        order = order[:top_k]
    if top_p < 1:
        total = sum(masses[t] for t in order)
        need = -(-math.floor(top_p * 2**32) * total >> 32)
        running, count = 0, 0
        while running < need:
            running += masses[order[count]]
            count += 1
        order = order[:count]
    kept = [masses[t] if t in set(order) else 0 for t in range(len(logits))]
    point = random * sum(kept) >> 64
    running = 0
    for t, part in enumerate(kept):
        running += part
        if running > point:
            return t, kept
    raise AssertionError("the running mass ends above the point")


def generate(
    prompt: Sequence[int], end: int, vocabulary: int, *, seed: int, temperature: float,
    group: int = 0, sample: int = 0, top_k: int = 0, top_p: float = 1.0,
) -> tuple[list[int], list[Vector], list[Vector], Vector]:  # fmt: skip
    """Tokens, keys, values and state of one rollout [STATE-008]."""
    tokens, h = list(prompt), [0.0] * 128
    keys: list[Vector] = []
    values: list[Vector] = []
    table = [[element(4, t, d) for d in range(128)] for t in range(vocabulary)]
    for p in range(end):
        if p == len(tokens):
            q = [half(x) for x in times(h, W_Q)]
            o = [half(x) for x in attend(q, keys, values)]
            words = philox((p, sample, group, 0), (seed & M32, seed >> 32))
            random = words[0] + (words[1] << 32)
            logits = [dot(o, row) for row in table]
            tokens.append(choose(logits, temperature, top_k, top_p, random)[0])
        x = [element(0, tokens[p], d) + element(1, p, d) for d in range(128)]
        keys.append([half(y) for y in times(x, W_K)])
        values.append([half(y) for y in times(x, W_V)])
        h = next_state(h, x)
    return tokens, keys, values, h
