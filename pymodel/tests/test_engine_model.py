# SPDX-License-Identifier: Apache-2.0
"""Whole rollouts: the record, what is refused, and what must not change a bit."""

from typing import Any

import engine_scalar as scalar
import numpy as np
import pytest
from descring_model.engine import contract
from descring_model.engine.batch import Batch
from descring_model.engine.interface import Engine, EngineError, check_call
from descring_model.engine.model import ModelEngine
from descring_model.engine.records import ROLLOUT_DTYPE, kv_blocks, kv_digest

STATUS = contract.STATUS
ENGINE: Engine = ModelEngine(64)
PROMPTS = [[5, 9, 63, 0, 7], [1], [30] * 33, list(range(40))]
PARAMETERS: list[dict[str, Any]] = [
    {"seed": 7},
    {"seed": 7, "sample": 1, "temperature": 0.5, "top_k": 9},
    {"seed": 1 << 63, "group": 2, "top_p": 0.5},
    {"temperature": 0.0},
]
END = 48


def batch_of(**members: Any) -> Batch:
    """The four rollouts above, or one with the first prompt and ``members``."""
    if members:
        return Batch(ENGINE, PROMPTS[:1], END, [members])
    return Batch(ENGINE, PROMPTS, END, PARAMETERS)


def content(batch: Batch, place: int, end: int = END) -> tuple[list[int], bytes, bytes]:
    """Tokens, keys and values, and state of a rollout."""
    return (
        batch.tokens(place)[:end].tolist(),
        batch.keys_values(place).tobytes(),
        batch.state(place).tobytes(),
    )


@pytest.fixture(scope="module", name="expected")
def contents_together() -> list[tuple[list[int], bytes, bytes]]:
    """What the four rollouts are when advanced together in one call."""
    batch = batch_of()
    batch.advance(END)
    return [content(batch, place) for place in range(4)]


def statuses(batch: Batch, end: int = END) -> list[int]:
    """The statuses that one call returns of each rollout."""
    ends = np.full(len(batch.offsets), end, dtype=np.uint32)
    found: list[int] = ENGINE.advance(batch.arena, batch.offsets, ends).tolist()
    return found


def test_rollout_has_the_bits_of_the_contract() -> None:
    """[STATE-008] [REC-003] [SAMP-006] A rollout against scalars, by the text alone."""
    engine = ModelEngine(16)
    batch = Batch(engine, [[3, 15]], 6, [{"seed": 5 << 40 | 3, "group": 8, "sample": 2}])
    batch.advance(6)
    tokens, keys, values, state = scalar.generate(
        [3, 15], 6, 16, seed=5 << 40 | 3, temperature=1.0, group=8, sample=2
    )
    assert batch.tokens(0).tolist() == tokens
    assert batch.keys_values(0)[:, 0].tolist() == keys
    assert batch.keys_values(0)[:, 1].tolist() == values
    assert batch.state(0).tolist() == state
    assert batch.record(0)["length"] == 6


def test_batch_and_order_change_no_bit(expected: list[tuple[list[int], bytes, bytes]]) -> None:
    """[NUM-008] One by one, from the last to the first, in blocks of a random order."""
    order = np.random.default_rng(3).permutation(8)
    batch = Batch(ENGINE, PROMPTS, END, PARAMETERS, order=order)
    for place in (3, 1, 0, 2):
        batch.advance(END, [place])
    assert [content(batch, place) for place in range(4)] == expected
    assert len({tuple(tokens) for tokens, _, _ in expected}) == 4


@pytest.mark.parametrize("step", [1, 7])
def test_pauses_change_no_bit(step: int, expected: list[tuple[list[int], bytes, bytes]]) -> None:
    """[NUM-008] [REC-003] A few tokens a call, by another engine each time."""
    batch = batch_of()
    for end in range(step, END + step, step):
        batch.engine = ModelEngine(64)
        batch.advance(min(end, END))
    assert [content(batch, place) for place in range(4)] == expected


def test_shared_prefix_changes_no_bit() -> None:
    """[REC-002] [STATE-008] Two samples on a copy of one prompt's blocks and state."""
    prompt = list(range(34))
    alone = Batch(ENGINE, [prompt, prompt], END, [{"sample": 0}, {"sample": 1}])
    alone.advance(END)
    shared = Batch(ENGINE, [prompt] * 3, END, [{}, {"sample": 0}, {"sample": 1}])
    shared.advance(34, [0])
    kv = kv_blocks(shared.arena)
    for place in (1, 2):
        shared.record(place)["length"] = 34
        shared.state(place)[:] = shared.state(0)
        kv[shared.blocks(place)[1], :, :2] = kv[shared.blocks(0)[1], :, :2]
        shared.blocks(place)[0] = shared.blocks(0)[0]
    before = kv[shared.blocks(0)[0]].tobytes()
    shared.advance(END, [1, 2])
    assert [content(shared, place + 1) for place in (0, 1)] == [
        content(alone, place) for place in (0, 1)
    ]
    assert kv[shared.blocks(0)[0]].tobytes() == before


def test_what_is_written() -> None:
    """[REC-001] [REC-003] Tokens, their slots, state and length, and not a byte else."""
    batch = batch_of(seed=9)
    before = batch.arena.copy()
    batch.advance(10)
    batch.record(0)["length"] = 0
    changed = np.flatnonzero(batch.arena != before)
    blocks = contract.BLOCK_BYTES
    keys, values = (range(at, at + 256 * 10) for at in (0, contract.VALUE_PLANE))
    record = int(batch.offsets[0])
    assert {int(at) for at in changed if at < 2 * blocks} <= {*keys, *values}
    places = {name: int(batch.record(0)[name]) for name in ("tokens", "state")}
    own = {
        *range(places["tokens"] + 20, places["tokens"] + 40),
        *range(places["state"], places["state"] + 512),
    }
    assert {int(at) for at in changed if at >= 2 * blocks} <= own
    assert ROLLOUT_DTYPE.itemsize == 64
    assert record % 64 == 0
    assert int(batch.arena[record : record + 8].view("<u8")[0]) == places["tokens"]


def test_end_that_is_reached_changes_nothing() -> None:
    """[REC-003] [REC-004] Not even a record that would be refused is read."""
    batch = batch_of(seed=1)
    batch.advance(12)
    batch.record(0)["temperature"] = np.nan
    before = batch.arena.tobytes()
    assert statuses(batch, 12) == [STATUS["OK"]]
    assert statuses(batch, 3) == [STATUS["OK"]]
    assert batch.arena.tobytes() == before
    assert statuses(batch, 13) == [STATUS["BAD_RECORD"]]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("temperature", -1.0), ("temperature", np.nan), ("temperature", 2.0**-11),
        ("temperature", 1025.0), ("temperature", np.inf), ("top_p", 0.0), ("top_p", 1.0000001),
        ("top_p", np.nan), ("top_p", 2.0**-21), ("prompt_tokens", 0), ("tokens", 4),
        ("tokens", 1 << 40), ("blocks", 32), ("state", 1 << 63), ("tokens", (1 << 64) - 64),
    ],
)  # fmt: skip
def test_bad_record_is_refused(member: str, value: float) -> None:
    """[REC-004] [SAMP-001] Each member out of range; the neighbour in the batch runs."""
    batch = Batch(ENGINE, PROMPTS[:2], END)
    batch.record(0)[member] = value
    before = batch.arena[: contract.BLOCK_BYTES * 2].tobytes()
    assert statuses(batch) == [STATUS["BAD_RECORD"], STATUS["OK"]]
    assert batch.arena[: contract.BLOCK_BYTES * 2].tobytes() == before
    assert batch.record(0)["length"] == 0


def test_extents_end_with_the_arena() -> None:
    """[REC-004] The last byte that fits, and one token more."""
    batch = batch_of(seed=1)
    size = len(batch.arena)
    batch.record(0)["blocks"] = batch.record(0)["tokens"]
    batch.record(0)["tokens"] = size - 64
    batch.blocks(0)[:] = 0
    batch.arena[size - 64 : size - 44] = np.array(PROMPTS[0], dtype=np.uint32).view(np.uint8)
    assert statuses(batch, 17) == [STATUS["BAD_RECORD"]]
    assert statuses(batch, 16) == [STATUS["OK"]]


def test_records_beyond_the_arena_are_refused() -> None:
    """[REC-004] Misaligned, at the end, far away."""
    batch = batch_of(seed=1)
    for offset in (len(batch.arena), 1 << 50, 8):
        found = ENGINE.advance(
            batch.arena, np.array([offset], dtype=np.uint64), np.array([END], dtype=np.uint32)
        )
        assert found.tolist() == [STATUS["BAD_RECORD"]]


def test_ends_have_a_limit() -> None:
    """[REC-004] 2^31 tokens are too many, whatever the arena."""
    batch = batch_of(seed=1)
    assert statuses(batch, 1 << 31) == [STATUS["BAD_RECORD"]]


def test_bad_blocks_and_tokens_are_refused() -> None:
    """[REC-004] Blocks up to the end count, given tokens up to the prompt's end."""
    batch = batch_of(seed=1)
    batch.blocks(0)[1] = 1000
    assert statuses(batch) == [STATUS["BAD_BLOCK"]]
    assert statuses(batch, 32) == [STATUS["OK"]]
    batch = batch_of(seed=1)
    batch.tokens(0)[4] = 64
    assert statuses(batch) == [STATUS["BAD_TOKEN"]]
    assert batch.record(0)["length"] == 0
    assert statuses(batch, 4) == [STATUS["OK"]]


def damage(batch: Batch, what: str, place: int) -> None:
    """Make one thing of a rollout of 40 tokens lead to an unusable value."""
    kv = kv_blocks(batch.arena)
    first, second = batch.blocks(place)[:2].tolist()
    if what == "BAD_STATE":
        batch.record(place)["prompt_tokens"] = 41
        batch.state(place)[3] = 3e8
    elif what == "BAD_QUERY":
        batch.state(place)[:] = np.nan
    elif what == "BAD_SCORE":
        kv[second, 0, 2, 100] = np.nan
    elif what == "BAD_OUTPUT":
        kv[first, 1, 31, 100] = np.inf
    elif what == "BAD_LOGIT":
        kv[first, 1], kv[second, 1] = 60000, 60000


def damaged(what: str) -> Batch:
    """A rollout of 40 tokens that is damaged so."""
    batch = batch_of(temperature=0.5)
    batch.advance(40)
    damage(batch, what, 0)
    return batch


@pytest.mark.parametrize("name", ["BAD_STATE", "BAD_QUERY", "BAD_SCORE", "BAD_OUTPUT"])
def test_unusable_value_is_refused_by_name(name: str) -> None:
    """[NUM-007] [REC-004] Nothing of the position is written."""
    batch = damaged(name)
    before = batch.arena.tobytes()
    assert statuses(batch) == [STATUS[name]]
    assert batch.arena.tobytes() == before
    with pytest.raises(EngineError, match=f"{name}: rollout 0: .* stopped at position 40") as error:
        batch.advance(END)
    assert error.value.name == name


@pytest.mark.parametrize("name", ["BAD_STATE", "BAD_QUERY", "BAD_SCORE", "BAD_OUTPUT"])
def test_refused_rollout_leaves_its_neighbours_alone(name: str) -> None:
    """[REC-004] [NUM-008] One before it and one behind it are what they would be without it."""
    batch = Batch(ENGINE, PROMPTS[:1] * 3, END, [{"seed": seed} for seed in range(3)])
    batch.advance(40)
    expected = batch.arena.copy()
    ends = np.full(3, END, dtype=np.uint32)
    assert not ENGINE.advance(expected, batch.offsets, ends).any()
    damage(batch, name, 1)
    assert statuses(batch) == [STATUS["OK"], STATUS[name], STATUS["OK"]]
    found = [content(batch, place) for place in (0, 2)]
    batch.arena[:] = expected
    assert found == [content(batch, place) for place in (0, 2)]


def test_unusable_logit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """[NUM-007] Outputs of 60000 give logits of millions, which are usable; 2^24 is not."""
    batch = damaged("BAD_LOGIT")
    assert statuses(batch, 41) == [STATUS["OK"]]
    batch = damaged("BAD_LOGIT")
    weights = ENGINE._weights  # type: ignore[attr-defined]
    monkeypatch.setattr(weights, "unembedding", weights.unembedding * np.float32(64))
    assert statuses(batch, 41) == [STATUS["BAD_LOGIT"]]


def test_eos_ends_a_rollout() -> None:
    """[SAMP-007] Every token behind it is eos and is ingested; one in the prompt does not count."""
    free = batch_of(temperature=4.0, seed=3)
    free.advance(END)
    eos = int(free.tokens(0)[20])
    at = free.tokens(0)[5:].tolist().index(eos) + 5
    batch = batch_of(temperature=4.0, seed=3, eos=eos)
    batch.tokens(0)[:5] = free.tokens(0)[:5]
    batch.advance(END)
    assert batch.tokens(0)[: at + 1].tolist() == free.tokens(0)[: at + 1].tolist()
    assert set(batch.tokens(0)[at:].tolist()) == {eos}
    given = Batch(ENGINE, [batch.tokens(0).tolist()], END)
    given.advance(END)
    assert content(given, 0) == content(batch, 0)
    prompt = batch_of(temperature=4.0, seed=3, eos=PROMPTS[0][-1])
    prompt.advance(6)
    assert prompt.tokens(0)[5] == free.tokens(0)[5]


def test_digest_of_keys_and_values() -> None:
    """[REC-006] Against integers without bound; a bit, a place, a length more change it."""
    batch = batch_of(seed=4)
    batch.advance(37)
    kv = kv_blocks(batch.arena)
    content = batch.keys_values(0).reshape(37, -1).view(np.uint64).tolist()
    expected = 0
    for p, words in enumerate(content):
        tag = sum(word * (2 * i + 1) for i, word in enumerate(words)) % 2**64
        expected += tag * (2 * p + 1)
    blocks = batch.blocks(0)
    assert kv_digest(kv, blocks, 37) == expected % 2**64
    others = {kv_digest(kv, blocks, 36), kv_digest(kv, blocks[::-1], 37)}
    kv[1, 1, 4, 127] = -kv[1, 1, 4, 127]
    others.add(kv_digest(kv, blocks, 37))
    assert len(others | {expected % 2**64}) == 4


def test_lines_name_records() -> None:
    """[REC-005] `end` is the completion's seq_len: what is behind it stays."""
    batch = batch_of(seed=2)
    batch.advance(5)
    assert batch.record(0)["length"] == 5
    assert not batch.tokens(0)[5:].any()
    batch.advance(32)
    assert batch.record(0)["length"] == 32
    assert not batch.tokens(0)[32:].any()


def test_calls_are_checked() -> None:
    """Types, shapes and repeated records are refused before anything happens."""
    batch = batch_of(seed=1)
    records, ends = batch.offsets, np.array([END], dtype=np.uint32)
    for arena, where, to, text in (
        (batch.arena[::2], records, ends, "arena: expected contiguous bytes"),
        (batch.arena.view(np.int8), records, ends, "arena: expected contiguous bytes"),
        (batch.arena, records.astype(np.int64), ends, "records: expected .n,. uint64"),
        (batch.arena, records, ends.astype(np.uint64), "ends: expected .1,. uint32"),
        (batch.arena, np.repeat(records, 2), np.repeat(ends, 2), "each offset once"),
    ):
        with pytest.raises(ValueError, match=text):
            check_call(arena, where, to)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="vocabulary: expected 1 to 131072, got 0"):
        ModelEngine(0)
    with pytest.raises(KeyError):
        EngineError("OK", "no error")


def test_vocabulary_may_be_one_token() -> None:
    """[STATE-002] The least vocabulary; the greatest is in the known results' reach."""
    batch = Batch(ModelEngine(1), [[0]], 4)
    batch.advance(4)
    assert batch.tokens(0).tolist() == [0, 0, 0, 0]
