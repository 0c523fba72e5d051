# SPDX-License-Identifier: Apache-2.0
"""The outcome of a test: one of six, and what a failure looked like."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class Status(enum.StrEnum):
    """What became of a test or of a rule. Only PASSED counts as good."""

    PASSED = "passed"
    FAILED = "failed"
    HUNG = "hung"
    ERROR = "error"
    NOT_CLAIMED = "not claimed"
    NOT_APPLICABLE = "not applicable"

    @property
    def bad(self) -> bool:
        """Whether the implementation is not the contract, or could not be judged."""
        return self in (Status.FAILED, Status.HUNG, Status.ERROR)


Bin = tuple[str, str, str, str, str]
"""One value on each of the axes of coverage."""

BIN_AXES = ("opcode", "ring position", "occupancy", "wrap", "fault")
"""What the parts of a :data:`Bin` are."""


@dataclass(frozen=True)
class LineDiff:
    """The first differing line of a stream, as bytes; None where there is no such line."""

    index: int
    ring: str
    submission: bytes | None
    expected: bytes | None
    actual: bytes | None


@dataclass(frozen=True)
class Failure:
    """Why a test did not pass: a sentence, the rules that are broken, and what there is to see."""

    text: str
    rules: tuple[str, ...] = ()
    diff: LineDiff | None = None
    waves: str | None = None
    log: str | None = None


@dataclass(frozen=True)
class TestResult:
    """The outcome of one test. ``compared`` counts lines or register values that were equal."""

    test: str
    rule: str
    status: Status
    seed: int
    seconds: float = 0.0
    compared: int = 0
    failure: Failure | None = None
    reason: str = ""
    bins: dict[Bin, int] = field(default_factory=dict)

    __test__ = False
