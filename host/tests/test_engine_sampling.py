# SPDX-License-Identifier: Apache-2.0
"""Random numbers and sampling of the native engine, with all kernels."""

import numpy as np
import pytest
from descring_host.engine import NativeEngine, ffi, lib
from descring_model.engine import contract, sampling, weights
from engine_support import (
    DIMS,
    F32,
    KERNELS,
    VOCABULARIES,
    assert_bits,
    digest,
    engine_of,
    known,
    logits,
    masses,
    pointer,
    sample,
)
from hypothesis import given
from hypothesis import strategies as st

engines = pytest.mark.parametrize("kernels", KERNELS)


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
def test_just_as_many_tokens_are_kept_as_asked_for(kernels: str) -> None:
    """[SAMP-002] [SAMP-004] Of equal ones the first, also one less than there are, and all."""
    scores, last = np.zeros(16, dtype=np.float32), (1 << 64) - 1
    for top_k in (1, 2, 14, 15, 16, 17):
        kept = min(top_k, 16)
        assert sample(engine_of(kernels, 16), scores, 1.0, top_k, 1.0, last) == kept - 1


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
