# SPDX-License-Identifier: Apache-2.0
"""The native pipeline: the golden model's log byte for byte, tick by tick."""

from typing import Any

import numpy as np
import pytest
from descring_host import (
    CommandQueue,
    open_device,
)
from descring_model import complete
from descring_model.rollouts import contract, counting, records
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.pipeline import Pipeline
from descring_model.rollouts.rewards import token_rule
from descring_rollouts.core import Core
from descring_rollouts.kv import Memory
from rollout_runs import explain, make_config, make_requests, small_run

NONE = contract.NONE


def same_usage(native: Core, golden: Pipeline) -> None:
    """Everything that is held is held on both sides."""
    held, expected = native.usage, golden.usage()
    names = ("blocks", "reserved", "decode", "reward", "trajectory", "live", "nodes")
    assert [getattr(held, name) for name in names] == [getattr(expected, name) for name in names]
    front = (len(golden.free), len(golden.prefill), len(golden.decode), len(golden.reward))
    assert held.queues == (*front, len(golden.trajectory), len(golden.done))
    assert held.in_flight == golden.in_flight
    assert native.gauges.tolist() == counting.gauges(golden).tolist()
    assert native.counters.tolist() == counting.counters(golden).tolist()


def run_beside_golden(config: records.Records, requests: records.Records, fails: Any) -> int:
    """Run both, tick by tick; how many events."""
    native, golden = Core(config, requests), Pipeline(config, requests)
    depth, wait = int(config["depth"][0]), int(config["score_ticks"][0])
    lines: dict[int, Any] = {}
    batches: dict[int, Any] = {}
    while not golden.finished:
        tick = golden.tick
        assert native.due == golden.due
        window = lines.pop(tick - depth, None)
        completions = complete(window) if window is not None and len(window) else None
        asked = batches.pop(tick - wait, [])
        scores: list[int] | None = token_rule(asked)
        if asked and fails():
            scores = None
        wanted = golden.step(completions, scores)
        got = native.step(completions, scores)
        assert got.lines.tobytes() == wanted.lines.tobytes(), f"the window of tick {tick}"
        assert got.requests.tolist() == [item.request for item in wanted.scores]
        assert got.lengths.tolist() == [item.length for item in wanted.scores]
        assert got.final.tolist() == [item.final for item in wanted.scores]
        same_usage(native, golden)
        lines[tick], batches[tick] = wanted.lines, wanted.scores
    assert native.finished
    log, expected = native.log(), golden.log.records()
    assert log.tobytes() == expected.tobytes(), explain(expected, log)
    return len(log)


@pytest.mark.parametrize("seed", range(40))
def test_the_event_log_is_the_golden_models_byte_for_byte(seed: int) -> None:
    """[PIPE-001..PIPE-012] [WIN-001..WIN-004] [SCHED-001..SCHED-004] [KV-002..KV-008] [RWD-003]

    [COW-001..COW-006] [LOG-001..LOG-003]: random requests and configurations.
    """
    rng = np.random.default_rng([seed, 7])
    requests = make_requests(rng, int(rng.integers(1, 60)))
    config = make_config(rng, requests)
    events = run_beside_golden(config, requests, lambda: rng.random() < 0.05)
    assert events > len(requests)


@pytest.mark.parametrize("seed", range(6))
def test_cancelled_trajectories_leave_the_others_in_order(seed: int) -> None:
    """[PIPE-007] [PIPE-011]: many wait for a trajectory credit while some of them are cancelled."""
    rng = np.random.default_rng([seed, 19])
    requests = make_requests(rng, 60, prompt=20, more=40)
    requests["arrival"] = 0
    chosen = rng.random(60) < 0.6
    requests["cancel"] = np.where(chosen, rng.integers(4, 60, size=60), NONE)
    config = records.make_config(
        slots=64,
        trajectory_credits=int(rng.integers(1, 4)),
        deliver=(1, 2, NONE)[seed % 3],
        window=256,
    )
    run_beside_golden(config, requests, lambda: False)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_prompt_is_ready_for_its_group_although_its_rollout_was_cancelled(depth: int) -> None:
    """[PIPE-006]: the device has written it; the other samples wait for nothing else."""
    requests = np.zeros(32, dtype=records.REQUEST_DTYPE)
    requests["group"], requests["sample"] = np.arange(32) // 4, np.arange(32) % 4
    requests["prompt_tokens"], requests["max_tokens"], requests["cancel"] = 50, 90, NONE
    requests["cancel"][::4] = np.arange(8) % depth + 1
    run_beside_golden(records.make_config(slots=32, depth=depth), requests, lambda: False)


def test_a_run_of_no_request_ends_at_once() -> None:
    """[PIPE-012]"""
    requests = np.zeros(0, dtype=records.REQUEST_DTYPE)
    assert run_beside_golden(records.make_config(), requests, lambda: False) == 1


def test_a_batch_has_a_score_for_each_request() -> None:
    """[RWD-001]: one too few or too many is refused, nothing changes, and the right ones do."""
    requests = make_requests(np.random.default_rng(3), 8, prompt=40, more=60)
    requests["cancel"] = NONE
    core = Core(records.make_config(slots=8, scorer=1), requests)
    windows: list[Any] = []
    batches: list[int] = []
    while not core.finished:
        completions, due = core.due
        lines = complete(windows.pop(0)) if completions else None
        for count in {due - 1, due + 1} - {-1}:
            with pytest.raises(ValueError, match=f"expected {due} scores, got {count}"):
                core.step(lines, [0] * count)
        assert core.due == (completions, due)
        batches.append(due)
        step = core.step(lines, [0] * due)
        windows += [step.lines] if len(step.lines) else []
    assert max(batches) > 1
    assert sum(batches) == 8


def test_tags_lie_in_the_memory_that_was_given() -> None:
    """[KV-001] [KV-007]: the digests are those of a run with tags of its own."""
    rng = np.random.default_rng(11)
    requests = make_requests(rng, 30)
    requests["cancel"] = NONE
    config = records.make_config(kv_blocks=256, slots=8)
    memory = Memory(256 * contract.BLOCK_BYTES, require="small")
    logs = []
    with open_device("cpu") as device, CommandQueue(device) as queue:
        for given in (None, memory):
            core = Core(config, requests, memory=given)
            core.run(queue)
            logs.append(core.log().tobytes())
    assert logs[0] == logs[1]
    assert int(memory.array.any())


@pytest.mark.parametrize("member", ["user_data", "opcode", "rollout_id", "max_tokens", "seq_len"])
def test_a_completion_of_another_line_changes_nothing(member: str) -> None:
    """[WIN-005]: window and index are named, and the right window can still be given."""
    core = small_run()
    done = complete(core.step().lines)
    core.step(done)
    before = core.log().tobytes(), core.usage
    with pytest.raises(RolloutError, match="BAD_COMPLETION: window 1, index 0: number"):
        core.step()
    lines = core.window
    bad = complete(lines)
    bad[2][member] ^= 2
    name = "result" if member == "seq_len" else member
    with pytest.raises(RolloutError, match=f"BAD_COMPLETION: window 1, index 2: {name}: exp"):
        core.step(bad)
    twice = np.concatenate([complete(lines), complete(lines[-1:])])
    with pytest.raises(RolloutError, match="window 1, index 4: number of completions"):
        core.step(twice)
    assert (core.log().tobytes(), core.usage) == before
    core.step(complete(lines))


@pytest.mark.parametrize(
    ("opcode_window", "flags", "length"),
    [(1, 0x12, 64), (1, 1, 63), (1, 1, 65), (1, 2, 39), (1, 2, 65), (1, 3, 64), (0, 1, 40)],
)
def test_a_result_that_the_line_cannot_have_is_refused(
    opcode_window: int, flags: int, length: int
) -> None:
    """[WIN-005]: errors, both results, lengths beside the boundary."""
    core = small_run()
    lines = core.step().lines
    if opcode_window:
        core.step(complete(lines))
        lines = core.window
    bad = complete(lines)
    bad["flags"][0] = flags
    bad["seq_len"][0] = length
    with pytest.raises(RolloutError, match=r"index 0: result: expected"):
        core.step(bad)


def test_a_leg_does_not_go_beyond_its_rollout() -> None:
    """[WIN-005]: where the boundary is beyond max_tokens."""
    requests = np.zeros(1, dtype=records.REQUEST_DTYPE)
    requests["prompt_tokens"], requests["max_tokens"], requests["cancel"] = 40, 50, NONE
    core = Core(records.make_config(slots=1), requests)
    core.step(complete(core.step().lines))
    bad = complete(core.window)
    for length in (51, 64):
        bad["seq_len"] = length
        with pytest.raises(RolloutError, match=r"index 0: result: expected"):
            core.step(bad)
    core.step(complete(core.window))


@pytest.mark.parametrize("seed", range(8))
def test_a_cancellation_while_it_runs_is_one_that_was_asked_for(seed: int) -> None:
    """[PIPE-007]: the log is that of a run that knew of it from the start."""
    rng = np.random.default_rng([seed, 17])
    requests = make_requests(rng, 40)
    config = make_config(rng, requests)
    config["scorer"] = contract.SCORER_OP_010
    known = requests.copy()
    late = Core(config, requests)
    with open_device("cpu") as device, CommandQueue(device) as queue:
        while not late.finished:
            for number in rng.permutation(40)[: rng.integers(0, 3)]:
                late.cancel(int(number))
                known["cancel"][number] = min(int(known["cancel"][number]), late.tick)
            late.run(queue, ticks=int(rng.integers(1, 6)))
        early = Core(config, known)
        early.run(queue)
    assert explain(early.log(), late.log()).startswith("expected")
    assert late.log().tobytes() == early.log().tobytes()
    with pytest.raises(RolloutError, match="BAD_REQUEST"):
        late.cancel(40)


def test_an_abandoned_run_holds_nothing() -> None:
    """[PIPE-013]: at every tick, whatever is in flight."""
    rng = np.random.default_rng(3)
    requests = make_requests(rng, 40)
    config = make_config(rng, requests)
    config["slots"], config["scorer"] = 16, contract.SCORER_OP_010
    for ticks in range(60):
        with open_device("cpu") as device, CommandQueue(device) as queue:
            core = Core(config, requests)
            core.run(queue, ticks=ticks)
            core.abandon()
        usage = core.usage
        assert usage.queues == (16, 0, 0, 0, 0, 0)
        assert not any((usage.blocks, usage.reserved, usage.decode, usage.reward, usage.live))
        assert not any((usage.trajectory, usage.nodes, usage.in_flight))
        assert core.finished
        with pytest.raises(ValueError, match="has not ended"):
            core.step()


def stalls_at(run: Core | Pipeline, depth: int) -> int:
    """The tick at which a run is STALLED; its scores are all 0."""
    lines: dict[int, Any] = {}
    for tick in range(200):
        window = lines.pop(tick - depth, None)
        completions = complete(window) if window is not None and len(window) else None
        try:
            lines[tick] = run.step(completions, [0] * run.due[1]).lines
        except RolloutError as error:
            assert error.name == "STALLED"
            return tick
    raise AssertionError("no end in 200 ticks")


STALLS: dict[str, tuple[list[dict[str, int]], dict[str, int]]] = {
    "at once": ([], {}),
    "behind windows": ([{"max_tokens": 100}], {}),
    "behind windows of the greatest depth": ([{"max_tokens": 70}], {"depth": 8}),
    "behind scores": ([{"max_tokens": 100}], {"scorer": 16, "score_ticks": 4, "depth": 1}),
    "behind an arrival": ([{"max_tokens": 50, "arrival": 30}], {"policy": 1}),
    "behind a cancellation": ([{"max_tokens": 50, "arrival": 9, "cancel": 30}], {}),
}
"""Requests in front of one for which there are too few blocks, and options."""


@pytest.mark.parametrize("case", STALLS)
def test_a_run_that_nothing_can_end_is_stalled(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """[PIPE-012]: not before all that is in flight, or to come, is over. Both cores, one tick."""
    for module in ("descring_rollouts.core", "descring_model.rollouts.resources"):
        # Such a request is refused before there is a run.
        monkeypatch.setattr(f"{module}.check_requests", lambda *_: None)
    before, options = STALLS[case]
    requests = np.zeros(len(before) + 1, dtype=records.REQUEST_DTYPE)
    requests["group"], requests["cancel"] = np.arange(len(requests)), NONE
    requests["prompt_tokens"], requests["max_tokens"] = 20, 5000
    for number, columns in enumerate(before):
        for name, value in columns.items():
            requests[name][number] = value
    config = records.make_config(**{"slots": 4, "kv_blocks": 8, "depth": 3, **options})
    depth = int(config["depth"][0])
    expected = stalls_at(Pipeline(config, requests), depth)
    assert stalls_at(Core(config, requests), depth) == expected
    assert (expected > 1) == bool(before)
