# SPDX-License-Identifier: Apache-2.0
"""Run one task and report the outcome of its properties.

Passed outcomes are cached by the hash of their inputs.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from descring_sim.formal import linear, tasks, toolchain
from descring_sim.formal.properties import REACHED, Property
from descring_sim.formal.tasks import Task
from descring_sim.support import build_cache, processes
from descring_sim.support.files import write_files

Status = Literal["pass", "fail", "unknown", "error"]

TIMEOUT_S = 1200.0
TRACE_TIMEOUT_S = 300.0
"""Each step from reset takes longer than the one before; what is not found by then is not shown."""

_REACHED = re.compile(r"Reached cover statement in step (\d+) at \S+: (\S+)")
_TRYING = re.compile(r"Trying induction in step (\d+)\.\.")
_NETWORK = "network.json"


@dataclass(frozen=True)
class Outcome:
    """What became of one task.

    Attributes:
        status: pass; fail: a counterexample, or a cover that nothing reaches; unknown: true as far
            as was looked, but the induction step does not hold, or a network is not affine by its
            structure; error: nothing was learned.
        failed: the properties and covers that did not hold, with their path below the top.
        induction: how many steps the induction step assumes, None where there was none.
        reached: cover, and the least number of steps that reach it.
        folder: of the run, with its log and traces.
        trace: the waveform of the counterexample.
        own_assertions: the RTL's assertions that were proven along.
        message: what went wrong.
        cached: it was not run now, the inputs are those of an earlier run that passed.
    """

    task: str
    status: Status
    seconds: float
    folder: str
    failed: tuple[str, ...] = ()
    induction: int | None = None
    reached: dict[str, int] = field(default_factory=dict)
    trace: str | None = None
    own_assertions: int = 0
    message: str = ""
    cached: bool = False


def objection(task: Task, outcome: Outcome) -> str:
    """Return how a ``task`` did not pass: refuted or refused, with its properties."""
    names = ", ".join(dict.fromkeys(leaf(name) for name in outcome.failed))
    refused = "no affine network" if task.kind == "linear" else "no induction step"
    how = "refuted" if outcome.status == "fail" else f"refused, {refused}"
    return f"{how}: {names} ({task})"


def leaf(path: str) -> str:
    """The name of a property without the instances that it is in."""
    return path.rpartition(".")[2]


@dataclass(frozen=True)
class Report:
    """SymbiYosys's own report: which properties the model has, which failed."""

    assertions: frozenset[str]
    covers: frozenset[str]
    failed: tuple[str, ...]


def report(folder: Path) -> Report:
    """What SymbiYosys reports of the run in ``folder``."""
    names: dict[str, set[str]] = {"ASSERT": set(), "COVER": set()}
    failed = []
    for file in folder.glob("*.xml"):
        for case in ElementTree.parse(file).iter("testcase"):
            name, kind = case.get("id"), case.get("type")
            if name is None or kind not in names:
                continue
            name = name.replace("\\", "")
            names[kind].add(name)
            if case.find("failure") is not None:
                failed.append(name)
    return Report(frozenset(names["ASSERT"]), frozenset(names["COVER"]), tuple(sorted(failed)))


def owed(task: Task, properties: Iterable[Property]) -> set[str]:
    """The names that the model of ``task`` must have, so that none is lost on the way."""
    if task.kind != "cover":
        return {item.name for item in properties if item.kind == "proof"}
    return {item.name for item in properties if item.kind == "cover"} | {
        item.name + REACHED for item in properties if item.kind == "proof" and item.conditional
    }


def _status(folder: Path) -> Status:
    file = folder / "status"
    word = file.read_text(encoding="utf-8").split()[0] if file.is_file() else "ERROR"
    known: dict[str, Status] = {"PASS": "pass", "FAIL": "fail", "UNKNOWN": "unknown"}
    return known.get(word, "error")


def _trace(folder: Path) -> str | None:
    for name in ("trace.vcd", "trace_induct.vcd"):
        file = folder / "engine_0" / name
        if file.is_file():
            return str(file)
    return None


def _evaluate(task: Task, folder: Path, log: Path, seconds: float) -> Outcome:
    text = log.read_text(encoding="utf-8", errors="replace")
    status = _status(folder)
    outcome = Outcome(str(task), status, seconds, str(folder))
    if status == "error":
        return replace(outcome, message=f"the tools failed, log {log}\n{processes.log_tail(log)}")
    found = report(folder)
    present = found.covers if task.kind == "cover" else found.assertions
    properties = task.properties()
    missing = owed(task, properties) - {leaf(name) for name in present}
    if missing:
        return replace(
            outcome,
            status="error",
            message=f"the model lacks {', '.join(sorted(missing))}; is the checker instantiated?",
        )
    if task.kind == "cover":
        reached = {leaf(name): int(step) for step, name in reversed(_REACHED.findall(text))}
        unreached = sorted(name for name in present if leaf(name) not in reached)
        failed = tuple(unreached) if status == "fail" else ()
        return replace(outcome, failed=failed, reached=reached)
    steps = [int(step) for step in _TRYING.findall(text)]
    stated = {item.name for item in properties}
    own = sum(leaf(name) not in stated for name in found.assertions)
    if status == "pass":
        induction = task.depth - steps[-1] if steps else None
        return replace(outcome, induction=induction, own_assertions=own)
    return replace(outcome, failed=found.failed, trace=_trace(folder), own_assertions=own)


def _evaluate_linear(task: Task, folder: Path, log: Path, started: float) -> Outcome:
    if _status(folder) != "pass":
        return _evaluate(task, folder, log, time.monotonic() - started)
    (property_,) = [item.name for item in task.properties() if item.kind == "proof"]
    outcome = Outcome(str(task), "pass", 0.0, str(folder))
    try:
        forms = linear.forms(folder / _NETWORK)
    except linear.NotLinearError as error:
        outcome = replace(outcome, status="unknown", failed=(property_,), message=str(error))
        return replace(outcome, seconds=time.monotonic() - started)
    wrong = {
        f"{output}[{bit}]": form
        for output, bits in forms.items()
        for bit, form in enumerate(bits)
        if form
    }
    outcome = replace(outcome, seconds=time.monotonic() - started)
    if not wrong:
        return outcome
    name, form = next(iter(wrong.items()))
    value = linear.counterexample(form)
    return replace(
        outcome,
        status="fail",
        failed=(property_,),
        message=f"{len(wrong)} bits differ; {name} is 1 for the input 0x{value:x}",
    )


def run(task: Task, out: Path, *, timeout_s: float = TIMEOUT_S) -> Outcome:
    """Run ``task`` below the folder ``out``, whatever was run before.

    Where the induction step fails and the file has a task of the kind ``trace`` for the same
    configuration, that is run as well: a counterexample from reset is worth more than ``unknown``.

    Raises:
        SimulationError: a tool is missing.
    """
    outcome = _run_alone(task, out, timeout_s)
    if task.kind != "prove" or outcome.status != "unknown":
        return outcome
    for further in tasks.read(task.sby):
        if further.kind == "trace" and further.config == task.config:
            seen = _run_alone(further, out, min(timeout_s, TRACE_TIMEOUT_S))
            if seen.status == "fail":
                return replace(seen, task=str(task), seconds=outcome.seconds + seen.seconds)
    return outcome


def _run_alone(task: Task, out: Path, timeout_s: float) -> Outcome:
    # A folder for each task: SymbiYosys keeps a database beside the folders of a run, which tasks
    # that begin together would spoil for each other.
    home = out / f"{task.block}_{task.name}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    prefix, folder, log = home / "sby", home / f"sby_{task.name}", home / "log"
    started = time.monotonic()
    command = toolchain.sby(task.name, task.sby, prefix)
    code = processes.run(
        command, cwd=task.sby.parent, log=log, timeout_s=timeout_s, env=toolchain.environment()
    )
    if code is None:
        return Outcome(
            str(task), "error", timeout_s, str(folder), message=f"no result in {timeout_s:.0f} s"
        )
    if task.kind == "linear":
        return _evaluate_linear(task, folder, log, started)
    return _evaluate(task, folder, log, time.monotonic() - started)


def run_once(task: Task, out: Path, kept_dir: Path) -> Outcome:
    """The outcome of ``task``, run below ``out`` unless ``kept_dir`` has one for the same inputs.

    An outcome is kept unless it is an error. A kept one has no waveform.

    Raises:
        SimulationError: as :func:`run`.
    """
    kept = kept_dir / f"{task.block}_{task.name}-{task.key()}.json"
    if kept.is_file():
        return _load(kept)
    outcome = run(task, out)
    if outcome.status != "error":
        _keep(kept, outcome)
    return outcome


def _load(kept: Path) -> Outcome:
    data = json.loads(kept.read_text(encoding="utf-8"))
    return Outcome(**{**data, "failed": tuple(data["failed"]), "trace": None, "cached": True})


def _keep(kept: Path, outcome: Outcome) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_files({kept: json.dumps(asdict(outcome), indent=1)})


def prove(task: Task, out: Path, *, fresh: bool = False) -> Outcome:
    """The outcome of ``task``: that of an earlier run that passed on the same inputs, or a new one.

    Raises:
        SimulationError: as :func:`run`.
    """
    kept = out / "passed" / f"{task.block}_{task.name}-{task.key()}.json"
    with build_cache.locked(out / "locks" / f"{task.block}_{task.name}"):
        if kept.is_file() and not fresh:
            return _load(kept)
        outcome = run(task, out)
        if outcome.status == "pass":
            _keep(kept, outcome)
        return outcome
