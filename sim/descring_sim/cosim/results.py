# SPDX-License-Identifier: Apache-2.0
"""What a simulator run left: cocotb's results file, and what each case reports as compared.

A run counts as good only when at least one case ran, every case passed, and every case that passed
reports in the report file that it compared something. The report file holds a JSON line for each
``finish()`` of a testbench: ``{"case": name, "matched": N, "seed": S, "cycles": C}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

REPORT_VARIABLE = "DESCRING_COSIM_REPORT"
"""Environment variable that names the report file inside the simulator."""

Status = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class CaseResult:
    """One cocotb case: what it is, how it ended, and what it compared."""

    module: str
    name: str
    status: Status
    message: str = ""
    matched: int = 0
    cycles: int = 0
    sim_ns: float = 0.0
    """Simulated time from the case's begin to its end."""

    @property
    def label(self) -> str:
        """The name that ``--case`` takes."""
        return f"{self.module.split('.', maxsplit=1)[0]}.{self.name}"


@dataclass(frozen=True)
class Outcome:
    """All cases of a run, and every reason why the run does not count as good."""

    cases: tuple[CaseResult, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def matched(self) -> int:
        """Lines compared and found equal."""
        return sum(case.matched for case in self.cases)

    @property
    def executed(self) -> int:
        """Cases that ran, skipped ones not counted."""
        return sum(case.status != "skipped" for case in self.cases)

    @property
    def first_failed(self) -> CaseResult | None:
        """The first case that failed."""
        return next((case for case in self.cases if case.status == "failed"), None)


@dataclass
class _Compared:
    matched: int = 0
    cycles: int = 0


def read_results(path: Path) -> tuple[list[CaseResult], list[str]]:
    """Return the cases in cocotb's results file as it has them, and what is wrong with the file."""
    if not path.is_file() or path.stat().st_size == 0:
        return [], [f"the simulator ended without results: {path} is missing or empty"]
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        return [], [f"the results file {path} is damaged: {error}"]
    cases = []
    for element in root.iter("testcase"):
        status: Status = "passed"
        message = ""
        for tag in ("failure", "error"):
            for failure in element.iter(tag):
                status = "failed"
                message = failure.get("message") or (failure.text or "").strip()
        if element.find("skipped") is not None:
            status = "skipped"
        name, module = element.get("name", ""), element.get("classname", "")
        properties = {item.get("name"): item.get("value", "") for item in element.iter("property")}
        sim_ns = float(properties.get("sim_time_duration") or 0)
        cases.append(CaseResult(module, name, status, message, sim_ns=sim_ns))
    return cases, []


def _read_report(path: Path) -> tuple[dict[str, _Compared], list[str]]:
    compared: dict[str, _Compared] = {}
    problems = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        try:
            entry: dict[str, Any] = json.loads(line)
            case = compared.setdefault(str(entry["case"]), _Compared())
            case.matched += int(entry["matched"])
            case.cycles += int(entry["cycles"])
        except (ValueError, KeyError, TypeError) as error:
            problems.append(
                f"{path}:{number}: expected a JSON object with case, matched and cycles, "
                f"got {line[:80]!r} ({error})"
            )
    return compared, problems


def evaluate(results: Path, report: Path) -> Outcome:
    """Return the outcome of the run that wrote ``results`` (xUnit) and ``report`` (JSON lines)."""
    cases, problems = read_results(results)
    compared, report_problems = _read_report(report)
    problems += report_problems
    judged = []
    for case in cases:
        names = (case.name, f"{case.module}.{case.name}")
        found = [compared[name] for name in names if name in compared]
        case = replace(
            case,
            matched=sum(entry.matched for entry in found),
            cycles=sum(entry.cycles for entry in found),
        )
        if case.status == "passed" and case.matched == 0:
            why = "compared nothing" if found else "wrote no report line"
            case = replace(
                case, status="failed", message=f"passed, but {why} (matched 0): it proves nothing"
            )
        judged.append(case)
    outcome = Outcome(tuple(judged), tuple(problems))
    if not problems and outcome.executed == 0:
        return replace(
            outcome, problems=("no cocotb case ran: a run without cases proves nothing",)
        )
    return outcome


@dataclass
class Totals:
    """Sums over the runs of one simulator, for the closing lines."""

    version: str
    runs: int = 0
    cases: int = 0
    failed: int = 0
    skipped: int = 0
    matched: int = 0
    waves: list[str] = field(default_factory=list)


def closing_lines(entries: Iterable[Mapping[str, Any]], seed: int) -> list[str]:
    """Return the closing lines for ``entries``, each as :meth:`RunResult.summary` gives it."""
    totals: dict[str, Totals] = {}
    for entry in entries:
        total = totals.setdefault(entry["simulator"], Totals(entry["version"]))
        total.runs += 1
        total.cases += entry["cases"]
        total.failed += entry["failed"]
        total.skipped += entry["skipped"]
        total.matched += entry["matched"]
        if entry["waves"]:
            total.waves.append(entry["waves"])
    lines = []
    for name, total in sorted(totals.items()):
        extra = f", {total.failed} FAILED" if total.failed else ""
        extra += f", {total.skipped} skipped" if total.skipped else ""
        lines.append(
            f"{name} {total.version}: {total.cases} tests in {total.runs} runs{extra}, "
            f"matched {total.matched} lines"
        )
        lines += [f"  waves: {path}" for path in sorted(total.waves)]
    lines.append(f"seed {seed}")
    return lines


FATAL = re.compile(r"^.*(?:%Fatal|FATAL): .*$", re.MULTILINE)
"""How the simulators report $fatal; cocotb only sees that the simulation has ended."""
