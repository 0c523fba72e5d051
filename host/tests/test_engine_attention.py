# SPDX-License-Identifier: Apache-2.0
"""Attention of the native engine, with all kernels."""

from typing import Any

import numpy as np
import pytest
from descring_host.engine import SPLIT_MAX, aligned_bytes
from descring_model.engine import attention, contract, weights
from descring_model.engine.interface import EngineError
from engine_support import (
    DIMS,
    F16,
    KERNELS,
    assert_bits,
    digest,
    engine_of,
    known,
    words_of,
)
from hypothesis import given
from hypothesis import strategies as st

engines = pytest.mark.parametrize("kernels", KERNELS)


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
        for runs in (SPLIT_MAX, split):
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
