# SPDX-License-Identifier: Apache-2.0
"""Judging the result of a stream vector, and the bins that it covers."""

from __future__ import annotations

import numpy as np
from descring_model import Lines, complete, contract, first_difference, goes_to_reward

from descring_sim.conform.dut import StreamJob, StreamResult
from descring_sim.conform.status import Bin, Failure, LineDiff
from descring_sim.conform.suite.bins import count_bins
from descring_sim.conform.suite.diagnosis import diagnose_stream
from descring_sim.conform.suite.vector import FLAG, OPCODE, U32, Vector

_FAULT_OF = {0: "none"} | {item.value: item.name.lower() for item in contract.ERROR_CODES}
_FAULTS = [_FAULT_OF.get(code, "") for code in range(1 + max(_FAULT_OF))]
"""By error code; 0 where there is none."""
DEFAULT_SLOTS = 256
"""Slots by which ring positions are counted where the vector does not set them."""


def expected_result(job: StreamJob) -> tuple[Lines, Lines, Lines]:
    """The golden model's completions: the whole stream in order, the done ring, the reward ring."""
    completions = complete(
        job.lines,
        first_index=job.first_index,
        require_checked=job.require_checked,
        split_reward=job.split_reward,
    )
    if job.halt:
        stops = np.flatnonzero(completions["flags"] & FLAG["STOPPED"])
        if len(stops):
            completions = completions[: stops[0] + 1]
    to_reward = goes_to_reward(completions) & job.split_reward
    return completions, completions[~to_reward], completions[to_reward]


def judge(
    vector: Vector, job: StreamJob, result: StreamResult, rule: str
) -> tuple[int, Failure | None]:
    """How many lines were equal, and the failure if one was not.

    The test's own rule is among the broken ones when the difference lies in the vector's focus.
    """
    completions, *wanted = expected_result(job)
    if not len(completions):
        return 0, Failure("the vector compares nothing", (rule,))
    if result.violation is not None:
        # What was completed until then may tell more than what was seen at the ports.
        ends = [len(result.done), len(result.reward)]
        wanted = [lines[:end] for lines, end in zip(wanted, ends, strict=True)]
    to_reward = goes_to_reward(completions) & job.split_reward
    submitted = job.lines[: len(completions)]
    rings = (
        ("done", submitted[~to_reward], wanted[0], result.done, result.reward),
        ("reward", submitted[to_reward], wanted[1], result.reward, result.done),
    )
    for name, given, expected, actual, other in rings:
        difference = first_difference(expected, actual)
        if difference is None:
            continue
        row = difference.index
        diagnosis = diagnose_stream(given, expected, actual, row, other)
        rules, owned = diagnosis.rules, diagnosis.aspect
        if job.halt and row == len(expected) and len(actual) > row:
            rules, owned = ("LIFE-003", "OP-255"), "count"
        if job.halt and row == len(actual) and (refused := _refusal_of(job, completions, result)):
            rules, owned = (*refused, "LIFE-003"), "count"
        if owned in vector.focus and rule not in rules:
            rules = (*rules, rule)
        text = f"{name} ring, {difference}"
        if diagnosis.aspect in ("order", "count", "ring"):
            text += {
                "order": "; the completions are the right ones in another order",
                "count": "; a completion is missing or comes twice",
                "ring": "; a completion lies in the wrong ring",
            }[diagnosis.aspect]
        return row, Failure(text, rules, _diff(name, row, given, expected, actual), result.waves)
    if result.violation is not None:
        return 0, Failure(result.violation.text, (result.violation.rule,), waves=result.waves)
    return len(completions), None


def _refusal_of(job: StreamJob, completions: Lines, result: StreamResult) -> tuple[str, ...]:
    """The rules that a device breaks which halted at a refused STOP; none if it did not."""
    last = len(result.done) + len(result.reward) - 1
    if not 0 <= last < len(completions) - 1 or job.lines["opcode"][last] != OPCODE["STOP"]:
        return ()
    if job.lines["flags"][last] & FLAG["CHECKED"]:
        return ("ERR-011",)
    return ("ERR-011", "DESC-025")


def _diff(ring: str, row: int, given: Lines, expected: Lines, actual: Lines) -> LineDiff:
    def line(lines: Lines) -> bytes | None:
        return lines[row].tobytes() if row < len(lines) else None

    return LineDiff(row, ring, line(given), line(expected), line(actual))


def bins_of(vector: Vector, job: StreamJob) -> dict[Bin, int]:
    """What a compared stream covers. Occupancy is the host's to know, so a stream has none."""
    completions, _, _ = expected_result(job)
    count = len(completions)
    indices = (np.arange(count) + job.first_index) & U32
    refused = (completions["flags"] & FLAG["ERROR"]) != 0
    code = np.where(refused, completions["flags"] >> contract.ERROR_CODE_SHIFT, 0)
    names, fault = list(_FAULTS), code.astype(np.int64)
    if vector.faults is not None:
        own, at = np.unique(vector.faults[:count], return_inverse=True)
        fault = np.where(own[at] == "none", fault, len(names) + at)
        names += own.tolist()
    streamed = ["streamed"], np.zeros(count, dtype=np.int64)
    slots = job.ring_slots or DEFAULT_SLOTS
    return count_bins(job.lines[:count], indices, slots, streamed, (names, fault))
