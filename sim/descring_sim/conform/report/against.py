# SPDX-License-Identifier: Apache-2.0
"""A verdict against an earlier one: which tests became better or worse, and what else differs."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_sim.conform.errors import ConformError
from descring_sim.conform.report.machine import FORMAT
from descring_sim.conform.status import Status, TestResult
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.conform.verdict import Verdict
from descring_sim.support.files import FileError, read_text
from descring_sim.support.typed import check_types
from descring_sim.support.visible import visible

_LIMIT = 64 << 20


class Change(enum.StrEnum):
    """What became of a test since the earlier verdict."""

    WORSE = "worse"
    OTHER = "fails in another way"
    BETTER = "better"
    SKIPPED = "skipped in another way"
    NEW = "new"
    GONE = "no longer in the kit"


@dataclass(frozen=True)
class EarlierTest:
    """A test in the earlier verdict; ``rules`` are those that its failure names."""

    test: str
    status: Status
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Earlier:
    """What a ``verdict.json`` has for a comparison. ``facts`` are what it depends on, by name."""

    path: str
    name: str
    started: str
    facts: Mapping[str, str]
    tests: Mapping[str, EarlierTest]

    @property
    def title(self) -> str:
        """File, implementation and date."""
        return f"{self.path} ({self.name}, {self.started})"


@dataclass(frozen=True)
class ChangedTest:
    """A test whose outcome differs, with the statuses; None where a verdict does not have it."""

    test: str
    change: Change
    before: Status | None
    now: Status | None
    broken: tuple[str, ...] = ()

    def text(self) -> str:
        """The change for a terminal."""
        steps = " -> ".join(
            status.value if status else "none" for status in (self.before, self.now)
        )
        rules = f", breaks {', '.join(self.broken)}" if self.broken else ""
        return f"{self.change.value:<22} {self.test}: {steps}{rules}"


@dataclass(frozen=True)
class Comparison:
    """The verdict of a run beside an earlier one.

    Attributes:
        earlier: the earlier one.
        changed: tests that differ, the worst first.
        same: how many tests have the same outcome.
        not_run: how many of the earlier tests this run left out.
        differs: facts that differ: name, before, now.
    """

    earlier: Earlier
    changed: tuple[ChangedTest, ...]
    same: int
    not_run: int
    differs: tuple[tuple[str, str, str], ...]

    @property
    def counts(self) -> Counter[Change]:
        """How many tests changed in which way."""
        return Counter(item.change for item in self.changed)

    def summary(self) -> str:
        """The comparison in one line."""
        counts = self.counts
        parts = [f"{counts[change]} {change.value}" for change in Change if counts[change]]
        parts.append(f"{self.same} the same")
        if self.not_run:
            parts.append(f"{self.not_run} not run this time")
        return f"against {self.earlier.title}: {', '.join(parts)}"

    def data(self) -> dict[str, Any]:
        """The comparison as ``verdict.json`` has it."""
        return {
            "file": self.earlier.path,
            "implementation": self.earlier.name,
            "started": self.earlier.started,
            "same": self.same,
            "not_run": self.not_run,
            "changed": [
                {
                    "test": item.test,
                    "change": item.change.value,
                    "before": item.before,
                    "now": item.now,
                }
                for item in self.changed
            ],
            "differs": [
                {"what": what, "before": before, "now": now} for what, before, now in self.differs
            ],
        }


def read_earlier(path: Path) -> Earlier:
    """Read a ``verdict.json`` of `descring conform`.

    Raises:
        ConformError: it cannot be read, or is none; the text has what was expected.
    """
    try:
        content = json.loads(read_text(path, _LIMIT))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            got = content.get("format") if isinstance(content, dict) else type(content).__name__
            raise ConformError(
                f"--against {path}: expected a verdict.json of format {FORMAT}, got {got!r:.80}; "
                "write one with `descring conform IMPLEMENTATION -o DIR`"
            )
        tests = [_test(item) for item in content["tests"]]
        by_name = {test.test: test for test in tests}
        if not tests or len(by_name) != len(tests):
            raise ValueError("each test once, and at least one")
        who, versions = content["implementation"], content["versions"]
        facts = {
            "implementation": f"{who['name']} {who['version']}",
            "seed": content["seed"],
            **dict(versions.items()),
        }
        facts = {visible(str(name)): visible(str(value)) for name, value in facts.items()}
        return Earlier(
            visible(str(path)), facts["implementation"], visible(content["started"]), facts, by_name
        )
    except FileError as error:
        raise ConformError(f"--against {error}") from error
    except KeyError as error:
        raise ConformError(f"--against {path}: expected a verdict, got none of {error}") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        text = visible(str(error)).replace("\n", " ")
        raise ConformError(
            f"--against {path}: expected a verdict.json, got: {text:.160}"
        ) from error


def _test(item: Mapping[str, Any]) -> EarlierTest:
    rules = item["failure"]["rules"] if "failure" in item else []
    rules = tuple(visible(rule) for rule in rules)
    return check_types(EarlierTest(visible(item["test"]), Status(item["status"]), rules))


def compare(earlier: Earlier, verdict: Verdict) -> Comparison:
    """Hold a verdict against an earlier one, test by test."""
    known = {test.id for test in all_tests()}
    now = {result.test: result for result in verdict.results}
    changed, same = [], 0
    for result in verdict.results:
        item = _change(earlier.tests.get(result.test), result)
        same += item is None
        changed += [item] if item else []
    missing = [test for test in earlier.tests if test not in now]
    gone = [test for test in missing if test not in known]
    changed += [
        ChangedTest(test, Change.GONE, earlier.tests[test].status, None) for test in sorted(gone)
    ]
    order = list(Change)
    changed.sort(key=lambda item: order.index(item.change))
    return Comparison(
        earlier, tuple(changed), same, len(missing) - len(gone), _differs(earlier, verdict)
    )


def _change(before: EarlierTest | None, result: TestResult) -> ChangedTest | None:
    broken = result.failure.rules if result.failure else ()
    if before is None:
        return ChangedTest(result.test, Change.NEW, None, result.status, broken)
    was, is_now = _rank(before.status), _rank(result.status)
    if was != is_now:
        change = Change.BETTER if is_now > was else Change.WORSE
    elif before.status is result.status and set(before.rules) == set(broken):
        return None
    else:
        change = Change.OTHER if result.status.bad else Change.SKIPPED
    return ChangedTest(result.test, change, before.status, result.status, broken)


def _rank(status: Status) -> int:
    """How good an outcome is: bad, not judged, passed."""
    return 0 if status.bad else 2 if status is Status.PASSED else 1


def _differs(earlier: Earlier, verdict: Verdict) -> tuple[tuple[str, str, str], ...]:
    description = verdict.description
    facts = {
        "implementation": f"{description.name} {description.version}",
        "seed": str(verdict.seed),
        **verdict.versions,
    }
    names = dict.fromkeys([*facts, *earlier.facts])
    both = ((name, earlier.facts.get(name, "none"), facts.get(name, "none")) for name in names)
    return tuple(row for row in both if row[1] != row[2])
