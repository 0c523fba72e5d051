# SPDX-License-Identifier: Apache-2.0
"""Numbers, weights and states of the native engine have the bits of the contract."""

import numpy as np
import pytest
from descring_host.engine import ffi, lib
from descring_model.engine import contract, numbers, state, weights
from engine_support import (
    DIMS,
    F16,
    F32,
    KERNELS,
    VOCABULARIES,
    assert_bits,
    digest,
    elementwise,
    engine_of,
    from_half,
    from_words,
    key_value,
    known,
    logits,
    next_state,
    plane,
    query,
    ramp,
    to_half,
    token_input,
    words_of,
)

engines = pytest.mark.parametrize("kernels", KERNELS)
ALL_HALVES: F16 = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def around_every_half() -> F32:
    """Each fp16, the middle to the next one, and the fp32 neighbours of both."""
    finite = ALL_HALVES[np.isfinite(ALL_HALVES)].astype(np.float32)
    size = np.unique(np.abs(finite)).astype(np.float64)
    middles = ((size + np.append(size[1:], 65536.0)) / 2).astype(np.float32)
    points = np.concatenate(
        [size.astype(np.float32), middles, np.array([65536, 1e9, 3e38], np.float32)]
    )
    near = np.concatenate([points, *(np.nextafter(points, np.float32(to)) for to in (0, np.inf))])
    tiny = np.array([2.0**-25, 2.0**-26, 2.0**-149, 0.0], np.float32)
    both = np.concatenate([near, tiny])
    return np.concatenate([both, -both, np.array([np.inf, -np.inf], np.float32)])


def test_every_half_is_exact_in_float() -> None:
    """All 65536: subnormals, infinities, and NaNs that keep their payload and become quiet."""
    number = ~np.isnan(ALL_HALVES)
    found = from_half(ALL_HALVES)
    assert_bits(found[number], ALL_HALVES[number].astype(np.float32))
    nan = ALL_HALVES.view(np.uint16)[~number].astype(np.uint32)
    quiet = (nan & 0x8000) << 16 | 0x7FC00000 | (nan & 0x3FF) << 13
    assert_bits(words_of(found[~number]), quiet)


@pytest.mark.parametrize("kernels", [None, *KERNELS])
def test_every_rounding_to_half_is_to_the_nearest_even(kernels: str | None) -> None:
    """On each fp16, half-way to the next, and one fp32 to either side."""
    values = around_every_half()
    assert len(values) > 300_000
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    found, refused = to_half(values, kernels)
    assert_bits(found, expected)
    assert refused


@pytest.mark.parametrize("kernels", [None, *KERNELS])
@pytest.mark.parametrize("place", [0, 5, 120, 127, 130])
def test_what_half_cannot_hold_is_refused(kernels: str | None, place: int) -> None:
    """[NUM-007] 65519 is rounded down, 65520 and NaN are refused, wherever they stand."""
    for bad, refused in ((65519.0, False), (65520.0, True), (-65520.0, True), (np.nan, True)):
        values = np.linspace(-9, 9, 131, dtype=np.float32)
        values[place] = bad
        found, got = to_half(values, kernels)
        assert got == refused, (bad, found[place])


def test_exp2_and_silu_have_the_known_bits() -> None:
    """[NUM-005] [NUM-006]"""
    for name in ("exp2", "silu"):
        points, expected = (
            from_words([case[side] for case in known(name)], "<f4") for side in (0, 1)
        )
        assert_bits(elementwise(f"he_{name}", points), expected, name)


def test_exp2_and_silu_are_the_golden_models() -> None:
    """[NUM-005] [NUM-006] A hundred thousand points, and exp2 within 2 ulp of the exact value."""
    rng = np.random.default_rng(5)
    x = -rng.uniform(0, 101, 100_000).astype(np.float32)
    found = elementwise("he_exp2", x)
    assert_bits(found, numbers.exp2(x))
    exact = np.exp2(x.astype(np.float64))
    ulp = np.spacing(found).astype(np.float64)
    assert np.abs(found - exact)[found > 0].max() > 0
    assert (np.abs(found - exact) / ulp)[found > 0].max() < 2
    a = rng.normal(0, 20, 100_000).astype(np.float32)
    assert_bits(elementwise("he_silu", a), numbers.silu(a))


def test_tables_have_the_known_digests() -> None:
    """[STATE-001] [STATE-002] [STATE-003] [STATE-006] [STATE-007]"""
    planes = {item.name: item.number for item in contract.PLANES}
    ramps = {item.name: number for number, item in enumerate(contract.RAMPS)}
    seen = set()
    for case in known("tables"):
        name = case["name"]
        seen.add(name)
        if name in planes:
            rows = np.stack([plane(planes[name], row) for row in range(case["rows"])])
            assert digest(rows) == case["float32"], name
        else:
            assert digest(ramp(ramps[name])) == case["float16"], name
    assert seen == {*planes, *ramps}
    assert lib.he_plane(len(planes), 0, ffi.new("float[128]")) == lib.HE_RANGE
    assert lib.he_ramp(len(ramps), ffi.new("uint16_t[16384]")) == lib.HE_RANGE


@engines
def test_state_and_query_have_the_references_values(kernels: str) -> None:
    """[STATE-004] [STATE-005] Three steps of the reference's own inputs."""
    engine, made = engine_of(kernels), np.zeros(DIMS, dtype=np.float32)
    sums = []
    for case in known("state"):
        whole = (case["seq_id"] + 1) * (np.arange(DIMS) + 11) + 13 * case["step"]
        made, refused = next_state(engine, made, ((whole % 43 - 21) / 16).astype(np.float32))
        assert not refused
        assert (digest(made), digest(query(engine, made))) == (case["state"], case["query"])
        sums.append(float(made.sum(dtype=np.float64)))
    assert np.allclose(sums, [4.26259, 5.42604, 14.36575], atol=1e-4)


@engines
def test_inputs_states_and_projections_are_the_golden_models(kernels: str) -> None:
    """[STATE-002] [STATE-004..STATE-007] [NUM-002] [NUM-006] At random, and at the ends."""
    rng = np.random.default_rng(11)
    for vocabulary in VOCABULARIES:
        engine, table = engine_of(kernels, vocabulary), weights.weights(vocabulary)
        token = int(rng.integers(vocabulary))
        position = int(rng.choice([0, 1, 31, 32, 12345, contract.LENGTH_MAX - 1]))
        x = token_input(engine, token, position)
        assert_bits(x[np.newaxis], weights.inputs(np.array([token]), np.array([position])))
        h = rng.normal(0, 10.0 ** rng.integers(-6, 5), DIMS).astype(np.float32)
        made, refused = next_state(engine, h, x)
        assert not refused
        assert_bits(made[np.newaxis], state.next_state(h[np.newaxis], x[np.newaxis], table))
        assert_bits(query(engine, h)[np.newaxis], state.query(h[np.newaxis], table))
        for found, expected in zip(
            key_value(engine, x), state.key_value(x[np.newaxis], table), strict=True
        ):
            assert_bits(found[np.newaxis], expected)
        output = rng.normal(0, 3, DIMS).astype(np.float16)
        assert_bits(logits(engine, output)[np.newaxis], state.logits(output[np.newaxis], table))


@engines
def test_a_state_that_is_too_great_is_refused(kernels: str) -> None:
    """[NUM-007] From 2^24 on, in any dim, of either sign; also NaN."""
    engine, x = engine_of(kernels), np.zeros(DIMS, dtype=np.float32)
    for place in (0, 7, 8, 127):
        for value, expected in ((1e6, False), (-3e8, True), (np.nan, True), (np.inf, True)):
            h = np.zeros(DIMS, dtype=np.float32)
            h[place] = value
            assert next_state(engine, h, x)[1] == expected, (place, value)
    # Around the limit: 0.5 + 0.125 W_res[3][3] of one element, which is 3/64.
    greatest = {}
    bits = words_of(np.array([2.0**24 / 0.505859375], dtype=np.float32))[0]
    for value in (bits + np.arange(-40, 40)).astype(np.uint32).view(np.float32):
        h = np.zeros(DIMS, dtype=np.float32)
        h[3] = value
        made, refused = next_state(engine, h, x)
        greatest[float(np.abs(made).max())] = refused
    assert 2.0**24 in greatest
    assert greatest == {value: value >= 2.0**24 for value in greatest}
    assert set(greatest.values()) == {True, False}
