# SPDX-License-Identifier: Apache-2.0
"""The tests by rule: how one is declared, and which an implementation is held to."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence

from descring_model.rules import all_rules

from descring_sim.conform.capabilities import RULE_IDS
from descring_sim.conform.errors import ConformError
from descring_sim.conform.suite.declare import DECLARED, NOT_APPLICABLE, Test


@functools.cache
def all_tests() -> tuple[Test, ...]:
    """Every test, in the order of the contract's rules.

    Raises:
        ValueError: a rule has neither a test nor a reason in :data:`NOT_APPLICABLE`.
    """
    # Imported here, because the modules of tests import this one.
    from descring_sim.conform.suite import (  # noqa: F401
        device_bus,
        device_config,
        device_counters,
        device_doorbell,
        device_history,
        device_products,
        device_registers,
        device_rings,
        device_run,
        device_states,
        device_streams,
        stream_checked,
        stream_corners,
        stream_fields,
        stream_history,
        stream_opcodes,
        stream_ports,
        stream_products,
        stream_rings,
    )

    order = {rule.rule: place for place, rule in enumerate(all_rules())}
    tests = sorted(DECLARED.values(), key=lambda test: order[test.rule])
    bare = RULE_IDS - {test.rule for test in tests} - NOT_APPLICABLE.keys()
    if bare:
        raise ValueError(f"rules without a test in the kit: {', '.join(sorted(bare))}")
    return tuple(tests)


def select(only: Sequence[str], *, smoke: bool = False) -> list[Test]:
    """The tests that ``only`` names: rule ids, test ids, or parts of rule ids ending in ``*``.

    Raises:
        ConformError: an entry names no test.
    """
    tests = [test for test in all_tests() if test.smoke or not smoke]
    if not only:
        return tests
    chosen: dict[str, Test] = {}
    for entry in only:
        pattern = re.compile(re.escape(entry).replace(r"\*", ".*"), re.IGNORECASE)
        found = [t for t in all_tests() if pattern.fullmatch(t.id) or pattern.fullmatch(t.rule)]
        if not found:
            raise ConformError(_unknown(entry))
        chosen |= {test.id: test for test in found}
    return [test for test in all_tests() if test.id in chosen]


def _unknown(entry: str) -> str:
    if entry.upper() in NOT_APPLICABLE:
        return f"--only {entry}: this rule has no test; it {NOT_APPLICABLE[entry.upper()]}"
    near: Iterable[str] = (
        test.id for test in all_tests() if test.rule.startswith(entry.upper().split("-")[0])
    )
    shown = ", ".join(list(near)[:8]) or "DEC-003, RING-007, DB-002/backward, CNT-*"
    return f"--only {entry}: expected a rule or a test of the kit; near: {shown}"
