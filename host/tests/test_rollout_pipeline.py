# SPDX-License-Identifier: Apache-2.0
"""The native policies and pipeline: the golden model's log byte for byte, tick by tick."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from descring_host import (
    CommandQueue,
    CpuDevice,
    DeviceClosed,
    PeerDied,
    QueueTimeout,
    open_device,
)
from descring_model import DESC_DTYPE, complete
from descring_model import contract as line_contract
from descring_model.rollouts import contract, counting, records
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.pipeline import Pipeline
from descring_model.rollouts.policies import Candidate
from descring_model.rollouts.policies import PolicyQueue as GoldenQueue
from descring_model.rollouts.rewards import ScoreRequest, token_rule
from descring_rollouts.core import Core
from descring_rollouts.kv import Memory
from descring_rollouts.policy_queue import PolicyQueue
from hypothesis import given
from hypothesis import strategies as st

NONE = contract.NONE
DONE_TAIL = line_contract.REGISTER["DONE_TAIL"].offset
GROUPS = 4

QUEUE_OPERATIONS = st.one_of(
    *[st.tuples(st.just("push"), st.integers(0, 11), st.integers(-3, 3))] * 3,
    st.tuples(st.just("pop"), st.just(0), st.just(0)),
    st.tuples(st.just("pop"), st.just(0), st.just(0)),
    st.tuples(st.just("remove"), st.integers(0, 11), st.just(0)),
)


@given(
    st.integers(0, len(contract.POLICIES) - 1),
    st.sampled_from([NONE, 0, 1, 2, 5]),
    st.lists(QUEUE_OPERATIONS, min_size=30, max_size=120),
)
def test_policies_give_up_entries_in_the_golden_models_order(
    policy: int, overtake: int, operations: list[tuple[str, int, int]]
) -> None:
    """[SCHED-001..SCHED-004]"""
    native = PolicyQueue(policy, overtake, room=12, groups=GROUPS)
    golden = GoldenQueue(policy, overtake)
    for name, entry, rank in operations:
        if name == "push" and entry not in golden:
            remaining, group = abs(rank) * 7, entry % GROUPS
            native.push(entry, group=group, remaining=remaining, rank=rank)
            golden.push(entry, Candidate(group, remaining, rank))
        elif name == "push":
            with pytest.raises(RolloutError, match="QUEUE_FULL"):
                native.push(entry)
        elif name == "pop" and len(golden):
            assert native.pop() == golden.pop()
        elif name == "remove" and entry in golden:
            native.remove(entry)
            golden.remove(entry)
        else:
            with pytest.raises(RolloutError, match="QUEUE_EMPTY"):
                native.pop() if name == "pop" else native.remove(entry)
        assert native.next() == golden.next()
        assert len(native) == len(golden)
        assert (entry in native) == (entry in golden)
        if len(golden):
            assert native.overtakes_of_oldest() == golden.overtakes_of_oldest()


@pytest.mark.parametrize("policy", range(len(contract.POLICIES)))
@pytest.mark.parametrize("overtake", [NONE, 40])
def test_large_queues_keep_the_golden_models_order(policy: int, overtake: int) -> None:
    """[SCHED-001..SCHED-004]: hundreds of entries, of which some are removed from the middle."""
    rng = np.random.default_rng([policy, 23])
    room = 700
    native = PolicyQueue(policy, overtake, room=room, groups=room)
    golden = GoldenQueue(policy, overtake)
    for turn in range(6000):
        grows = turn // 1000 % 2 == 0
        entry, kind = int(rng.integers(room)), rng.random()
        if entry not in golden and kind < (0.9 if grows else 0.4):
            group, remaining = int(rng.integers(room)), int(rng.integers(1 << 20))
            rank = int(rng.integers(-(1 << 40), 1 << 40))
            native.push(entry, group=group, remaining=remaining, rank=rank)
            golden.push(entry, Candidate(group, remaining, rank))
        elif entry in golden and kind < 0.5:
            native.remove(entry)
            golden.remove(entry)
        elif len(golden):
            assert native.pop() == golden.pop(), turn
    while len(golden):
        assert native.pop() == golden.pop()


def make_requests(rng: np.random.Generator, count: int, **limits: int) -> records.Records:
    """Random requests in groups, some cancelled, some of no token."""
    requests = np.zeros(count, dtype=records.REQUEST_DTYPE)
    samples = int(rng.integers(1, 9))
    requests["group"] = rng.permutation(1 << 20)[np.arange(count) // samples]
    requests["sample"] = np.arange(count) % samples
    prompts = rng.integers(1, limits.get("prompt", 150), size=count)
    requests["prompt_tokens"] = prompts[np.arange(count) // samples]
    more = rng.integers(0, limits.get("more", 200), size=count)
    more[rng.random(count) < 0.1] = 0
    requests["max_tokens"] = requests["prompt_tokens"] + more
    requests["arrival"] = np.where(rng.random(count) < 0.5, 0, rng.integers(0, 60, size=count))
    cancel = rng.integers(0, 90, size=count)
    requests["cancel"] = np.where(rng.random(count) < 0.25, cancel, NONE)
    requests["rank"] = rng.integers(-5, 5, size=count)
    order: records.Records = requests[rng.permutation(count)]
    return order


def make_config(rng: np.random.Generator, requests: records.Records) -> records.Records:
    """A random configuration in which every request fits, often scarcely."""

    def pick(*values: int) -> int:
        return int(rng.choice(values))

    prompt = requests["prompt_tokens"].astype(np.int64)
    longest = requests["max_tokens"].astype(np.int64)
    need = -(-prompt // 32) + np.where(longest > prompt, -(-longest // 32) - prompt // 32, 0)
    largest = int(need.max(initial=1))
    seats = pick(NONE, 1, 3, 16)
    return records.make_config(
        slots=pick(1, 2, 5, 16, 64),
        decode_credits=pick(NONE, 1, 4, 20),
        reward_credits=pick(NONE, 1, 3),
        trajectory_credits=pick(NONE, 1, 3),
        kv_blocks=pick(largest, largest + 3, 3 * largest, 4096),
        window=pick(1, 2, 7, 32, 256),
        depth=pick(1, 2, 3, 8),
        ring_slots=pick(2, 4, 16, 1024),
        policy=int(rng.integers(0, len(contract.POLICIES))),
        overtake=pick(NONE, 0, 1, 3),
        scorer=pick(0, 0, 1, 2, 16),
        score_ticks=pick(1, 2, 5),
        deliver=pick(NONE, 1, 2),
        seats=seats,
        staleness=pick(0, 1, 3),
        options=int(rng.integers(0, 1 + sum(contract.OPTION.values()))),
    )


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


def explain(expected: records.Records, got: records.Records) -> str:
    """The first record that differs, for people."""
    for number, (wanted, found) in enumerate(zip(expected, got, strict=False)):
        if wanted != found:
            texts = records.describe_record(wanted), records.describe_record(found)
            return f"record {number}: expected {texts[0]}\n  got {texts[1]}"
    return f"expected {len(expected)} records, got {len(got)}"


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


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("options", [{}, {"workers": 3}, {"process": True}])
def test_a_run_over_the_rings_has_the_golden_log(seed: int, options: dict[str, Any]) -> None:
    """[LOG-004] [RING-007]: over the native worker, as threads and as a process."""
    rng = np.random.default_rng([seed, 13])
    requests = make_requests(rng, 40)
    config = make_config(rng, requests)
    if config["scorer"][0] == contract.SCORER_CUSTOM:
        config["scorer"] = contract.SCORER_ADVANTAGE
    golden = Core(config, requests)
    lines: list[Any] = []
    batches: list[Any] = []
    while not golden.finished:
        tick = golden.tick
        depth, wait = int(config["depth"][0]), int(config["score_ticks"][0])
        window: Any = lines[tick - depth] if tick >= depth else ()
        asked = batches[tick - wait] if tick >= wait else None
        words = _token_rule(requests, asked) if asked is not None else ()
        step = golden.step(complete(window) if len(window) else None, words)
        lines.append(step.lines)
        batches.append(step)
    with (
        open_device("cpu", **options) as device,
        CommandQueue(device, cmd_slots=1024) as queue,
    ):
        core = Core(config, requests)
        while not core.finished:
            core.run(queue, ticks=int(rng.integers(1, 40)))
        assert queue.in_flight == 0
        assert core.log().tobytes() == golden.log().tobytes()
        assert core.usage.blocks == core.usage.reserved == core.usage.decode == 0


def _token_rule(requests: records.Records, step: Any) -> list[int]:
    return token_rule(
        [
            ScoreRequest(
                int(number),
                int(requests["group"][number]),
                int(requests["sample"][number]),
                int(requests["prompt_tokens"][number]),
                int(length),
                bool(final),
            )
            for number, length, final in zip(step.requests, step.lengths, step.final, strict=True)
        ]
    )


def small_run() -> Core:
    """Four rollouts of one prompt, of which the first window is out."""
    requests = np.zeros(4, dtype=records.REQUEST_DTYPE)
    requests["sample"] = range(4)
    requests["prompt_tokens"], requests["max_tokens"], requests["cancel"] = 40, 100, NONE
    return Core(records.make_config(slots=4), requests)


def wide_run() -> Core:
    """Eight rollouts of a prompt each, whose first window has eight lines."""
    requests = np.zeros(8, dtype=records.REQUEST_DTYPE)
    requests["group"] = range(8)
    requests["prompt_tokens"], requests["max_tokens"], requests["cancel"] = 40, 100, NONE
    return Core(records.make_config(slots=8), requests)


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


def stop(process: int) -> None:
    """SIGSTOP, and wait until each of its threads stands still."""
    os.kill(process, signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        tasks = [task.read_text() for task in Path(f"/proc/{process}/task").glob("*/stat")]
        if all(text.rpartition(")")[2].split()[0] == "T" for text in tasks):
            return
        time.sleep(0.001)
    raise AssertionError(f"process {process} does not stop")


def test_a_run_goes_on_after_a_timeout() -> None:
    """Nothing is lost: the log is that of a run without one."""
    expected = small_run()
    with open_device("cpu") as device, CommandQueue(device) as queue:
        expected.run(queue)
    core = small_run()
    with CpuDevice(process=True) as device, CommandQueue(device) as queue:
        core.run(queue, ticks=2)
        stop(device.peer.pid)
        try:
            with pytest.raises(QueueTimeout, match="window of tick"):
                core.run(queue, timeout_s=0.05)
        finally:
            os.kill(device.peer.pid, signal.SIGCONT)
        core.run(queue)
    assert core.log().tobytes() == expected.log().tobytes()


def test_a_window_that_has_returned_in_part_is_kept() -> None:
    """A done ring of two slots: two completions are taken, and the time is up."""
    expected = wide_run()
    with open_device("cpu") as device, CommandQueue(device) as queue:
        expected.run(queue)
    core = wide_run()
    with CpuDevice(process=True) as device, CommandQueue(device, done_slots=2) as queue:
        core.run(queue, ticks=1)
        deadline = time.monotonic() + 10
        while device.read32(DONE_TAIL) != 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        stop(device.peer.pid)
        try:
            with pytest.raises(QueueTimeout, match="window of tick"):
                core.run(queue, timeout_s=0.05)
        finally:
            os.kill(device.peer.pid, signal.SIGCONT)
        assert core.usage.taken == 2
        core.run(queue, timeout_s=5)
    assert core.log().tobytes() == expected.log().tobytes()


def test_a_run_survives_the_death_of_its_worker() -> None:
    """Killed again and again, between two calls and inside one: the log is the same."""
    rng = np.random.default_rng(5)
    requests = make_requests(rng, 200, more=600)
    config = records.make_config(slots=32, window=16, depth=3)
    expected = Core(config, requests)
    with open_device("cpu") as device, CommandQueue(device) as queue:
        expected.run(queue)
    core = Core(config, requests)
    deaths = 0
    with CpuDevice(process=True) as device, CommandQueue(device) as queue:
        while not core.finished:
            try:
                core.run(queue, ticks=int(rng.integers(1, 60)))
                os.kill(device.peer.pid, signal.SIGKILL)
            except PeerDied:
                deaths += 1
                device.restart_worker()
    assert deaths > 3
    assert core.log().tobytes() == expected.log().tobytes()


def test_a_queue_that_cannot_carry_the_run_is_refused() -> None:
    """Two completion rings, no native rings, too small a ring, one in use, a closed one."""
    core = small_run()
    with (
        open_device("model") as device,
        CommandQueue(device) as queue,
        pytest.raises(ValueError, match="native core"),
    ):
        core.run(queue)
    with open_device("cpu") as device:
        with (
            CommandQueue(device, split_reward=True) as queue,
            pytest.raises(ValueError, match="one completion ring"),
        ):
            core.run(queue)
        with (
            CommandQueue(device, cmd_slots=2) as queue,
            pytest.raises(RolloutError, match="BAD_CONFIG"),
        ):
            core.run(queue)
        assert core.tick == 0
        with CommandQueue(device) as queue:
            queue.submit(np.zeros(3, dtype=DESC_DTYPE))
            with pytest.raises(ValueError, match="expected 0 lines in flight, got 3"):
                core.run(queue)
    with pytest.raises(DeviceClosed):
        small_run().run(queue)
