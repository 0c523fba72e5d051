# SPDX-License-Identifier: Apache-2.0
"""Weights, state, query, keys, values and logits: golden numbers, scalars, float64."""

import engine_scalar as scalar
import numpy as np
import numpy.typing as npt
import pytest
from descring_model.engine import contract, state, weights
from descring_model.engine.numbers import F32
from test_engine_numbers import bits

Wide = npt.NDArray[np.float64]

WEIGHTS = weights.weights(contract.VOCABULARY)


def reference_input(seq_id: int, step: int) -> F32:
    """The reference's input of its state block."""
    whole = [(seq_id + 1) * (d + 11) + 13 * step for d in range(128)]
    return np.array([[(value % 43 - 21) / 16 for value in whole]], dtype=np.float32)


def wide_step(h: Wide, x: Wide) -> Wide:
    """STATE-004 in float64, by its formula."""
    w_in, w_res = (np.array(w) for w in (scalar.W_IN, scalar.W_RES))
    a = np.array(scalar.BIAS) + x @ w_in
    found: Wide = 0.5 * h + 0.125 * (h @ w_res) + 0.25 * x + 0.125 * a / (1 + np.exp(-a))
    return found


def test_planes_have_the_hash_of_the_contract() -> None:
    """[STATE-001] Every plane, rows up to the last, against integers without bound."""
    rows = np.array([0, 1, 127, 1023, 131071, 2**31 - 1])
    for item in contract.PLANES:
        found = weights.plane(item.name, rows)
        expected = [[scalar.element(item.number, r, c) for c in range(128)] for r in rows.tolist()]
        assert found.tolist() == expected
        assert np.array_equal(found.astype(np.float16).astype(np.float32), found)
        assert len(np.unique(weights.plane(item.name, np.arange(120)))) == 1 << item.bits


def test_inputs_are_token_and_position() -> None:
    """[STATE-002] Exact in fp16, and different for each token and each position."""
    tokens, positions = np.array([0, 5, 5, 1023]), np.array([0, 0, 9, 2**31 - 2])
    found = weights.inputs(tokens, positions)
    for row, token, position in zip(found.tolist(), tokens, positions, strict=True):
        assert row == [
            scalar.element(0, int(token), d) + scalar.element(1, int(position), d)
            for d in range(128)
        ]
    assert np.array_equal(found.astype(np.float16).astype(np.float32), found)


def test_weights_by_remainder() -> None:
    """[STATE-003] The reference's weights."""
    for name, expected in (("W_IN", scalar.W_IN), ("W_RES", scalar.W_RES), ("W_Q", scalar.W_Q)):
        assert weights.ramp(name).tolist() == expected
    assert weights.bias().tolist() == scalar.BIAS


def test_states_of_the_reference() -> None:
    """[STATE-004] [STATE-005] The reference's golden numbers of state and query."""
    h = np.zeros((1, 128), dtype=np.float32)
    sums, queries = [], []
    for step in range(3):
        h = state.next_state(h, reference_input(1, step), WEIGHTS)
        if step == 0:
            assert h[0, :4] == pytest.approx([0.01233, 0.080451, 0.050277, 0.093257], abs=1e-6)
        sums.append(float(h.sum(dtype=np.float64)))
        queries.append(state.query(h, WEIGHTS)[0, :4])
    assert sums == pytest.approx([4.26259, 5.42604, 14.36575], abs=1e-5)
    assert queries[0] == pytest.approx([-1.3402, 0.33382, 0.34269, -0.46094], abs=5e-5)
    assert queries[1] == pytest.approx([-0.43648, 0.76844, 0.4591, -0.07972], abs=5e-5)


def test_states_have_the_bits_of_the_contract() -> None:
    """[STATE-004] [STATE-005] [STATE-006] Against scalars."""
    rng = np.random.default_rng(5)
    h = rng.standard_normal((1, 128)).astype(np.float32)
    x = weights.inputs(np.array([77]), np.array([3]))
    following = state.next_state(h, x, WEIGHTS)
    row = x[0].tolist()
    assert bits(following) == [scalar.word(v) for v in scalar.next_state(h[0].tolist(), row)]
    expected = scalar.times(h[0].tolist(), scalar.W_Q)
    assert bits(state.query(h, WEIGHTS)) == [scalar.word(v) for v in expected]
    key, value = state.key_value(x, WEIGHTS)
    assert key[0].tolist() == [scalar.half(v) for v in scalar.times(row, scalar.W_K)]
    assert value[0].tolist() == [scalar.half(v) for v in scalar.times(row, scalar.W_V)]


def test_logits_have_the_bits_of_the_contract() -> None:
    """[STATE-007] Against scalars, up to the last token."""
    output = np.random.default_rng(6).standard_normal((1, 128)).astype(np.float16)
    found = state.logits(output, WEIGHTS)
    assert found.shape == (1, 1024)
    for token in (0, 1, 511, 1023):
        row = [scalar.element(4, token, d) for d in range(128)]
        assert bits(found[0, token]) == [scalar.word(scalar.dot(output[0].tolist(), row))]


def test_states_stay_close_to_float64() -> None:
    """[STATE-004] A relative error below 1e-6 after 120 tokens: the recurrence contracts."""
    rng = np.random.default_rng(7)
    h = np.zeros((4, 128), dtype=np.float32)
    wide = np.zeros((4, 128))
    for step in range(120):
        x = weights.inputs(rng.integers(0, 1024, 4), np.full(4, step))
        h = state.next_state(h, x, WEIGHTS)
        wide = wide_step(wide, x.astype(np.float64))
    assert np.linalg.norm(h - wide) / np.linalg.norm(wide) < 1e-6
