# SPDX-License-Identifier: Apache-2.0
"""The lines of a window, byte by byte, and what may return for them."""

from collections.abc import Callable

import numpy as np
import pytest
from descring_model import Lines, complete, contract
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.pipeline import Pipeline
from descring_model.rollouts.records import make_config
from rollout_support import requests_of


def decoding(max_tokens: int, prompt: int = 40) -> tuple[Pipeline, Lines]:
    """A pipeline whose next tick consumes the DECODE lines of three samples, and these lines."""
    requests = requests_of([(prompt, max_tokens)], samples=3)
    pipeline = Pipeline(make_config(slots=4, kv_blocks=64, scorer=16, options=7), requests)
    prefill = pipeline.step().lines
    lines = pipeline.step(complete(prefill)).lines
    assert len(lines) == 3
    return pipeline, lines


def test_lines_are_written_out() -> None:
    """[WIN-002] [WIN-003] [WIN-004] A PREFILL and a DECODE line, every field."""
    requests = requests_of([(1, 1), (40, 100)])
    pipeline = Pipeline(make_config(slots=3, kv_blocks=64), requests)
    prefill = pipeline.step().lines
    assert len(prefill) == 2
    fields = {name: int(prefill[name][1]) for name in prefill.dtype.names or ()}
    assert fields == {
        "opcode": 3, "flags": 4, "rollout_id": 1, "kv_arena_id": 0, "prefix_id": 2,
        "kv_offset": 16384, "delta_offset": 0, "seq_len": 0, "max_tokens": 40,
        "reward_model_id": 0, "reserved0": 0, "user_data": 0x01_01_0000_0001_0001,
        "checksum_or_cookie": 16384 ^ 1 << 32,
    }  # fmt: skip
    decode = pipeline.step(complete(prefill)).lines
    fields = {name: int(decode[name][1]) for name in decode.dtype.names or ()}
    assert fields == {
        "opcode": 1, "flags": 4, "rollout_id": 1, "kv_arena_id": 0, "prefix_id": 2,
        "kv_offset": 16384, "delta_offset": 3 * 16384, "seq_len": 40, "max_tokens": 100,
        "reward_model_id": 0, "reserved0": 0, "user_data": 0x01_01_0001_0001_0001,
        "checksum_or_cookie": 16384 ^ 3 * 16384 ^ 1 << 32,
    }  # fmt: skip
    none_written = {
        name: int(decode[name][0]) for name in ("delta_offset", "seq_len", "max_tokens")
    }
    assert none_written == {"delta_offset": 0, "seq_len": 1, "max_tokens": 1}


def test_a_window_is_the_least_of_its_three_bounds() -> None:
    """[WIN-001] `window`, lines wanted, and the ring's slots less what is in flight."""
    for window, ring, depth, expected in [
        (256, 1024, 1, [40, 40]),
        (32, 1024, 2, [32, 8]),
        (32, 8, 1, [8, 8]),
        (5, 8, 3, [5, 3, 0]),
    ]:
        config = make_config(
            slots=64, kv_blocks=999, window=window, ring_slots=ring, depth=depth, options=0
        )
        pipeline = Pipeline(config, requests_of([(10, 40)] * 40))
        sizes = []
        submitted: list[Lines] = []
        for tick in range(len(expected)):
            due = complete(submitted[tick - depth]) if tick >= depth else None
            submitted.append(pipeline.step(due).lines)
            sizes.append(len(submitted[-1]))
        assert sizes == expected


CHANGES: dict[str, tuple[Callable[[Lines], Lines], int]] = {
    "one is missing": (lambda lines: lines[:2], 2),
    "none returned": (lambda lines: lines[:0], 0),
    "one is repeated": (lambda lines: lines[[0, 1, 1]], 2),
    "two are swapped": (lambda lines: lines[[1, 0, 2]], 0),
    "one too many": (lambda lines: lines[[0, 1, 2, 2]], 3),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_window_that_is_not_whole_is_refused(name: str) -> None:
    """[WIN-005] The error names window and index, and the tick has changed nothing."""
    change, index = CHANGES[name]
    pipeline, lines = decoding(100)
    before = pipeline.log.records().tobytes()
    with pytest.raises(RolloutError, match=f"window 1, index {index}:") as caught:
        pipeline.step(change(complete(lines)))
    assert caught.value.name == "BAD_COMPLETION"
    assert pipeline.log.records().tobytes() == before
    pipeline.step(complete(lines))


@pytest.mark.parametrize(
    ("max_tokens", "flags", "length", "good"),
    [
        (100, "NEEDS_REWARD", 64, True),
        (100, "NEEDS_REWARD", 63, False),
        (100, "NEEDS_REWARD", 96, False),
        (100, "DONE", 50, True),
        (100, "DONE", 40, True),
        (100, "DONE", 64, True),
        (100, "DONE", 39, False),
        (100, "DONE", 65, False),
        (50, "DONE", 50, True),
        (50, "DONE", 51, False),
        (64, "DONE", 64, True),
        (64, "NEEDS_REWARD", 64, False),
        (100, "STOPPED", 64, False),
        (100, "ERROR", 40, False),
    ],
)
def test_lengths_and_flags_of_a_leg(max_tokens: int, flags: str, length: int, good: bool) -> None:
    """[WIN-005] [PIPE-006] A leg may end early with DONE, never beyond boundary or end."""
    pipeline, lines = decoding(max_tokens)
    returned = complete(lines)
    kept = returned["flags"][1] & ~np.uint16(contract.DEVICE_OWNED_FLAGS)
    returned["flags"][1] = kept | contract.FLAG[flags]
    returned["seq_len"][1] = length
    if good:
        pipeline.step(returned)
        rollout = pipeline.by_request[1]
        assert (rollout.length, rollout.final) == (length, flags == "DONE")
    else:
        with pytest.raises(RolloutError, match="window 1, index 1"):
            pipeline.step(returned)


@pytest.mark.parametrize("field", ["user_data", "opcode", "rollout_id", "max_tokens"])
def test_a_foreign_line_is_refused(field: str) -> None:
    """[WIN-003] [WIN-005] Each field that ties a completion to its line, one bit off."""
    pipeline, lines = decoding(100)
    returned = complete(lines)
    returned[field][2] ^= 1
    with pytest.raises(RolloutError, match="window 1, index 2"):
        pipeline.step(returned)
