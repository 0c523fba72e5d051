# SPDX-License-Identifier: Apache-2.0
"""From logits to tokens by integer masses, many rollouts at once [SAMP-001..SAMP-005]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from descring_model.engine import contract
from descring_model.engine.numbers import F32, FLOATS

Masses = npt.NDArray[np.uint64]
Tokens = npt.NDArray[np.uint32]

_COARSE = np.array(contract.EXP2_COARSE, dtype=np.uint64)
_FINE = np.array(contract.EXP2_FINE, dtype=np.uint64)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_UNIT = 2.0**32


def masses(logits: F32, temperature: F32) -> Masses:
    """The mass of every token [SAMP-003].

    Args:
        logits: ``(n, v)`` float32, all usable.
        temperature: ``(n,)`` float32, none 0.

    Returns:
        ``(n, v)`` uint64; the greatest of a row is 2^40.
    """
    scaled = logits / temperature[:, np.newaxis]
    below = (scaled.max(axis=1, keepdims=True) - scaled) * FLOATS["LOG2_E"]
    heavy = below < contract.MASS_CUT
    # A float64 holds the product with 2^32 exactly, so the conversion is the only rounding.
    fixed = (np.where(heavy, below, np.float32(0)).astype(np.float64) * _UNIT).astype(np.uint64)
    whole = (fixed + _LOW) >> _HALF
    rest = (whole << _HALF) - fixed
    byte = np.uint64(contract.TABLE_ENTRIES - 1)
    value = (
        _COARSE[(rest >> np.uint64(24)).astype(np.intp)]
        * _FINE[(rest >> np.uint64(16) & byte).astype(np.intp)]
    ) >> np.uint64(contract.TABLE_FRACTION)
    slope = (np.uint64(contract.LN2_FRACTION) * (rest & np.uint64(0xFFFF))) >> np.uint64(16)
    value = value + (value * slope >> np.uint64(47))
    mass = value << np.uint64(contract.MASS_BITS - contract.TABLE_FRACTION) >> whole
    found: Masses = np.where(heavy, mass, np.uint64(0))
    return found


def product_high(a: Masses, b: Masses) -> Masses:
    """``floor(a b / 2^64)`` element by element."""
    a0, a1, b0, b1 = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    middle = a1 * b0 + (a0 * b0 >> _HALF)
    other = a0 * b1 + (middle & _LOW)
    found: Masses = a1 * b1 + (middle >> _HALF) + (other >> _HALF)
    return found


def _share(top_p: F32, mass: Masses) -> Masses:
    """``ceil(floor(top_p 2^32) mass / 2^32)``, exactly [SAMP-004]."""
    part = (top_p.astype(np.float64) * _UNIT).astype(np.uint64)
    low = part * (mass & _LOW)
    found: Masses = part * (mass >> _HALF) + (low >> _HALF) + ((low & _LOW) != 0)
    return found


def kept(
    logits: F32, mass: Masses, top_k: npt.NDArray[np.uint32], top_p: F32
) -> npt.NDArray[np.bool_]:
    """Which tokens ``top_k`` and ``top_p`` keep, ``(n, v)`` bool [SAMP-002] [SAMP-004]."""
    count = logits.shape[1]
    keep = np.ones(logits.shape, dtype=np.bool_)
    limited = (top_k > 0) & (top_k < count)
    rows = np.flatnonzero(limited | (top_p < 1))
    if not len(rows):
        return keep
    order = np.argsort(-logits[rows], axis=1, kind="stable")
    place = np.arange(count)
    running = np.cumsum(np.take_along_axis(mass[rows], order, axis=1), axis=1, dtype=np.uint64)
    limit = np.where(limited[rows], top_k[rows], count).astype(np.int64)
    total = np.take_along_axis(running, limit[:, np.newaxis] - 1, axis=1)[:, 0]
    reached = running >= _share(top_p[rows], total)[:, np.newaxis]
    shortest = np.where(top_p[rows] < 1, reached.argmax(axis=1) + 1, limit)
    inside = place < np.minimum(limit, shortest)[:, np.newaxis]
    chosen = np.zeros_like(inside)
    np.put_along_axis(chosen, order, inside, axis=1)
    keep[rows] = chosen
    return keep


def draw(mass: Masses, keep: npt.NDArray[np.bool_], random: Masses) -> Tokens:
    """One token a row, of ``(n, v)`` masses by ``(n,)`` random numbers [SAMP-005]."""
    running = np.cumsum(np.where(keep, mass, np.uint64(0)), axis=1, dtype=np.uint64)
    point = product_high(random, running[:, -1])
    found: Tokens = (running > point[:, np.newaxis]).argmax(axis=1).astype(np.uint32)
    return found


def sample(
    logits: F32,
    temperature: F32,
    top_k: npt.NDArray[np.uint32],
    top_p: F32,
    random: Masses,
) -> Tokens:
    """The token of each row of logits.

    Args:
        logits: ``(n, v)`` float32, all usable [NUM-007].
        temperature: ``(n,)`` float32, within SAMP-001; a row of 0 takes the greatest logit.
        top_k: ``(n,)`` uint32.
        top_p: ``(n,)`` float32.
        random: ``(n,)`` uint64, not used by rows of temperature 0.

    Returns:
        ``(n,)`` uint32.
    """
    tokens: Tokens = logits.argmax(axis=1).astype(np.uint32)
    rows = np.flatnonzero(temperature != 0)
    if len(rows):
        mass = masses(logits[rows], temperature[rows])
        keep = kept(logits[rows], mass, top_k[rows], top_p[rows])
        tokens[rows] = draw(mass, keep, random[rows])
    return tokens
