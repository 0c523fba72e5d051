# SPDX-License-Identifier: Apache-2.0
"""From logits to tokens: published vectors, scalars, exact probabilities."""

import itertools
from collections import Counter
from fractions import Fraction

import engine_scalar as scalar
import numpy as np
import numpy.typing as npt
import pytest
from descring_model.engine import contract, random_numbers, sampling
from hypothesis import given
from hypothesis import strategies as st

TOP = (1 << 64) - 1


def u64(*values: int) -> npt.NDArray[np.uint64]:
    """A uint64 array."""
    return np.array(values, dtype=np.uint64)


def tokens_of(
    logits: list[float], temperature: float, top_k: int, top_p: float, random: list[int]
) -> list[int]:
    """The model's token of one row of logits for each random number."""
    count = len(random)
    found: list[int] = sampling.sample(
        np.repeat(np.array([logits], dtype=np.float32), count, axis=0),
        np.full(count, temperature, dtype=np.float32),
        np.full(count, top_k, dtype=np.uint32),
        np.full(count, top_p, dtype=np.float32),
        u64(*random),
    ).tolist()
    return found


def test_philox_gives_the_published_results() -> None:
    """[SAMP-006] Random123's known results for philox4x32-10."""
    counter = [[0] * 4, [0xFFFFFFFF] * 4, [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]]
    key = [[0, 0], [0xFFFFFFFF] * 2, [0xA4093822, 0x299F31D0]]
    expected = [
        [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8],
        [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ]
    found = random_numbers.philox(
        np.array(counter, dtype=np.uint32), np.array(key, dtype=np.uint32)
    )
    assert found.tolist() == expected


@given(*[st.integers(0, 2**32 - 1)] * 3, st.integers(0, 2**64 - 1))
def test_random_number_of_a_token(position: int, sample: int, group: int, seed: int) -> None:
    """[SAMP-006] Which member goes where."""
    words = [np.array([value], dtype=np.uint32) for value in (group, sample, position)]
    found = random_numbers.draws(u64(seed), *words)
    expected = scalar.philox((position, sample, group, 0), (seed & 0xFFFFFFFF, seed >> 32))
    assert int(found[0]) == expected[0] + (expected[1] << 32)


def test_compatibility_stream() -> None:
    """[SAMP-008] The reference's golden values of seed 42, in place of a random number."""
    first = list(itertools.islice(random_numbers.xoshiro(42), 4))
    assert first == [
        0xE032CDB00BEB89E3, 0xDEB2E2E2AC9F8A3D, 0x649FE828ECFFEA97, 0x0EB3DE5C4ADE52BA,
    ]  # fmt: skip
    assert tokens_of([0.0] * 4, 1.0, 0, 1.0, first) == [word >> 62 for word in first]


def test_masses_have_the_bits_of_the_contract() -> None:
    """[SAMP-003] Against integers without bound, up to the cut at 41."""
    rng = np.random.default_rng(1)
    logits = np.concatenate([-rng.exponential(8, 800), [0, -1e-9, -28.4, -60]])
    for temperature in (1.0, 0.3, 2.0):
        row = logits[np.newaxis].astype(np.float32)
        heat = np.array([temperature], dtype=np.float32)
        found = sampling.masses(row, heat)[0].tolist()
        scaled = [scalar.fl(x / float(heat[0])) for x in row[0].tolist()]
        expected = [
            scalar.mass(scalar.fl(scalar.fl(max(scaled) - s) * scalar.LOG2_E)) for s in scaled
        ]
        assert found == expected
        assert found[800] == 1 << contract.MASS_BITS
        assert 0 in found


def test_tables() -> None:
    """[SAMP-003] Each entry is within half a unit of its power, by exact integers."""
    for entries, shift in ((contract.EXP2_COARSE, 8), (contract.EXP2_FINE, 16)):
        for place, entry in enumerate(entries):
            if shift == 8:
                power = 1 << (32 * 256 + place)
                assert (2 * entry - 1) ** 256 < power < (2 * entry + 1) ** 256
            assert abs(entry - 2.0 ** (place / 2**shift) * 2**31) < 0.5 + 1e-6
    assert round(0.6931471805599453 * 2**31) == contract.LN2_FRACTION


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_masses_are_the_softmax(temperature: float) -> None:
    """[SAMP-003] Total variation at most 1e-8 from the exact softmax of the scores, V = 131072."""
    logits = np.random.default_rng(3).normal(0, 3, (1, 131072)).astype(np.float32)
    mass = sampling.masses(logits, np.array([temperature], dtype=np.float32))[0]
    scaled = logits[0] / np.float32(temperature)
    below = ((scaled.max() - scaled) * np.float32(scalar.LOG2_E)).astype(np.float64)
    exact = np.exp2(-below)
    share = mass.astype(np.float64) / int(mass.sum(dtype=np.uint64))
    assert 0.5 * np.abs(share - exact / exact.sum()).sum() <= 1e-8


LOGITS = st.lists(
    st.floats(-40, 40, width=32, allow_subnormal=False) | st.sampled_from([0.0, -0.0, 1.0]),
    min_size=1,
    max_size=12,
)


@given(
    LOGITS,
    st.sampled_from([0.0, 0.25, 1.0, 3.0]),
    st.integers(0, 14),
    st.sampled_from([1.0, 0.999, 0.5, 0.1, 2.0**-20]),
    st.integers(0, TOP),
)
def test_token_is_that_of_the_contract(
    logits: list[float], temperature: float, top_k: int, top_p: float, random: int
) -> None:
    """[SAMP-001..SAMP-005] Against scalars, for ties and extremes."""
    top_p = float(np.float32(top_p))
    chosen = [random, 0, TOP]
    expected = [scalar.choose(logits, temperature, top_k, top_p, r)[0] for r in chosen]
    assert tokens_of(logits, temperature, top_k, top_p, chosen) == expected


@given(LOGITS, st.integers(0, 14), st.sampled_from([1.0, 0.75, 0.1]))
def test_each_token_has_exactly_its_interval(logits: list[float], top_k: int, top_p: float) -> None:
    """[SAMP-005] Every token at both ends of its interval of random numbers, and nowhere else."""
    _, masses = scalar.choose(logits, 1.0, top_k, top_p, 0)
    total, running = sum(masses), 0
    ends, owners = [], []
    for token, mass in enumerate(masses):
        if mass:
            first = -(-(running << 64) // total)
            running += mass
            last = -(-(running << 64) // total) - 1
            ends += [first, last]
            owners += [token, token]
    assert running == total
    assert ends[0] == 0
    assert ends[-1] == TOP
    assert all(ends[i + 1] + 1 == ends[i + 2] for i in range(0, len(ends) - 2, 2))
    assert tokens_of(logits, 1.0, top_k, top_p, ends) == owners


def test_zero_temperature_is_the_first_greatest() -> None:
    """[SAMP-001] [SAMP-002] -0 equals +0; no random number matters."""
    for random in (0, TOP):
        assert tokens_of([-1.0, -0.0, 0.0, -3.0], 0.0, 1, 0.1, [random]) == [1]
        assert tokens_of([2.0, 5.0, 5.0], 0.0, 0, 1.0, [random]) == [1]


def test_top_k_keeps_exactly_k() -> None:
    """[SAMP-002] Among equal logits the lowest ids."""
    random = [(i << 64) // 64 for i in range(64)]
    assert set(tokens_of([1.0, 2.0, 1.0, 2.0, 1.0], 1.0, 3, 1.0, random)) == {0, 1, 3}
    assert set(tokens_of([0.0, -0.0, 0.0], 1.0, 2, 1.0, random)) == {0, 1}
    assert set(tokens_of([0.0] * 4, 1.0, 4, 1.0, random)) == {0, 1, 2, 3}


def test_top_p_leaves_nothing_in_the_tail() -> None:
    """[SAMP-004] At 0.1 only the shortest prefix with a tenth of the mass is ever drawn."""
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 1, 1000).astype(np.float32)
    masses = sampling.masses(logits[np.newaxis], np.ones(1, dtype=np.float32))[0].tolist()
    need = Fraction(int(float(np.float32(0.1)) * 2**32), 2**32) * sum(masses)
    nucleus: set[int] = set()
    mass = Fraction(0)
    for token in sorted(range(1000), key=lambda t: (-logits[t], t)):
        if mass >= need:
            break
        nucleus.add(token)
        mass += masses[token]
    random = rng.integers(0, TOP, 400, dtype=np.uint64).tolist()
    drawn = Counter(tokens_of(logits.tolist(), 1.0, 0, 0.1, random))
    assert set(drawn) <= nucleus
    assert len(drawn) > len(nucleus) // 2
    assert 5 < len(nucleus) < 100


def test_top_p_at_an_exact_share() -> None:
    """[SAMP-004] Two of four equal masses are enough for a half, and not for a little more."""
    random = [(i << 64) // 64 for i in range(64)]
    assert set(tokens_of([0.0] * 4, 1.0, 0, 0.5, random)) == {0, 1}
    above = float(np.nextafter(np.float32(0.5), np.float32(1)))
    assert set(tokens_of([0.0] * 4, 1.0, 0, above, random)) == {0, 1, 2}
    assert set(tokens_of([0.0] * 4, 1.0, 3, 2 / 3, random)) == {0, 1, 2}
    assert set(tokens_of([0.0] * 4, 1.0, 2, 0.5, random)) == {0}


@given(st.floats(2.0**-20, 1, width=32), st.integers(0, 2**57))
def test_share_is_rounded_up(top_p: float, mass: int) -> None:
    """[SAMP-004] By one at most, and computed with 89 bits."""
    found = sampling._share(np.array([top_p], dtype=np.float32), u64(mass))
    assert int(found[0]) == -(-int(top_p * 2**32) * mass >> 32)


@given(st.integers(0, TOP), st.integers(0, 2**58))
def test_products_of_u64(a: int, b: int) -> None:
    """[SAMP-005] The high half of 128 bits."""
    assert int(sampling.product_high(u64(a), u64(b))[0]) == a * b >> 64
