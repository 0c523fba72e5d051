# SPDX-License-Identifier: Apache-2.0
"""Attention over paged KV: golden numbers, scalars, float64, and what must not change a bit."""

import engine_scalar as scalar
import numpy as np
import pytest
from descring_model.engine import attention
from descring_model.engine.numbers import F16, F32
from test_engine_numbers import bits

DIM = np.arange(128)


def pages(keys: F16, values: F16) -> F16:
    """``(b, 2, 32, 128)`` blocks of ``(n, 128)`` keys and values; the rest is 7.5."""
    count = -(-len(keys) // 32)
    found = np.full((2, count * 32, 128), 7.5, dtype=np.float16)
    found[0, : len(keys)], found[1, : len(keys)] = keys, values
    return np.swapaxes(found.reshape(2, count, 32, 128), 0, 1).copy()


def sequence(length: int, seed: int = 1, spread: float = 1.5) -> tuple[F16, F16, F16]:
    """A query, keys and values."""
    rng = np.random.default_rng(seed)
    made = (rng.standard_normal((2 * length + 1, 128)) * spread).astype(np.float16)
    return made[:1], made[1 : length + 1], made[length + 1 :]


def one(query: F16, keys: F16, values: F16, *, biased: bool = True) -> F32:
    """The output of one rollout, ``(1, 128)``."""
    kv = pages(keys, values)
    found, good = attention.attend(
        query, kv, [np.arange(len(kv))], np.array([len(keys)]), biased=biased
    )
    assert good.all()
    return found


@pytest.mark.parametrize(
    ("length", "token", "total"),
    [
        (1, 4, 1.172424), (2, 2, 5.429888), (16, 9, 0.973856), (17, 9, 1.371015), (32, 0, 0.257218),
    ],
)  # fmt: skip
def test_attention_of_the_reference(length: int, token: int, total: float) -> None:
    """[ATT-001] [ATT-007] The reference's golden numbers, without the slot bias."""
    t = np.arange(length)[:, np.newaxis]
    query = ((DIM % 17 - 8) / 8).astype(np.float16)[np.newaxis]
    keys = (((t + 1) * (DIM % 13 + 1) % 23 - 11) / 32).astype(np.float16)
    values = (((t + 3) * (DIM % 11 + 5) % 29 - 14) / 29).astype(np.float16)
    found = one(query, keys, values, biased=False)[0]
    assert int(found.argmax()) == token
    assert float(found.sum(dtype=np.float64)) == pytest.approx(total, abs=2e-6)
    if length == 17:
        assert float(found[0]) == pytest.approx(0.001963, abs=1e-6)


@pytest.mark.parametrize("length", [1, 2, 3, 31, 32, 33, 64, 250, 256, 257, 520])
def test_attention_has_the_bits_of_the_contract(length: int) -> None:
    """[ATT-001..ATT-007] Against scalars, with and without the bias."""
    query, keys, values = sequence(length, seed=length)
    for biased in (True, False)[: 1 if length > 64 else 2]:
        found = one(query, keys, values, biased=biased)
        expected = scalar.attend(query[0].tolist(), keys.tolist(), values.tolist(), biased=biased)
        assert bits(found) == [scalar.word(x) for x in expected]


def test_wide_scores_rescale_exactly() -> None:
    """[ATT-005] [NUM-004] Scores hundreds of log2 units apart: weights below the cut vanish."""
    query, keys, values = sequence(300, seed=9, spread=9.0)
    found = one(query, keys, values)
    expected = scalar.attend(query[0].tolist(), keys.tolist(), values.tolist())
    assert bits(found) == [scalar.word(x) for x in expected]


@pytest.mark.parametrize("length", [40, 1000, 5000])
def test_attention_is_close_to_float64(length: int) -> None:
    """[ATT-007] A relative error below 1e-6 (measured: 3e-7)."""
    query, keys, values = sequence(length, seed=3)
    q, k, v = (item.astype(np.float64) for item in (query[0], keys, values))
    positions = np.arange(length, dtype=np.uint64)
    bias = ((positions * 0x9E3779B1 % 2**32).astype(np.int64) >> 24) / 128
    scores = k @ q / np.sqrt(128) + bias * np.log(2)
    weight = np.exp(scores - scores.max())
    exact = weight @ v / weight.sum()
    found = one(query, keys, values)[0]
    assert np.linalg.norm(found - exact) / np.linalg.norm(exact) < 1e-6


def test_batch_and_pages_change_no_bit() -> None:
    """[ATT-006] [NUM-008] Rollouts of all lengths together, in blocks of any order, one by one."""
    rng = np.random.default_rng(11)
    lengths = [1, 700, 33, 256, 32, 257, 90]
    made = [sequence(length, seed=length) for length in lengths]
    kv = np.concatenate([pages(keys, values) for _, keys, values in made])
    counts = [-(-length // 32) for length in lengths]
    order = rng.permutation(len(kv))
    mixed = np.empty_like(kv)
    mixed[order] = kv
    tables = np.split(order, np.cumsum(counts)[:-1])
    found, good = attention.attend(
        np.concatenate([query for query, _, _ in made]), mixed, tables, np.array(lengths)
    )
    assert good.all()
    for row, (query, keys, values) in zip(found, made, strict=True):
        assert bits(row) == bits(one(query, keys, values))


def test_groups_of_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """[ATT-006] However many blocks are read together."""
    query, keys, values = sequence(1500, seed=12)
    expected = bits(one(query, keys, values))
    for count in (1, 3, 7):
        monkeypatch.setattr(attention, "_GROUP_BLOCKS", count)
        assert bits(one(query, keys, values)) == expected


def test_blocks_in_the_wrong_order_change_the_output() -> None:
    """[ATT-001] The slot bias makes the place of a block count."""
    query, keys, values = sequence(96, seed=13)
    kv = pages(keys, values)
    outputs = [
        attention.attend(query, kv, [np.array(order)], np.array([96]), biased=biased)[0]
        for biased in (True, False)
        for order in ((0, 1, 2), (1, 0, 2))
    ]
    apart = [float(np.abs(outputs[i] - outputs[i + 1]).max()) for i in (0, 2)]
    assert apart[0] > 1e-2
    assert apart[1] < 1e-5


def test_slot_bias() -> None:
    """[ATT-001] Up to the greatest position."""
    positions = np.array([0, 1, 31, 32, 2**31 - 1])
    expected = [scalar.slot_bias(p) for p in positions.tolist()]
    assert attention.slot_bias(positions).tolist() == expected


def test_absent_tokens_have_no_part() -> None:
    """[ATT-002] [ATT-003] [ATT-004] Whatever is in the slots behind the last token."""
    query, keys, values = sequence(37, seed=14)
    kv = pages(keys, values)
    expected, _ = attention.attend(query, kv, [np.arange(2)], np.array([37]))
    for trash in (np.nan, np.inf, -60000.0):
        kv[1, :, 5:] = trash
        found, good = attention.attend(query, kv, [np.arange(2)], np.array([37]))
        assert good.all()
        assert bits(found) == bits(expected)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 60000])
def test_unusable_value_is_no_warning(value: float) -> None:
    """[NUM-007] The result reports it, and NumPy prints nothing: of keys, values and queries."""
    for place in range(3):
        parts = sequence(40, seed=16)
        parts[place][0, 5:90] = value
        kv = pages(*parts[1:])
        attention.attend(parts[0], kv, [np.arange(2)], np.array([40]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_unusable_key_is_found(bad: float) -> None:
    """[NUM-007] In any block, and without harm to the neighbours in the batch."""
    query, keys, values = sequence(70, seed=15)
    kv = np.concatenate([pages(keys, values), pages(keys, values)])
    expected = bits(one(query, keys, values))
    kv[4, 0, 3, 99] = bad
    found, good = attention.attend(
        np.repeat(query, 2, axis=0), kv, [np.arange(3), np.arange(3, 6)], np.array([70, 70])
    )
    assert good.tolist() == [True, False]
    assert bits(found[0]) == expected
