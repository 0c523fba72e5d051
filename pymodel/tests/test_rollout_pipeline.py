# SPDX-License-Identifier: Apache-2.0
"""Whole runs: every tick's books, and the log against the rules, record by record."""

import itertools
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from descring_model import complete, seal
from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.pipeline import Pipeline
from descring_model.rollouts.records import Records, describe_record, make_config
from descring_model.rollouts.rewards import ScoreRequest
from descring_model.rollouts.run import OUTCOMES, results, run
from hypothesis import given, settings
from hypothesis import strategies as st
from rollout_audit import audit
from rollout_support import NONE, check_tick, requests_of, runs

OPTION = contract.OPTION
ALL = sum(OPTION.values())


SMALL_RUN = """
tick 0 NODE: a=1 b=0x2 c=0 d=0x0
tick 0 ADMIT rollout 0 slot 0: a=1 b=0x1 c=2 d=0x0
tick 0 ADMIT rollout 1 slot 1: a=1 b=0x1 c=2 d=0x0
tick 0 LINE rollout 0 slot 0: a=0 b=0x3 c=4294967295 d=0x2800000000
tick 0 WINDOW: a=0 b=0x1 c=1 d=0x0
tick 1 COMPLETION rollout 0 slot 0: a=0 b=0x3 c=2 d=0x28
tick 1 STATE rollout 0 slot 0: PREFILL_READY -> DECODING flags 0
tick 1 COPY rollout 0 slot 0: a=1 b=0x2 c=8 d=0x0
tick 1 LINE rollout 0 slot 0: a=1 b=0x1 c=2 d=0x4600000028
tick 1 STATE rollout 1 slot 1: PREFILL_READY -> DECODING flags 0
tick 1 COPY rollout 1 slot 1: a=1 b=0x3 c=8 d=0x0
tick 1 LINE rollout 1 slot 1: a=1 b=0x10001 c=3 d=0x4600000028
tick 1 WINDOW: a=1 b=0x2 c=2 d=0x0
tick 2 COMPLETION rollout 0 slot 0: a=1 b=0x1 c=1 d=0x40
tick 2 COMPLETION rollout 1 slot 1: a=1 b=0x10001 c=1 d=0x40
tick 2 STATE rollout 0 slot 0: DECODING -> REWARD_PENDING flags 0
tick 2 LINE rollout 0 slot 0: a=2 b=0x2 c=4294967295 d=0x4600000040
tick 2 STATE rollout 1 slot 1: DECODING -> REWARD_PENDING flags 0
tick 2 LINE rollout 1 slot 1: a=2 b=0x10002 c=4294967295 d=0x4600000040
tick 2 WINDOW: a=2 b=0x2 c=2 d=0x0
tick 3 COMPLETION rollout 0 slot 0: a=2 b=0x2 c=2 d=0x3e80808100000040
tick 3 SCORE rollout 0 slot 0: a=0 b=0x0 c=64 d=0x3e808081
tick 3 STATE rollout 0 slot 0: REWARD_PENDING -> DECODING flags 0
tick 3 COMPLETION rollout 1 slot 1: a=2 b=0x10002 c=2 d=0x3e80808100000040
tick 3 SCORE rollout 1 slot 1: a=0 b=0x0 c=64 d=0x3e808081
tick 3 STATE rollout 1 slot 1: REWARD_PENDING -> DECODING flags 0
tick 3 LINE rollout 0 slot 0: a=3 b=0x1 c=4 d=0x4600000040
tick 3 LINE rollout 1 slot 1: a=3 b=0x10001 c=5 d=0x4600000040
tick 3 WINDOW: a=3 b=0x2 c=2 d=0x0
tick 4 COMPLETION rollout 0 slot 0: a=3 b=0x1 c=2 d=0x46
tick 4 COMPLETION rollout 1 slot 1: a=3 b=0x10001 c=2 d=0x46
tick 4 STATE rollout 0 slot 0: DECODING -> REWARD_PENDING flags 0
tick 4 LINE rollout 0 slot 0: a=4 b=0x2 c=4294967295 d=0x4600000046
tick 4 STATE rollout 1 slot 1: DECODING -> REWARD_PENDING flags 0
tick 4 LINE rollout 1 slot 1: a=4 b=0x10002 c=4294967295 d=0x4600000046
tick 4 WINDOW: a=4 b=0x2 c=2 d=0x0
tick 5 COMPLETION rollout 0 slot 0: a=4 b=0x2 c=2 d=0x3e8c8c8d00000046
tick 5 SCORE rollout 0 slot 0: a=0 b=0x1 c=70 d=0x3e8c8c8d
tick 5 COMPLETION rollout 1 slot 1: a=4 b=0x10002 c=2 d=0x3e8c8c8d00000046
tick 5 SCORE rollout 1 slot 1: a=0 b=0x1 c=70 d=0x3e8c8c8d
tick 5 STATE rollout 0 slot 0: REWARD_PENDING -> TRAJECTORY_READY flags 0
tick 5 STATE rollout 1 slot 1: REWARD_PENDING -> TRAJECTORY_READY flags 0
tick 5 STATE rollout 0 slot 0: TRAJECTORY_READY -> DONE flags 0
tick 5 RELEASE rollout 0 slot 0: a=2 b=0x0 c=4 d=0x1
tick 5 TRAJECTORY rollout 0 slot 0: a=70 b=0x3e8c8c8d c=0 d=0x3739d
tick 5 STATE rollout 1 slot 1: TRAJECTORY_READY -> DONE flags 0
tick 5 RELEASE rollout 1 slot 1: a=2 b=0x0 c=2 d=0x0
tick 5 TRAJECTORY rollout 1 slot 1: a=70 b=0x3e8c8c8d c=0 d=0xce40003739d
tick 6 STATE rollout 0 slot 0: DONE -> FREE flags 0
tick 6 STATE rollout 1 slot 1: DONE -> FREE flags 0
tick 6 NODE_FREE: a=1 b=0x2 c=0 d=0x0
tick 6 END: a=2 b=0x0 c=0 d=0x3c
"""


def events(records: Records, name: str) -> Records:
    """The records of one event."""
    found: Records = records[records["code"] == contract.EVENT[name]]
    return found


@given(runs())
@settings(max_examples=250)
def test_any_run_keeps_its_books_and_writes_a_log_of_the_rules(
    run_of: tuple[Records, Records],
) -> None:
    """[PIPE-003] [PIPE-004] [PIPE-005] [PIPE-006] [PIPE-007] [PIPE-008] [PIPE-009] [PIPE-010]
    [PIPE-011] [PIPE-012] [WIN-001] [WIN-002] [KV-004] [KV-005] [KV-006] [KV-007] [KV-008]
    [COW-004] [COW-005] [COW-006] [SCHED-001] [RWD-002] [LOG-002] [LOG-003]

    Any configuration, arrivals and cancellations; nothing is lost, and at the end all is back.
    """
    config, requests = run_of
    pipeline = run(config, requests, watch=check_tick)
    records = pipeline.log.records()
    audit(config, requests, records)
    usage = pipeline.usage()
    assert (usage.blocks, usage.reserved, usage.decode, usage.reward, usage.trajectory) == (0,) * 5
    assert (usage.live, usage.nodes) == (0, 0)
    found = results(requests, records)
    kept = found["outcome"] == OUTCOMES.index("delivered")
    assert (found["length"][kept] == requests["max_tokens"][kept]).all()
    assert ((requests["cancel"] != NONE) | kept).all()


@given(runs(), st.integers(1, 6))
@settings(max_examples=80)
def test_a_failing_scorer_ends_its_own_rollouts_only(
    run_of: tuple[Records, Records], period: int
) -> None:
    """[RWD-003] Every so many batches one raises, and one returns a score too few."""
    config, requests = run_of
    config["scorer"] = contract.SCORER_CUSTOM
    batches = itertools.count(1)
    failed: set[int] = set()

    def scorer(batch: Sequence[ScoreRequest]) -> list[int]:
        number = next(batches)
        if number % period == 0:
            failed.update(item.request for item in batch)
            if number % 2:
                raise RuntimeError("this batch fails")
            return [1] * (len(batch) - 1)
        return [item.length for item in batch]

    pipeline = run(config, requests, scorer, watch=check_tick)
    records = pipeline.log.records()
    audit(config, requests, records)
    found = results(requests, records)
    outcome = found["outcome"]
    ended_badly = {int(n) for n in np.flatnonzero(outcome == OUTCOMES.index("failed"))}
    assert ended_badly <= failed
    for number in failed - ended_badly:
        assert requests["cancel"][number] != NONE
    assert set(events(records, "SCORER_FAILED")["rollout"].tolist()) == failed
    delivered = outcome == OUTCOMES.index("delivered")
    scored = delivered & found["scored"]
    assert (found["score"][scored] == found["length"][scored]).all()


def test_a_small_run_is_written_out() -> None:
    """[PIPE-005] [WIN-001] [COW-006] [LOG-002] [LOG-003] Two samples of a prompt of 40 up to 70.

    One window holds two lines; every record of the run, in the words of the rules.
    """
    config = make_config(slots=2, kv_blocks=8, window=2, options=ALL)
    pipeline = run(config, requests_of([(40, 70)], samples=2))
    text = [describe_record(record) for record in pipeline.log.records()]
    assert text == SMALL_RUN.strip().splitlines()
    words = [struct.unpack("<f", struct.pack("<I", word))[0] for word in (0x3E808081, 0x3E8C8C8D)]
    assert words == [np.float32(64 / 255), np.float32(70 / 255)]


@given(runs())
@settings(max_examples=60)
def test_sharing_changes_no_trajectory(run_of: tuple[Records, Records]) -> None:
    """[COW-010] Lengths, scores and digests with SHARE on and off."""
    config, requests = run_of
    requests["cancel"] = NONE
    found = []
    for share in (0, OPTION["SHARE"]):
        config["options"] = OPTION["FINAL_REWARD"] | OPTION["CHECK_KV"] | share
        pipeline = run(config, requests)
        found.append(results(requests, pipeline.log.records())[["length", "score", "digest"]])
    assert (found[0] == found[1]).all()


@given(runs())
@settings(max_examples=40)
def test_log_is_a_function_of_the_inputs(run_of: tuple[Records, Records]) -> None:
    """[LOG-004] The same inputs give the same bytes; CHECKED lines change none of them."""
    config, requests = run_of

    def sealed(lines: Records) -> Records:
        indices = np.arange(5, 5 + len(lines))
        return complete(seal(lines, indices, set_flag=True), first_index=5)

    logs = [run(config, requests).log.records().tobytes() for _ in range(2)]
    logs.append(run(config, requests, device=sealed).log.records().tobytes())
    assert logs[0] == logs[1] == logs[2]


@given(runs(), st.integers(1, 3), st.integers(1, 8), st.integers(0, 4))
@settings(max_examples=60)
def test_what_a_rollout_gets_does_not_depend_on_timing(
    run_of: tuple[Records, Records], depth: int, window: int, policy: int
) -> None:
    """[LOG-006] Scores, length, outcome and digest, with another depth, window and policy."""
    config, requests = run_of
    requests["cancel"] = NONE
    found = []
    for _ in range(2):
        records = run(config, requests).log.records()
        scores = events(records, "SCORE")
        order = np.argsort(scores["rollout"], kind="stable")
        per_rollout = scores[order][["rollout", "b", "c", "d"]].tolist()
        kept = results(requests, records)[["outcome", "length", "score", "digest"]]
        found.append((per_rollout, kept.tolist()))
        config["depth"], config["window"], config["policy"] = depth, window, policy
        config["slots"], config["reward_credits"] = 7, NONE
    assert found[0] == found[1]


@pytest.mark.slow
def test_no_small_configuration_stalls() -> None:
    """[PIPE-012] [KV-006] [PIPE-010] All of 864: two groups of two, the least arenas and credits.

    A run that cannot end raises STALLED; one that loops does not reach its end in 400 ticks.
    """
    requests = requests_of([(31, 70), (33, 64)], samples=2)

    def bounded(pipeline: Pipeline) -> None:
        assert pipeline.tick < 400, "no end in 400 ticks"

    spaces = {
        "slots": (1, 2, 3),
        "kv_blocks": (4, 5, 7),
        "reward_credits": (1, 2),
        "trajectory_credits": (1, 2),
        "ring_slots": (2, 4),
        "depth": (1, 2, 3),
        "seats": (1, NONE),
        "options": (ALL, OPTION["SHARE"]),
    }
    runs_made = 0
    for values in itertools.product(*spaces.values()):
        config = make_config(**dict(zip(spaces, values, strict=True)), window=3, deliver=1)
        pipeline = run(config, requests, watch=bounded)
        assert pipeline.log.records()[-1]["a"] == 4
        runs_made += 1
    assert runs_made == 864


def test_prefill_ends_at_the_first_prompt_without_room() -> None:
    """[WIN-001] [SCHED-001] An entry behind it whose node is READY waits for the next tick too."""
    requests = requests_of([(3, 5)] * 4)
    requests["group"], requests["sample"] = [0, 1, 2, 0], [0, 0, 0, 1]
    waiting: list[list[int]] = []
    pipeline = run(
        make_config(window=1, options=OPTION["SHARE"]),
        requests,
        watch=lambda pipeline: waiting.append(list(pipeline.prefill)),
    )
    assert waiting[:4] == [[1, 2, 3], [2, 3], [], []]
    lines = events(pipeline.log.records(), "LINE")
    decoded = lines["rollout"][lines["b"] & 0xFFFF == 1].tolist()
    assert decoded == [0, 1, 3, 2], "the fourth joins decode behind the second, not before it"


def test_a_prompt_is_ingested_once_a_group_under_prefix() -> None:
    """[SCHED-005] [COW-002] 8 groups of 16 that arrive interleaved, in 6 slots; FIFO takes more."""
    requests = requests_of([(50, 90)] * 8, samples=16)
    requests["max_tokens"] += np.random.default_rng(5).integers(0, 80, 128, dtype=np.uint32)
    requests = requests[np.random.default_rng(6).permutation(128)]
    prefills = {}
    for policy in ("PREFIX", "FIFO"):
        config = make_config(slots=6, kv_blocks=64, policy=contract.POLICY[policy])
        records = run(config, requests).log.records()
        audit(config, requests, records)
        prefills[policy] = len(events(records, "NODE"))
    assert prefills["PREFIX"] == 8
    assert prefills["FIFO"] > 16


@pytest.mark.parametrize(("credits", "deliver"), [(1, NONE), (2, 1), (3, 2), (NONE, 3), (2, 5)])
def test_deliveries_of_a_tick_are_bounded(credits: int, deliver: int) -> None:
    """[PIPE-011] [PIPE-002] Seven rollouts that are scored at once leave so many a tick."""
    config = make_config(slots=7, trajectory_credits=credits, deliver=deliver)
    records = run(config, requests_of([(9, 20)] * 7)).log.records()
    ticks = events(records, "TRAJECTORY")["tick"]
    per_tick = np.unique(ticks, return_counts=True)[1].tolist()
    most = min(credits, deliver, 7)
    assert per_tick == [most] * (7 // most) + [7 % most] * (7 % most > 0)
    ready = records[(records["code"] == contract.EVENT["STATE"]) & (records["b"] == 4)]
    assert len(ready) == 7
    if deliver >= 7:
        assert (ready["tick"] == ticks).all()


@pytest.mark.parametrize("staleness", [0, 1, 3])
def test_staleness_never_exceeds_its_bound_and_reaches_it(staleness: int) -> None:
    """[PIPE-010] The step of a trajectory's seat less its version at admission."""
    requests = requests_of([(20, 60)] * 20, samples=2)
    config = make_config(slots=40, kv_blocks=200, seats=4, staleness=staleness)
    records = run(config, requests).log.records()
    found = results(requests, records)
    behind = found["step"].astype(int) - found["version"].astype(int)
    assert behind.max() == staleness
    assert (np.bincount(found["step"]) == 4).all()
    assert events(records, "VERSION")["a"].tolist() == list(range(1, 11))


@given(runs(), st.integers(0, 40))
@settings(max_examples=80)
def test_an_abandoned_run_leaves_nothing(run_of: tuple[Records, Records], ticks: int) -> None:
    """[PIPE-013] Stopped at any tick, with windows and scores in flight."""
    config, requests = run_of

    class Stop(Exception):
        pass

    made: list[Pipeline] = []

    def stop(pipeline: Pipeline) -> None:
        made[:] = [pipeline]
        if pipeline.tick > ticks:
            raise Stop

    try:
        run(config, requests, watch=stop)
    except Stop:
        made[0].abandon()
    check_tick(made[0])
    usage = made[0].usage()
    assert (usage.blocks, usage.reserved, usage.decode, usage.reward, usage.live) == (0,) * 5
    assert made[0].arena.free_blocks() == list(range(made[0].arena.blocks))


def test_steps_are_given_what_is_due() -> None:
    """[PIPE-006] A wrong number of scores, a completion too many, and a step after the end."""
    pipeline = Pipeline(make_config(), requests_of([(1, 2)]))
    with pytest.raises(ValueError, match="0 scores"):
        pipeline.step(None, [1])
    lines = pipeline.step().lines
    assert pipeline.due == (1, 0)
    with pytest.raises(RolloutError, match="BAD_COMPLETION"):
        pipeline.step(None)
    window = pipeline.step(complete(lines)).lines
    while not pipeline.finished:
        window = pipeline.step(complete(window) if len(window) else None).lines
    with pytest.raises(ValueError, match="not ended"):
        pipeline.step()
    fresh = Pipeline(make_config(), requests_of([(1, 2)]))
    with pytest.raises(RolloutError, match="no completion at tick 0"):
        fresh.step(lines)
