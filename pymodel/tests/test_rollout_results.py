# SPDX-License-Identifier: Apache-2.0
"""What a log tells of each rollout, and how the first difference of two logs is shown."""

from collections.abc import Sequence

import numpy as np
import pytest
from descring_model.rollouts import contract
from descring_model.rollouts.log_diff import CONTEXT, describe_difference, first_difference
from descring_model.rollouts.records import RECORD_DTYPE, Records, describe_record, make_config
from descring_model.rollouts.rewards import ScoreRequest
from descring_model.rollouts.run import add_results, results, run, start_results
from hypothesis import given, settings
from hypothesis import strategies as st
from rollout_support import requests_of, runs

NAMES = (
    "group", "sample", "prompt_tokens", "length", "outcome", "scored", "version", "step", "score",
    "legs", "admitted", "ended", "digest",
)  # fmt: skip
DELIVERED, CANCELLED, FAILED = 1, 2, 3
EXPECTED = [
    (0, 0, 40, 70, DELIVERED, True, 0, 0, 70, 2, 0, 5, 0x3739D),
    (0, 1, 40, 70, DELIVERED, True, 0, 1, 1070, 2, 0, 5, 0xCE40003739D),
    (0, 2, 40, 40, CANCELLED, False, 0, 0, 0, 0, 0, 3, 0),
    (1, 0, 9, 9, FAILED, False, 2, 2, 0, 1, 6, 9, 0),
    (1, 1, 9, 9, CANCELLED, False, 0, 0, 0, 0, 0, 0, 0),
    (1, 2, 9, 9, FAILED, False, 2, 3, 0, 1, 6, 9, 0),
]
"""The run below, read off its log by hand."""


def scored_or_failed(batch: Sequence[ScoreRequest]) -> list[int]:
    """Score all but the last request's batch."""
    if any(item.request == 5 for item in batch):
        raise OSError("no such file")
    return [1000 * item.request + item.length for item in batch]


def test_a_log_tells_every_member_of_each_rollout() -> None:
    """[ROLL-001] [LOG-003] Delivered in one seat a step, cancelled while waiting, failed."""
    requests = requests_of([(40, 70), (9, 20)], samples=3)
    requests["cancel"][[2, 4]] = [3, 0]
    config = make_config(
        slots=2,
        kv_blocks=12,
        window=2,
        seats=1,
        staleness=1,
        scorer=contract.SCORER_CUSTOM,
        options=sum(contract.OPTION.values()),
    )
    records = run(config, requests, scored_or_failed).log.records()
    found = results(requests, records)
    assert found.dtype.names == NAMES
    assert found.tolist() == EXPECTED
    parts = start_results(requests)
    ended = [add_results(parts, part).tolist() for part in np.split(records, [1, 44])]
    assert ended == [[4], [2, 0, 1], [3, 5]]
    assert (parts == found).all()


@given(runs(), st.data())
@settings(max_examples=30)
def test_a_log_tells_the_same_in_parts(
    run_of: tuple[Records, Records], data: st.DataObject
) -> None:
    """[LOG-003] Wherever it is cut; each request ends once."""
    config, requests = run_of
    records = run(config, requests).log.records()
    cuts = data.draw(st.lists(st.integers(0, len(records)), max_size=4).map(sorted))
    found = start_results(requests)
    ended = [n for part in np.split(records, cuts) for n in add_results(found, part).tolist()]
    assert (found == results(requests, records)).all()
    assert sorted(ended) == list(range(len(requests)))


def log_of(count: int) -> Records:
    """Records of different ticks."""
    records = np.zeros(count, dtype=RECORD_DTYPE)
    records["tick"] = np.arange(count)
    records["code"] = contract.EVENT["WINDOW"]
    return records


@pytest.mark.parametrize("place", [0, 1, CONTEXT, CONTEXT + 4])
@pytest.mark.parametrize("fields", [["tick"], ["a", "d"], ["code", "rollout", "c"]])
def test_the_first_difference_names_its_fields(place: int, fields: list[str]) -> None:
    """Both records, the fields in their order, and a few equal records before them."""
    expected, actual = log_of(9), log_of(9)
    for name in fields:
        actual[name][place] += 2
    actual["b"][place + 1 :] = 7
    assert first_difference(expected, actual) == place
    first = max(0, place - CONTEXT)
    assert describe_difference(expected, actual, place).splitlines() == [
        f"first difference: record {place}",
        *(f"  {n} {describe_record(expected[n])}" for n in range(first, place)),
        f"  {place} expected {describe_record(expected[place])}",
        f"  {place} actual   {describe_record(actual[place])}",
        f"  fields that differ: {', '.join(fields)}",
    ]


@pytest.mark.parametrize(("expected", "actual"), [(4, 5), (5, 4), (0, 1)])
def test_a_log_that_ends_early_differs_where_it_ends(expected: int, actual: int) -> None:
    """It has no record to compare fields of."""
    logs = log_of(expected), log_of(actual)
    place = min(expected, actual)
    assert first_difference(*logs) == place
    lines = describe_difference(*logs, place).splitlines()
    texts = [describe_record(log[place]) if place < len(log) else "(the log ends)" for log in logs]
    assert lines[-2:] == [f"  {place} expected {texts[0]}", f"  {place} actual   {texts[1]}"]


def test_equal_logs_have_no_difference() -> None:
    """Also two without a record."""
    assert first_difference(log_of(3), log_of(3)) is None
    assert first_difference(log_of(0), log_of(0)) is None
