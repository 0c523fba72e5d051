# SPDX-License-Identifier: Apache-2.0
"""Writes ``docs/rollout-contract.md``: the rules of the rollout runtime, the data as tables."""

from __future__ import annotations

from collections.abc import Callable

from descring_model.contract import Bits, Value
from descring_model.rollouts import contract, rules, seeing

from descring_sim.gen.contract_doc import sections
from descring_sim.support.markdown import GENERATED, table

_INTRODUCTION = """\
# The contract of the rollout runtime

What stands above the ring: rollouts and their states, queues and credits, windows, policies, KV
memory, shared prefixes, rewards and the event log. The lines themselves are those of
[contract.md](contract.md), which does not depend on this page. Numbers come from
`pymodel/descring_model/rollouts/contract.py` and `seeing.py`, prose from `rules.py`,
`memory_rules.py` and `seeing_rules.py` beside them.
"""


def _bits(items: tuple[Bits, ...]) -> str:
    return table(
        ("bits", "name", "meaning"),
        (
            (
                str(item.lsb) if item.width == 1 else f"{item.msb}:{item.lsb}",
                item.name,
                item.meaning,
            )
            for item in items
        ),
    )


def value_table(title: str, items: tuple[Value, ...], meaning: str = "meaning") -> str:
    """``items`` by number under ``title``."""
    rows = ((str(item.value), item.name, item.meaning, item.rule) for item in items)
    return f"{title}:\n\n" + table(("value", "name", meaning, "rule"), rows)


def record_table(title: str, members: tuple[contract.Member, ...]) -> str:
    """The members of a record with their offsets under ``title``."""
    offset = 0
    rows = []
    for item in members:
        rows.append((str(offset), item.code, f"`{item.name}`", item.meaning))
        offset += item.size
    return f"{title}, {offset} bytes:\n\n" + table(("byte", "type", "member", "meaning"), rows)


def _slab() -> str:
    edges = ", ".join(f"{start} -> {end}" for start, end in contract.EDGES)
    return (
        f"The slot word:\n\n{_bits(contract.SLOT_WORD)}"
        f"{value_table('States', contract.STATES)}"
        f"Edges: {edges}; and from each live state ({', '.join(contract.LIVE)}) to DONE by "
        "ROLL-004.\n\n"
        f"{value_table('Errors of the whole runtime', contract.ERRORS)}"
    )


def _pipeline() -> str:
    return (
        value_table("Queues", contract.QUEUES)
        + record_table("Configuration", contract.CONFIG)
        + value_table("Options", contract.OPTIONS)
        + record_table("Request", contract.REQUEST)
    )


def _windows() -> str:
    return f"`user_data`:\n\n{_bits(contract.USER_DATA)}"


def _policies() -> str:
    return value_table("Policies", contract.POLICIES, "rank")


def _log() -> str:
    return (
        record_table("Header", contract.HEADER)
        + record_table("Record", contract.RECORD)
        + value_table("Events", contract.EVENTS)
    )


def _seeing() -> str:
    return (
        value_table("Counters", seeing.COUNTERS, "moves by one with")
        + value_table("Gauges", seeing.GAUGES)
        + record_table("Head of a live page", seeing.LIVE)
        + value_table("States of a live page", seeing.LIVE_STATES)
    )


def _trace() -> str:
    pairs = ", ".join(f"{first} -> {second}" for first, second in seeing.TRACE_PAIRS)
    return (
        record_table("Event", seeing.TRACE)
        + value_table("Events", seeing.TRACE_EVENTS)
        + value_table("Clocks", seeing.TRACE_CLOCKS)
        + f"Latencies: {pairs}.\n\n"
    )


_DATA: dict[int, Callable[[], str]] = {
    1: _slab,
    2: _pipeline,
    3: _windows,
    4: _policies,
    8: _log,
    9: _seeing,
    10: _trace,
}


def render() -> str:
    """The text of the page."""
    found = sections(rules.SECTIONS, rules.RULES, _DATA)
    return "".join([GENERATED, _INTRODUCTION, *found])
