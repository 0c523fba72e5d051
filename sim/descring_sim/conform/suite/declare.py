# SPDX-License-Identifier: Apache-2.0
"""How a test of the kit is declared: the rule, what it needs, and its body."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from descring_sim.conform.capabilities import RULE_IDS, Capabilities

if TYPE_CHECKING:
    from descring_sim.conform.suite.bench import Bench
    from descring_sim.conform.suite.vector import Draw, Vector

StreamBody = Callable[["Draw"], "Vector | Iterator[Vector]"]
"""Draws one stream, or several that are carried out one after the other, each from reset."""
DeviceBody = Callable[["Bench"], None]


NOT_APPLICABLE = {
    "DESC-024": "binds the host: what submit_decode writes; no device can break it",
    "DB-005": "binds the host: the order of its stores; no device can break it",
    "DB-008": "binds the bus before the device, which gets accesses of 32 bits alone",
}
"""Rules that no implementation of a device can obey or break, with the reason."""


ONLY_ON_CHIP = frozenset({"RING-011"})
"""Rules that no device with its rings in memory can obey or break."""


@dataclass(frozen=True)
class Test:
    """One test of one rule. ``smoke`` tests are those of the quick run.

    ``costly`` ones are in it only where the implementation claims ``exhaustive``: where a line
    takes milliseconds, they are half of its time.
    """

    rule: str
    name: str
    level: str
    needs: frozenset[str]
    what: str
    smoke: bool
    costly: bool = False
    stream: StreamBody | None = None
    device: DeviceBody | None = None
    first_index: int = 0
    memory: int = 1 << 20

    __test__ = False

    @property
    def id(self) -> str:
        """The name that ``--only`` takes."""
        return f"{self.rule}/{self.name}"

    def is_quick(self, capabilities: Capabilities) -> bool:
        """Whether it is in the quick run of an implementation with these capabilities."""
        return self.smoke and (capabilities.exhaustive or not self.costly)

    def vectors(self, draw: Draw) -> list[Vector]:
        """The streams of a stream test, in their order."""
        assert self.stream is not None
        drawn = self.stream(draw)
        return list(drawn) if isinstance(drawn, Iterator) else [drawn]

    def missing(self, capabilities: Capabilities) -> list[str]:
        """The tokens that it needs and does not get; empty if it is to be run."""
        lacking = sorted(self.needs - capabilities.tokens())
        if self.rule in capabilities.not_claimed:
            lacking.insert(0, f"rule {self.rule} (not_claimed)")
        return lacking


DECLARED: dict[str, Test] = {}


MODES = {
    "SPLIT_REWARD": "split_reward",
    "REQUIRE_CHECKED": "require_checked",
    "PUBLISH_TAILS": "publish_tails",
}
"""The mode bits of CTRL, and the tokens that grant them."""


def _add(test: Test) -> None:
    if test.rule not in RULE_IDS:
        raise ValueError(f"test {test.id}: the contract has no rule {test.rule}")
    if test.id in DECLARED:
        raise ValueError(f"test {test.id} is declared twice")
    DECLARED[test.id] = test


def _what(body: Callable[..., object]) -> str:
    text = " ".join((body.__doc__ or "").split())
    if not text:
        raise ValueError(
            f"{body.__name__}: expected a docstring that states what the test shows, got none"
        )
    return text


def _name(body: Callable[..., object]) -> str:
    return body.__name__.strip("_").replace("_", "-")


def stream_test(
    rule: str, *needs: str, smoke: bool = False, costly: bool = False
) -> Callable[[StreamBody], StreamBody]:
    """Declare the function below a stream test of ``rule``: it draws a :class:`Vector`."""

    def declare(body: StreamBody) -> StreamBody:
        wanted = frozenset({"level:stream", *needs})
        _add(Test(rule, _name(body), "stream", wanted, _what(body), smoke, costly, stream=body))
        return body

    return declare


def device_test(
    rule: str,
    *needs: str,
    smoke: bool = False,
    costly: bool = False,
    first_index: int = 0,
    memory: int = 1 << 20,
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
                costly,
                device=body,
                first_index=first_index,
                memory=memory,
            )
        )
        return body

    return declare
