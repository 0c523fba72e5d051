# SPDX-License-Identifier: Apache-2.0
"""The tests by rule: how one is declared, and which an implementation is held to."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from descring_model.rules import all_rules

from descring_sim.conform.capabilities import RULE_IDS, Capabilities
from descring_sim.conform.errors import ConformError

if TYPE_CHECKING:
    from descring_sim.conform.suite.bench import Bench
    from descring_sim.conform.suite.vector import Draw, Vector

StreamBody = Callable[["Draw"], "Vector"]
DeviceBody = Callable[["Bench"], None]

NOT_APPLICABLE = {
    "DESC-024": "binds the host: what submit_decode writes; no device can break it",
    "DB-007": "needs a bus that writes single bytes; the kit writes registers as a whole",
    "DB-005": "binds the host: the order of its stores; no device can break it",
}
"""Rules that no implementation of a device can obey or break, with the reason."""


@dataclass(frozen=True)
class Test:
    """One test of one rule. ``smoke`` tests are those of the quick run."""

    rule: str
    name: str
    level: str
    needs: frozenset[str]
    what: str
    smoke: bool
    stream: StreamBody | None = None
    device: DeviceBody | None = None
    first_index: int = 0
    memory: int = 1 << 20

    __test__ = False

    @property
    def id(self) -> str:
        """The name that ``--only`` takes."""
        return f"{self.rule}/{self.name}"

    def missing(self, capabilities: Capabilities) -> list[str]:
        """The tokens that it needs and does not get; empty if it is to be run."""
        lacking = sorted(self.needs - capabilities.tokens())
        if self.rule in capabilities.not_claimed:
            lacking.insert(0, f"rule {self.rule} (not_claimed)")
        return lacking


_TESTS: dict[str, Test] = {}


MODES = {
    "SPLIT_REWARD": "split_reward",
    "REQUIRE_CHECKED": "require_checked",
    "PUBLISH_TAILS": "publish_tails",
}
"""The mode bits of CTRL, and the tokens that grant them."""


def _add(test: Test) -> None:
    if test.rule not in RULE_IDS:
        raise ValueError(f"test {test.id}: the contract has no rule {test.rule}")
    if test.id in _TESTS:
        raise ValueError(f"test {test.id} is declared twice")
    _TESTS[test.id] = test


def _what(body: Callable[..., object]) -> str:
    text = " ".join((body.__doc__ or "").split())
    if not text:
        raise ValueError(f"{body.__name__}: a test says in its docstring what it shows")
    return text


def _name(body: Callable[..., object]) -> str:
    return body.__name__.strip("_").replace("_", "-")


def stream_test(rule: str, *needs: str, smoke: bool = False) -> Callable[[StreamBody], StreamBody]:
    """Declare the function below a stream test of ``rule``: it draws a :class:`Vector`."""

    def declare(body: StreamBody) -> StreamBody:
        wanted = frozenset({"level:stream", *needs})
        _add(Test(rule, _name(body), "stream", wanted, _what(body), smoke, stream=body))
        return body

    return declare


def device_test(
    rule: str, *needs: str, smoke: bool = False, first_index: int = 0, memory: int = 1 << 20
) -> Callable[[DeviceBody], DeviceBody]:
    """Declare the function below a device test of ``rule``: it drives a :class:`Bench`.

    The device has ``memory`` bytes of window, and its indices start at ``first_index``.
    """

    def declare(body: DeviceBody) -> DeviceBody:
        wanted = frozenset({"level:device", "rings:memory", *needs})
        _add(
            Test(
                rule,
                _name(body),
                "device",
                wanted,
                _what(body),
                smoke,
                device=body,
                first_index=first_index,
                memory=memory,
            )
        )
        return body

    return declare


@functools.cache
def all_tests() -> tuple[Test, ...]:
    """Every test, in the order of the contract's rules.

    Raises:
        ValueError: a rule has neither a test nor a reason in :data:`NOT_APPLICABLE`.
    """
    # Imported here, because the modules of tests import this one.
    from descring_sim.conform.suite import (  # noqa: F401
        device_config,
        device_doorbell,
        device_registers,
        device_rings,
        device_run,
        stream_checked,
        stream_fields,
        stream_opcodes,
        stream_rings,
    )

    order = {rule.rule: place for place, rule in enumerate(all_rules())}
    tests = sorted(_TESTS.values(), key=lambda test: order[test.rule])
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
