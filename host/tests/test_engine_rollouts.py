# SPDX-License-Identifier: Apache-2.0
"""Rollouts of the native engine: the golden model's arenas, and what must not change a bit."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
from descring_host.engine import NativeEngine
from descring_model.engine import contract
from descring_model.engine.batch import Batch
from descring_model.engine.interface import Engine
from descring_model.engine.model import ModelEngine
from engine_support import KERNELS, batch_like, digest, engine_of, known
from hypothesis import given, settings
from hypothesis import strategies as st

engines = pytest.mark.parametrize("kernels", KERNELS)
Content = tuple[list[int], bytes, bytes]


@cache
def model_of(vocabulary: int) -> ModelEngine:
    """The golden model; one of each vocabulary is enough."""
    return ModelEngine(vocabulary)


def content(batch: Batch, place: int) -> Content:
    """Tokens, keys and values, and state of a rollout."""
    length = int(batch.record(place)["length"])
    return (
        batch.tokens(place)[:length].tolist(),
        batch.keys_values(place).tobytes(),
        batch.state(place).tobytes(),
    )


def contents(batch: Batch) -> list[Content]:
    """Of all rollouts."""
    return [content(batch, place) for place in range(len(batch.offsets))]


def draw_batch(rng: np.random.Generator, engine: Engine, room: int, count: int) -> Batch:
    """Fresh rollouts with prompts of any length, any parameters, and blocks in any order."""
    vocabulary = engine.vocabulary
    prompts = [
        rng.integers(0, vocabulary, rng.integers(1, room + 1)).tolist() for _ in range(count)
    ]
    parameters: list[dict[str, Any]] = [
        {
            "seed": int(rng.integers(0, 1 << 64, dtype=np.uint64)),
            "group": int(rng.integers(0, 1 << 32)),
            "sample": int(rng.integers(0, 1 << 32)),
            "temperature": float(rng.choice([0.0, 0.5, 1.0, 3.0, 20.0])),
            "top_k": int(rng.choice([0, 1, 3, vocabulary])),
            "top_p": float(rng.choice([0.01, 0.3, 0.9, 1.0])),
            "eos": int(rng.choice([0, vocabulary - 1, contract.NONE])),
        }
        for _ in range(count)
    ]
    order = rng.permutation(count * -(-room // contract.BLOCK_TOKENS))
    return Batch(engine, prompts, room, parameters, order=order)


@engines
def test_rollouts_have_the_known_tokens_keys_values_and_states(kernels: str) -> None:
    """[STATE-008] [SAMP-001..SAMP-007] [REC-001] [REC-003]"""
    for case in known("rollouts"):
        vocabulary, count, end = case["vocabulary"], case["prompt"], case["end"]
        prompt = [(37 * place + count) % vocabulary for place in range(count)]
        members = {name: case[name] for name in case if name in contract_members()}
        batch = Batch(engine_of(kernels, vocabulary), [prompt], end, [members])
        batch.advance(end)
        assert batch.tokens(0)[count:end].tolist() == case["tokens"], case
        assert digest(batch.keys_values(0)) == case["keys_values"], case
        assert digest(batch.state(0)) == case["state"], case


def contract_members() -> set[str]:
    """Members of a record that a case can give."""
    return {item.name for item in contract.ROLLOUT_RECORD} - {"prompt_tokens", "tokens", "state"}


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1 << 32),
    vocabulary=st.sampled_from([1, 16, 37, 64]),
    room=st.integers(1, 70),
    count=st.integers(1, 4),
)
def test_arenas_are_the_golden_models(seed: int, vocabulary: int, room: int, count: int) -> None:
    """[NUM-008] [REC-003] Every byte of the arena, with any kernels."""
    batch = draw_batch(np.random.default_rng(seed), model_of(vocabulary), room, count)
    fresh = [batch_like(engine_of(kernels, vocabulary), batch) for kernels in KERNELS]
    batch.advance(room)
    for other in fresh:
        other.advance(room)
        differ = np.flatnonzero(other.arena != batch.arena)
        assert not len(differ), f"{other.engine.kernels}: byte {differ[0]}"  # type: ignore[attr-defined]


@settings(max_examples=25)
@given(seed=st.integers(0, 1 << 32), room=st.integers(2, 300), count=st.integers(1, 5))
def test_batch_order_pauses_kernels_and_threads_change_no_bit(
    seed: int, room: int, count: int
) -> None:
    """[NUM-008] Each rollout to any end, in any company, by any engine, until all are through."""
    rng = np.random.default_rng(seed)
    engines = [engine_of(kernels, 64, threads) for kernels in KERNELS for threads in (1, 3)]
    whole = draw_batch(rng, engines[-1], room, count)
    paused = batch_like(engines[0], whole)
    whole.advance(room)
    lengths = np.zeros(count, dtype=np.int64)
    while (lengths < room).any():
        paused.engine = engines[int(rng.integers(len(engines)))]
        places = rng.permutation(count)[: rng.integers(1, count + 1)]
        ends = np.minimum(lengths[places] + rng.integers(0, room, len(places)), room)
        paused.advance(ends.tolist(), places.tolist())
        lengths[places] = np.maximum(lengths[places], ends)
    assert bytes(paused.arena) == bytes(whole.arena)


def test_where_the_blocks_are_changes_no_bit() -> None:
    """[NUM-008] [KV-001] The same rollouts with their blocks in another order of the arena."""
    rng = np.random.default_rng(8)
    engine = engine_of(KERNELS[-1])
    prompts = [rng.integers(0, 1024, length).tolist() for length in (3, 40, 100)]
    found = []
    for order in (np.arange(30), np.arange(30)[::-1], rng.permutation(30)):
        batch = Batch(engine, prompts, 300, order=order)
        batch.advance(300)
        found.append(contents(batch))
    assert found[0] == found[1] == found[2]
    assert len({tuple(tokens) for tokens, _, _ in found[0]}) == 3


@settings(max_examples=40)
@given(seed=st.integers(0, 1 << 32), prefix=st.integers(1, 150), more=st.integers(1, 60))
def test_sharing_a_prefix_changes_no_bit(seed: int, prefix: int, more: int) -> None:
    """[COW-010] [REC-002] Samples that share the full blocks of a prompt, and copy the partial one,

    the tokens and the state, make the tokens of samples that ingest the prompt themselves.
    """
    rng = np.random.default_rng(seed)
    engine = engine_of(KERNELS[-1], 64)
    prompt, room, samples = rng.integers(0, 64, prefix).tolist(), prefix + more, 3
    members = [{"seed": 9, "group": 4, "sample": number} for number in range(samples)]
    apart = Batch(engine, [prompt] * samples, room, members)
    apart.advance(room)
    shared = Batch(engine, [prompt] * samples, room, members)
    shared.advance(prefix, [0])
    full = prefix // contract.BLOCK_TOKENS
    own = np.arange(samples * -(-room // contract.BLOCK_TOKENS)).reshape(samples, -1)
    pages = shared.arena[: own.size * contract.BLOCK_BYTES].reshape(-1, contract.BLOCK_BYTES)
    for place in range(1, samples):
        shared.state(place)[:] = shared.state(0)
        shared.record(place)["length"] = prefix
        shared.blocks(place)[:full] = shared.blocks(0)[:full]
        if prefix % contract.BLOCK_TOKENS:
            pages[own[place, full]] = pages[own[0, full]]
        pages[own[place, :full]] = 0xFF  # nobody reads its own copies
    before = pages[own[0, :full]].copy()
    shared.advance(room)
    assert contents(shared) == contents(apart)
    assert (pages[own[0, :full]] == before).all()


def test_two_threads_advance_their_rollouts_at_the_same_time() -> None:
    """One engine, two callers, each with an arena of its own."""
    engine = engine_of(KERNELS[-1], 64, 2)
    batches = [draw_batch(np.random.default_rng(5), engine, 200, 6) for _ in range(3)]
    batches[0].advance(200)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(batch.advance, 200) for batch in batches[1:]]:
            done.result()
    assert contents(batches[1]) == contents(batches[2]) == contents(batches[0])


@engines
def test_a_rollout_that_made_its_end_token_repeats_it(kernels: str) -> None:
    """[SAMP-007] A given one does not count, nor does one of the prompt's last place."""
    engine = engine_of(kernels, 16)
    members = [{"eos": 3, "seed": 1, "temperature": 1024.0}]
    batch = Batch(engine, [[3, 3, 3]], 60, members)
    batch.advance(60)
    made = batch.tokens(0)[3:].tolist()
    first = made.index(3)
    assert 0 < first < 50
    assert made[first:] == [3] * (57 - first)
    model = Batch(model_of(16), [[3, 3, 3]], 60, members)
    model.advance(60)
    assert content(model, 0) == content(batch, 0)


def test_a_long_rollout_is_the_golden_models() -> None:
    """[ATT-006] [NUM-008] Beyond two chunks of 256 tokens, from a prompt of 500."""
    prompt = np.random.default_rng(21).integers(0, 1024, 500).tolist()
    model = Batch(model_of(1024), [prompt], 530)
    others = [batch_like(engine_of(kernels), model) for kernels in KERNELS]
    model.advance(530)
    for other in others:
        other.advance(530)
        assert content(other, 0) == content(model, 0)


def test_engines_are_closed_once_and_for_all() -> None:
    """A second close does nothing, a call behind it is refused."""
    engine = NativeEngine(16)
    for size in (100, 5 << 20):
        arena = engine.new_arena(size)
        assert arena.shape == (size,)
        assert arena.ctypes.data % 64 == 0
        assert not arena.any()
        arena[-1] = 1
    engine.close()
    engine.close()
    with pytest.raises(ValueError, match="closed"):
        engine.advance(arena, np.empty(0, np.uint64), np.empty(0, np.uint32))
