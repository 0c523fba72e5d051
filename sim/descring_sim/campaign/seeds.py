# SPDX-License-Identifier: Apache-2.0
"""Campaigns: the suite over many seeds, on all cores or on a Ray cluster, resumed where it ended.

The unit of work is a shard: a few seeds with all tests. A finished shard is one line of the state
file, so an interrupted campaign continues after the last of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_model import contract

from descring_sim.campaign.records import from_record, merge, to_record
from descring_sim.conform.errors import ConformError
from descring_sim.conform.status import TestResult
from descring_sim.conform.worker_pool import Task, run_all

SHARD_SEEDS = 4


@dataclass(frozen=True)
class Campaign:
    """What is to be run: ``count`` seeds from ``first_seed``, each with all ``tests``."""

    reference: str
    folder: Path
    tests: tuple[str, ...]
    first_seed: int
    count: int
    timeout_s: float

    @property
    def seeds(self) -> range:
        """All seeds."""
        return range(self.first_seed, self.first_seed + self.count)

    def identity(self) -> dict[str, Any]:
        """What results of another run must share to count for this one."""
        return {
            "reference": self.reference,
            "contract": contract.CONTRACT_SHA256,
            "tests": list(self.tests),
        }

    def shards(self, done: set[int]) -> list[tuple[int, ...]]:
        """The seeds that are not ``done``, a few at a time."""
        left = [seed for seed in self.seeds if seed not in done]
        return [
            tuple(left[start : start + SHARD_SEEDS]) for start in range(0, len(left), SHARD_SEEDS)
        ]


def run_shard(campaign: Campaign, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Run all tests with ``seeds`` on one worker of this machine; merged, as records."""
    tasks = [Task(test, seed) for seed in seeds for test in campaign.tests]
    results = run_all(
        campaign.reference, campaign.folder, tasks, jobs=1, timeout_s=campaign.timeout_s
    )
    return [to_record(result) for result in merge(results)]


class State:
    """The state file: one line a finished shard, after one that identifies the campaign."""

    def __init__(self, path: Path | None, campaign: Campaign) -> None:
        """Read what is there.

        Raises:
            ConformError: the file is of another campaign, or none at all.
        """
        self._path = path
        self.results: list[TestResult] = []
        self.done: set[int] = set()
        if path is None:
            return
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        head = {"campaign": campaign.identity()}
        try:
            entries = list(_entries(lines))
        except ValueError as error:
            raise ConformError(
                f"--state {path}: this is no state of a campaign: {error}"
            ) from error
        if not entries:
            path.write_text(json.dumps(head) + "\n", encoding="utf-8")
            return
        if entries[0] != head:
            raise ConformError(
                f"--state {path}: it is of another implementation, contract or choice of tests; "
                "name another file, or remove it"
            )
        # Rewritten without the torn end of a run that was killed.
        whole = "".join(json.dumps(entry) + "\n" for entry in entries)
        part = path.with_name(path.name + ".part")
        part.write_text(whole, encoding="utf-8")
        part.replace(path)
        for entry in entries[1:]:
            if set(entry["seeds"]) <= set(campaign.seeds):
                self._take(entry["seeds"], entry["results"])

    def _take(self, seeds: Sequence[int], records: list[dict[str, Any]]) -> None:
        self.done |= set(seeds)
        self.results += [from_record(record) for record in records]

    def add(self, seeds: Sequence[int], records: list[dict[str, Any]]) -> None:
        """A shard is finished."""
        self._take(seeds, records)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"seeds": list(seeds), "results": records}) + "\n")


def _entries(lines: list[str]) -> Iterator[Any]:
    for number, line in enumerate(lines):
        try:
            yield json.loads(line)
        except ValueError:
            if number == 0 or number != len(lines) - 1:
                raise


Shards = Callable[[Campaign, list[tuple[int, ...]], int], Iterator[tuple[tuple[int, ...], Any]]]
"""Runs shards somewhere, so many at a time; yields each with its records as it is finished."""


def local_shards(
    campaign: Campaign, shards: list[tuple[int, ...]], jobs: int
) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Run shards on this machine."""
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(run_shard, campaign, shard): shard for shard in shards}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def run_campaign(
    campaign: Campaign,
    state: State,
    *,
    jobs: int,
    shards: Shards = local_shards,
    progress: Callable[[int], None] = lambda _seeds: None,
) -> list[TestResult]:
    """Run what ``state`` lacks; one merged result a test, in the order of the tests.

    ``progress`` is called with the number of seeds that are done.
    """
    progress(len(state.done))
    for seeds, records in shards(campaign, campaign.shards(state.done), jobs):
        state.add(seeds, records)
        progress(len(state.done))
    found = {result.test: result for result in merge(state.results)}
    missing = [test for test in campaign.tests if test not in found]
    if missing or state.done != set(campaign.seeds):
        raise ConformError(f"the campaign lost results: {missing[:3] or 'of whole seeds'}")
    return [found[test] for test in campaign.tests]
