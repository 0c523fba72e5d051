# SPDX-License-Identifier: Apache-2.0
"""Results as plain records: what a worker sends, and what a campaign keeps and sends around."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from descring_sim.conform.status import BIN_AXES, Failure, LineDiff, Status, TestResult

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


def from_record(record: Any) -> TestResult:
    """The result that a record was made of.

    Raises:
        ValueError: it is no record, or one of another version.
    """
    try:
        result = _from_record(record)
        kept = json.loads(json.dumps(to_record(result)))
        if kept != json.loads(json.dumps(record)) or not _well_typed(result):
            raise ValueError("a record that does not hold what it should")
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"a record of another version: {error}") from error
    return result


def _from_record(record: dict[str, Any]) -> TestResult:
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


def _well_typed(result: TestResult) -> bool:
    """Whether the values of ``result`` are what the others of its tests can be added to."""
    failure = result.failure or Failure("")
    diff = failure.diff or LineDiff(0, "", None, None, None)
    texts = [result.test, result.rule, result.reason, failure.text, diff.ring, *failure.rules]
    texts += [text for text in (failure.waves, failure.log) if text is not None]
    texts += [part for key in result.bins for part in key]
    numbers = [result.seed, result.compared, diff.index, *result.bins.values()]
    return (
        all(isinstance(text, str) for text in texts)
        and all(type(number) is int for number in numbers)
        and isinstance(result.seconds, int | float)
        and all(len(key) == len(BIN_AXES) for key in result.bins)
    )
