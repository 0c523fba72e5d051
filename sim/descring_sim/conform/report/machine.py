# SPDX-License-Identifier: Apache-2.0
"""The verdict for machines: JSON and JUnit XML, and back from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from descring_model import contract

from descring_sim.conform.report.lines import field_diff
from descring_sim.conform.status import Status, TestResult
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.conform.verdict import Verdict
from descring_sim.support.visible import visible

FORMAT = 1
"""Version of the JSON; raised when a reader would have to change."""


def to_json(verdict: Verdict, against: Mapping[str, Any] | None = None) -> str:
    """The whole verdict; bytes as hexadecimal text. ``against`` compares it with another."""
    description = asdict(verdict.description)
    claims = description["capabilities"]
    description["capabilities"] = {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in claims.items()
    }
    data = {
        "format": FORMAT,
        "verdict": _word(verdict),
        "part": {"tests": len(verdict.selected), "of": len(all_tests())},
        "implementation": description,
        "reference": visible(verdict.reference),
        "contract": {
            "version": contract.VERSION,
            "sha256": contract.CONTRACT_SHA256,
            "judged_by_version": verdict.description.capabilities.contract_version,
        },
        "versions": verdict.versions,
        "started": verdict.started.isoformat(timespec="seconds"),
        "seconds": round(verdict.seconds, 3),
        "seed": verdict.seed,
        "counts": {status.value: verdict.counts[status] for status in Status},
        "broken_rules": dict(verdict.named.most_common()),
        "rules": [
            {
                "rule": row.rule.rule,
                "status": row.status.value,
                "reason": row.reason,
                "tests": [result.test for result in row.results],
            }
            for row in verdict.rows()
        ],
        "tests": [_test(verdict, result) for result in verdict.results],
        "coverage": [
            {"bin": list(key), "lines": count} for key, count in sorted(verdict.bins.items())
        ],
    }
    if against is not None:
        data["against"] = against
    return json.dumps(data, indent=1)


def _word(verdict: Verdict) -> str:
    if not verdict.ok:
        return "does not conform"
    return "conforms in part" if verdict.partial else "conforms"


def _test(verdict: Verdict, result: TestResult) -> dict[str, Any]:
    data: dict[str, Any] = {
        "test": result.test,
        "rule": result.rule,
        "status": result.status.value,
        "seed": result.seed,
        "seconds": round(result.seconds, 4),
        "compared": result.compared,
    }
    if result.reason:
        data["reason"] = result.reason
    if result.failure is not None:
        data["failure"] = {
            "text": result.failure.text,
            "rules": list(result.failure.rules),
            "waves": result.failure.waves,
            "log": result.failure.log,
            "repeat": verdict.rerun(result),
        }
        diff = result.failure.diff
        if diff is not None:
            lines = {name: getattr(diff, name) for name in ("submission", "expected", "actual")}
            data["failure"]["diff"] = {
                "ring": diff.ring,
                "index": diff.index,
                **{name: None if line is None else line.hex() for name, line in lines.items()},
            }
    return data


def to_junit(verdict: Verdict) -> str:
    """JUnit XML: a test case each; not claimed and not applicable are skipped, with the reason."""
    counts = verdict.counts
    suite = ElementTree.Element(
        "testsuite",
        name=f"descring conform {verdict.description.name}",
        tests=str(len(verdict.results)),
        failures=str(counts[Status.FAILED]),
        errors=str(counts[Status.HUNG] + counts[Status.ERROR]),
        skipped=str(counts[Status.NOT_CLAIMED] + counts[Status.NOT_APPLICABLE]),
        time=f"{verdict.seconds:.3f}",
        timestamp=verdict.started.isoformat(timespec="seconds"),
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("seed", str(verdict.seed)), *verdict.versions.items()):
        ElementTree.SubElement(properties, "property", name=name, value=value)
    for result in verdict.results:
        _case(suite, verdict, result)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, verdict: Verdict, result: TestResult) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=result.rule,
        name=result.test.partition("/")[2],
        time=f"{result.seconds:.3f}",
    )
    if result.status is Status.PASSED:
        return
    if not result.status.bad:
        message = f"{result.status.value}: {result.reason}"
        ElementTree.SubElement(case, "skipped", message=visible(message))
        return
    failure = result.failure
    text = failure.text if failure else result.status.value
    kind = "failure" if result.status is Status.FAILED else "error"
    element = ElementTree.SubElement(case, kind, message=visible(text), type=result.status.value)
    lines = [f"breaks {', '.join(failure.rules)}" if failure else ""]
    lines += [row.text() for row in field_diff(failure.diff if failure else None)]
    lines.append(f"repeat: {verdict.rerun(result)}")
    element.text = visible("\n".join(lines))
