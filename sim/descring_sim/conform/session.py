# SPDX-License-Identifier: Apache-2.0
"""The verdict on one implementation: build it, run the tests, repeat failures with waves."""

from __future__ import annotations

import datetime
import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from descring_sim.conform.dut import Description
from descring_sim.conform.errors import ConformError
from descring_sim.conform.status import TestResult
from descring_sim.conform.suite.declare import Test
from descring_sim.conform.verdict import Verdict, skipped, versions
from descring_sim.conform.worker_pool import Task, Worker, run_all, with_waves
from descring_sim.support import paths
from descring_sim.support.progress import progress_bar
from descring_sim.support.provenance import commit_of
from descring_sim.support.visible import visible

WAVED = 3
"""Failures that are repeated with waves."""


def folder_of(reference: str) -> Path:
    """The folder of an implementation's builds: two that are called alike have one each."""
    place, colon, name = reference.partition(":")
    whole = f"{Path(place).resolve()}{colon}{name}" if Path(place).is_file() else reference
    plain = re.sub(r"[^\w.-]+", "_", whole)[-60:]
    digest = hashlib.sha256(whole.encode(errors="surrogateescape")).hexdigest()[:8]
    return paths.build_dir() / "conform" / f"{plain}-{digest}"


def judge_one(
    reference: str,
    tests: Sequence[Test],
    *,
    seed: int,
    jobs: int,
    timeout_s: float,
    console: Console,
    smoke: bool = False,
) -> Verdict:
    """Build one implementation and run ``tests`` on it; with ``smoke`` those of its quick run.

    Raises:
        ConformError: it cannot be found or built.
    """
    started, clock = datetime.datetime.now(datetime.UTC), time.monotonic()
    folder = folder_of(reference)
    worker = Worker(reference, folder)
    try:
        with console.status(escape(f"{reference}: building")) if console.is_terminal else _Quiet():
            description = worker.start(identify=True)
        if smoke:
            tests = [test for test in tests if test.is_quick(description.capabilities)]
        results = _results(reference, worker, description, tests, seed, jobs, timeout_s)
    finally:
        worker.close()
    if description.waves:
        _add_waves(reference, folder, description, results, timeout_s)
    return Verdict(
        reference=reference,
        description=description,
        results=tuple(results[test.id] for test in tests),
        selected=tuple(tests),
        seed=seed,
        seconds=time.monotonic() - clock,
        started=started,
        versions=versions() | made_of(description) | origin(reference),
    )


def _results(
    reference: str,
    worker: Worker,
    description: Description,
    tests: Sequence[Test],
    seed: int,
    jobs: int,
    timeout_s: float,
) -> dict[str, TestResult]:
    """The results by test; the implementation that ``worker`` has built is the first to be used."""
    results = {
        test.id: result
        for test in tests
        if (result := skipped(test, description, seed)) is not None
    }
    version = description.capabilities.contract_version
    chosen = [test.id for test in tests if test.id not in results]
    tasks = [Task(test, seed, contract_version=version) for test in chosen]
    if not tasks:
        raise ConformError(
            f"{reference}: none of the {len(tests)} tests is within its capabilities; "
            f"the first {results[tests[0].id].reason}"
        )
    with progress_bar() as bar:
        line = bar.add_task(escape(visible(reference)), total=len(tasks))

        def done(result: TestResult) -> None:
            results[result.test] = result
            shown = escape(visible(f"{reference} {result.test}"))
            bar.update(line, advance=1, description=shown)

        run_all(
            reference,
            worker.folder,
            tasks,
            jobs=jobs,
            timeout_s=timeout_s,
            done=done,
            first=worker,
        )
    return results


class _Quiet:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def describe(reference: str, folder: Path) -> Description:
    """Build the implementation in a process of its own; who it is.

    Raises:
        ConformError: it cannot be found or built.
    """
    worker = Worker(reference, folder)
    try:
        return worker.start(identify=True)
    finally:
        worker.close()


def made_of(description: Description) -> dict[str, str]:
    """What a verdict is about: the tools, and the hash of the implementation's sources."""
    return dict(description.tools) | {"implementation's sha256": description.sha256}


def origin(reference: str) -> dict[str, str]:
    """The commit that a foreign implementation's file is at, for the report."""
    place = Path(reference.partition(":")[0])
    if not place.is_file():
        return {}
    commit = commit_of(place.resolve().parent)
    return {"implementation's commit": commit} if commit else {}


def _add_waves(
    reference: str,
    folder: Path,
    description: Description,
    results: dict[str, TestResult],
    timeout_s: float,
) -> None:
    """Repeat the first failures with waves on; the result itself stays that of the first run."""
    failed = [r for r in results.values() if r.status.bad and r.failure and not r.failure.waves]
    version = description.capabilities.contract_version
    tasks = [
        with_waves(Task(result.test, result.seed, contract_version=version))
        for result in failed[:WAVED]
    ]
    for again in run_all(reference, folder, tasks, jobs=1, timeout_s=timeout_s):
        first = results[again.test]
        if again.failure and again.failure.waves and first.failure:
            failure = replace(first.failure, waves=again.failure.waves)
            results[again.test] = replace(first, failure=failure)
