# SPDX-License-Identifier: Apache-2.0
"""Results as plain records: what a campaign keeps in its state file and sends between machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from descring_sim.conform.status import Bin, Failure, LineDiff, Status, TestResult

_BYTES = ("submission", "expected", "actual")


def to_record(result: TestResult) -> dict[str, Any]:
    """A result as JSON has it."""
    record = asdict(result)
    record["status"] = result.status.value
    record["bins"] = [[*key, count] for key, count in result.bins.items()]
    diff = record["failure"] and record["failure"]["diff"]
    if diff:
        for name in _BYTES:
            diff[name] = None if diff[name] is None else diff[name].hex()
    return record


def from_record(record: dict[str, Any]) -> TestResult:
    """The result that a record was made of."""
    values = dict(record)
    values["status"] = Status(values["status"])
    values["bins"] = {tuple(entry[:-1]): entry[-1] for entry in values["bins"]}
    if values["failure"] is not None:
        failure = dict(values["failure"])
        if failure["diff"] is not None:
            diff = dict(failure["diff"])
            for name in _BYTES:
                diff[name] = None if diff[name] is None else bytes.fromhex(diff[name])
            failure["diff"] = LineDiff(**diff)
        failure["rules"] = tuple(failure["rules"])
        values["failure"] = Failure(**failure)
    return TestResult(**values)


def merge(results: Iterable[TestResult]) -> list[TestResult]:
    """One result a test, over all its seeds: the first bad one in order of seeds, or passed.

    Compared values, seconds and bins are sums.
    """
    by_test: dict[str, list[TestResult]] = {}
    for result in results:
        by_test.setdefault(result.test, []).append(result)
    merged = []
    for found in by_test.values():
        ordered = sorted(found, key=lambda result: result.seed)
        shown = next((result for result in ordered if result.status.bad), ordered[0])
        bins: Counter[Bin] = Counter()
        for result in ordered:
            bins.update(result.bins)
        merged.append(
            replace(
                shown,
                seconds=sum(result.seconds for result in ordered),
                compared=sum(result.compared for result in ordered),
                bins=dict(bins),
            )
        )
    return merged
