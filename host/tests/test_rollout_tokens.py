# SPDX-License-Identifier: Apache-2.0
"""Real tokens in the runtime: the same whatever the core, the backend, the sharing, the plan."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from conftest import OpenBackend
from descring_host import open_device
from descring_model import Lines
from descring_model.completion import complete
from descring_model.engine.interface import EngineError
from descring_model.engine.model import ModelEngine
from descring_model.engine.records import ROLLOUT_DTYPE, Bytes, kv_blocks
from descring_model.rollouts import contract
from descring_model.rollouts.records import Records
from descring_model.rollouts.run import run as golden_run
from descring_model.rollouts.windows import DECODE, DONE, OWNED
from descring_rollouts import Runtime, Sampling, Trajectories, make_requests, open_engine
from descring_rollouts.block_maps import BlockMaps
from descring_rollouts.model_core import ModelCore
from descring_rollouts.token_run import TokenRun
from descring_rollouts.watch import Watcher
from token_runs import ASKED, ENGINE, EXPECTED, GIVEN, NATIVE, NONE, SAMPLING, run


def assert_tokens(found: Trajectories, tokens: list[list[int]], digests: list[int]) -> None:
    """Delivered rollouts have these tokens and digests, the others none."""
    assert found.tokens is not None
    assert found.kv_digest is not None
    delivered = 0
    for place, row in enumerate(found.tokens.tolist()):
        kept = [token for token in row if token != NONE]
        if found.outcome[place] == 1:
            delivered += 1
            assert kept == tokens[place]
            assert int(found.kv_digest[place]) == digests[place]
        else:
            assert kept == []
    assert delivered > 0.6 * len(found)


PLANS: dict[str, dict[str, Any]] = {
    "plain": {},
    "model": {"engine": ENGINE},
    "not shared": {"share": False},
    "deep": {"depth": 3, "window": 4, "ring_slots": 8, "policy": "PREFIX", "overtake": 5},
    "scored": {"boundary_rewards": True, "scorer": 1, "score_ticks": 2, "reward_credits": 2},
    "unscored": {"final_rewards": False, "policy": "LONGEST_REMAINING", "checked": True},
    "tight": {"slots": 1, "kv_blocks": 8, "core": ModelCore},
    "seats": {"seats": 2, "staleness": 1, "core": ModelCore, "split_reward": False},
}


@pytest.mark.parametrize("plan", PLANS)
def test_tokens_do_not_depend_on_the_plan(plan: str) -> None:
    """[COW-010] [COW-006] [KV-001] Every rollout has the tokens that it has alone.

    Sharing on and off, each core, windows, policies, scorers, few blocks, cancellations.
    """
    with open_device("model") as device:
        runtime = run(device, ASKED, GIVEN, **PLANS[plan])
    assert_tokens(runtime.trajectories, *EXPECTED)
    assert runtime.usage().blocks == 0


def test_tokens_are_the_same_on_every_backend(open_backend: OpenBackend) -> None:
    """[COW-010] The device decides how many tokens and when, the engine what they are."""
    with open_backend() as device:
        runtime = run(device, ASKED, GIVEN, boundary_rewards=True, policy="PREFIX")
    assert_tokens(runtime.trajectories, *EXPECTED)
    golden = golden_run(runtime.config, ASKED, device=completions_to_eos)
    assert runtime.log().tobytes() == golden.log.records().tobytes()


def completions_to_eos(lines: Lines) -> Lines:
    """The golden device, for rollouts that end where EXPECTED ends [REC-007]."""
    found = complete(lines)
    for line in found:
        length = len(EXPECTED[0][line["rollout_id"]])
        if line["opcode"] == DECODE and line["seq_len"] >= length:
            line["flags"] = int(line["flags"]) & ~OWNED | DONE
            line["seq_len"] = length
    return found


def test_token_rule_counts_real_tokens() -> None:
    """[RWD-005] Decoded tokens that are a multiple of 4; the advantage follows."""
    with open_device("model") as device:
        runtime = Runtime(device, engine=ENGINE, sampling=SAMPLING, scorer=2)
        groups = list(runtime.run(GIVEN[:2], samples=4, new_tokens=20))
    for group in groups:
        found = group.trajectories
        assert found.tokens is not None
        counts = [
            sum(1 for token in row[len(GIVEN[group.number]) :] if token != NONE and token % 4 == 0)
            for row in found.tokens.tolist()
        ]
        mean = sum(counts) / len(counts)
        assert found.advantage.tolist() == pytest.approx([count - mean for count in counts])


def test_scorers_get_tokens() -> None:
    """A function on batches sees the prompt and what was decoded up to the boundary."""
    seen: list[tuple[int, int, list[int]]] = []

    def scorer(batch: Any) -> list[float]:
        seen.extend((item.request, item.length, item.tokens.tolist()) for item in batch)
        return [float(item.tokens[-1]) for item in batch]

    with open_device("cpu") as device:
        runtime = run(device, ASKED, GIVEN, scorer=scorer, boundary_rewards=True)
    assert len(seen) > len(ASKED) // 2
    for request, length, tokens in seen:
        assert tokens == EXPECTED[0][request][:length]
    last = [tokens[-1] for tokens in EXPECTED[0]]
    found = runtime.trajectories
    for place in np.flatnonzero(found.outcome == 1):
        assert found.reward[place] == last[place]


def test_files_have_the_tokens() -> None:
    """``.npz`` has padded rows, JSON lines have lists; without an engine neither has tokens."""
    with open_device("model") as device:
        found = run(device, ASKED, GIVEN).trajectories
        bare = Runtime(device)
        list(bare.run([3], new_tokens=2))
    arrays = np.load(io.BytesIO(found.npz()))
    assert found.tokens is not None
    assert np.array_equal(arrays["tokens"], found.tokens)
    rows = [json.loads(line) for line in found.json_lines().splitlines()]
    for place, row in enumerate(rows):
        assert row["tokens"] == (EXPECTED[0][place] if row["outcome"] == "delivered" else [])
    assert bare.trajectories.tokens is None
    assert "tokens" not in np.load(io.BytesIO(bare.trajectories.npz()))
    assert "tokens" not in json.loads(bare.trajectories.json_lines())


class _Counting(ModelEngine):
    """Counts the tokens that are ingested."""

    ingested = 0

    def advance(self, arena: Any, records: Any, ends: Any) -> Any:
        """As the model."""

        def total() -> int:
            rows = [arena[at : at + 64].view(ROLLOUT_DTYPE)[0] for at in records.tolist()]
            return sum(int(row["length"]) for row in rows)

        before = total()
        statuses = super().advance(arena, records, ends)
        self.ingested += total() - before
        return statuses


@pytest.mark.parametrize("share", [True, False])
def test_prompts_are_ingested_once_a_node(share: bool) -> None:
    """[REC-002] [COW-010] Followers begin behind the prompt, whenever they were admitted."""
    engine = _Counting(64)
    with open_device("model") as device:
        runtime = Runtime(device, engine=engine, share=share, slots=3)
        list(runtime.run([[1] * 33, [2, 3]], samples=5, new_tokens=2))
    nodes = runtime.log()["code"] == contract.EVENT["NODE"]
    assert int(nodes.sum()) == (2 if share else 10)
    assert engine.ingested == (35 if share else 5 * 35) + 10 * 2


class _Submitted(Watcher):
    """Keeps what is submitted."""

    def __init__(self) -> None:
        self.lines: list[Lines] = []

    def submitted(self, lines: Lines) -> None:
        self.lines.append(lines.copy())


def test_lines_name_their_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """[REC-005] `kv_offset` and the cookie; the rest of the line is as without an engine."""
    watched, plain = _Submitted(), _Submitted()
    arenas: list[Bytes] = []
    make = NATIVE.new_arena

    def new_arena(size: int) -> Bytes:
        arenas.append(make(size))
        return arenas[-1]

    monkeypatch.setattr(NATIVE, "new_arena", new_arena)
    asked = make_requests(GIVEN, samples=1, new_tokens=5)
    with open_device("model") as device:
        run(device, asked, GIVEN, watchers=[watched])
        list(Runtime(device, slots=6, kv_blocks=40, watchers=[plain]).run_requests(asked))
    (arena,) = arenas
    for with_engine, without in zip(watched.lines, plain.lines, strict=True):
        for line in with_engine:
            offset = int(line["kv_offset"])
            record = arena[offset : offset + 64].view(ROLLOUT_DTYPE)[0]
            assert offset % 64 == 0
            assert record["group"] == line["rollout_id"]
            cookie = offset ^ int(line["delta_offset"]) ^ int(line["rollout_id"]) << 32
            assert int(line["checksum_or_cookie"]) == cookie
        for name in ("opcode", "flags", "rollout_id", "prefix_id", "seq_len", "user_data"):
            assert np.array_equal(with_engine[name], without[name])


def test_engines_are_found_by_name() -> None:
    """Of a vocabulary; others are named in the error."""
    assert isinstance(open_engine("model", 9), ModelEngine)
    assert open_engine("native", 9, threads=2).vocabulary == 9
    assert open_engine("model", 9).vocabulary == 9
    with pytest.raises(ValueError, match=r"engine: expected model, native.*, got 'gpu'"):
        open_engine("gpu")
    with open_device("model") as device:
        with pytest.raises(ValueError, match="engine: expected model, native"):
            Runtime(device, engine="none")
        with pytest.raises(ValueError, match="sampling: expected an engine"):
            Runtime(device, sampling=Sampling())


@pytest.mark.parametrize(
    ("member", "value"),
    [("seed", -1), ("seed", 1 << 64), ("temperature", -0.1), ("temperature", float("nan")),
     ("temperature", 2000.0), ("temperature", 1e-50), ("top_p", 0.0), ("top_p", 1.1),
     ("top_p", 1.00000001), ("top_k", -1), ("eos", -1)],
)  # fmt: skip
def test_sampling_is_checked(member: str, value: float) -> None:
    """Each member out of range, named."""
    with pytest.raises(ValueError, match=f"{member}: expected .*, got"):
        Sampling(**{member: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([[1, 2], 40], "prompt 1: expected its tokens, got 40"),
        ([[1, 64]], "prompt 0: expected tokens below the vocabulary of 64, got 64"),
        ([[1, -2]], "prompt 0: expected tokens from 0 to 2.32 - 2, got -2"),
        ([[0.5]], "prompt 0: expected integers, got shape .1,. of float64"),
        ([[[1]]], r"prompt 0: expected integers, got shape \(1, 1\)"),
    ],
)
def test_prompts_are_checked(given: list[Any], text: str) -> None:
    """At once, before a line is submitted."""
    with open_device("model") as device:
        runtime = Runtime(device, engine=ENGINE)
        with pytest.raises(ValueError, match=text):
            runtime.run(given)
        with pytest.raises(ValueError, match="prompt 0: expected 3 tokens, got 0"):
            runtime.run_requests(make_requests([3]))


def test_refused_rollout_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """[NUM-007] [PIPE-013] The error names rollout and position, and nothing is left behind."""
    asked = make_requests(GIVEN[3:4], samples=2, new_tokens=60)
    process = TokenRun.process

    def damaged(self: TokenRun, records: Records) -> None:
        process(self, records)
        kv_blocks(self._arena)[0, 0, 3, 7] = np.nan

    monkeypatch.setattr(TokenRun, "process", damaged)
    with open_device("model") as device:
        runtime = Runtime(device, engine=ENGINE, sampling=SAMPLING)
        text = "BAD_SCORE: group 0 sample 0: expected tokens to 64, stopped at position 33"
        with pytest.raises(EngineError, match=text):
            list(runtime.run_requests(asked, [np.array(GIVEN[3], dtype=np.uint32)]))
        assert runtime.usage().blocks == 0
        assert runtime.usage().live == 0


class Silent:
    """An engine that leaves out the status of the last rollout of a call."""

    vocabulary = NATIVE.vocabulary
    new_arena = NATIVE.new_arena

    def advance(self, *arguments: Any) -> Any:
        """As the native engine, but for that."""
        return NATIVE.advance(*arguments)[:-1]

    def close(self) -> None:
        """Nothing is its own."""


def test_an_engine_without_a_status_for_each_rollout_ends_the_run() -> None:
    """[REC-004] A rollout whose status is missing counts as no success."""
    with open_device("model") as device:
        silent: Any = Silent()
        runtime = Runtime(device, engine=silent, sampling=SAMPLING)
        with pytest.raises(ValueError, match="shorter"):
            list(runtime.run([GIVEN[0]]))
        assert runtime.usage().blocks == 0


def test_maps_refuse_a_foreign_log() -> None:
    """Blocks that a run would not have allocated."""
    maps = BlockMaps()
    with pytest.raises(ValueError, match="event log: expected 0 as first block of a node, got 3"):
        maps.node(1, 2, 3)
    maps = BlockMaps()
    maps.node(1, 2, 0)
    assert maps.admit(0, 1) == [0, 1]
    maps.write(0, 1, 2)
    with pytest.raises(ValueError, match="event log: expected 3 as block of a line, got 4"):
        maps.write(0, 2, 4)
    with pytest.raises(ValueError, match="event log: expected 2 as own blocks of a rollout, got 1"):
        maps.release(0, 1)
    with pytest.raises(ValueError, match="event log: expected 2 as blocks of a node, got 9"):
        maps.node_free(1, 9)
