# SPDX-License-Identifier: Apache-2.0
"""The engine's arithmetic, against scalars and against float64."""

import itertools
import math
import os

import engine_scalar as scalar
import numpy as np
import numpy.typing as npt
import pytest
from descring_model.engine import contract, numbers

Bits = npt.NDArray[np.uint32]


def bits(values: npt.NDArray[np.float32]) -> list[int]:
    """The encodings of float32."""
    return [int(word) for word in np.ascontiguousarray(values).view(np.uint32).reshape(-1)]


def test_products_of_halves_are_exact() -> None:
    """[NUM-001] Every exponent and sign with random fractions; sums with and without fusing."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 1 << 16, (2, 400_000), dtype=np.uint16).view(np.float16)
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    assert len(x) > 300_000
    narrow = x.astype(np.float32) * y.astype(np.float32)
    assert np.array_equal(narrow.astype(np.float64), x.astype(np.float64) * y.astype(np.float64))


def test_dot_has_the_order_of_the_contract() -> None:
    """[NUM-002] Against scalars, where other orders give other bits."""
    rng = np.random.default_rng(2)
    a = rng.standard_normal((40, 128)).astype(np.float32)
    w = rng.standard_normal((128, 30)).astype(np.float16)
    found = numbers.product(a, numbers.matrix(w))
    expected = [[scalar.dot(row, w[:, m].tolist()) for m in range(30)] for row in a.tolist()]
    assert bits(found) == [scalar.word(x) for row in expected for x in row]
    products = a[:, :, np.newaxis] * w.astype(np.float32)
    other = products[:, 0]
    for place in range(1, 128):
        other = other + products[:, place]
    assert (other != found).mean() > 0.5


def test_dot_begins_with_its_first_product() -> None:
    """[NUM-002] Only so is a sum of negative zeros a negative zero."""
    a = np.full((1, 128), -0.0, dtype=np.float32)
    found = numbers.product(a, numbers.matrix(np.ones((128, 1), dtype=np.float16)))
    assert bits(found) == [0x80000000]


def test_tree_adds_neighbours_first() -> None:
    """[NUM-003] ((a+b)+(c+d)): 2^24 swallows a 1 but not a 2."""
    leaves = np.array([[2.0**24, 0, 1, 1]], dtype=np.float32)
    assert numbers.tree(leaves, 2)[0] == 2.0**24 + 2
    assert numbers.tree(leaves[:, [0, 2, 1, 3]], 2)[0] == 2.0**24


def test_powers_of_two() -> None:
    """[NUM-004] Exact to -126, +0 below."""
    exponents = np.array([0, -1, -24, -126, -127, -149, -10_000_000], dtype=np.int64)
    expected = [1.0, 0.5, 2.0**-24, 2.0**-126, 0.0, 0.0, 0.0]
    assert bits(numbers.pow2(exponents)) == [scalar.word(x) for x in expected]


def ulps(x: npt.NDArray[np.float32]) -> float:
    """The greatest error of exp2, in units of the last place of the exact value's float32."""
    exact = np.exp2(x.astype(np.float64))
    unit = np.spacing(exact.astype(np.float32)).astype(np.float64)
    return float((np.abs(numbers.exp2(x).astype(np.float64) - exact) / unit).max())


def encodings(low: float, high: float, step: int) -> npt.NDArray[np.float32]:
    """Every ``step``-th negative float32 between the magnitudes."""
    first, last = (int(np.float32(x).view(np.uint32)) for x in (low, high))
    return -np.arange(first, last, step, dtype=np.uint32).view(np.float32)


def test_exp2_is_close() -> None:
    """[NUM-005] Below 2 ulp (measured: 1.14) on (-100, 0], exactly 1 near 0.

    Every 997th argument, or with FULL=1 every one from -1.5 on: the rest f of those beyond takes no
    other values.
    """
    full = os.environ.get("FULL", "0") not in ("", "0")
    edges = [2.0**-26, *np.linspace(0, 1.5, 301)[1:].tolist()] if full else [2.0**-26, 0.5, 1.5]
    step = 1 if full else 997
    found = [ulps(encodings(low, high, step)) for low, high in itertools.pairwise(edges)]
    assert max(found) < 1.2
    assert ulps(encodings(1.5, 100, 997)) < 1.2
    tiny = encodings(0.0, 2.0**-26, 999_983)
    assert set(bits(numbers.exp2(tiny))) == {0x3F800000}


def test_exp2_has_the_bits_of_the_contract() -> None:
    """[NUM-005] Against scalars, ties of the rounding to n and the cut at -100 among them."""
    x = np.concatenate(
        [
            np.array([-0.0, -0.5, -1.5, -2.5, -99.5, -100, np.nextafter(np.float32(-100), -200)]),
            -np.random.default_rng(3).exponential(20, 2000),
        ]
    ).astype(np.float32)
    assert bits(numbers.exp2(x)) == [scalar.word(scalar.exp2(v)) for v in x.tolist()]


def test_exp2_coefficients_interpolate() -> None:
    """[NUM-005] C6 to C1 are the polynomial through (2^f - 1)/f at six Chebyshev points."""
    points = 0.5 * np.cos((np.arange(6) + 0.5) * math.pi / 6)
    values = np.expm1(points * math.log(2)) / points
    exact = np.linalg.solve(np.vander(points), values).astype(np.float32)
    assert bits(exact) == [item.bits for item in contract.EXP2_COEFFICIENTS[:-1]]


def test_silu() -> None:
    """[NUM-006] Against scalars, and within 3e-7 of float64."""
    a = np.concatenate(
        [np.array([0.0, -0.0, 90, -90]), np.random.default_rng(4).normal(0, 6, 3000)]
    ).astype(np.float32)
    found = numbers.silu(a)
    assert bits(found) == [scalar.word(scalar.silu(v)) for v in a.tolist()]
    wide = a.astype(np.float64)
    assert np.abs(found - wide / (1 + np.exp(-wide))).max() < 3e-7 * np.abs(wide).max()


def test_products_with_states_are_rounded() -> None:
    """[NUM-006] A fused multiply-add would give other bits: a state is no fp16 value."""
    h = np.zeros((1, 128), dtype=np.float32)
    h[0, 0], h[0, 1] = 1 + 2.0**-23, 1.0
    w = np.zeros((128, 1), dtype=np.float16)
    w[0], w[1] = 1 + 2.0**-10, -1
    exact = (1 + 2.0**-23) * (1 + 2.0**-10) - 1
    found = float(numbers.product(h, numbers.matrix(w))[0, 0])
    assert found == scalar.fl(scalar.fl((1 + 2.0**-23) * (1 + 2.0**-10)) - 1)
    assert found != scalar.fl(exact)


def test_what_is_usable() -> None:
    """[NUM-007] No NaN, no infinity, nothing from 2^24 on."""
    rows = np.zeros((6, 3), dtype=np.float32)
    rows[:, 1] = [2.0**24 - 1, 2.0**24, -(2.0**24), np.nan, np.inf, -np.inf]
    assert numbers.usable(rows).tolist() == [True] + [False] * 5


def test_mode_of_the_processor_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """[NUM-006] An engine does not start where subnormal numbers vanish."""
    numbers.check_arithmetic()
    flushed = np.zeros(1, dtype=np.uint32)
    monkeypatch.setattr("numpy.array", lambda *_, **__: flushed)
    with pytest.raises(RuntimeError, match="expected IEEE arithmetic with subnormal"):
        numbers.check_arithmetic()
