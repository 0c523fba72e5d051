# SPDX-License-Identifier: Apache-2.0
"""Each part of the native engine, with every set of kernels, has the bits of the contract."""

from typing import Any

import numpy as np
import pytest
from descring_host.engine import NativeEngine, aligned_bytes, ffi, lib
from descring_model.engine import attention, contract, numbers, sampling, state, weights
from descring_model.engine.interface import EngineError
from engine_support import (
    DIMS,
    F16,
    F32,
    KERNELS,
    assert_bits,
    digest,
    elementwise,
    engine_of,
    from_half,
    from_words,
    key_value,
    known,
    logits,
    masses,
    next_state,
    plane,
    pointer,
    query,
    ramp,
    sample,
    to_half,
    token_input,
    words_of,
)
from hypothesis import given
from hypothesis import strategies as st

engines = pytest.mark.parametrize("kernels", KERNELS)
ALL_HALVES: F16 = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
VOCABULARIES = (1, 2, 15, 16, 17, 37, 1024)


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


def test_philox_has_the_bits_of_its_authors() -> None:
    """[SAMP-006] The known results of Random123, and those of the contract's file."""
    cases = [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB],
        ),
    ]
    for case in known("philox4x32_10"):
        parts = ([int(word, 16) for word in case[name]] for name in ("counter", "key", "output"))
        cases.append(tuple(parts))  # type: ignore[arg-type]
    assert len(cases) > 3
    for counter, key, expected in cases:
        found = lib.he_philox(key[0] | key[1] << 32, ffi.new("uint32_t[4]", counter))
        assert (found & 0xFFFFFFFF, found >> 32) == tuple(expected[:2])


def test_xoshiro_has_the_bits_of_the_reference() -> None:
    """[SAMP-008]"""
    for case in known("xoshiro256**"):
        out = np.empty(4, dtype=np.uint64)
        lib.he_xoshiro(case["seed"], 4, pointer(out, "uint64_t *"))
        assert [f"{word:016x}" for word in out.tolist()] == case["outputs"]
    assert known("xoshiro256**")[1]["outputs"][0] == "e032cdb00beb89e3"


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


def keys_values(count: int, rng: np.random.Generator, spread: float) -> tuple[F16, Any]:
    """``(count, 2, 32, 128)`` in blocks of an arena."""
    arena = aligned_bytes(count * contract.BLOCK_BYTES)
    kv = arena.view(np.float16).reshape(count, 2, contract.BLOCK_TOKENS, DIMS)
    kv[:] = rng.normal(0, spread, kv.shape)
    return kv, arena


def test_attention_has_the_references_values() -> None:
    """The reference's inputs without the bias: tokens 4, 2, 9, 9, 0, and its sums of outputs."""
    d, t = np.arange(DIMS), np.arange(32)[:, np.newaxis]
    arena = aligned_bytes(contract.BLOCK_BYTES)
    kv = arena.view(np.float16).reshape(2, 32, DIMS)
    kv[0] = ((t + 1) * (d % 13 + 1) % 23 - 11) / 32
    kv[1] = ((t + 3) * (d % 11 + 5) % 29 - 14) / 29
    asked = ((d % 17 - 8) / 8).astype(np.float16)
    expected = {1: (4, 1.172424), 2: (2, 5.429888), 16: (9, 0.973856), 17: (9, 1.371015)}
    for kernels in KERNELS:
        for tokens, (best, total) in {**expected, 32: (0, 0.257218)}.items():
            output = engine_of(kernels).attend(
                arena, np.zeros(1, np.uint32), tokens, asked, biased=False
            )
            assert (int(output.argmax()), kernels) == (best, kernels)
            assert abs(float(output.sum(dtype=np.float64)) - total) < 2e-6


@engines
def test_attention_has_the_known_digests(kernels: str) -> None:
    """[ATT-001..ATT-007] Lengths around blocks, chunks and 2049, with the bias and without."""
    cases = known("attention")
    count = -(-max(case["tokens"] for case in cases) // 32)
    arena = aligned_bytes(count * contract.BLOCK_BYTES)
    kv = arena.view(np.float16).reshape(count, 2, 32, DIMS)
    slots = np.arange(count * 32)
    kv[:, 0] = weights.plane("EMBEDDING", slots).reshape(count, 32, DIMS)
    kv[:, 1] = weights.plane("EMBEDDING", slots + 10000).reshape(count, 32, DIMS)
    for case in cases:
        row = int(case["query"].rpartition(" ")[2])
        asked = weights.plane("EMBEDDING", np.array([row])).astype(np.float16)[0]
        blocks = np.arange(count, dtype=np.uint32)
        output = engine_of(kernels).attend(
            arena, blocks, case["tokens"], asked, biased=case["bias"]
        )
        assert digest(output) == case["output"], case


@given(
    seed=st.integers(0, 1 << 32),
    tokens=st.one_of(st.integers(1, 70), st.integers(1, 1200), st.sampled_from([256, 512, 513])),
    spread=st.sampled_from([0.1, 1.0, 4.0, 30.0]),
    split=st.integers(0, 7),
    biased=st.booleans(),
)
def test_attention_is_the_golden_models_whatever_the_split(
    seed: int, tokens: int, spread: float, split: int, biased: bool
) -> None:
    """[ATT-001..ATT-007] [NUM-003] Blocks in any order, any runs of them first, any kernels; what

    stands behind the last token, be it NaN, counts for nothing.
    """
    rng = np.random.default_rng(seed)
    count = -(-tokens // 32)
    kv, arena = keys_values(count + 2, rng, spread)
    blocks = rng.permutation(count + 2)[:count].astype(np.uint32)
    if tokens % 32:
        kv[blocks[-1], :, tokens % 32 :] = rng.choice([np.nan, np.inf, 60000.0])
    asked = rng.normal(0, spread, DIMS).astype(np.float16)
    expected, _ = attention.attend(
        asked[np.newaxis], kv, [blocks], np.array([tokens]), biased=biased
    )
    for kernels in KERNELS:
        for runs in (0, split):
            output = engine_of(kernels).attend(
                arena, blocks, tokens, asked, biased=biased, split=runs
            )
            assert_bits(output, expected[0], f"{kernels}, split {runs}")


@engines
def test_attention_is_refused_by_the_status_of_what_is_wrong(kernels: str) -> None:
    """[NUM-007] NaN and infinity in any key and value; scores and outputs that are too great."""
    engine, rng = engine_of(kernels), np.random.default_rng(3)
    asked = rng.normal(0, 1, DIMS).astype(np.float16)
    blocks = np.arange(10, dtype=np.uint32)[::-1].copy()

    def status(tokens: int) -> str:
        try:
            engine.attend(arena, blocks, tokens, asked)
        except EngineError as error:
            return error.name
        return "OK"

    for place, part, name in ((1, 0, "BAD_SCORE"), (299, 0, "BAD_SCORE"), (130, 1, "BAD_OUTPUT")):
        for bad in (np.nan, np.inf, -np.inf):
            kv, arena = keys_values(10, rng, 1.0)
            kv[blocks[place // 32], part, place % 32, int(rng.integers(DIMS))] = bad
            assert status(300) == name, (place, bad)
            assert status(place) == "OK", "it is behind the last token"
    kv, arena = keys_values(10, rng, 1.0)
    kv[:, 1] = 65504.0
    assert status(300) == "OK"
    asked[:] = kv[blocks[9], 0, 5] = 3000.0  # a dot of 1.2e9 and a score of 1.5e8
    assert status(300) == "BAD_SCORE"
    blocks[3] = 10
    assert (status(96), status(97)) == ("OK", "BAD_BLOCK")


def reference_scores(count: int) -> F32:
    """The logits of the known results of sampling."""
    ids = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1)
    scores: F32 = (ids >> np.uint32(24)).astype(np.float32) / np.float32(16) - np.float32(8)
    return scores


@engines
def test_sampling_has_the_known_tokens_and_masses(kernels: str) -> None:
    """[SAMP-001..SAMP-005]"""
    for case in known("sampling"):
        engine = engine_of(kernels, case["vocabulary"])
        scores = reference_scores(case["vocabulary"])
        assert digest(masses(engine, scores, case["temperature"])) == case["masses"], case
        found = sample(
            engine, scores, case["temperature"], case["top_k"], case["top_p"],
            int(case["random"], 16),
        )  # fmt: skip
        assert found == case["token"], case


@given(
    seed=st.integers(0, 1 << 32),
    vocabulary=st.sampled_from(VOCABULARIES),
    temperature=st.sampled_from([0.0, -0.0, 2.0**-10, 0.3, 1.0, 7.0, 1024.0]),
    top_k=st.sampled_from([0, 1, 2, 5, 100, 1023, 1024, 1 << 31]),
    top_p=st.sampled_from([2.0**-20, 0.1, 0.5, 0.9, 1 - 2.0**-24, 1.0]),
    levels=st.sampled_from([1, 2, 9, 1 << 20]),
)
def test_sampling_is_the_golden_models(
    seed: int, vocabulary: int, temperature: float, top_k: int, top_p: float, levels: int
) -> None:
    """[SAMP-001..SAMP-005] Few levels make many equal logits, -0 and +0 among them."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(-levels, levels + 1, vocabulary).astype(np.float32) / np.float32(levels)
    scores *= np.float32(rng.choice([0.01, 1, 8, 1000]))
    scores[rng.random(vocabulary) < 0.2] = -0.0
    random = int(rng.integers(0, 1 << 64, dtype=np.uint64))
    heat = np.array([temperature], dtype=np.float32)
    expected = sampling.sample(
        scores[np.newaxis], heat, np.array([top_k], np.uint32), np.array([top_p], np.float32),
        np.array([random], np.uint64),
    )  # fmt: skip
    for kernels in KERNELS:
        engine = engine_of(kernels, vocabulary)
        if temperature:
            assert_bits(
                masses(engine, scores, temperature)[np.newaxis],
                sampling.masses(scores[np.newaxis], heat),
            )
        assert sample(engine, scores, temperature, top_k, top_p, random) == expected[0], kernels


@engines
def test_each_random_number_has_its_token_to_the_last_bit(kernels: str) -> None:
    """[SAMP-003] [SAMP-005] Beside one token of mass 2^40, 1023 of mass 1: each has one place."""
    engine = engine_of(kernels)
    scores = np.full(1024, -27.3, dtype=np.float32)  # 39.4 in log2 units
    scores[0] = 0
    found = masses(engine, scores, 1.0)
    assert (int(found[0]), set(found[1:].tolist())) == (1 << 40, {1})
    total = (1 << 40) + 1023
    for place in (0, 1, 2, 511, 1022):
        first = -(-(((1 << 40) + place) << 64) // total)
        assert sample(engine, scores, 1.0, 0, 1.0, first) == place + 1
        assert sample(engine, scores, 1.0, 0, 1.0, first - 1) == place


@engines
def test_a_share_of_the_mass_is_rounded_up(kernels: str) -> None:
    """[SAMP-004] The first token has just too little of the mass, by 2^-33 of it."""
    engine, last = engine_of(kernels, 2), (1 << 64) - 1
    for score, top_p in ((-0.5795745849609375, 0.6409695148468018),
                         (-0.44800058007240295, 0.6101637482643127)):  # fmt: skip
        scores = np.array([0, score], dtype=np.float32)
        kept = int(top_p * 2**32) * (int(masses(engine, scores, 1.0).sum()))
        assert (1 << 72) < kept < (1 << 72) + (1 << 32)
        assert sample(engine, scores, 1.0, 0, top_p, last) == 1
        below = float(np.nextafter(np.float32(top_p), np.float32(0)))
        assert sample(engine, scores, 1.0, 0, below, last) == 0


@engines
def test_an_output_of_minus_zero_becomes_zero(kernels: str) -> None:
    """[NUM-003] [ATT-007] Where every value is -0, with one token, a block and several."""
    rng = np.random.default_rng(4)
    kv, arena = keys_values(3, rng, 1.0)
    kv[:, 1, :, 5] = -0.0
    asked = rng.normal(0, 1, DIMS).astype(np.float16)
    for tokens in (1, 32, 70):
        output = engine_of(kernels).attend(arena, np.arange(3, dtype=np.uint32), tokens, asked)
        assert words_of(output[5:6])[0] == 0


@engines
def test_blocks_that_are_far_apart_count_for_nothing(kernels: str) -> None:
    """[NUM-004] [ATT-005] 100 to 160 log2 units between two blocks, either one first."""
    kv, arena = keys_values(2, np.random.default_rng(6), 1.0)
    asked = np.zeros(DIMS, dtype=np.float16)
    asked[0] = 64
    for apart in range(100, 160, 3):
        kv[:, 0, :, 0] = 0
        kv[1, 0, :, 0] = apart / 64 / 0.1275
        for blocks in (np.array([0, 1], np.uint32), np.array([1, 0], np.uint32)):
            expected, _ = attention.attend(asked[np.newaxis], kv, [blocks], np.array([64]))
            assert_bits(engine_of(kernels).attend(arena, blocks, 64, asked), expected[0])


def test_the_largest_vocabulary_samples_like_the_golden_model() -> None:
    """[STATE-002] [SAMP-004] 131072 tokens: sums of masses beyond 2^56, and the last one drawn."""
    engine = NativeEngine(contract.VOCABULARY_MAX)
    scores = np.zeros(contract.VOCABULARY_MAX, dtype=np.float32)
    last = (1 << 64) - 1
    assert sample(engine, scores, 1.0, 0, 1.0, last) == contract.VOCABULARY_MAX - 1
    assert sample(engine, scores, 1.0, 100_000, 1.0, last) == 99_999
    assert sample(engine, scores, 1.0, 0, 0.5, last) == contract.VOCABULARY_MAX // 2 - 1
    scores[70_000] = 1e-3
    assert sample(engine, scores, 0.0, 0, 1.0, last) == 70_000
    assert sample(engine, scores, 1.0, 1, 1.0, last) == 70_000
    output = np.ones(DIMS, dtype=np.float16)
    table = weights.plane("UNEMBEDDING", np.array([0, 1023, 131071]))
    expected = table.astype(np.float64).sum(axis=1)  # exact: the terms are multiples of 2^-6
    assert logits(engine, output)[[0, 1023, 131071]].tolist() == expected.tolist()
    engine.close()
