# SPDX-License-Identifier: Apache-2.0
"""The first difference of two event logs, for people."""

from __future__ import annotations

import numpy as np

from descring_model.rollouts.records import Records, describe_record

CONTEXT = 3
"""Equal records that are shown before the first difference."""


def first_difference(expected: Records, actual: Records) -> int | None:
    """The number of the first record that differs, or that one log lacks; None if all agree.

    Args:
        expected: ``(n,)`` of RECORD_DTYPE.
        actual: ``(m,)`` of RECORD_DTYPE.
    """
    common = min(len(expected), len(actual))
    differ = np.flatnonzero(expected[:common] != actual[:common])
    if len(differ):
        return int(differ[0])
    return None if len(expected) == len(actual) else common


def describe_difference(expected: Records, actual: Records, place: int) -> str:
    """Record ``place`` of both, and the records that precede it."""
    lines = [f"first difference: record {place}"]
    for number in range(max(0, place - CONTEXT), place):
        lines.append(f"  {number} {describe_record(expected[number])}")
    for name, records in (("expected", expected), ("actual", actual)):
        text = describe_record(records[place]) if place < len(records) else "(the log ends)"
        lines.append(f"  {place} {name:<8} {text}")
    if place < min(len(expected), len(actual)):
        names = expected.dtype.names or ()
        fields = [name for name in names if expected[name][place] != actual[name][place]]
        lines.append(f"  fields that differ: {', '.join(fields)}")
    return "\n".join(lines)
